//! Reading grey images that others drew: masks of detectors and fields.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use tiff::decoder::{Decoder, DecodingResult};

use super::{Error, Result, read_complex};

/// The shape (rows, columns) and the values of a grey image: a PNG, the first page of a TIFF, or a 2-D dataset written `file.h5:/dataset`. Of colours the
/// brightest channel counts; transparency does not.
pub fn read_raster(path: &Path) -> Result<([usize; 2], Vec<f64>)> {
    let shown = path.display().to_string();
    if shown.contains(":/") && !path.exists() {
        let (shape, values) = read_complex(&shown)?;
        return match shape[..] {
            [rows, columns] => Ok(([rows, columns], values.into_iter().map(|z| z.re).collect())),
            _ => Err(bad(path, format!("it has the shape {shape:?}, an image has two dimensions"))),
        };
    }
    let file = BufReader::new(File::open(path).map_err(|e| bad(path, e.to_string()))?);
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "png" => read_png(path, file),
        "tif" | "tiff" => read_tiff(path, file),
        _ => Err(bad(path, "its name ends neither in .png nor in .tif, and names no dataset as file.h5:/dataset does".to_owned())),
    }
}

fn bad(path: &Path, reason: String) -> Error {
    Error::Raster { path: path.display().to_string(), reason }
}

fn read_png(path: &Path, file: BufReader<File>) -> Result<([usize; 2], Vec<f64>)> {
    let failed = |e: png::DecodingError| bad(path, e.to_string());
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(failed)?;
    let size = reader.output_buffer_size().ok_or_else(|| bad(path, "it is too large".to_owned()))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(failed)?;
    let bytes = &bytes[..info.buffer_size()];
    let samples: Vec<f64> = match info.bit_depth {
        png::BitDepth::Sixteen => bytes.chunks_exact(2).map(|b| f64::from(u16::from_be_bytes([b[0], b[1]]))).collect(),
        _ => bytes.iter().map(|&b| f64::from(b)).collect(),
    };
    let (channels, alpha) = match info.color_type {
        png::ColorType::Grayscale | png::ColorType::Indexed => (1, 0),
        png::ColorType::GrayscaleAlpha => (2, 1),
        png::ColorType::Rgb => (3, 0),
        png::ColorType::Rgba => (4, 1),
    };
    Ok(([info.height as usize, info.width as usize], brightest(&samples, channels, alpha)))
}

fn read_tiff(path: &Path, file: BufReader<File>) -> Result<([usize; 2], Vec<f64>)> {
    let failed = |e: tiff::TiffError| bad(path, e.to_string());
    let mut decoder = Decoder::new(file).map_err(failed)?;
    let (columns, rows) = decoder.dimensions().map_err(failed)?;
    let values: Vec<f64> = match decoder.read_image().map_err(failed)? {
        DecodingResult::U8(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::U32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I16(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::I32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::F32(v) => v.into_iter().map(f64::from).collect(),
        DecodingResult::F64(v) => v,
        _ => return Err(bad(path, "its samples are of a type that masks are not read from; write it as 8-bit grey".to_owned())),
    };
    let (rows, columns) = (rows as usize, columns as usize);
    let channels = values.len() / (rows * columns).max(1);
    if channels == 0 || channels * rows * columns != values.len() {
        return Err(bad(path, format!("it holds {} samples for {rows}×{columns} pixels", values.len())));
    }
    Ok(([rows, columns], brightest(&values, channels, usize::from(channels == 2 || channels == 4))))
}

/// The brightest of each pixel's channels but the last `alpha`.
fn brightest(samples: &[f64], channels: usize, alpha: usize) -> Vec<f64> {
    samples.chunks_exact(channels).map(|pixel| pixel[..channels - alpha].iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect()
}
