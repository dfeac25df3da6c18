//! Metrics: one number per run, from what the program kept of it.

use crate::error::{Error, Result};
use crate::model::{Readout, RunOutput};
use std::cmp::Ordering;

/// A metric whose tokens are ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `logit(correct) − logit(incorrect)` at the last position: `[correct, incorrect]`.
    LogitDiff([u32; 2]),
    /// Mean cross-entropy of token t+1 at position t, in nats.
    Loss,
}

impl Metric {
    /// What must be kept of a run to know its metric.
    pub fn readout(self) -> Readout {
        match self {
            Metric::LogitDiff(pair) => Readout { logit_diff: Some(pair), ..Readout::default() },
            Metric::Loss => Readout { loss: true, ..Readout::default() },
        }
    }

    /// The metric of a run whose results lie at `output` in `data`.
    ///
    /// # Errors
    /// When the run did not keep what the metric needs.
    pub fn value(self, data: &[f32], output: &RunOutput) -> Result<f64> {
        match self {
            Metric::LogitDiff(_) => output.logit_diff.and_then(|at| data.get(at)).map(|x| f64::from(*x)),
            Metric::Loss => mean_loss(data, output),
        }
        .ok_or_else(|| Error::internal(format!("{self:?} was not kept")))
    }
}

/// Mean over positions of `max + ln(sum of exp(logit − max)) − logit of the target`; `None` without positions.
pub fn mean_loss(data: &[f32], output: &RunOutput) -> Option<f64> {
    let places = output.loss.as_ref()?;
    let loss = |at: &usize| {
        let row = data.get(*at..at + 3)?;
        Some(f64::from(row[0]) + f64::from(row[1]).ln() - f64::from(row[2]))
    };
    let sum = places.iter().map(loss).sum::<Option<f64>>()?;
    (!places.is_empty()).then(|| sum / places.len() as f64)
}

/// Natural logarithm of the sum of the exponentials.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    f64::from(max) + logits.iter().map(|x| f64::from(x - max).exp()).sum::<f64>().ln()
}

/// By falling logit; equal logits by rising id, so that the order is always the same.
fn before(logits: &[f32], a: u32, b: u32) -> Ordering {
    logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b))
}

/// The `k` likeliest token ids, the likeliest first. All where there are fewer.
pub fn likeliest(logits: &[f32], k: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    if k < ids.len() {
        ids.select_nth_unstable_by(k, |a, b| before(logits, *a, *b));
        ids.truncate(k);
    }
    ids.sort_unstable_by(|a, b| before(logits, *a, *b));
    ids
}

/// How many token ids come before this one; the likeliest has rank 0.
pub fn rank(logits: &[f32], id: u32) -> usize {
    (0..logits.len() as u32).filter(|other| before(logits, *other, id).is_lt()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sum_exp_does_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
    }

    #[test]
    fn ranks_are_stable() {
        let logits = [0.5, 2.0, 2.0, -1.0];
        for k in 0..6 {
            assert_eq!(likeliest(&logits, k), [1, 2, 0, 3][..k.min(4)]);
        }
        assert_eq!([0, 1, 2, 3].map(|id| rank(&logits, id)), [2, 0, 1, 3]);
    }

    #[test]
    fn loss_is_the_mean_over_positions() {
        let output = RunOutput { loss: Some(vec![1, 4]), ..RunOutput::default() };
        let data = [9.0, 2.0, 1.0, 1.5, 0.0, std::f32::consts::E, 0.0];
        assert!((mean_loss(&data, &output).unwrap() - 0.75).abs() < 1e-6);
        assert_eq!(mean_loss(&data, &RunOutput { loss: Some(Vec::new()), ..output }), None);
    }
}
