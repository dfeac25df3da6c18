//! How much work goes into one submission: about 60 ms of it, so that a cancel is heard and no watchdog fires.

/// The adapter's speed, learnt from the submissions that it has finished.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Estimated operations per millisecond.
    rate: f64,
}

impl Default for Pace {
    /// A slow software adapter, 2 GFLOP/s: the first submissions of a fast one are merely small.
    fn default() -> Self {
        Self { rate: 2e6 }
    }
}

impl Pace {
    const SUBMISSION_MS: f64 = 60.0;
    /// A dispatch this small is never cut, so that slow adapters do not drown in small ones.
    const SMALLEST_CUT: u64 = 250_000_000;

    /// Operations that go into one submission.
    pub fn submission(self) -> u64 {
        (self.rate * Self::SUBMISSION_MS) as u64
    }

    /// Operations that one dispatch may hold.
    pub fn dispatch(self) -> u64 {
        (self.submission() / 2).max(Self::SMALLEST_CUT)
    }

    /// Learns from a submission. Times are coarse in a browser, so speed may not rise more than fourfold at once.
    pub fn observe(&mut self, cost: u64, ms: f64) {
        let measured = cost as f64 / ms.max(0.1);
        self.rate = measured.min(4.0 * self.rate).clamp(1e5, 1e11);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_adapter() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.observe(pace.submission(), pace.submission() as f64 / 1e9);
        }
        assert!((pace.submission() as f64 - 60e9).abs() < 1e9, "a teraflop: {pace:?}");
        pace.observe(1_000_000_000, 1000.0);
        assert_eq!(pace.submission(), 60_000_000, "falls at once");
        assert_eq!(pace.dispatch(), Pace::SMALLEST_CUT);
    }
}
