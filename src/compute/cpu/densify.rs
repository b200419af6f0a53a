//! Kernel `densify`: sparse frames become dense u32 ones.

use crate::compute::{HostFrames, SampleType, SparseFrames};

/// The same counts as a dense stack.
pub(super) fn densify(sparse: &SparseFrames) -> HostFrames {
    let mut dense = HostFrames::zeros(SampleType::U32, sparse.shape, sparse.count);
    let n = dense.frame_words();
    for (frame, hits) in dense.words.chunks_exact_mut(n.max(1)).zip(sparse.offsets.windows(2)) {
        let hits = hits[0] as usize..hits[1] as usize;
        for (&pixel, &count) in sparse.pixels[hits.clone()].iter().zip(&sparse.counts[hits]) {
            frame[pixel as usize] = count;
        }
    }
    dense
}
