//! The files of a model directory, as bytes: read from a folder natively, handed over by the page in the
//! browser.

use super::header::Header;
use crate::error::{Error, Result};
use crate::tokens::TokenizerFiles;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The files of one model, unread but for their names.
#[derive(Clone, Debug, Default)]
pub struct ModelFiles {
    /// Shown to people: the folder's name.
    pub name: String,
    /// `config.json`
    pub config: Vec<u8>,
    /// `model.safetensors`, or its shards.
    pub weights: Vec<WeightFile>,
    /// `model.safetensors.index.json`, where there are shards.
    pub index: Option<Vec<u8>>,
    pub tokenizer: TokenizerFiles,
}

/// One safetensors file.
#[derive(Clone, Debug)]
pub struct WeightFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl WeightFile {
    /// Reads this file's header.
    ///
    /// # Errors
    /// Those of [`Header::read`], with the file's name in front.
    pub fn header(&self) -> Result<Header> {
        Header::read(&self.bytes, self.bytes.len() as u64).map_err(|e| e.at(&self.name))
    }
}

/// Which shard holds which tensor: `model.safetensors.index.json`.
#[derive(Debug)]
pub struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

pub(super) const INDEX: &str = "model.safetensors.index.json";

impl ShardIndex {
    /// Reads the index.
    ///
    /// # Errors
    /// `file.index` when it is not such an index, or names a shard by anything but a plain file name: a
    /// path could leave the folder.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Raw {
            weight_map: BTreeMap<String, String>,
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|e| index_error(e.to_string()))?;
        if raw.weight_map.is_empty() {
            return Err(index_error("weight_map is empty, expected a shard for each tensor".into()));
        }
        for (tensor, shard) in &raw.weight_map {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if !shard.ends_with(".safetensors") || shard.starts_with('.') || !shard.chars().all(plain) {
                return Err(index_error(format!(
                    "weight_map['{tensor}'] is '{shard}', expected a file name such as 'model-00001-of-00002.safetensors'"
                )));
            }
        }
        Ok(Self { weight_map: raw.weight_map })
    }

    /// The names of the shards, sorted.
    pub fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Checks that the shards hold what the index says, and nothing else.
    pub(super) fn check(&self, files: &BTreeMap<&str, (Header, &[u8])>) -> Result<()> {
        for shard in self.shards() {
            if !files.contains_key(shard) {
                return Err(index_error(format!("shard '{shard}' is absent from the model's files")));
            }
        }
        for (tensor, shard) in &self.weight_map {
            if !files.get(shard.as_str()).is_some_and(|(header, _)| header.tensors.contains_key(tensor)) {
                return Err(index_error(format!("expected tensor '{tensor}' in '{shard}', found it absent")));
            }
        }
        for (file, (header, _)) in files {
            for tensor in header.tensors.keys() {
                if self.weight_map.get(tensor).map(String::as_str) != Some(*file) {
                    let expected = self.weight_map.get(tensor).map_or("no shard", String::as_str);
                    return Err(index_error(format!(
                        "expected tensor '{tensor}' in {expected}, found it in '{file}'"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn index_error(message: String) -> Error {
    Error::input("file.index", message).at(INDEX)
}

#[cfg(not(target_arch = "wasm32"))]
mod dir {
    use super::{INDEX, ModelFiles, ShardIndex, WeightFile};
    use crate::error::{Error, Result};
    use crate::tokens::{CAP_FILE, TokenizerFiles};
    use crate::weights::header::Header;
    use std::fs::File;
    use std::io::{ErrorKind, Read};
    use std::path::Path;

    /// The most that is read of a JSON file, in bytes, where its own reader has no smaller cap.
    const CAP_JSON: u64 = 25_000_000;

    impl ModelFiles {
        /// Reads a model directory: `config.json`; `model.safetensors`, or else the shards that
        /// `model.safetensors.index.json` names; the tokenizer's files where they exist. The header of a
        /// weight file is checked before the rest of it is read.
        ///
        /// # Errors
        /// `file.missing` names the file and the folder; `file.unreadable` carries the system's reason;
        /// `file.too_large` for a JSON file beyond its cap; those of [`Header::read`] and of
        /// [`ShardIndex::from_json`].
        pub fn from_dir(dir: &Path) -> Result<Self> {
            if !dir.is_dir() {
                return Err(missing(format!("{}: expected a model directory, found none", dir.display())));
            }
            let config = read(&dir.join("config.json"), CAP_JSON)?
                .ok_or_else(|| missing(format!("{}: expected config.json, found none", dir.display())))?;
            let (weights, index) = weights(dir)?;
            let optional = |name: &str| read(&dir.join(name), CAP_FILE);
            let tokenizer = TokenizerFiles {
                tokenizer_json: optional("tokenizer.json")?,
                vocab: optional("vocab.json")?,
                merges: optional("merges.txt")?,
            };
            let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
            let name = full.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            Ok(Self { name, config, weights, index, tokenizer })
        }
    }

    fn weights(dir: &Path) -> Result<(Vec<WeightFile>, Option<Vec<u8>>)> {
        if let Some(one) = weight_file(dir, "model.safetensors")? {
            return Ok((vec![one], None));
        }
        let Some(index) = read(&dir.join(INDEX), CAP_JSON)? else {
            return Err(missing(format!(
                "{}: expected model.safetensors, or {INDEX} and its shards, found neither",
                dir.display()
            )));
        };
        let mut shards = Vec::new();
        for name in ShardIndex::from_json(&index)?.shards() {
            let shard = weight_file(dir, name)?.ok_or_else(|| {
                missing(format!("{}: expected shard {name}, which {INDEX} names, found none", dir.display()))
            })?;
            shards.push(shard);
        }
        Ok((shards, Some(index)))
    }

    /// Reads a weight file, its header first: a wrong file of many gigabytes is refused at once.
    fn weight_file(dir: &Path, name: &str) -> Result<Option<WeightFile>> {
        let path = dir.join(name);
        let Some((mut file, len)) = open(&path)? else { return Ok(None) };
        let failed = |e: std::io::Error| unreadable(&path, &e);
        let mut bytes = Vec::new();
        file.by_ref().take(8).read_to_end(&mut bytes).map_err(failed)?;
        if let Some(first8) = bytes.first_chunk::<8>() {
            // A web page has no header length: let the error show its first bytes.
            let n = Header::len_from(*first8, len).unwrap_or(32);
            file.by_ref().take(n).read_to_end(&mut bytes).map_err(failed)?;
        }
        Header::read(&bytes, len).map_err(|e| e.at(path.display()))?;
        let rest = usize::try_from(len).unwrap_or(usize::MAX).saturating_sub(bytes.len());
        bytes.try_reserve_exact(rest).map_err(|_| {
            Error::run("run.memory", format!("{}: no memory for its {len} bytes", path.display()))
        })?;
        file.read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(WeightFile { name: name.to_owned(), bytes }))
    }

    /// Reads a file of at most `cap` bytes; `None` when it does not exist.
    fn read(path: &Path, cap: u64) -> Result<Option<Vec<u8>>> {
        let Some((file, len)) = open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(cap + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
        if bytes.len() as u64 > cap {
            let message = format!("{} has {len} bytes, expected at most {cap}", path.display());
            return Err(Error::input("file.too_large", message));
        }
        Ok(Some(bytes))
    }

    fn open(path: &Path) -> Result<Option<(File, u64)>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(path, &e)),
        };
        let len = file.metadata().map_err(|e| unreadable(path, &e))?.len();
        Ok(Some((file, len)))
    }

    fn missing(message: String) -> Error {
        Error::input("file.missing", message)
    }

    fn unreadable(path: &Path, error: &std::io::Error) -> Error {
        Error::input("file.unreadable", format!("{}: {error}", path.display()))
    }
}
