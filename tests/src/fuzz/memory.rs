//! How much memory work takes, in programs whose allocator is [`PeakAlloc`].

use peak_alloc::PeakAlloc;

/// Calls `work` and says how many bytes more than before were in use at its peak, by all threads.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let done = work();
    (done, PeakAlloc.peak_usage().saturating_sub(before))
}

/// Whether this program counts what it allocates.
#[must_use]
pub fn counts() -> bool {
    peak(|| std::hint::black_box(vec![0_u8; 4096])).1 >= 4096
}

/// Calls `work`, which must not take more than `base` bytes and `factor` times its input's.
///
/// # Panics
/// If it takes more.
pub fn bounded<T>(input: &[u8], base: usize, factor: usize, work: impl FnOnce() -> T) -> T {
    let (done, peak) = peak(work);
    let most = base + factor * input.len();
    assert!(
        peak <= most,
        "{peak} bytes for an input of {}: more than {most}",
        input.len()
    );
    done
}
