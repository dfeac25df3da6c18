//! A model that is opened: what its files say of it.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::outcome::ModelInfo;
use crate::tokens::Tokenizer;
use crate::weights::{Checkpoint, Delta, ModelFiles, Raw, delta};
use serde::Serialize;

/// A model: its weights where they lie, and a tokenizer where the files hold one.
pub struct Model {
    pub name: String,
    pub raw: Box<dyn Raw>,
    pub sha256: Option<String>,
    pub tokenizer: Option<Tokenizer>,
    /// Of its training, where it is a checkpoint of a family.
    pub step: Option<u64>,
    /// Why the tokenizer that the files hold is not used.
    pub(super) tokenizer_refused: Option<Error>,
}

/// What a person should know of a model that was opened all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Stable: `model.tokenizer`.
    pub code: &'static str,
    pub message: String,
}

impl Model {
    /// A model for token ids, whose weights have no file.
    pub fn new(name: impl Into<String>, raw: Box<dyn Raw>) -> Self {
        Self { name: name.into(), raw, sha256: None, tokenizer: None, step: None, tokenizer_refused: None }
    }

    /// Reads what a model's files say of it; the weights themselves are read when an engine takes them. With
    /// `allow_not_finite` some may be no numbers. `hashed` is told how many bytes of how many were read to hash them.
    /// Where the tokenizer is not one that this program can use, the model is one for token ids ([`Model::notices`]).
    ///
    /// # Errors
    /// `model.*` and `file.*`: what is not GPT-2, damaged or missing, and where; also a tokenizer with more tokens than
    /// the model has.
    pub async fn open(
        files: &ModelFiles,
        allow_not_finite: bool,
        hashed: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Self> {
        let checkpoint = Checkpoint::open(files, allow_not_finite).await?;
        let read = files.tokenizer().await.and_then(|files| Tokenizer::new(&files));
        let (tokenizer, tokenizer_refused) = match read {
            Ok(tokenizer) => (tokenizer, None),
            Err(error) if error.code.starts_with("tokenizer.") || error.code == "file.too_large" => {
                (None, Some(error))
            }
            Err(error) => return Err(error),
        };
        if let Some(tokenizer) = &tokenizer {
            tokenizer.check_rows(checkpoint.cfg().d_vocab)?;
        }
        let difference = files.step.and_then(|step| files.find(&delta::file_name(step)));
        let (raw, sha256): (Box<dyn Raw>, _) = match difference {
            Some(file) => {
                let raw = Delta::open(checkpoint, files, file).await?;
                let sha256 = raw.sha256(hashed).await?;
                (Box::new(raw), sha256)
            }
            None => {
                let sha256 = checkpoint.sha256(hashed).await?;
                (Box::new(checkpoint), sha256)
            }
        };
        let (name, step) = (files.name.clone(), files.step);
        Ok(Self { name, raw, sha256: Some(sha256), tokenizer, step, tokenizer_refused })
    }

    /// What was let pass when it was opened.
    pub fn notices(&self) -> Vec<Notice> {
        let refused = self.tokenizer_refused.iter().map(|error| Notice {
            code: "model.tokenizer",
            message: format!("The tokenizer cannot be used, so that prompts are token ids: {error}"),
        });
        refused.collect()
    }

    pub fn cfg(&self) -> &Config {
        self.raw.cfg()
    }

    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            name: self.name.clone(),
            n_params: self.cfg().n_params(),
            cfg: self.cfg().clone(),
            sha256: self.sha256.clone(),
            has_tokenizer: self.tokenizer.is_some(),
            step: self.step,
        }
    }
}
