//! From an experiment to a question about token ids: everything that can be wrong with the input is found here,
//! before anything runs.

use super::Model;
use crate::detect::Detection;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Kind, Prompt, Token};
use crate::hook::HookName;
use crate::metric;
use crate::model::Readout;
use crate::outcome::TokenText;
use crate::sweep::Sweep;
use crate::tokens::Tokenizer;
use std::fmt;

/// The token ids of a prompt.
pub type Tokens = Vec<u32>;

/// An experiment on this model, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    Predict {
        tokens: Tokens,
        answer: Option<u32>,
        answers: Vec<u32>,
        top_k: usize,
        edited: Option<Sweep>,
    },
    /// Prompts with `[correct, incorrect]`.
    LogitDiff(Vec<(Tokens, [u32; 2])>),
    Trace {
        prompts: Vec<Tokens>,
        hooks: Vec<HookName>,
        edited: Option<Sweep>,
    },
    Ablate(Sweep),
    Patch {
        sweep: Sweep,
        normalize: bool,
    },
    UnembedBias(Vec<u32>),
    Detect(Detection),
}

impl Question {
    /// The prompts that are run by themselves, and what is read of each; none for sweeps and detections.
    pub fn prompts(&self) -> Vec<(Tokens, Readout)> {
        match self {
            Question::Predict { tokens, .. } => {
                let readout = Readout { last_logits: true, loss: tokens.len() > 1, ..Readout::default() };
                vec![(tokens.clone(), readout)]
            }
            Question::LogitDiff(prompts) => {
                let read = |pair: &[u32; 2]| metric::Metric::LogitDiff(*pair).readout();
                prompts.iter().map(|(tokens, pair)| (tokens.clone(), read(pair))).collect()
            }
            Question::Trace { prompts, hooks, .. } => traced(prompts, hooks),
            Question::Ablate(_) | Question::Patch { .. } | Question::UnembedBias(_) | Question::Detect(_) => {
                Vec::new()
            }
        }
    }

    /// The edit of those prompts' runs, as a sweep of one cell.
    pub(super) fn edited(&self) -> Option<&Sweep> {
        match self {
            Question::Predict { edited, .. } | Question::Trace { edited, .. } => edited.as_ref(),
            _ => None,
        }
    }
}

/// Prompts of which these hooks are read.
pub(super) fn traced(prompts: &[Tokens], hooks: &[HookName]) -> Vec<(Tokens, Readout)> {
    let readout = Readout { hooks: hooks.to_vec(), ..Readout::default() };
    prompts.iter().map(|tokens| (tokens.clone(), readout.clone())).collect()
}

impl Model {
    /// Checks an experiment against this model.
    ///
    /// # Errors
    /// `input.*`, with the place.
    pub fn resolve(&self, experiment: &Experiment) -> Result<Question> {
        let bos = experiment.prepend_bos;
        match &experiment.kind {
            Kind::Predict(k) => {
                let d_vocab = self.cfg().d_vocab;
                if k.top_k == 0 || k.top_k > d_vocab {
                    let message = format!("top_k: found {}, expected 1 to {d_vocab}", k.top_k);
                    return Err(Error::input("input.invalid", message));
                }
                let answer = k.answer.as_ref().map(|token| self.token(token)).transpose()?;
                let named = |(i, token)| self.token(token).map_err(|error| error.at(format!("answers[{i}]")));
                let answers = k.answers.iter().enumerate().map(named).collect::<Result<_>>()?;
                let tokens = self.tokens(&k.prompt, bos)?;
                let edited =
                    k.edited.as_ref().map(|edited| self.edited(edited, std::slice::from_ref(&tokens), bos));
                Ok(Question::Predict { answer, answers, top_k: k.top_k, edited: edited.transpose()?, tokens })
            }
            Kind::LogitDiff(k) => each("prompts", &k.prompts, |p| {
                Ok((self.tokens(&p.prompt, bos)?, [self.token(&p.correct)?, self.token(&p.incorrect)?]))
            })
            .map(Question::LogitDiff),
            Kind::Trace(k) => {
                let hooks = each("hooks", &k.hooks, |name| HookName::parse(name, self.cfg()))?;
                let prompts = each("prompts", &k.prompts, |prompt| self.tokens(prompt, bos))?;
                let edited =
                    k.edited.as_ref().map(|edited| self.edited(edited, &prompts, bos)).transpose()?;
                Ok(Question::Trace { prompts, hooks, edited })
            }
            Kind::Ablate(k) => self.ablation(k, bos).map(Question::Ablate),
            Kind::Patch(k) => {
                Ok(Question::Patch { sweep: self.patching(k, bos)?, normalize: k.metric.normalize() })
            }
            Kind::UnembedBias(k) => {
                each("tokens", &k.tokens, |token| self.token(token)).map(Question::UnembedBias)
            }
            Kind::Detect(k) => self.detection(k, bos).map(Question::Detect),
        }
    }

    /// The tokens of a prompt, checked against the model.
    ///
    /// # Errors
    /// `input.length`, `input.token`, `input.no_tokenizer`, `input.no_bos`, `input.too_long`.
    pub fn tokens(&self, prompt: &Prompt, prepend_bos: bool) -> Result<Tokens> {
        let tokens = match prompt {
            Prompt::Ids(ids) => ids.clone(),
            Prompt::Text(text) => self.encode(text, prepend_bos)?,
        };
        let cfg = self.cfg();
        if tokens.is_empty() || tokens.len() > cfg.n_ctx {
            return Err(Error::input(
                "input.length",
                format!("{}: {} tokens, expected 1 to {} (n_ctx)", quoted(prompt), tokens.len(), cfg.n_ctx),
            ));
        }
        tokens.iter().try_for_each(|id| self.check_id(*id))?;
        Ok(tokens)
    }

    fn encode(&self, text: &str, prepend_bos: bool) -> Result<Tokens> {
        let tokenizer = self.tokenizer("a prompt")?;
        let mut tokens = Vec::new();
        if prepend_bos {
            // The tokenizer first: a small model's config.json often repeats GPT-2's 50256.
            let bos = tokenizer.bos().or(self.cfg().bos_token_id);
            tokens.push(bos.ok_or_else(|| {
                Error::input("input.no_bos", "this model names no BOS token")
                    .with_action("Set prepend_bos to false, or give the prompt as token ids.")
            })?);
        }
        tokens.extend(tokenizer.encode(text)?);
        Ok(tokens)
    }

    /// The tokenizer, for `what` that is a text.
    fn tokenizer(&self, what: impl fmt::Display) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| {
            let why = match &self.tokenizer_refused {
                None => format!("this model has no tokenizer, so {what} cannot be a text"),
                Some(error) => {
                    format!("this model's tokenizer cannot be used, so {what} cannot be a text: {error}")
                }
            };
            let action = match &self.tokenizer_refused {
                None => "Give token ids, or add tokenizer.json to the model.",
                Some(_) => "Give token ids.",
            };
            Error::input("input.no_tokenizer", why).with_action(action)
        })
    }

    fn check_id(&self, id: u32) -> Result<()> {
        let d_vocab = self.cfg().d_vocab;
        if (id as usize) < d_vocab {
            return Ok(());
        }
        Err(Error::input(
            "input.token",
            format!("token id {id} is outside the vocabulary of {d_vocab} (0 to {})", d_vocab - 1),
        ))
    }

    /// The id of an answer.
    ///
    /// # Errors
    /// `input.not_single_token` with the pieces; `input.token` for an id outside the vocabulary.
    pub fn token(&self, token: &Token) -> Result<u32> {
        let id = match token {
            Token::Id(id) => *id,
            Token::Text(text) => self.tokenizer(format_args!("a token ('{text}')"))?.single(text)?,
        };
        self.check_id(id)?;
        Ok(id)
    }

    /// A token as shown to people.
    pub fn text(&self, id: u32) -> TokenText {
        TokenText { id, text: self.tokenizer.as_ref().map(|tokenizer| tokenizer.text(id)) }
    }
}

/// Resolves every entry of a list that may not be empty; an error names its place.
pub(super) fn each<T, U>(field: &str, list: &[T], f: impl Fn(&T) -> Result<U>) -> Result<Vec<U>> {
    if list.is_empty() {
        return Err(Error::input("input.invalid", format!("{field}: is empty, expected at least one")));
    }
    list.iter().enumerate().map(|(i, x)| f(x).map_err(|error| error.at(format!("{field}[{i}]")))).collect()
}

/// A prompt in an error message: its beginning.
fn quoted(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) if text.chars().count() > 40 => {
            format!("prompt {:?}…", text.chars().take(40).collect::<String>())
        }
        Prompt::Text(text) => format!("prompt {text:?}"),
        Prompt::Ids(ids) => format!("prompt of {} ids", ids.len()),
    }
}
