//! The figures that the notebook published for GPT-2 small, as a check that anyone with the weights can run. It fails
//! on any other weights.

use crate::backend::{Backend, Control};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::lab::Lab;
use crate::outcome::{Answer, Candidate, TokenText};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `published_figures.json`: what the notebook prints.
const FIGURES: &str = include_str!("published/figures.json");

/// One published figure beside the computed one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub name: String,
    pub published: String,
    pub computed: String,
    pub agrees: bool,
}

#[derive(Deserialize)]
struct Figures {
    prompt_tokens: PromptTokens,
    test_prompt: Vec<TestPrompt>,
    logit_diff: LogitDiffs,
    head_ablation: HeadAblations,
    resid_pre_patching: Patching,
    layer_norm_folding_bias: Bias,
}

#[derive(Deserialize)]
struct PromptTokens {
    prompt: String,
    str_tokens: Vec<String>,
}

#[derive(Deserialize)]
struct TestPrompt {
    prompt: String,
    answer: String,
    top: Vec<TopToken>,
}

#[derive(Deserialize)]
struct TopToken {
    token: String,
    logit: f64,
    prob_percent: f64,
}

#[derive(Deserialize)]
struct LogitDiffs {
    rows: Vec<LogitDiffRow>,
    mean: f64,
}

#[derive(Deserialize)]
struct LogitDiffRow {
    prompt: String,
    correct: String,
    incorrect: String,
    logit_diff: f64,
}

#[derive(Deserialize)]
struct HeadAblations {
    site: String,
    edit: String,
    loss: HeadAblation,
    logit_diff: HeadAblation,
}

/// Heads (`L0H7`) whose ablation is said to raise or lower the metric.
#[derive(Deserialize)]
struct HeadAblation {
    prompt: String,
    correct: Option<String>,
    incorrect: Option<String>,
    increases: Vec<String>,
    decreases: Vec<String>,
}

#[derive(Deserialize)]
struct Patching {
    clean: String,
    corrupted: String,
    correct: String,
    incorrect: String,
    clean_logit_diff: f64,
    corrupted_logit_diff: f64,
}

#[derive(Deserialize)]
struct Bias {
    #[serde(rename = "b_U")]
    b_u: std::collections::BTreeMap<String, f64>,
    probability_ratio_he_over_she: f64,
}

/// Runs every published experiment and compares.
///
/// # Errors
/// When an experiment cannot run at all on this model (no tokenizer, cancelled); a figure that differs is no error but
/// a check that does not agree, and so is an experiment that the model's vocabulary cannot express.
pub async fn verify<B: Backend>(lab: &mut Lab<B>, control: &dyn Control) -> Result<Vec<Check>> {
    let figures: Figures =
        serde_json::from_str(FIGURES).map_err(|e| Error::internal(format!("published figures: {e}")))?;
    let mut v = Verifier { lab, control, checks: Vec::new() };
    v.tokens(&figures.prompt_tokens).await?;
    for prompt in &figures.test_prompt {
        v.test_prompt(prompt).await?;
    }
    v.logit_diffs(&figures.logit_diff).await?;
    let HeadAblations { site, edit, loss, logit_diff } = &figures.head_ablation;
    v.head_ablation("loss", site, edit, loss).await?;
    v.head_ablation("logit difference", site, edit, logit_diff).await?;
    v.patching(&figures.resid_pre_patching).await?;
    v.bias(&figures.layer_norm_folding_bias).await?;
    Ok(v.checks)
}

struct Verifier<'a, B> {
    lab: &'a mut Lab<B>,
    control: &'a dyn Control,
    checks: Vec<Check>,
}

impl<B: Backend> Verifier<'_, B> {
    /// Runs one experiment with the notebook's processing. `None`, and a failed check, when this model cannot express
    /// it; an error when running failed.
    async fn run(&mut self, name: &str, mut experiment: Value) -> Result<Option<Answer>> {
        experiment["version"] = json!(1);
        experiment["processing"] = json!({
            "fold_ln": true, "center_writing_weights": true, "center_unembed": true,
            "fold_value_biases": true, "refactor_factored_attn_matrices": true,
        });
        match self.lab.run(&Experiment::from_value(experiment)?, self.control).await {
            Ok(outcome) => Ok(Some(outcome.answer)),
            Err(error) if error.blame == crate::error::Blame::Input => {
                self.check(name, "runs on GPT-2 small", error, false);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn check(
        &mut self,
        name: impl Into<String>,
        published: impl ToString,
        computed: impl ToString,
        agrees: bool,
    ) {
        let (published, computed) = (published.to_string(), computed.to_string());
        self.checks.push(Check { name: name.into(), published, computed, agrees });
    }

    /// A figure printed with `decimals`: half a unit of the last one, and a unit for the notebook's own GPU.
    fn number(&mut self, name: impl Into<String>, published: f64, computed: f64, decimals: usize) {
        let tolerance = 1.5 * 10f64.powi(-(decimals as i32));
        let agrees = (published - computed).abs() <= tolerance;
        self.check(name, format!("{published:.decimals$}"), format!("{computed:.decimals$}"), agrees);
    }

    async fn tokens(&mut self, figure: &PromptTokens) -> Result<()> {
        let name = format!("tokens of {:?}", figure.prompt);
        let experiment = json!({"kind": "predict", "prompt": figure.prompt, "top_k": 1});
        let Some(Answer::Predict { tokens, .. }) = self.run(&name, experiment).await? else { return Ok(()) };
        let texts: Vec<String> = tokens.into_iter().map(|t| t.text.unwrap_or_default()).collect();
        // The notebook shows a part of a character as U+FFFD; here it is its byte, `\xE2`.
        let same = |(published, computed): (&String, &String)| match published.as_str() {
            "\u{FFFD}" => computed.starts_with("\\x"),
            text => text == computed,
        };
        let agrees = texts.len() == figure.str_tokens.len() && figure.str_tokens.iter().zip(&texts).all(same);
        self.check(name, format!("{:?}", figure.str_tokens), format!("{texts:?}"), agrees);
        Ok(())
    }

    async fn test_prompt(&mut self, figure: &TestPrompt) -> Result<()> {
        let name = format!("{:?} → {:?}", figure.prompt, figure.answer);
        let experiment = json!({"kind": "predict", "prompt": figure.prompt, "answer": figure.answer});
        let Some(Answer::Predict { top, answer, .. }) = self.run(&name, experiment).await? else {
            return Ok(());
        };
        let rank = answer.map_or("none".into(), |a| a.rank.to_string());
        self.check(format!("{name}: rank"), 0, &rank, rank == "0");
        for (i, published) in figure.top.iter().enumerate() {
            // By token, not by place: two tokens printed with equal logits may change places.
            let is_it = |c: &&Candidate| matches!(&c.token, TokenText { text: Some(text), .. } if *text == published.token);
            let place = format!("{name}: top {i} {:?}", published.token);
            match top.iter().find(is_it) {
                Some(candidate) => {
                    self.number(format!("{place} logit"), published.logit, candidate.logit, 2);
                    self.number(format!("{place} prob %"), published.prob_percent, candidate.prob * 100.0, 2);
                }
                None => self.check(place, published.logit, "not among the top 10", false),
            }
        }
        Ok(())
    }

    async fn logit_diffs(&mut self, figure: &LogitDiffs) -> Result<()> {
        let rows = figure.rows.iter();
        let prompts: Vec<Value> = rows
            .map(|row| json!({"prompt": row.prompt, "correct": row.correct, "incorrect": row.incorrect}))
            .collect();
        let experiment = json!({"kind": "logit_diff", "prompts": prompts});
        let Some(Answer::LogitDiff { values, mean }) = self.run("logit differences", experiment).await?
        else {
            return Ok(());
        };
        for (row, value) in figure.rows.iter().zip(values) {
            self.number(format!("logit difference of {:?}", row.prompt), row.logit_diff, value, 3);
        }
        self.number("mean logit difference", figure.mean, mean, 3);
        Ok(())
    }

    async fn head_ablation(
        &mut self,
        name: &str,
        site: &str,
        edit: &str,
        figure: &HeadAblation,
    ) -> Result<()> {
        let metric = match (&figure.correct, &figure.incorrect) {
            (Some(correct), Some(incorrect)) => {
                json!({"kind": "logit_diff", "correct": correct, "incorrect": incorrect})
            }
            _ => json!({"kind": "loss"}),
        };
        let experiment = json!({
            "kind": "ablate", "prompt": figure.prompt, "site": site, "edit": {"kind": edit},
            "axes": ["layer", "head"], "metric": metric,
        });
        let name = format!("{name} without head");
        let Some(Answer::Ablate { shape, values, baseline, .. }) = self.run(&name, experiment).await? else {
            return Ok(());
        };
        for (heads, word, sign) in
            [(&figure.increases, "increases", 1.0), (&figure.decreases, "decreases", -1.0)]
        {
            for head in heads {
                let cell = cell_of(head, &shape).and_then(|cell| values.get(cell));
                let change = cell.map(|value| value - baseline);
                let computed = change.map_or("no such head".into(), |change| format!("{change:+.4}"));
                self.check(
                    format!("{name} {head}"),
                    word,
                    computed,
                    change.is_some_and(|change| change * sign > 0.0),
                );
            }
        }
        Ok(())
    }

    async fn patching(&mut self, figure: &Patching) -> Result<()> {
        let experiment = json!({
            "kind": "patch", "clean": figure.clean, "corrupted": figure.corrupted, "site": "resid_pre",
            "axes": ["layer", "pos"],
            "metric": {"kind": "logit_diff", "correct": figure.correct, "incorrect": figure.incorrect, "normalize": true},
        });
        let Some(Answer::Patch { shape, values, clean, corrupted, .. }) =
            self.run("patching resid_pre", experiment).await?
        else {
            return Ok(());
        };
        self.number("clean logit difference", figure.clean_logit_diff, clean, 3);
        self.number("corrupted logit difference", figure.corrupted_logit_diff, corrupted, 3);
        // The reading under the figure: first only the subject matters (position 1), in the end only the last position.
        let [layers, positions] = shape[..] else { return Ok(()) };
        let strongest = |layer: usize| {
            let row = values.iter().enumerate().skip(layer * positions).take(positions);
            row.max_by(|a, b| a.1.total_cmp(b.1)).map_or(positions, |(i, _)| i % positions)
        };
        for (layer, position) in [(0, 1), (3, 1), (layers - 1, positions - 1)] {
            let found = strongest(layer);
            self.check(
                format!("position that matters most at layer {layer}"),
                position,
                found,
                found == position,
            );
        }
        Ok(())
    }

    async fn bias(&mut self, figure: &Bias) -> Result<()> {
        let experiment = json!({"kind": "unembed_bias", "tokens": [" he", " she"]});
        let Some(Answer::UnembedBias { values, prob_ratio }) = self.run("b_U", experiment).await? else {
            return Ok(());
        };
        for (token, value) in [" he", " she"].iter().zip(values) {
            let published = figure.b_u.get(*token).copied().unwrap_or(f64::NAN);
            self.number(format!("b_U of {token:?}"), published, value, 3);
        }
        let ratio = prob_ratio.unwrap_or(f64::NAN);
        self.number("probability ratio he over she", figure.probability_ratio_he_over_she, ratio, 3);
        Ok(())
    }
}

/// `L9H6` to its cell of `[layer, head]`.
fn cell_of(head: &str, shape: &[usize]) -> Option<usize> {
    let (layer, head) = head.strip_prefix('L')?.split_once('H')?;
    let (layer, head): (usize, usize) = (layer.parse().ok()?, head.parse().ok()?);
    (layer < *shape.first()? && head < *shape.get(1)?).then(|| layer * shape[1] + head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_readable_and_complete() {
        let figures: Figures = serde_json::from_str(FIGURES).unwrap();
        assert_eq!(figures.logit_diff.rows.len(), 25);
        assert_eq!(figures.test_prompt.iter().map(|p| p.top.len()).sum::<usize>(), 30);
        let mean = figures.logit_diff.rows.iter().map(|row| row.logit_diff).sum::<f64>() / 25.0;
        assert!((mean - figures.logit_diff.mean).abs() < 1e-4);
    }

    #[test]
    fn heads_are_cells() {
        assert_eq!(cell_of("L2H3", &[12, 12]), Some(27));
        assert_eq!(cell_of("L12H0", &[12, 12]), None);
        assert_eq!(cell_of("H1", &[12, 12]), None);
    }
}
