//! From an ablation or a patch to a sweep over token ids, checked.

#[cfg(test)]
mod tests;

use super::Model;
use super::resolve::each;
use crate::error::{Error, Result};
use crate::experiment::{Ablate, Edit, MeasuredPrompt, Metric, Pair, Patch, Places, Prompt, SetPlace, Token};
use crate::hook::Axis;
use crate::intervene::Place;
use crate::metric;
use crate::outcome::TokenText;
use crate::sweep::{Case, Grid, Over, Sweep, Target, Write};

impl Model {
    /// The sweep of an ablation.
    ///
    /// # Errors
    /// `input.*`, with the place.
    pub(super) fn ablation(&self, k: &Ablate, bos: bool) -> Result<Sweep> {
        let references =
            |prompts: &[Prompt]| each("edit.prompts", prompts, |prompt| self.tokens(prompt, bos));
        let (write, sources) = match &k.edit {
            Edit::Zero {} => (Write::Zero, Vec::new()),
            Edit::Mean { prompts, over } => {
                (Write::Mean { prompts: references(prompts)?, over: *over }, Vec::new())
            }
            Edit::Resample { prompts } => (Write::Copy, references(prompts)?),
        };
        let case = |entry: &MeasuredPrompt| {
            let tokens = self.tokens(&entry.prompt, bos)?;
            let metric = self.metric(&k.metric, entry.own(), tokens.len())?;
            Ok(Case { tokens, sources: sources.clone(), metric })
        };
        let cases = if k.listed {
            each("prompts", &k.prompts, case)?
        } else {
            k.prompts.iter().map(case).collect::<Result<_>>()?
        };

        // What is written position by position must have the prompt's positions.
        let by_position = match &write {
            Write::Mean { prompts, over: Over::Prompts } => prompts,
            Write::Zero | Write::Copy | Write::Mean { .. } => &sources,
        };
        for (i, case) in cases.iter().enumerate() {
            let name = if k.listed { format!("prompts[{i}]") } else { "prompt".into() };
            for (j, reference) in by_position.iter().enumerate() {
                self.same_length((&name, &case.tokens), (&format!("edit.prompts[{j}]"), reference))?;
            }
        }
        self.checked(Sweep { cases, grid: grid(&k.places), write })
    }

    /// The sweep of a patch.
    ///
    /// # Errors
    /// `input.*`, with the place.
    pub(super) fn patching(&self, k: &Patch, bos: bool) -> Result<Sweep> {
        let case = |pair: &Pair| {
            let clean = self.tokens(&pair.clean, bos).map_err(|error| error.at("clean"))?;
            let tokens = self.tokens(&pair.corrupted, bos).map_err(|error| error.at("corrupted"))?;
            self.same_length(("clean", &clean), ("corrupted", &tokens))?;
            let metric = self.metric(&k.metric.metric(), pair.own(), tokens.len())?;
            Ok(Case { tokens, sources: vec![clean], metric })
        };
        let cases = if k.listed {
            each("pairs", &k.pairs, case)?
        } else {
            k.pairs.iter().map(case).collect::<Result<_>>()?
        };
        self.checked(Sweep { cases, grid: grid(&k.places), write: Write::Copy })
    }

    fn checked(&self, sweep: Sweep) -> Result<Sweep> {
        sweep.shape(self.cfg())?;
        let square = sweep.sites().into_iter().find(|site| site.axes().contains(&Axis::Dest));
        match (&sweep.write, square) {
            (Write::Mean { over: Over::Tokens, .. }, Some(site)) => {
                let message = format!(
                    "edit: '{site}' has no mean over tokens, since its values belong to pairs of them"
                );
                Err(Error::input("input.edit", message)
                    .with_action("Set over to \"prompts\", with references as long as the prompt."))
            }
            _ => Ok(sweep),
        }
    }

    /// The metric of a prompt of `len` tokens that names `own` `[correct, incorrect]`.
    fn metric(&self, metric: &Metric, own: [Option<&Token>; 2], len: usize) -> Result<metric::Metric> {
        let answers = metric.answers(own).map_err(|message| Error::input("input.invalid", message))?;
        match answers {
            Some([correct, incorrect]) => {
                Ok(metric::Metric::LogitDiff([self.token(correct)?, self.token(incorrect)?]))
            }
            None if len < 2 => {
                let message = "the loss needs a prompt of at least two tokens, found one";
                Err(Error::input("input.length", message))
            }
            None => Ok(metric::Metric::Loss),
        }
    }

    fn same_length(&self, a: (&str, &[u32]), b: (&str, &[u32])) -> Result<()> {
        let ((a, a_tokens), (b, b_tokens)) = (a, b);
        if a_tokens.len() == b_tokens.len() {
            return Ok(());
        }
        let message = format!(
            "{a} has {} tokens and {b} {}, expected the same number; {a} | {b}: {}",
            a_tokens.len(),
            b_tokens.len(),
            self.side_by_side(a_tokens, b_tokens)
        );
        Err(Error::input("input.lengths_differ", message)
            .with_action("Change the prompts until both have the same number of tokens."))
    }

    /// Both tokenisations side by side, one position a line.
    fn side_by_side(&self, a: &[u32], b: &[u32]) -> String {
        let cell = |tokens: &[u32], i: usize| match tokens.get(i).map(|id| self.text(*id)) {
            Some(TokenText { text: Some(text), .. }) => format!("{text:?}"),
            Some(TokenText { id, .. }) => id.to_string(),
            None => "—".into(),
        };
        let line = |i| format!("{i}: {} | {}", cell(a, i), cell(b, i));
        (0..a.len().max(b.len())).map(line).collect::<Vec<_>>().join("; ")
    }
}

fn grid(places: &Places) -> Grid {
    match places {
        Places::Site { site, axes } => Grid::Sites { sites: vec![*site], stacked: false, axes: axes.clone() },
        Places::Sites { sites, axes } => {
            Grid::Sites { sites: sites.clone(), stacked: true, axes: axes.clone() }
        }
        Places::Sets(sets) => {
            let target = |at: &SetPlace| {
                let SetPlace { site, layer, head, pos, dest, src } = *at;
                Target { site, layer, place: Place { pos, head, dest, src } }
            };
            Grid::Sets(sets.iter().map(|set| set.iter().map(target).collect()).collect())
        }
    }
}
