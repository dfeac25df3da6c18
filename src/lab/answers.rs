//! One function per kind of question: from token ids to the answer.

use super::swept::Report;
use super::{Job, Lab, Question, Tokens};
use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::hook::HookName;
use crate::metric::{Metric, likeliest, log_sum_exp, mean_loss, rank};
use crate::outcome::{Answer, Candidate, Ranked, Tensor};
use crate::plan::{self, Batch};
use std::collections::BTreeMap;

impl<B: Backend> Lab<B> {
    /// Answers on the weights that are prepared.
    pub(super) async fn answer(&mut self, question: Question, job: &mut Job<'_>) -> Result<Answer> {
        let batches = self.batches(&question, job).await?;
        match question {
            Question::Predict { tokens, answer, answers, top_k, .. } => {
                self.predict(&batches, &tokens, (answer, &answers, top_k), job).await
            }
            Question::LogitDiff(prompts) => self.logit_diff(&batches, &prompts, job).await,
            Question::Trace { prompts, hooks, .. } => self.trace(&batches, &prompts, &hooks, job).await,
            Question::Ablate(sweep) => self.sweep(&sweep, Report::Ablate, job).await,
            Question::Patch { sweep, normalize } => {
                self.sweep(&sweep, Report::Patch { normalize }, job).await
            }
            Question::UnembedBias(ids) => self.unembed_bias(&ids),
            Question::Detect(asked) => self.detect(&asked, job).await,
        }
    }

    /// The runs of a question's own prompts.
    async fn batches(&mut self, question: &Question, job: &mut Job<'_>) -> Result<Vec<Batch>> {
        let (cfg, limits) = (self.model.cfg().clone(), self.backend.limits());
        let prompts = question.prompts();
        let Some(sweep) = question.edited() else { return Ok(plan::prompts(&cfg, &limits, prompts)) };
        let means = self.means(&cfg, sweep, job).await?;
        plan::edited(&cfg, sweep, &means, prompts.into_iter().map(|(_, readout)| readout))
    }

    async fn predict(
        &mut self,
        batches: &[Batch],
        tokens: &[u32],
        (answer, answers, top_k): (Option<u32>, &[u32], usize),
        job: &mut Job<'_>,
    ) -> Result<Answer> {
        let d_vocab = self.model.cfg().d_vocab;
        let (mut logits, mut loss) = (Vec::new(), None);
        self.execute(batches, job, |answer, data, output| {
            let plan::Answer::Prompt(_) = answer else { return Ok(()) };
            let at = output.last_logits.ok_or_else(|| Error::internal("the logits were not kept"))?;
            logits = data[at..at + d_vocab].to_vec();
            loss = mean_loss(data, output);
            Ok(())
        })
        .await?;

        self.processed()?.center_logits(&mut logits);
        let total = log_sum_exp(&logits);
        let logit = |id: u32| f64::from(logits[id as usize]);
        let candidate = |id: u32| Candidate {
            token: self.model.text(id),
            logit: logit(id),
            prob: (logit(id) - total).exp(),
        };
        let ranked = |id: u32| {
            let Candidate { token, logit, prob } = candidate(id);
            Ranked { token, rank: rank(&logits, id), logit, prob }
        };
        Ok(Answer::Predict {
            tokens: tokens.iter().map(|id| self.model.text(*id)).collect(),
            top: likeliest(&logits, top_k).into_iter().map(candidate).collect(),
            answer: answer.map(ranked),
            answers: answers.iter().map(|id| ranked(*id)).collect(),
            loss,
        })
    }

    async fn logit_diff(
        &mut self,
        batches: &[Batch],
        prompts: &[(Tokens, [u32; 2])],
        job: &mut Job<'_>,
    ) -> Result<Answer> {
        let mut values = vec![f64::NAN; prompts.len()];
        self.execute(batches, job, |answer, data, output| {
            if let plan::Answer::Prompt(i) = answer {
                values[i] = Metric::LogitDiff(prompts[i].1).value(data, output)?;
            }
            Ok(())
        })
        .await?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Ok(Answer::LogitDiff { values, mean })
    }

    async fn trace(
        &mut self,
        batches: &[Batch],
        prompts: &[Tokens],
        hooks: &[HookName],
        job: &mut Job<'_>,
    ) -> Result<Answer> {
        let cfg = self.model.cfg().clone();
        let mut tensors = vec![BTreeMap::new(); prompts.len()];
        self.execute(batches, job, |answer, data, output| {
            let plan::Answer::Prompt(i) = answer else { return Ok(()) };
            for (hook, at) in hooks.iter().zip(&output.hooks) {
                let shape = hook.site.shape(&cfg, prompts[i].len());
                let len: usize = shape.iter().product();
                tensors[i].insert(hook.to_string(), Tensor { shape, data: data[*at..at + len].to_vec() });
            }
            Ok(())
        })
        .await?;
        Ok(Answer::Trace { tensors })
    }

    fn unembed_bias(&self, ids: &[u32]) -> Result<Answer> {
        let b_u = &self.processed()?.b_u;
        let values: Vec<f64> = ids.iter().map(|id| f64::from(b_u[*id as usize])).collect();
        let prob_ratio = (values.len() >= 2).then(|| (values[0] - values[1]).exp());
        Ok(Answer::UnembedBias { values, prob_ratio })
    }
}
