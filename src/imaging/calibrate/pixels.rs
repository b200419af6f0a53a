//! Pixels of the detector that do not count as their neighbours do.

/// What is wrong with a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Counts nothing, where its neighbours count.
    Dead,
    /// Counts less than half of what its neighbours do.
    Dim,
    /// Counts more than twice what its neighbours do.
    Hot,
    /// Varies from frame to frame much more than its neighbours do.
    Flickering,
}

/// A pixel (y, x) with its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct BadPixel {
    pub place: [usize; 2],
    pub fault: Fault,
}

/// A pixel stands out by so many standard errors of counting.
const SIGMAS: f64 = 8.0;

/// The pixels that stand out of the mean and the variance of `frames` frames, without those that are not `valid`. `gain` is the counts of an electron.
///
/// The third of the eight neighbours, counted from the brightest or from the darkest, is what a pixel is compared with: so up to two bad pixels side by
/// side, and dead rows and columns, are found, while an edge of the disk is none.
pub(super) fn bad(
    mean: &[f64],
    variance: Option<&[f64]>,
    frames: usize,
    shape: [usize; 2],
    valid: Option<&[bool]>,
    gain: f64,
) -> Vec<BadPixel> {
    let [ny, nx] = shape;
    let n = frames as f64;
    let counts = |p: usize| valid.is_none_or(|v| v[p]);
    let mut near = Vec::with_capacity(8);
    let mut found = Vec::new();
    for p in (0..ny * nx).filter(|&p| counts(p)) {
        let (y, x) = (p / nx, p % nx);
        let mut neighbours = |of: &[f64]| {
            near.clear();
            for v in y.saturating_sub(1)..(y + 2).min(ny) {
                near.extend((x.saturating_sub(1)..(x + 2).min(nx)).map(|u| v * nx + u).filter(|&q| q != p && counts(q)).map(|q| of[q]));
            }
            near.sort_by(f64::total_cmp);
            // The third of eight, the second of five at an edge, the first of three in a corner.
            let rank = near.len().checked_sub(2)? / 3;
            Some((near[rank], near[near.len() - 1 - rank]))
        };
        let Some((darker, brighter)) = neighbours(mean) else { continue };
        // The sum's standard error, with one electron at least.
        let error = |mean: f64| (gain * mean.max(0.0) / n + (gain / n).powi(2)).sqrt();
        let fault = if mean[p] == 0.0 && darker > SIGMAS * error(darker) {
            Some(Fault::Dead)
        } else if mean[p] < 0.5 * darker && darker - mean[p] > SIGMAS * error(darker) {
            Some(Fault::Dim)
        } else if mean[p] > 2.0 * brighter && mean[p] - brighter > SIGMAS * error(brighter) {
            Some(Fault::Hot)
        } else {
            variance.and_then(|of| {
                let (_, most) = neighbours(of)?;
                // A rare event of a few electrons is counting too.
                let expected = most.max(gain * mean[p]);
                let error = expected * (2.0 / n + gain / (n * mean[p]).max(gain)).sqrt();
                (of[p] > 4.0 * expected && of[p] - expected > SIGMAS * error).then_some(Fault::Flickering)
            })
        };
        found.extend(fault.map(|fault| BadPixel { place: [y, x], fault }));
    }
    found
}
