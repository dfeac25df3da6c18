//! One function per kind of experiment: from the question to its answer.

use super::{Job, Lab, Tokens};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::experiment::{Ablate, Edit, Experiment, Kind, LogitDiff, Patch, Predict, Trace, UnembedBias};
use crate::hook::HookName;
use crate::metric::{Metric, log_sum_exp, mean_loss, ranking};
use crate::model::Readout;
use crate::outcome::{Answer, Candidate, Ranked, Tensor};
use crate::plan::{self, Sweep};
use std::collections::BTreeMap;

impl<B: Backend> Lab<B> {
    pub(super) async fn answer(&mut self, experiment: &Experiment, job: &mut Job<'_>) -> Result<Answer> {
        let bos = experiment.prepend_bos;
        match &experiment.kind {
            Kind::Predict(k) => {
                let tokens = self.model.tokens(&k.prompt, bos)?;
                self.predict(k, tokens, experiment, job).await
            }
            Kind::LogitDiff(k) => self.logit_diff(k, experiment, job).await,
            Kind::Trace(k) => self.trace(k, experiment, job).await,
            Kind::Ablate(k) => self.ablate(k, experiment, job).await,
            Kind::Patch(k) => self.patch(k, experiment, job).await,
            Kind::UnembedBias(k) => self.unembed_bias(k, experiment).await,
        }
    }

    async fn predict(
        &mut self,
        k: &Predict,
        tokens: Tokens,
        e: &Experiment,
        job: &mut Job<'_>,
    ) -> Result<Answer> {
        let d_vocab = self.model.weights.cfg.d_vocab;
        if k.top_k == 0 || k.top_k > d_vocab {
            return Err(Error::input(
                "input.invalid",
                format!("top_k: found {}, expected 1 to {d_vocab}", k.top_k),
            ));
        }
        let answer = k.answer.as_ref().map(|token| self.model.token(token)).transpose()?;
        self.prepare(e.processing).await?;
        let readout = Readout { last_logits: true, loss: tokens.len() > 1, ..Readout::default() };
        let batches =
            plan::prompts(&self.model.weights.cfg, &self.backend.limits(), vec![(tokens.clone(), readout)]);
        let (mut logits, mut loss) = (Vec::new(), None);
        self.execute(&batches, job, |_, data, output| {
            let at = output.last_logits.ok_or_else(|| Error::internal("the logits were not kept"))?;
            logits = data[at..at + d_vocab].to_vec();
            loss = mean_loss(data, output);
            Ok(())
        })
        .await?;

        let total = log_sum_exp(&logits);
        let logit = |id: u32| f64::from(logits[id as usize]);
        let ranking = ranking(&logits);
        let candidate = |id: u32| Candidate {
            token: self.model.text(id),
            logit: logit(id),
            prob: (logit(id) - total).exp(),
        };
        let answer = answer.map(|id| {
            let Candidate { token, logit, prob } = candidate(id);
            Ranked {
                token,
                rank: ranking.iter().position(|other| *other == id).unwrap_or(d_vocab),
                logit,
                prob,
            }
        });
        Ok(Answer::Predict {
            tokens: tokens.iter().map(|id| self.model.text(*id)).collect(),
            top: ranking.iter().take(k.top_k).map(|id| candidate(*id)).collect(),
            answer,
            loss,
        })
    }

    async fn logit_diff(&mut self, k: &LogitDiff, e: &Experiment, job: &mut Job<'_>) -> Result<Answer> {
        let mut metrics = Vec::new();
        let mut prompts = Vec::new();
        for (i, p) in k.prompts.iter().enumerate() {
            let at = |error: Error| error.at(format!("prompts[{i}]"));
            let pair =
                [self.model.token(&p.correct).map_err(at)?, self.model.token(&p.incorrect).map_err(at)?];
            let metric = Metric::LogitDiff(pair);
            prompts.push((self.model.tokens(&p.prompt, e.prepend_bos).map_err(at)?, metric.readout()));
            metrics.push(metric);
        }
        not_empty("prompts", prompts.len())?;
        self.prepare(e.processing).await?;
        let batches = plan::prompts(&self.model.weights.cfg, &self.backend.limits(), prompts);
        let mut values = vec![f64::NAN; metrics.len()];
        self.execute(&batches, job, |answer, data, output| {
            if let plan::Answer::Cell(i) = answer {
                values[i] = metrics[i].value(data, output)?;
            }
            Ok(())
        })
        .await?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Ok(Answer::LogitDiff { values, mean })
    }

    async fn trace(&mut self, k: &Trace, e: &Experiment, job: &mut Job<'_>) -> Result<Answer> {
        let cfg = self.model.weights.cfg.clone();
        let hooks = k.hooks.iter().map(|name| HookName::parse(name, &cfg)).collect::<Result<Vec<_>>>()?;
        not_empty("hooks", hooks.len())?;
        let mut prompts = Vec::new();
        for (i, prompt) in k.prompts.iter().enumerate() {
            let tokens = self
                .model
                .tokens(prompt, e.prepend_bos)
                .map_err(|error| error.at(format!("prompts[{i}]")))?;
            prompts.push((tokens, Readout { hooks: hooks.clone(), ..Readout::default() }));
        }
        not_empty("prompts", prompts.len())?;
        let lengths: Vec<usize> = prompts.iter().map(|(tokens, _)| tokens.len()).collect();
        self.prepare(e.processing).await?;
        let batches = plan::prompts(&cfg, &self.backend.limits(), prompts);
        let mut tensors = vec![BTreeMap::new(); lengths.len()];
        self.execute(&batches, job, |answer, data, output| {
            let plan::Answer::Cell(i) = answer else { return Ok(()) };
            for ((hook, name), at) in hooks.iter().zip(&k.hooks).zip(&output.hooks) {
                let shape = hook.site.shape(&cfg, lengths[i]);
                let len: usize = shape.iter().product();
                tensors[i].insert(name.clone(), Tensor { shape, data: data[*at..at + len].to_vec() });
            }
            Ok(())
        })
        .await?;
        Ok(Answer::Trace { tensors })
    }

    async fn ablate(&mut self, k: &Ablate, e: &Experiment, job: &mut Job<'_>) -> Result<Answer> {
        let Edit::Zero {} = k.edit;
        let tokens = self.model.tokens(&k.prompt, e.prepend_bos)?;
        let metric = self.model.metric(&k.metric)?;
        let sweep = Sweep { tokens, clean: None, site: k.site, axes: k.axes.clone(), metric };
        let Swept { shape, values, base, .. } = self.sweep(&sweep, e, job).await?;
        Ok(Answer::Ablate { axes: k.axes.clone(), shape, values, baseline: base })
    }

    async fn patch(&mut self, k: &Patch, e: &Experiment, job: &mut Job<'_>) -> Result<Answer> {
        let clean = self.model.tokens(&k.clean, e.prepend_bos).map_err(|error| error.at("clean"))?;
        let corrupted =
            self.model.tokens(&k.corrupted, e.prepend_bos).map_err(|error| error.at("corrupted"))?;
        if clean.len() != corrupted.len() {
            return Err(Error::input(
                "input.lengths_differ",
                format!(
                    "clean has {} tokens and corrupted {}, expected the same number; clean | corrupted: {}",
                    clean.len(),
                    corrupted.len(),
                    self.model.side_by_side(&clean, &corrupted)
                ),
            )
            .with_action("Change the prompts until both have the same number of tokens."));
        }
        let metric = self.model.metric(&k.metric.metric())?;
        let sweep =
            Sweep { tokens: corrupted, clean: Some(clean), site: k.site, axes: k.axes.clone(), metric };
        let Swept { shape, mut values, base, clean } = self.sweep(&sweep, e, job).await?;
        let (clean, corrupted) = (clean.ok_or_else(|| Error::internal("the clean run is missing"))?, base);
        if k.metric.normalize() {
            if clean == corrupted {
                return Err(Error::input(
                    "input.normalize",
                    format!("the metric is {clean} on both the clean and the corrupted prompt, so it cannot be normalised"),
                )
                .with_action("Choose prompts or answers on which the two runs differ, or set normalize to false."));
            }
            values.iter_mut().for_each(|value| *value = (*value - corrupted) / (clean - corrupted));
        }
        Ok(Answer::Patch { axes: k.axes.clone(), shape, values, clean, corrupted })
    }

    async fn sweep(&mut self, sweep: &Sweep, e: &Experiment, job: &mut Job<'_>) -> Result<Swept> {
        if sweep.metric == Metric::Loss && sweep.tokens.len() < 2 {
            return Err(Error::input(
                "input.length",
                "the loss needs a prompt of at least two tokens, found one",
            ));
        }
        let shape = sweep.shape(&self.model.weights.cfg)?;
        self.prepare(e.processing).await?;
        let batches = sweep.batches(&self.model.weights.cfg, &self.backend.limits())?;
        let mut values = vec![f64::NAN; shape.iter().product()];
        let (mut base, mut clean) = (None, None);
        self.execute(&batches, job, |answer, data, output| {
            let value = sweep.metric.value(data, output)?;
            match answer {
                plan::Answer::Cell(i) => values[i] = value,
                // Every batch holds the base runs; the first one's are reported.
                plan::Answer::Base => _ = base.get_or_insert(value),
                plan::Answer::Clean => _ = clean.get_or_insert(value),
            }
            Ok(())
        })
        .await?;
        let base = base.ok_or_else(|| Error::internal("the base run is missing"))?;
        Ok(Swept { shape, values, base, clean })
    }

    async fn unembed_bias(&mut self, k: &UnembedBias, e: &Experiment) -> Result<Answer> {
        let ids = k.tokens.iter().map(|token| self.model.token(token)).collect::<Result<Vec<_>>>()?;
        not_empty("tokens", ids.len())?;
        let b_u = &self.prepare(e.processing).await?.b_u;
        let values: Vec<f64> = ids.iter().map(|id| f64::from(b_u[*id as usize])).collect();
        let prob_ratio = (values.len() >= 2).then(|| (values[0] - values[1]).exp());
        Ok(Answer::UnembedBias { values, prob_ratio })
    }
}

/// The metric of every cell and of the unedited runs.
struct Swept {
    shape: Vec<usize>,
    values: Vec<f64>,
    base: f64,
    clean: Option<f64>,
}

fn not_empty(field: &str, len: usize) -> Result<()> {
    if len > 0 {
        Ok(())
    } else {
        Err(Error::input("input.invalid", format!("{field}: is empty, expected at least one")))
    }
}
