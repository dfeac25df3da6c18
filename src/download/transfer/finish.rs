//! The end of a file: whether the bytes are those that were promised.

use super::super::Step;
use super::super::response::Promise;
use super::{Outcome, Transfer};
use crate::error::Error;
use crate::weights::manifest::hex;
use sha2::{Digest, Sha256};

impl Transfer {
    /// All bytes are there.
    pub(super) fn finish(&mut self) {
        if let Err(error) = self.content.finish() {
            return if self.from_store { self.store_failed() } else { self.wrong_content(error) };
        }
        let sha256 = hex(&self.hash.clone().finalize());
        let (right, expected) = match &self.expected {
            Some(Promise::Sha256(hash)) => (*hash == sha256, Some(("SHA-256", hash.clone(), sha256.clone()))),
            // Only of files whose text is kept; weights come with a SHA-256.
            Some(Promise::Git(hash)) => match self.content.git_hash() {
                Some(got) => (*hash == got, Some(("git's hash", hash.clone(), got))),
                None => (true, None),
            },
            None => (true, None),
        };
        if let Some((name, hash, got)) = &expected
            && !right
        {
            return self.wrong_hash(name, hash, got);
        }
        if self.was_complete && self.from_store {
            return self.keep(self.pos);
        }
        self.wanted.info.size = Some(self.pos);
        self.wanted.info.sha256 = Some(sha256.clone());
        self.note();
        let (file, size) = (self.wanted.info.clone(), self.pos);
        self.queue.push_back(Step::Close { file, size, sha256, verified: expected.is_some() });
        self.settle(Outcome::Done);
    }

    /// The bytes are not those that were promised: perhaps because a mask was made, or because the store altered them.
    pub(super) fn wrong_hash(&mut self, name: &str, expected: &str, got: &str) {
        if self.masks_made && !self.was_complete {
            (self.masks_made, self.real_masks, self.checking) = (false, true, true);
            // All of it has been read back: nothing of the store is awaited any more.
            self.stored = 0;
            self.patches = std::mem::take(&mut self.masks).into_iter().map(|mask| mask.range).collect();
            self.next_patch();
        } else if self.from_store {
            self.start_over("what was stored is damaged");
        } else {
            self.queue.push_back(Step::Drop);
            let message = format!("{}: expected {name} {expected}, got {got}", self.label());
            self.fail(
                Error::run("file.hash_mismatch", message)
                    .with_action("The file was damaged on its way and is not kept: try again."),
            );
        }
    }

    /// Fetches the next mask; after the last one the stored file is hashed again.
    pub(super) fn next_patch(&mut self) {
        if let Some(patch) = self.patches.front() {
            self.pos = patch.start;
            self.retry.rewind(patch.start);
        } else {
            self.hash = Sha256::new();
            (self.pos, self.stored) = (0, self.total.unwrap_or(0));
        }
    }
}
