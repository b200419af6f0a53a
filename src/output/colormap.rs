//! Colours of values: perceptually uniform maps.

use std::f64::consts::TAU;

/// A colour map; t runs from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMap {
    /// Black to white.
    Gray,
    /// Matplotlib's viridis (by Nathaniel Smith, Stéfan van der Walt and Eric Firing; CC0).
    Viridis,
    /// Viridis backwards, from yellow to blue without its darkest quarter: the low stands out on a gray image, and the high is no shade of that either.
    YellowToBlue,
    /// Blue over white to red, for signed values around 0.
    Diverging,
    /// All hues, for angles: half a turn below 0 to half a turn above.
    Cyclic,
}

/// Every eighth colour of viridis; between them at most 2 of 255 levels off.
const VIRIDIS: [u32; 33] = [
    0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453781, 0x424086, 0x3e4989, 0x3b528b, 0x375b8d, 0x33638d, 0x2f6b8e, 0x2c728e,
    0x297a8e, 0x26828e, 0x23898e, 0x21918c, 0x1f978b, 0x1f9f88, 0x21a685, 0x27ad81, 0x31b57b, 0x3dbc74, 0x4cc26c, 0x5cc863, 0x6ece58,
    0x81d34d, 0x95d840, 0xaadc32, 0xc0df25, 0xd5e21a, 0xeae51a, 0xfde725,
];

impl ColorMap {
    /// The map that suits an image of this name: diverging for the components of vectors, cyclic for their direction, else gray.
    pub fn of(name: &str) -> Self {
        match name {
            "com_x" | "com_y" | "dpc_x" | "dpc_y" | "dphase_x" | "dphase_y" => Self::Diverging,
            "com_direction" => Self::Cyclic,
            _ => Self::Gray,
        }
    }

    /// The sRGB colour at t; the colour of [`ColorMap::no_value`] where t is NaN.
    pub fn color(self, t: f64) -> [u8; 3] {
        if t.is_nan() {
            return self.no_value();
        }
        let t = t.clamp(0.0, 1.0);
        match self {
            Self::Gray => [(t * 255.0).round() as u8; 3],
            Self::Viridis => {
                let at = t * (VIRIDIS.len() - 1) as f64;
                let n = (at as usize).min(VIRIDIS.len() - 2);
                let part = at - n as f64;
                let channel = |color: u32, shift: u32| f64::from((color >> shift) & 0xff);
                [16, 8, 0].map(|shift| (channel(VIRIDIS[n], shift) * (1.0 - part) + channel(VIRIDIS[n + 1], shift) * part).round() as u8)
            }
            Self::YellowToBlue => Self::Viridis.color(1.0 - 0.75 * t),
            Self::Diverging => {
                // Lightness and chroma are linear in |t − ½| in Oklab, which is what makes the map uniform.
                let away = 2.0 * t - 1.0;
                let hue = if away < 0.0 { 255_f64 } else { 27.0 }.to_radians();
                let (lightness, chroma) = (0.97 - 0.47 * away.abs(), 0.17 * away.abs());
                srgb_of_oklab([lightness, chroma * hue.cos(), chroma * hue.sin()])
            }
            Self::Cyclic => vector_color((t - 0.5) * TAU, 1.0),
        }
    }

    /// The colour of pixels without a value, which the map itself does not have.
    pub fn no_value(self) -> [u8; 3] {
        match self {
            Self::Gray => [214, 39, 40],
            Self::Viridis | Self::YellowToBlue | Self::Cyclic => [190, 190, 190],
            Self::Diverging => [0, 158, 80],
        }
    }
}

/// The colour of a vector: its direction (0 along the columns, a quarter turn along the rows) as hue, its length from 0 to 1 as brightness; 0 is black.
///
/// Hue is the angle in Oklab and lightness and chroma are the length, so that equal turns look alike and no direction looks longer than another. The
/// brightest hues are the most colourful ones that sRGB has in all directions.
pub(super) fn vector_color(direction: f64, length: f64) -> [u8; 3] {
    let hue = direction + 27_f64.to_radians();
    let length = length.clamp(0.0, 1.0);
    let chroma = 0.125 * length;
    srgb_of_oklab([0.75 * length, chroma * hue.cos(), chroma * hue.sin()])
}

/// Oklab to sRGB (Björn Ottosson, 2020); what lies outside of sRGB is clipped.
fn srgb_of_oklab([l, a, b]: [f64; 3]) -> [u8; 3] {
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    let linear = [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701_0 * short,
    ];
    linear.map(|x| {
        let x = x.clamp(0.0, 1.0);
        let encoded = if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}
