//! The files of a model, by name: a folder natively, what the page hands over in the browser.

use super::header::Header;
use super::manifest::is_plain_name;
use super::source::{Memory, Source};
use crate::error::{Error, Result};
use crate::tokens::{CAP_FILE, TokenizerFiles};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The files of one model, unread but for their names.
#[derive(Clone)]
pub struct ModelFiles {
    /// Shown to people: the folder's name, or the Hub's.
    pub name: String,
    /// `config.json`; the weights in one of the ways of [`Format`]; `tokenizer.json`, or `vocab.json` and `merges.txt`.
    pub source: Rc<dyn Source>,
    /// The step of training that is asked for; with `step-N.safetensors` of that step among the files, it is the model and
    /// that difference ([`super::delta`]).
    pub step: Option<u64>,
}

/// The most that is read of a JSON file, in bytes, where its own reader has no smaller cap.
const CAP_JSON: u64 = 25_000_000;

impl ModelFiles {
    /// Files held in memory.
    pub fn in_memory(name: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut source = Memory::default();
        files.into_iter().for_each(|(name, bytes)| source.add(name, bytes));
        Self { name: name.to_owned(), source: Rc::new(source), step: None }
    }

    /// The number of a file.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.source.files().iter().position(|file| file.name == name)
    }

    /// A file that is read whole; `None` where it does not exist.
    ///
    /// # Errors
    /// `file.too_large` beyond its cap; those of [`Source::read`].
    pub async fn small(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.capped(name, CAP_JSON).await
    }

    async fn capped(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.find(name) else { return Ok(None) };
        let len = self.source.files()[file].len;
        if len > cap {
            let message = format!("{}: {name} has {len} bytes, expected at most {cap}", self.name);
            return Err(Error::input("file.too_large", message));
        }
        self.source.read(file, 0..len).await.map(Some)
    }

    /// `config.json`.
    ///
    /// # Errors
    /// `file.missing`; those of [`ModelFiles::small`].
    pub async fn config(&self) -> Result<Vec<u8>> {
        self.small("config.json").await?.ok_or_else(|| self.missing("config.json"))
    }

    /// The tokenizer's files, as far as there are any.
    ///
    /// # Errors
    /// Those of [`ModelFiles::small`].
    pub async fn tokenizer(&self) -> Result<TokenizerFiles> {
        Ok(TokenizerFiles {
            tokenizer_json: self.capped("tokenizer.json", CAP_FILE).await?,
            vocab: self.capped("vocab.json", CAP_FILE).await?,
            merges: self.capped("merges.txt", CAP_FILE).await?,
        })
    }

    /// How and where the weights lie.
    pub(super) fn weights(&self) -> Option<(Format, Lie<usize>)> {
        Format::find(|name| self.find(name))
    }

    pub(super) fn missing(&self, what: &str) -> Error {
        Error::input("file.missing", format!("{}: expected {what}, found none", self.name))
    }
}

/// How weight files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Safetensors,
    /// What `torch.save` writes.
    Torch,
}

/// In how many files weights lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie<T> {
    /// In this one.
    Whole(T),
    /// In the shards that an index names.
    Shards,
}

impl Format {
    /// Safetensors first, and one file before shards: Hugging Face looks in the same order.
    const ALL: [Self; 2] = [Format::Safetensors, Format::Torch];

    /// The name of a file that holds all weights.
    pub const fn whole(self) -> &'static str {
        match self {
            Format::Safetensors => "model.safetensors",
            Format::Torch => "pytorch_model.bin",
        }
    }

    /// The name of the index of shards.
    pub const fn index(self) -> &'static str {
        match self {
            Format::Safetensors => "model.safetensors.index.json",
            Format::Torch => "pytorch_model.bin.index.json",
        }
    }

    /// How the name of a shard begins and ends: `model-00001-of-00002.safetensors`.
    pub fn shard(self) -> (&'static str, &'static str) {
        match self {
            Format::Safetensors => ("model-", ".safetensors"),
            Format::Torch => ("pytorch_model-", ".bin"),
        }
    }

    /// Every way, for a message.
    pub(crate) fn any() -> String {
        Self::ALL
            .map(|format| format!("{}, or {} and its shards", format.whole(), format.index()))
            .join(", or ")
    }

    /// The first way for which there are files.
    pub(super) fn find<T>(find: impl Fn(&str) -> Option<T>) -> Option<(Self, Lie<T>)> {
        Self::ALL.into_iter().find_map(|format| {
            let whole = find(format.whole()).map(|file| (format, Lie::Whole(file)));
            whole.or_else(|| find(format.index()).map(|_| (format, Lie::Shards)))
        })
    }
}

/// Which shard holds which tensor: `model.safetensors.index.json`, `pytorch_model.bin.index.json`.
#[derive(Debug)]
pub struct ShardIndex {
    format: Format,
    weight_map: BTreeMap<String, String>,
}

impl ShardIndex {
    /// Reads the index.
    ///
    /// # Errors
    /// `file.index` when it is not such an index, or names a shard by anything but a plain file name: a
    /// path could leave the folder.
    pub fn from_json(bytes: &[u8], format: Format) -> Result<Self> {
        #[derive(Deserialize)]
        struct Raw {
            weight_map: BTreeMap<String, String>,
        }
        let wrong = |message: String| index_error(format, message);
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        if raw.weight_map.is_empty() {
            return Err(wrong("weight_map is empty, expected a shard for each tensor".into()));
        }
        let (start, end) = format.shard();
        for (tensor, shard) in &raw.weight_map {
            if !shard.ends_with(end) || !is_plain_name(shard) {
                return Err(wrong(format!(
                    "weight_map['{tensor}'] is '{shard}', expected a file name such as '{start}00001-of-00002{end}'"
                )));
            }
        }
        Ok(Self { format, weight_map: raw.weight_map })
    }

    /// The names of the shards, sorted.
    pub fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// What is expected where a shard is not there.
    pub(super) fn missing(&self, shard: &str) -> String {
        format!("shard {shard}, which {} names", self.format.index())
    }

    /// Checks that the shards hold what the index says, and nothing else.
    pub(super) fn check(&self, files: &BTreeMap<&str, (usize, Header)>) -> Result<()> {
        let wrong = |message: String| Err(index_error(self.format, message));
        for (tensor, shard) in &self.weight_map {
            if !files.get(shard.as_str()).is_some_and(|(_, header)| header.tensors.contains_key(tensor)) {
                return wrong(format!("expected tensor '{tensor}' in '{shard}', found it absent"));
            }
        }
        for (file, (_, header)) in files {
            for tensor in header.tensors.keys() {
                if self.weight_map.get(tensor).map(String::as_str) != Some(*file) {
                    let expected = self.weight_map.get(tensor).map_or("no shard", String::as_str);
                    return wrong(format!("expected tensor '{tensor}' in {expected}, found it in '{file}'"));
                }
            }
        }
        Ok(())
    }
}

fn index_error(format: Format, message: String) -> Error {
    Error::input("file.index", message).at(format.index())
}
