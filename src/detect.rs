//! Head detectors: how closely a head's attention follows a pattern, as `transformer_lens.head_detector` scores it.
//!
//! A pattern is a lower-triangular matrix `[dest, src]` of what an ideal head of its kind attends to. The three named ones
//! follow from the tokens alone, the BOS among them. Three things are done otherwise than there: scores by `abs` are not
//! rounded to three decimals; what excludes and what measures holds for several prompts too, where `detect_head` falls
//! back to its defaults; and a prompt may fill the whole context.

use crate::config::Config;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a head is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Pattern {
    /// The token before.
    PreviousToken,
    /// Every earlier token that is the same as the current one.
    DuplicateToken,
    /// Every token that followed an earlier one that is the same as the current one.
    Induction,
    /// Rows of an own matrix, as many and as long as a prompt has tokens.
    Own(Vec<Vec<f64>>),
}

/// A pattern in an experiment.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a pattern: 'previous_token', 'duplicate_token', 'induction' or rows of numbers"
)]
enum Written {
    Name(String),
    Rows(Vec<Vec<f64>>),
}

impl TryFrom<Written> for Pattern {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Self, String> {
        let name = match written {
            Written::Rows(rows) => return Ok(Pattern::Own(rows)),
            Written::Name(name) => name,
        };
        // TransformerLens' names end with `_head`.
        match name.strip_suffix("_head").unwrap_or(&name) {
            "previous_token" => Ok(Pattern::PreviousToken),
            "duplicate_token" => Ok(Pattern::DuplicateToken),
            "induction" => Ok(Pattern::Induction),
            _ => Err(format!(
                "unknown pattern '{name}', expected one of previous_token, duplicate_token, induction, or rows of numbers"
            )),
        }
    }
}

impl From<Pattern> for Written {
    fn from(pattern: Pattern) -> Self {
        match pattern {
            Pattern::Own(rows) => Written::Rows(rows),
            named => Written::Name(named.name().into()),
        }
    }
}

impl Pattern {
    /// The name used in experiments; `own` for a matrix.
    pub fn name(&self) -> &'static str {
        match self {
            Pattern::PreviousToken => "previous_token",
            Pattern::DuplicateToken => "duplicate_token",
            Pattern::Induction => "induction",
            Pattern::Own(_) => "own",
        }
    }

    /// Checks that a prompt of `len` tokens can be compared with this.
    ///
    /// # Errors
    /// `input.pattern` when an own matrix is not lower triangular, not of this size, or holds what float32 does not.
    pub fn check(&self, len: usize) -> Result<()> {
        let Pattern::Own(rows) = self else { return Ok(()) };
        let wrong = |message: String| Err(Error::input("input.pattern", message));
        if rows.len() != len {
            return wrong(format!("{} rows, expected {len}: one for each token of the prompt", rows.len()));
        }
        for (dest, row) in rows.iter().enumerate() {
            if row.len() != len {
                return wrong(format!("row {dest} has {} numbers, expected {len}", row.len()));
            }
            for (src, value) in row.iter().enumerate() {
                if !(*value as f32).is_finite() {
                    return wrong(format!("row {dest}, column {src}: {value} is not a finite float32"));
                }
                if src > dest && *value != 0.0 {
                    return wrong(format!(
                        "row {dest}, column {src}: {value}, expected 0: no head looks at a later token"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The matrix for these tokens, `[dest, src]`. An own one has passed [`Pattern::check`].
    pub fn matrix(&self, tokens: &[u32]) -> Vec<f32> {
        let len = tokens.len();
        let mut matrix = vec![0.0; len * len];
        for (dest, row) in matrix.chunks_exact_mut(len.max(1)).enumerate() {
            for (src, value) in row.iter_mut().enumerate().take(dest + 1) {
                let one = match self {
                    Pattern::PreviousToken => src + 1 == dest,
                    Pattern::DuplicateToken => src < dest && tokens[src] == tokens[dest],
                    Pattern::Induction => src > 0 && tokens[src - 1] == tokens[dest],
                    Pattern::Own(rows) => {
                        *value = rows[dest][src] as f32;
                        continue;
                    }
                };
                *value = f32::from(u8::from(one));
            }
        }
        matrix
    }
}

/// How attention `a` is compared with a pattern `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// `Σ a·d / Σ a`: the share of the attention that lies where the pattern is 1. Positions at which the pattern is all
    /// zeros count too: on random tokens given twice an induction head reaches about a half, on more copies more.
    #[default]
    Mul,
    /// `1 − Σ |a − d| / len`: 1 for a perfect match; −1 for a perfect mismatch with a pattern whose rows add up to 1.
    Abs,
}

/// How a score is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scoring {
    pub measure: Measure,
    /// Leaves out attention to the first position, whichever token stands there.
    pub exclude_bos: bool,
    /// Leaves out attention of a position to itself.
    pub exclude_current_token: bool,
}

impl Scoring {
    /// The score of one head from its attention and the pattern, both `[dest, src]` over `len` tokens and zero above the
    /// diagonal. NaN where `mul` divides by no attention.
    pub fn score(self, attention: &[f32], pattern: &[f32], len: usize) -> f64 {
        let Self { measure, exclude_bos, exclude_current_token } = self;
        let (mut sum, mut total) = (0.0, 0.0);
        for dest in 0..len {
            let (first, end) = (usize::from(exclude_bos), dest + 1 - usize::from(exclude_current_token));
            let row = dest * len + first..dest * len + end.max(first);
            for (a, d) in attention[row.clone()].iter().zip(&pattern[row]) {
                let (a, d) = (f64::from(*a), f64::from(*d));
                total += a;
                sum += if measure == Measure::Mul { a * d } else { (a - d).abs() };
            }
        }
        match measure {
            Measure::Mul => sum / total,
            Measure::Abs => 1.0 - sum / len as f64,
        }
    }
}

/// Scores of heads, as the mean over the prompts.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Each of at least two tokens.
    pub prompts: Vec<Vec<u32>>,
    pub patterns: Vec<Pattern>,
    /// Whether `pattern` is the first axis of the result; else there is one pattern.
    pub stacked: bool,
    pub scoring: Scoring,
    /// `[layer, head]` of those that are scored; all where `None`.
    pub heads: Option<Vec<[usize; 2]>>,
}

impl Detection {
    /// The names of the result's axes.
    pub fn axes(&self) -> Vec<&'static str> {
        self.stacked.then_some("pattern").into_iter().chain(["layer", "head"]).collect()
    }

    /// One size per axis.
    pub fn shape(&self, cfg: &Config) -> Vec<usize> {
        self.stacked.then_some(self.patterns.len()).into_iter().chain([cfg.n_layers, cfg.n_heads]).collect()
    }

    /// Of every head whether it is scored, `[layer, head]`.
    pub fn scored(&self, cfg: &Config) -> Vec<bool> {
        let mut scored = vec![self.heads.is_none(); cfg.n_layers * cfg.n_heads];
        for [layer, head] in self.heads.iter().flatten() {
            scored[layer * cfg.n_heads + head] = true;
        }
        scored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Scoring; 8] = {
        let mut all =
            [Scoring { measure: Measure::Mul, exclude_bos: false, exclude_current_token: false }; 8];
        let mut i = 0;
        while i < 8 {
            all[i].measure = if i & 1 == 0 { Measure::Mul } else { Measure::Abs };
            all[i].exclude_bos = i & 2 != 0;
            all[i].exclude_current_token = i & 4 != 0;
            i += 1;
        }
        all
    };

    fn rows(matrix: &[f32], len: usize) -> Vec<Vec<f32>> {
        matrix.chunks(len).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn the_named_patterns_are_those_of_transformer_lens() {
        // BOS a b a a: get_..._detection_pattern of these tokens.
        let tokens = [0, 7, 8, 7, 7];
        let previous = [
            [0., 0., 0., 0., 0.],
            [1., 0., 0., 0., 0.],
            [0., 1., 0., 0., 0.],
            [0., 0., 1., 0., 0.],
            [0., 0., 0., 1., 0.],
        ];
        let duplicate = [
            [0., 0., 0., 0., 0.],
            [0., 0., 0., 0., 0.],
            [0., 0., 0., 0., 0.],
            [0., 1., 0., 0., 0.],
            [0., 1., 0., 1., 0.],
        ];
        // The token after the same one: at dest 4 it is dest 4 itself that follows dest 3.
        let induction = [
            [0., 0., 0., 0., 0.],
            [0., 0., 0., 0., 0.],
            [0., 0., 0., 0., 0.],
            [0., 0., 1., 0., 0.],
            [0., 0., 1., 0., 1.],
        ];
        for (pattern, expected) in [
            (Pattern::PreviousToken, previous),
            (Pattern::DuplicateToken, duplicate),
            (Pattern::Induction, induction),
        ] {
            assert_eq!(rows(&pattern.matrix(&tokens), 5), expected.map(|row| row.to_vec()), "{pattern:?}");
        }
    }

    #[test]
    fn a_head_that_is_the_pattern_scores_one() {
        let len = 4;
        // The first token has only itself to look at.
        let mut attention = Pattern::PreviousToken.matrix(&[5, 6, 7, 8]);
        attention[0] = 1.0;
        let shift = Pattern::PreviousToken.matrix(&[5, 6, 7, 8]);
        for scoring in ALL {
            let perfect = scoring.score(&attention, &attention, len);
            assert_eq!(perfect, 1.0, "{scoring:?}");
            let found = scoring.score(&attention, &shift, len);
            let first_counts = !scoring.exclude_bos && !scoring.exclude_current_token;
            assert_eq!(found, if first_counts { 0.75 } else { 1.0 }, "{scoring:?}");
        }
    }

    #[test]
    fn scores_of_a_hand_made_pattern() {
        let attention = [1.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.25, 0.25, 0.5];
        let pattern = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let expected = [
            // Neither is left out: 0.75 of 3; 1 + 1 + 1.5 away.
            (0.25, 1.0 - 3.5 / 3.0),
            // Without the first column: 0.25 of 1.25; 0.5 + 0.75 + 0.5.
            (0.2, 1.0 - 1.75 / 3.0),
            // Without the diagonal: 0.75 of 1; 0.5 + 0.25 + 0.75.
            (0.75, 1.0 - 1.5 / 3.0),
            // Without both: 0.25 of 0.25; 0.75.
            (1.0, 0.75),
        ];
        for (pair, (mul, abs)) in ALL.chunks(2).zip(expected) {
            let [by_mul, by_abs] = [0, 1].map(|i| pair[i].score(&attention, &pattern, 3));
            assert!(
                (by_mul - mul).abs() < 1e-12 && (by_abs - abs).abs() < 1e-12,
                "{pair:?}: {by_mul} {by_abs}"
            );
        }
    }

    #[test]
    fn no_attention_has_no_share() {
        let nothing_left = Scoring { exclude_bos: true, exclude_current_token: true, ..Scoring::default() };
        assert!(nothing_left.score(&[1.0, 0.0, 0.5, 0.5], &[0.0; 4], 2).is_nan());
    }

    #[test]
    fn own_patterns_are_checked() {
        for (rows, words) in [
            (vec![vec![1.0]], "1 rows, expected 2"),
            (vec![vec![1.0, 0.0], vec![1.0]], "row 1 has 1 numbers, expected 2"),
            (vec![vec![1.0, 0.5], vec![1.0, 0.0]], "row 0, column 1: 0.5, expected 0"),
            (vec![vec![1.0, 0.0], vec![1e300, 0.0]], "row 1, column 0"),
            (vec![vec![1.0, 0.0], vec![f64::NAN, 0.0]], "NaN is not a finite"),
            (vec![vec![1.0, f64::NAN], vec![0.0, 0.0]], "row 0, column 1: NaN"),
        ] {
            let error = Pattern::Own(rows).check(2).unwrap_err();
            assert_eq!(error.code, "input.pattern");
            assert!(error.message.contains(words), "{error}");
        }
        assert!(Pattern::Own(vec![vec![-1.0, 0.0], vec![0.25, 3.0]]).check(2).is_ok());
    }
}
