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
    let n = frames as f64;
    // The standard error of a mean, with one electron at least.
    let error = |mean: f64| (gain * mean.max(0.0) / n + (gain / n).powi(2)).sqrt();
    let mut counts: Vec<bool> = (0..mean.len()).map(|p| valid.is_none_or(|v| v[p])).collect();
    let dead: Vec<usize> = (0..mean.len())
        .filter(|&p| counts[p] && mean[p] == 0.0)
        .filter(|&p| neighbours(mean, p, shape, &counts).is_some_and(|(darker, _)| darker > SIGMAS * error(darker)))
        .collect();
    // What is dead tells nothing of its neighbours.
    dead.iter().for_each(|&p| counts[p] = false);
    let fault = |p: usize| {
        let (darker, brighter) = neighbours(mean, p, shape, &counts)?;
        if mean[p] < 0.5 * darker && darker - mean[p] > SIGMAS * error(darker) {
            return Some(Fault::Dim);
        }
        if mean[p] > 2.0 * brighter && mean[p] - brighter > SIGMAS * error(brighter) {
            return Some(Fault::Hot);
        }
        let variance = variance?;
        let (_, most) = neighbours(variance, p, shape, &counts)?;
        // A rare event of a few electrons is counting too.
        let expected = most.max(gain * mean[p]);
        let error = expected * (2.0 / n + gain / (n * mean[p]).max(gain)).sqrt();
        (variance[p] > 4.0 * expected && variance[p] - expected > SIGMAS * error).then_some(Fault::Flickering)
    };
    let mut found: Vec<BadPixel> = (0..mean.len())
        .filter(|&p| counts[p])
        .filter_map(|p| Some((p, fault(p)?)))
        .chain(dead.iter().map(|&p| (p, Fault::Dead)))
        .map(|(p, fault)| BadPixel { place: [p / shape[1], p % shape[1]], fault })
        .collect();
    found.sort_by_key(|bad| bad.place);
    found
}

/// Of a pixel's neighbours that count the third of eight from the darkest and from the brightest, the second of five at an edge, the first of three in a
/// corner; `None` where there are not two.
fn neighbours(values: &[f64], p: usize, [ny, nx]: [usize; 2], counts: &[bool]) -> Option<(f64, f64)> {
    let (y, x) = (p / nx, p % nx);
    let mut near = [0.0; 8];
    let mut n = 0;
    for v in y.saturating_sub(1)..(y + 2).min(ny) {
        for q in (x.saturating_sub(1)..(x + 2).min(nx)).map(|u| v * nx + u).filter(|&q| q != p && counts[q]) {
            near[n] = values[q];
            n += 1;
        }
    }
    near[..n].sort_by(f64::total_cmp);
    let rank = n.checked_sub(2)? / 3;
    Some((near[rank], near[n - 1 - rank]))
}
