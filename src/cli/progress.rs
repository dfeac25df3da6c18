//! Long steps say what they do, how far they are and how long they took, on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Numbered steps: `[2/3] Generating the JavaScript glue … 0.4 s`.
pub struct Steps {
    total: usize,
    done: usize,
}

impl Steps {
    pub fn new(total: usize) -> Self {
        Self { total, done: 0 }
    }

    /// Announces a step whose own output follows (cargo's, apt's) and runs it.
    pub fn announce<T>(&mut self, what: &str, step: impl FnOnce() -> T) -> T {
        self.done += 1;
        eprintln!("[{}/{}] {what}", self.done, self.total);
        step()
    }

    /// Runs a quiet step under a ticking clock (on a terminal) and says how long it took.
    pub fn timed<T>(&mut self, what: &str, step: impl FnOnce() -> T) -> T {
        self.done += 1;
        let label = format!("[{}/{}] {what}", self.done, self.total);
        let start = Instant::now();
        let clock = ProgressBar::new_spinner().with_message(label.clone());
        if let Ok(style) = ProgressStyle::with_template("{msg} … {elapsed}") {
            clock.set_style(style);
        }
        clock.enable_steady_tick(Duration::from_millis(250));
        let outcome = step();
        clock.finish_and_clear();
        eprintln!("{label} … {:.1} s", start.elapsed().as_secs_f64());
        outcome
    }
}
