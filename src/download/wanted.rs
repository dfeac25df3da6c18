//! Which files a model needs, in the order in which they are fetched: small ones first, so that a model that cannot be
//! used is refused before its weights are asked for.

use super::response::Promise;
use crate::error::{Error, Result};
use crate::weights::manifest::{Step as Checkpoint, unknown_step};
use crate::weights::{Format, ShardIndex};
use std::collections::{BTreeMap, VecDeque};

/// What a file is in its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What there is: the Hub's answer about a repository, or a folder's manifest.
    Listing,
    Config,
    Tokenizer,
    Vocab,
    Merges,
    /// All weights in one file.
    Weights(Format),
    Index(Format),
    Shard(Format),
    /// A checkpoint's difference from the model.
    Difference,
}

impl Role {
    /// Where there is one file of this kind, its name.
    fn name(self) -> &'static str {
        match self {
            Role::Listing | Role::Shard(_) | Role::Difference => "",
            Role::Config => "config.json",
            Role::Tokenizer => "tokenizer.json",
            Role::Vocab => "vocab.json",
            Role::Merges => "merges.txt",
            Role::Weights(format) => format.whole(),
            Role::Index(format) => format.index(),
        }
    }
}

/// What is known of a file beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub size: Option<u64>,
    pub hash: Option<Promise>,
    /// Files that hold its parts, with their lengths; none where it is there whole.
    pub parts: Vec<(String, u64)>,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    pub files: BTreeMap<String, Entry>,
    /// The commit that it describes.
    pub commit: Option<String>,
    /// Of the model's training.
    pub checkpoints: Vec<Checkpoint>,
}

/// What is still wanted.
pub struct Plan {
    /// `None` where nobody says what there is: names are tried.
    catalog: Option<Catalog>,
    next: VecDeque<(Role, String)>,
    /// What was there instead of a file.
    web_page: Option<Error>,
    /// The checkpoint that is wanted.
    step: Option<u64>,
}

impl Plan {
    /// Begins with the listing, unless what there is is known.
    pub fn new(catalog: Option<Catalog>, step: Option<u64>) -> Self {
        let mut plan = Self { catalog, next: VecDeque::new(), web_page: None, step };
        if plan.catalog.is_some() {
            plan.listing_done();
        } else {
            plan.next.push_back((Role::Listing, String::new()));
        }
        plan
    }

    pub fn listed(&mut self, catalog: Catalog) {
        self.catalog = Some(catalog);
    }

    pub fn listing_done(&mut self) {
        self.want(Role::Config);
    }

    /// The checkpoints of the family, as far as they are known.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        self.catalog.as_ref().map_or(&[], |catalog| &catalog.checkpoints)
    }

    /// The file that makes the model the checkpoint that is wanted; `None` where it is that already.
    fn difference(&self) -> Result<Option<String>> {
        let Some(step) = self.step else { return Ok(None) };
        let found = self.checkpoints().iter().find(|checkpoint| checkpoint.step == step);
        let known = self.checkpoints().iter().map(|checkpoint| checkpoint.step);
        found.map(|checkpoint| checkpoint.file.clone()).ok_or_else(|| unknown_step(step, known))
    }

    pub fn web_page(&mut self, error: Error) {
        self.web_page.get_or_insert(error);
    }

    /// The next file.
    pub fn next(&mut self) -> Option<(Role, String)> {
        self.next.pop_front()
    }

    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.catalog.as_ref().and_then(|catalog| catalog.files.get(name))
    }

    /// Whether a model without this file is none: what a listing has must be there as well.
    pub fn is_required(&self, role: Role) -> bool {
        match role {
            Role::Config | Role::Shard(_) | Role::Difference => true,
            Role::Listing => false,
            other => self.entry(other.name()).is_some(),
        }
    }

    fn want(&mut self, role: Role) {
        self.next.push_back((role, role.name().to_owned()));
    }

    fn is_listed(&self, role: Role) -> bool {
        self.entry(role.name()).is_some()
    }

    /// Whether asking for a file can be of use.
    fn may_exist(&self, role: Role) -> bool {
        self.catalog.is_none() || self.is_listed(role)
    }

    /// What follows a file that was found, with its text if it is JSON, or was not.
    ///
    /// # Errors
    /// `file.index` for an index that is none; `file.missing` when there are no weights that can be read.
    pub fn after(&mut self, role: Role, found: bool, text: &[u8]) -> Result<()> {
        if let (Role::Index(format), true) = (role, found) {
            let index = ShardIndex::from_json(text, format)?;
            self.next.extend(index.shards().into_iter().map(|shard| (Role::Shard(format), shard.to_owned())));
            return Ok(());
        }
        if role == Role::Config {
            // Before anything larger is asked for.
            self.difference()?;
        }
        if matches!(role, Role::Weights(_)) && found {
            self.next.extend(self.difference()?.map(|name| (Role::Difference, name)));
            return Ok(());
        }
        let mut at = (role, found);
        while let Some(role) = following(at.0, at.1) {
            if role == Role::Config || self.may_exist(role) {
                self.want(role);
                return Ok(());
            }
            at = (role, false);
        }
        if at == (Role::Index(Format::Torch), false) {
            return Err(self.web_page.take().unwrap_or_else(|| self.no_weights()));
        }
        Ok(())
    }

    fn no_weights(&self) -> Error {
        let others = self.catalog.iter().flat_map(|catalog| catalog.files.keys()).filter(|name| {
            [".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".safetensors"]
                .iter()
                .any(|end| name.ends_with(end))
        });
        let others: Vec<&str> = others.map(String::as_str).take(5).collect();
        let others =
            if others.is_empty() { String::new() } else { format!("; it has {}", others.join(", ")) };
        Error::input("file.missing", format!("expected {}, found none{others}", Format::any()))
    }

    /// The sizes of the files that come after the one that is being fetched; `None` while it is not known which.
    pub fn outlook(&self, role: Role) -> Option<Vec<Option<u64>>> {
        let size = |name: &str| self.entry(name).and_then(|entry| entry.size);
        let mut rest: Vec<Option<u64>> = self.next.iter().map(|(_, name)| size(name)).collect();
        if matches!(role, Role::Shard(_) | Role::Difference) {
            return Some(rest);
        }
        let Some(catalog) = &self.catalog else {
            // Weights that exist are the last file.
            return matches!(role, Role::Weights(_)).then_some(rest);
        };
        let mut at = role;
        let is_there = |at: Role| at == role || self.is_listed(at);
        while let Some(next) = following(at, is_there(at)) {
            if self.is_listed(next) {
                rest.push(size(next.name()));
            }
            at = next;
        }
        if matches!(at, Role::Weights(_))
            && is_there(at)
            && let Ok(Some(name)) = self.difference()
        {
            rest.push(size(&name));
        }
        if let Role::Index(format) = at
            && is_there(at)
        {
            let (start, end) = format.shard();
            let shard = |name: &&String| name.starts_with(start) && name.ends_with(end);
            rest.extend(catalog.files.keys().filter(shard).map(|name| size(name)));
        }
        Some(rest)
    }
}

/// The order of files: what is asked for after one that was found or not; `None` where that is the end.
fn following(role: Role, found: bool) -> Option<Role> {
    match (role, found) {
        (Role::Listing, _) => Some(Role::Config),
        (Role::Config, _) => Some(Role::Tokenizer),
        (Role::Tokenizer, false) => Some(Role::Vocab),
        (Role::Vocab, true) => Some(Role::Merges),
        (Role::Tokenizer, true) | (Role::Vocab, false) | (Role::Merges, _) => {
            Some(Role::Weights(Format::Safetensors))
        }
        (Role::Weights(format), false) => Some(Role::Index(format)),
        (Role::Index(Format::Safetensors), false) => Some(Role::Weights(Format::Torch)),
        (Role::Index(Format::Torch), false)
        | (Role::Weights(_) | Role::Index(_), true)
        | (Role::Shard(_) | Role::Difference, _) => None,
    }
}

#[cfg(test)]
mod tests;
