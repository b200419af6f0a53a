//! `ronchi compare`: two results, or a result and its truth, image by image and column by column.

mod columns;
mod files;
mod images;

use std::path::Path;

use serde::Serialize;

use super::Error;
use files::File;

pub use columns::{ColumnPair, ElementErrors};
pub use images::{Agreement, Bragg, ImagePair, RingCorrelation};

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparing {
    /// Names of A's images and of the ones of B that they are compared with; all that both have where there is none.
    pub images: Vec<[String; 2]>,
    /// How far images may lie apart: half an Å, or a pixel where that is more, unless it is said.
    pub reach_A: Option<f64>,
    /// The standard deviation of a Gaussian that blurs a truth, or without one both images.
    pub blur_A: f64,
    /// Is B multiplied by the gain before it is compared?
    pub gain: bool,
    /// How far columns of the two tables may lie apart.
    pub tolerance_A: f64,
}

impl Default for Comparing {
    fn default() -> Self {
        Self { images: Vec::new(), reach_A: None, blur_A: 0.0, gain: false, tolerance_A: 0.5 }
    }
}

/// In what two files agree and differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub first: String,
    pub second: String,
    pub images: Vec<ImagePair>,
    pub columns: Option<ColumnPair>,
    /// What should be known of both.
    pub notes: Vec<String>,
    /// What could not be compared, and why.
    pub left_out: Vec<String>,
}

/// Compares two files.
///
/// # Errors
/// If a file cannot be read, an image that was asked for is missing, or there is nothing to compare.
pub fn compare(first: &Path, second: &Path, how: &Comparing) -> Result<Comparison, Error> {
    let (a, b) = (File::open(first)?, File::open(second)?);
    let mut left_out = Vec::new();
    let pairs = if how.images.is_empty() { files::common(&a, &b)? } else { files::named(&a, &b, &how.images)? };
    let mut images = Vec::new();
    for [of_a, of_b] in pairs {
        match (a.image(&of_a)?, b.image(&of_b)?) {
            (Ok(image_a), Ok(image_b)) => match images::compare(&image_a, &image_b, how)? {
                Ok(pair) => images.push(pair),
                Err(why) => left_out.push(why),
            },
            (Err(why), _) | (_, Err(why)) => left_out.push(why),
        }
    }
    let columns = match (columns::read(&a)?, columns::read(&b)?) {
        (Some(of_a), Some(of_b)) => columns::compare(&of_a, &of_b, how.tolerance_A),
        _ => None,
    };
    if images.is_empty() && columns.is_none() {
        let holds = |file: &File, name: &str| format!("{name} holds {}", files::list(&file.comparable));
        left_out.extend([holds(&a, "A"), holds(&b, "B")]);
        let why = left_out.join("; ");
        return Err(Error::NothingToCompare { first: a.shown, second: b.shown, why });
    }
    let mut notes = Vec::new();
    // Two halves of a job are of different electrons.
    let are_halves =
        |pair: &ImagePair| pair.first != pair.second && [&pair.first, &pair.second].iter().all(|path| path.contains("phase_half_"));
    if a.is_of_the_data_of(&b) && !images.iter().all(are_halves) {
        notes.push(
            "both are of the same data, so their noise is in both: the FRC tells how far two ways of working agree, not the resolution"
                .to_owned(),
        );
    }
    Ok(Comparison { first: a.shown, second: b.shown, images, columns, notes, left_out })
}
