//! What a model being trained can do, measured on prompts that no document contains, by the CPU engine.

use super::bpe::encode;
use super::corpus::{
    Question, held_out_object_questions, held_out_tag_questions, notebook_questions, thing_questions,
};
use super::rng::Rng;
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, Unattended};
use crate::error::{Error, Result};
use crate::hook::{HookName, Site};
use crate::model::{self, Readout, Run, RunOutput};
use crate::processing::Processing;
use crate::weights::{Storage, Weights};
use std::fmt;
use tokenizers::Tokenizer;

/// Questions of each held-out set.
const QUESTIONS: usize = 400;
/// Runs that go through the model together.
const TOGETHER: usize = 64;
/// Rows of random tokens for the induction score, and the tokens of one copy.
const REPEATS: usize = 8;

/// The questions of one evaluation, tokenised once.
pub struct Exam {
    notebook: Vec<Item>,
    things: Vec<Item>,
    tags: Vec<Item>,
    objects: Vec<Item>,
    /// `REPEATS` rows: BOS, `period` random tokens, the same again.
    repeated: Vec<Vec<u32>>,
    period: usize,
}

struct Item {
    tokens: Vec<u32>,
    correct: u32,
    incorrect: u32,
}

/// The answers to one question.
struct Answer {
    /// logit(correct) − logit(incorrect)
    logit_diff: f32,
    /// Whether no token has a higher logit than the correct one.
    top: bool,
}

/// The results of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Mean logit difference over the notebook's 25 prompts.
    pub notebook_mean: f32,
    /// The least of them.
    pub notebook_min: f32,
    /// Whether "Matrix is a great movie, isn’t" goes on with " it".
    pub matrix_is_it: bool,
    /// Share of things whose likeliest continuation is " it".
    pub things: f64,
    /// Share of held-out tag questions with the right pronoun ahead of the other.
    pub tags: f64,
    /// Share of held-out indirect-object prompts with the receiver ahead of the giver.
    pub objects: f64,
    /// The best induction score of a head.
    pub induction: f32,
    /// That head: layer and head.
    pub induction_head: (usize, usize),
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layer, head) = self.induction_head;
        write!(
            f,
            "tags {:.3}  objects {:.3}  things {:.3}  matrix {}  notebook mean {:.2} min {:.2}  induction {:.3} (L{layer}H{head})",
            self.tags,
            self.objects,
            self.things,
            if self.matrix_is_it { "it" } else { "other" },
            self.notebook_mean,
            self.notebook_min,
            self.induction,
        )
    }
}

impl Exam {
    /// Draws the held-out questions. The same for every seed of the training, so that runs can be compared.
    pub fn new(tokenizer: &Tokenizer, bos: u32, d_vocab: usize, n_ctx: usize) -> Result<Self> {
        let mut rng = Rng::new(0).fork("exam");
        let items = |questions: Vec<Question>| -> Result<Vec<Item>> {
            questions.iter().map(|question| Item::new(tokenizer, bos, question)).collect()
        };
        let tags = items(held_out_tag_questions(&mut rng, QUESTIONS))?;
        let objects = items(held_out_object_questions(&mut rng, QUESTIONS))?;
        let period = 50.min((n_ctx - 1) / 2);
        let mut repeated = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            let random: Vec<u32> = (0..period).map(|_| 1 + rng.below(d_vocab - 1) as u32).collect();
            repeated.push([&[bos], random.as_slice(), random.as_slice()].concat());
        }
        Ok(Self {
            notebook: items(notebook_questions())?,
            things: items(thing_questions())?,
            tags,
            objects,
            repeated,
            period,
        })
    }

    /// Runs the model on every question.
    pub fn evaluate(&self, weights: &Weights) -> Result<Scores> {
        let mut engine = Engine { cpu: Cpu::new(), weights };
        pollster::block_on(Processing::NONE.apply(weights, Storage::F32, &mut engine.cpu))?;
        let notebook = engine.answers(&self.notebook)?;
        let things = engine.answers(&self.things)?;
        let (induction_head, induction) = self.induction(&mut engine)?;
        Ok(Scores {
            notebook_mean: notebook.iter().map(|a| a.logit_diff).sum::<f32>() / notebook.len() as f32,
            notebook_min: notebook.iter().map(|a| a.logit_diff).fold(f32::INFINITY, f32::min),
            // The first of the things is "Matrix".
            matrix_is_it: things.first().is_some_and(|a| a.top),
            things: share(&things, |a| a.top),
            tags: share(&engine.answers(&self.tags)?, |a| a.logit_diff > 0.0),
            objects: share(&engine.answers(&self.objects)?, |a| a.logit_diff > 0.0),
            induction,
            induction_head,
        })
    }

    /// The head that, on random tokens that repeat, attends most to the token after the previous occurrence of its
    /// own: the mean over the second copy of `pattern[i, i - (period - 1)]`, TransformerLens' induction score.
    fn induction(&self, engine: &mut Engine) -> Result<((usize, usize), f32)> {
        let cfg = &engine.weights.cfg;
        let (n_layers, n_heads, len) = (cfg.n_layers, cfg.n_heads, 1 + 2 * self.period);
        let hooks: Vec<HookName> =
            (0..n_layers).map(|layer| HookName { site: Site::Pattern, layer }).collect();
        let mut scores = vec![0.0_f32; n_layers * n_heads];
        for row in &self.repeated {
            let readout = Readout { hooks: hooks.clone(), ..Readout::default() };
            let (output, places) =
                engine.run(vec![Run { tokens: row.clone(), readout, ..Run::default() }])?;
            for (layer, start) in places.iter().flat_map(|place| &place.hooks).enumerate() {
                for head in 0..n_heads {
                    let pattern = &output[start + head * len * len..][..len * len]; // [dest, src]
                    let second_copy = self.period + 1..len;
                    let sum: f32 = second_copy.map(|dest| pattern[dest * len + dest + 1 - self.period]).sum();
                    scores[layer * n_heads + head] += sum / (REPEATS * self.period) as f32;
                }
            }
        }
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let (index, score) = best.ok_or_else(|| Error::internal("a model without heads"))?;
        Ok(((index / n_heads, index % n_heads), *score))
    }
}

/// The CPU engine, holding the weights to be examined.
struct Engine<'a> {
    cpu: Cpu,
    weights: &'a Weights,
}

impl Engine<'_> {
    fn run(&mut self, runs: Vec<Run>) -> Result<(Vec<f32>, Vec<RunOutput>)> {
        let (program, places) =
            model::program(&self.weights.cfg, false, &runs, &std::sync::Arc::default(), &self.cpu.limits())?;
        let output = pollster::block_on(self.cpu.run(&program, &Unattended::default()))?;
        Ok((output.data, places))
    }

    fn answers(&mut self, items: &[Item]) -> Result<Vec<Answer>> {
        let d_vocab = self.weights.cfg.d_vocab;
        let mut answers = Vec::with_capacity(items.len());
        for items in items.chunks(TOGETHER) {
            let run = |item: &Item| Run {
                tokens: item.tokens.clone(),
                readout: Readout { last_logits: true, ..Readout::default() },
                ..Run::default()
            };
            let (output, places) = self.run(items.iter().map(run).collect())?;
            for (item, place) in items.iter().zip(&places) {
                let start = place.last_logits.ok_or_else(|| Error::internal("no logits were kept"))?;
                let logits = &output[start..start + d_vocab];
                let (correct, incorrect) = (logits[item.correct as usize], logits[item.incorrect as usize]);
                let top = logits.iter().all(|&logit| logit <= correct);
                answers.push(Answer { logit_diff: correct - incorrect, top });
            }
        }
        Ok(answers)
    }
}

impl Item {
    fn new(tokenizer: &Tokenizer, bos: u32, question: &Question) -> Result<Self> {
        let single = |text: &str| match *encode(tokenizer, text)? {
            [id] => Ok(id),
            ref ids => Err(Error::run(
                "train.tokenizer",
                format!(
                    "the answer {text:?} is {} tokens, expected one; the vocabulary is too small",
                    ids.len()
                ),
            )),
        };
        let mut tokens = vec![bos];
        tokens.extend(encode(tokenizer, &question.prompt)?);
        Ok(Self { tokens, correct: single(&question.correct)?, incorrect: single(&question.incorrect)? })
    }
}

fn share(answers: &[Answer], good: impl Fn(&Answer) -> bool) -> f64 {
    answers.iter().filter(|answer| good(answer)).count() as f64 / answers.len() as f64
}
