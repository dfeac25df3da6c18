//! Prompts and answers to token ids, with errors that show the pieces.

use super::Model;
use crate::error::{Error, Result};
use crate::experiment::{Metric, Prompt, Token};
use crate::metric;
use crate::outcome::TokenText;

/// The token ids of a prompt.
pub type Tokens = Vec<u32>;

impl Model {
    /// The tokens of a prompt, checked against the model.
    ///
    /// # Errors
    /// `input.length`, `input.token`, `input.no_tokenizer`, `input.no_bos`, `input.too_long`.
    pub fn tokens(&self, prompt: &Prompt, prepend_bos: bool) -> Result<Tokens> {
        let tokens = match prompt {
            Prompt::Ids(ids) => ids.clone(),
            Prompt::Text(text) => self.encode(text, prepend_bos)?,
        };
        let cfg = &self.weights.cfg;
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
        let tokenizer = self.tokenizer.as_ref().ok_or_else(|| {
            Error::input("input.no_tokenizer", "this model has no tokenizer, so a prompt cannot be a text")
                .with_action("Give the prompt as an array of token ids, or add tokenizer.json to the model.")
        })?;
        let mut tokens = Vec::new();
        if prepend_bos {
            // The tokenizer first: a small model's config.json often repeats GPT-2's 50256.
            let bos = tokenizer.bos().or(self.weights.cfg.bos_token_id);
            tokens.push(bos.ok_or_else(|| {
                Error::input("input.no_bos", "this model names no BOS token")
                    .with_action("Set prepend_bos to false, or give the prompt as token ids.")
            })?);
        }
        tokens.extend(tokenizer.encode(text)?);
        Ok(tokens)
    }

    fn check_id(&self, id: u32) -> Result<()> {
        let d_vocab = self.weights.cfg.d_vocab;
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
            Token::Text(text) => match &self.tokenizer {
                Some(tokenizer) => tokenizer.single(text)?,
                None => {
                    return Err(Error::input(
                        "input.no_tokenizer",
                        format!("this model has no tokenizer, so a token cannot be a text ('{text}')"),
                    )
                    .with_action("Give the token as an id."));
                }
            },
        };
        self.check_id(id)?;
        Ok(id)
    }

    pub(super) fn metric(&self, metric: &Metric) -> Result<metric::Metric> {
        Ok(match metric {
            Metric::LogitDiff { correct, incorrect } => {
                metric::Metric::LogitDiff([self.token(correct)?, self.token(incorrect)?])
            }
            Metric::Loss {} => metric::Metric::Loss,
        })
    }

    /// A token as shown to people.
    pub fn text(&self, id: u32) -> TokenText {
        TokenText { id, text: self.tokenizer.as_ref().map(|tokenizer| tokenizer.text(id)) }
    }

    /// Both tokenisations side by side, one position a line.
    pub(super) fn side_by_side(&self, clean: &[u32], corrupted: &[u32]) -> String {
        let cell = |tokens: &[u32], i: usize| match tokens.get(i).map(|id| self.text(*id)) {
            Some(TokenText { text: Some(text), .. }) => format!("{text:?}"),
            Some(TokenText { id, .. }) => id.to_string(),
            None => "—".into(),
        };
        let line = |i| format!("{i}: {} | {}", cell(clean, i), cell(corrupted, i));
        (0..clean.len().max(corrupted.len())).map(line).collect::<Vec<_>>().join("; ")
    }
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
