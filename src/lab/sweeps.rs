//! From an ablation or a patch to a sweep over token ids, checked.

#[cfg(test)]
mod tests;

use super::Model;
use super::resolve::{Tokens, each};
use crate::error::{Error, Result};
use crate::experiment::{
    Ablate, Edit, Edited, MeasuredPrompt, Metric, Pair, Patch, Places, Prompt, SetPlace, Token,
};
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
        let (write, sources) = self.written(&k.edit, "edit", bos)?;
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

        self.checked(Sweep { cases, grid: grid(&k.places), write }, k.listed, "edit")
    }

    /// The edit of runs by themselves, as a sweep of one cell with a case for each prompt. Its metric is not asked for.
    ///
    /// # Errors
    /// `input.*`, with the place.
    pub(super) fn edited(&self, edited: &Edited, prompts: &[Tokens], bos: bool) -> Result<Sweep> {
        let at = "edited.edit";
        let (write, sources) = self.written(&edited.edit, at, bos)?;
        if sources.len() > 1 {
            let message =
                format!("{at}.prompts: found {}, expected one, since this is a single run", sources.len());
            return Err(Error::input("input.invalid", message));
        }
        let case = |tokens: &Tokens| Case {
            tokens: tokens.clone(),
            sources: sources.clone(),
            metric: metric::Metric::Loss,
        };
        let targets: Vec<Target> = edited.places.iter().map(target).collect();
        let sweep = Sweep {
            cases: prompts.iter().map(case).collect(),
            grid: Grid::Sets(vec![targets.clone()]),
            write,
        };
        each("edited.places", &targets, |target| sweep.check(self.cfg(), target))?;
        self.checked(sweep, prompts.len() > 1, at)
    }

    /// What an edit writes, and the prompts that it copies from. `at` is where it stands in the experiment.
    fn written(&self, edit: &Edit, at: &str, bos: bool) -> Result<(Write, Vec<Tokens>)> {
        let references =
            |prompts: &[Prompt]| each(&format!("{at}.prompts"), prompts, |prompt| self.tokens(prompt, bos));
        Ok(match edit {
            Edit::Zero {} => (Write::Zero, Vec::new()),
            Edit::Mean { prompts, over } => {
                (Write::Mean { prompts: references(prompts)?, over: *over }, Vec::new())
            }
            Edit::Resample { prompts } => (Write::Copy, references(prompts)?),
        })
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
        // Each pair has been found to be of one length.
        self.checked(Sweep { cases, grid: grid(&k.places), write: Write::Copy }, true, "clean")
    }

    /// Checks a sweep against the model. `listed`: its cases are a list of prompts; `at`: where its edit stands.
    fn checked(&self, sweep: Sweep, listed: bool, at: &str) -> Result<Sweep> {
        sweep.shape(self.cfg())?;
        for (i, case) in sweep.cases.iter().enumerate() {
            let name = if listed { format!("prompts[{i}]") } else { "prompt".into() };
            // What is written position by position must have the prompt's positions.
            let by_position = match &sweep.write {
                Write::Mean { prompts, over: Over::Prompts } => prompts,
                Write::Zero | Write::Copy | Write::Mean { .. } => &case.sources,
            };
            for (j, reference) in by_position.iter().enumerate() {
                self.same_length((&name, &case.tokens), (&format!("{at}.prompts[{j}]"), reference))?;
            }
        }
        let square = sweep.sites().into_iter().find(|site| site.axes().contains(&Axis::Dest));
        match (&sweep.write, square) {
            (Write::Mean { over: Over::Tokens, .. }, Some(site)) => {
                let message = format!(
                    "{at}: '{site}' has no mean over tokens, since its values belong to pairs of them"
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
        Places::Sets(sets) => Grid::Sets(sets.iter().map(|set| set.iter().map(target).collect()).collect()),
    }
}

fn target(at: &SetPlace) -> Target {
    let SetPlace { site, layer, head, pos, dest, src } = *at;
    Target { site, layer, place: Place { pos, head, dest, src } }
}
