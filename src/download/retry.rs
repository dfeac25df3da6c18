//! How often something is tried again, and after how long.

/// Waits before each try, in milliseconds. After the last one the download fails.
const WAITS: [u64; 5] = [1000, 2000, 4000, 8000, 8000];

/// No file is worth more failures than this, however small the progress between them.
const CAP_FAILURES: u32 = 200;

/// The longest wait that a server may ask for, in seconds.
pub const CAP_BUSY: u64 = 600;

/// Counts failures; a download that moves on starts counting afresh.
#[derive(Debug)]
pub struct Retry {
    tries: usize,
    failures: u32,
    /// The furthest byte that was reached.
    high: u64,
    jitter: u64,
    scale: f64,
}

impl Retry {
    /// `scale` multiplies every wait.
    pub fn new(seed: u64, scale: f64) -> Self {
        Self { tries: 0, failures: 0, high: 0, jitter: seed, scale }
    }

    /// The wait in milliseconds before the next try, with byte `at` reached; `None` when it is time to give up.
    pub fn after_failure(&mut self, at: u64) -> Option<u64> {
        if at > self.high {
            (self.high, self.tries) = (at, 0);
        }
        self.failures += 1;
        let wait = *WAITS.get(self.tries).filter(|_| self.failures <= CAP_FAILURES)?;
        self.tries += 1;
        // Up to a quarter more, so that many visitors who were cut off together do not come back together.
        let jitter = wait * (self.random() >> 54) / 4096;
        Some(self.scaled(wait + jitter))
    }

    /// Progress is counted anew from `at`: other bytes are fetched now.
    pub fn rewind(&mut self, at: u64) {
        (self.high, self.tries) = (at, 0);
    }

    pub fn scaled(&self, ms: u64) -> u64 {
        (ms as f64 * self.scale) as u64
    }

    /// splitmix64 (Steele, Lea and Flood 2014).
    fn random(&mut self) -> u64 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_without_progress_and_then_no_more() {
        let mut retry = Retry::new(1, 1.0);
        let waits: Vec<u64> = std::iter::from_fn(|| retry.after_failure(10)).collect();
        assert_eq!(waits.len(), 5);
        for (wait, least) in waits.iter().zip(WAITS) {
            assert!((least..=least + least / 4).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn progress_starts_the_count_again_but_not_for_ever() {
        let mut retry = Retry::new(2, 0.0);
        let failures = (0..10_000).take_while(|at| retry.after_failure(*at).is_some()).count();
        assert_eq!(failures, CAP_FAILURES as usize);
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let waits = |seed| -> Vec<u64> {
            let mut retry = Retry::new(seed, 1.0);
            std::iter::from_fn(|| retry.after_failure(0)).collect()
        };
        assert_eq!(waits(3), waits(3));
        assert_ne!(waits(3), waits(4));
    }
}
