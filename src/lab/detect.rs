//! Head detection: from an experiment to checked prompts and patterns, and from their attention to scores.

use super::resolve::each;
use super::{Job, Lab, Model};
use crate::backend::Backend;
use crate::config::Config;
use crate::detect::{Detection, Pattern};
use crate::error::{Error, Result};
use crate::experiment::{Detect, Prompt};
use crate::hook::{HookName, Site};
use crate::model::{Limits, Readout};
use crate::outcome::Answer;
use crate::plan::{self, Batch};

impl Model {
    /// The detection of an experiment.
    ///
    /// # Errors
    /// `input.length` for a prompt of fewer than two tokens, `input.pattern` for an own pattern that does not fit one,
    /// `input.place` for a head that the model does not have; the other `input.*` of prompts.
    pub(super) fn detection(&self, k: &Detect, bos: bool) -> Result<Detection> {
        let prompt = |prompt: &Prompt| {
            let tokens = self.tokens(prompt, bos)?;
            if tokens.len() < 2 {
                let message = "a head detector needs a prompt of at least two tokens, found one";
                return Err(Error::input("input.length", message));
            }
            Ok(tokens)
        };
        let prompts = if k.listed {
            each("prompts", &k.prompts, prompt)?
        } else {
            k.prompts.iter().map(prompt).collect::<Result<_>>()?
        };
        let fits = |pattern: &Pattern| {
            prompts.iter().enumerate().try_for_each(|(i, tokens): (usize, &Vec<u32>)| {
                let place = if k.listed { format!("for prompts[{i}]") } else { "for the prompt".into() };
                pattern.check(tokens.len()).map_err(|error| error.at(place))
            })
        };
        if k.stacked {
            each("patterns", &k.patterns, fits)?;
        } else {
            k.patterns.iter().try_for_each(fits).map_err(|error| error.at("pattern"))?;
        }
        if let Some(heads) = &k.heads {
            each("heads", heads, |head| self.has_head(*head))?;
        }
        Ok(Detection {
            prompts,
            patterns: k.patterns.clone(),
            stacked: k.stacked,
            scoring: k.scoring,
            heads: k.heads.clone(),
        })
    }

    fn has_head(&self, [layer, head]: [usize; 2]) -> Result<()> {
        let (layers, heads) = (self.cfg().n_layers, self.cfg().n_heads);
        if layer < layers && head < heads {
            return Ok(());
        }
        let message = format!(
            "layer {layer}, head {head} of a model with {layers} layers of {heads} heads, expected [layer, head] below [{layers}, {heads}]"
        );
        Err(Error::input("input.place", message))
    }
}

/// A forward pass: the prompt by its index, and whose layers' patterns it brings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    prompt: usize,
    hooks: Vec<HookName>,
}

/// One pass for each prompt; several where its patterns together are more than `room` elements. Patterns of layers
/// without a head that is scored are not asked for.
fn passes(cfg: &Config, asked: &Detection, room: usize) -> Vec<Pass> {
    let scored = asked.scored(cfg);
    let hooks: Vec<HookName> = (0..cfg.n_layers)
        .filter(|layer| scored[layer * cfg.n_heads..][..cfg.n_heads].contains(&true))
        .map(|layer| HookName { site: Site::Pattern, layer })
        .collect();
    let mut passes = Vec::new();
    for (prompt, tokens) in asked.prompts.iter().enumerate() {
        let together = room / Site::Pattern.len(cfg, tokens.len());
        let groups = hooks.chunks(together.max(1));
        passes.extend(groups.map(|hooks| Pass { prompt, hooks: hooks.to_vec() }));
    }
    passes
}

/// The passes of a detection and the batches that run them.
pub(super) fn planned(cfg: &Config, limits: &Limits, asked: &Detection) -> (Vec<Pass>, Vec<Batch>) {
    let passes = passes(cfg, asked, plan::kept_per_batch(limits));
    let run = |pass: &Pass| {
        let readout = Readout { hooks: pass.hooks.clone(), ..Readout::default() };
        (asked.prompts[pass.prompt].clone(), readout)
    };
    let batches = plan::prompts(cfg, limits, passes.iter().map(run).collect());
    (passes, batches)
}

impl<B: Backend> Lab<B> {
    /// The score of every head: the mean over the prompts; none where a head is not asked for, or has no attention left
    /// to compare.
    pub(super) async fn detect(&mut self, asked: &Detection, job: &mut Job<'_>) -> Result<Answer> {
        let cfg = self.model.cfg().clone();
        let (passes, batches) = planned(&cfg, &self.backend.limits(), asked);
        let scored = asked.scored(&cfg);
        let mut sums = vec![0.0; asked.patterns.len() * scored.len()];
        self.execute(&batches, job, |answer, data, output| {
            let plan::Answer::Prompt(pass) = answer else { return Ok(()) };
            let Pass { prompt, hooks } = &passes[pass];
            let tokens = &asked.prompts[*prompt];
            let square = tokens.len() * tokens.len();
            for (pattern, sums) in asked.patterns.iter().zip(sums.chunks_exact_mut(scored.len())) {
                let pattern = pattern.matrix(tokens);
                for (hook, at) in hooks.iter().zip(&output.hooks) {
                    let layer = hook.layer * cfg.n_heads;
                    let heads = data[*at..][..cfg.n_heads * square].chunks_exact(square);
                    for (head, attention) in (layer..).zip(heads).filter(|(head, _)| scored[*head]) {
                        sums[head] += asked.scoring.score(attention, &pattern, tokens.len());
                    }
                }
            }
            Ok(())
        })
        .await?;
        let mean = |(sum, scored): (f64, bool)| {
            let mean = sum / asked.prompts.len() as f64;
            (scored && mean.is_finite()).then_some(mean)
        };
        let values = sums.into_iter().zip(scored.into_iter().cycle()).map(mean).collect();
        Ok(Answer::Detect { axes: asked.axes(), shape: asked.shape(&cfg), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Scoring;

    #[test]
    fn a_prompt_s_patterns_are_brought_in_as_many_passes_as_there_is_room_for() {
        let cfg = br#"{"n_layer":5,"n_head":2,"n_embd":8,"n_positions":8,"vocab_size":9}"#;
        let cfg = Config::from_json(cfg).unwrap();
        let mut asked = Detection {
            prompts: vec![vec![1, 2, 3], vec![1, 2]],
            patterns: vec![Pattern::Induction],
            stacked: false,
            scoring: Scoring::default(),
            heads: None,
        };
        let layers = |asked: &Detection, room| {
            let layers = |pass: Pass| (pass.prompt, pass.hooks.iter().map(|hook| hook.layer).collect());
            passes(&cfg, asked, room).into_iter().map(layers).collect::<Vec<(usize, Vec<usize>)>>()
        };
        let whole = vec![0, 1, 2, 3, 4];
        assert_eq!(layers(&asked, 90), [(0, whole.clone()), (1, whole.clone())]);
        // Two patterns of 2 × 3 × 3 elements; the shorter prompt's fit in one pass.
        assert_eq!(layers(&asked, 40), [(0, vec![0, 1]), (0, vec![2, 3]), (0, vec![4]), (1, whole)]);
        assert_eq!(layers(&asked, 1).len(), 10);
        asked.heads = Some(vec![[3, 1], [1, 0], [3, 1]]);
        assert_eq!(layers(&asked, 90), [(0, vec![1, 3]), (1, vec![1, 3])]);
    }
}
