//! What the store holds of a file: whether it is kept, continued or thrown away.

use super::super::Step;
use super::super::content::Kind;
use super::super::response::{Asked, Promise, Response, Verdict, judge};
use super::{Outcome, STALL, State, Transfer};
use serde::{Deserialize, Serialize};

/// Kept with the stored bytes: what they are the beginning of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    size: Option<u64>,
    sha256: Option<String>,
    /// Git's hash, where it was stated: what was stored under it is still it.
    git: Option<String>,
    validator: Option<String>,
}

impl Transfer {
    /// What the store holds.
    pub fn opened(&mut self, have: u64, note: Option<&str>, complete: bool) {
        if self.state != State::Opening {
            return;
        }
        self.state = State::Idle;
        if have == 0 && !complete {
            return;
        }
        let note: Option<Note> = note.and_then(|note| serde_json::from_str(note).ok());
        let info = &self.wanted.info;
        let fits = note.as_ref().is_some_and(|note| {
            let same_hash = match &self.wanted.promise {
                None => true,
                Some(Promise::Sha256(hash)) => note.sha256.as_ref().is_none_or(|noted| noted == hash),
                Some(Promise::Git(hash)) => note.git.as_ref().is_none_or(|noted| noted == hash),
            };
            let len = info.size.or(note.size);
            let same_size = info.size.is_none() || note.size.is_none() || note.size == info.size;
            // A beginning of which nobody can say whether it belongs to the rest is of no use.
            let joins =
                complete || self.wanted.pinned || self.wanted.promise.is_some() || note.validator.is_some();
            same_hash
                && same_size
                && joins
                && len.is_none_or(|len| if complete { have == len } else { have <= len })
        });
        let Some(note) = note.filter(|_| fits) else {
            return self.truncate(0, "what was stored belongs to another version of the file");
        };
        self.total = self.total.or(note.size);
        self.validator = note.validator.clone();
        self.noted = note.sha256.clone();
        if complete && !self.options.verify {
            let certain = self.wanted.pinned
                || match &self.wanted.promise {
                    None => false,
                    Some(Promise::Sha256(hash)) => note.sha256.as_ref() == Some(hash),
                    Some(Promise::Git(hash)) => note.git.as_ref() == Some(hash),
                };
            self.stored = have;
            // The text of a JSON file is needed in any case.
            if certain && !matches!(self.wanted.kind, Kind::Json { .. }) {
                return self.keep(have);
            }
            if !certain {
                let (url, stall_ms) = (self.wanted.pieces[0].url.clone(), self.retry.scaled(STALL));
                self.state = State::Rechecking;
                // Of the answer only the headers are wanted, and one byte brings them: of the whole file, megabytes would be
                // on their way before it is let go. Text is asked for as it was at first: hosts that compress it may name
                // the copy otherwise.
                let range =
                    matches!(self.wanted.kind, Kind::Weights | Kind::Torch).then(|| "bytes=0-0".to_owned());
                self.queue.push_back(Step::Get { url, range, stall_ms });
            }
        }
        // What was computed or stated when it was stored is what it must still be.
        self.expected = self.expected.take().or(note.sha256.map(Promise::Sha256));
        self.stored = have;
        self.from_store = true;
        self.was_complete = complete;
    }

    /// Whether a stored file is still the one on the server.
    pub(super) fn recheck(&mut self, response: &Response) {
        let same = response.headers.validator().is_some_and(|now| Some(now) == self.validator);
        // A server that is in trouble does not make the stored file wrong.
        if same || !matches!(response.status, 200 | 206) {
            return self.unchanged();
        }
        let len = self.wanted.info.size;
        self.start_over("the file has changed on the server");
        let asked = Asked { len, ..Asked::default() };
        if let Verdict::Take(body) = judge(&asked, response) {
            self.validator = response.headers.validator();
            self.note();
            self.take(0, &body);
        }
    }

    pub(super) fn unchanged(&mut self) {
        if !matches!(self.wanted.kind, Kind::Json { .. }) {
            self.keep(self.stored);
        }
    }

    /// The store lost what it held.
    pub(super) fn store_failed(&mut self) {
        self.start_over("what was stored cannot be used");
    }

    pub(super) fn keep(&mut self, size: u64) {
        self.pos = size;
        self.total = Some(size);
        self.wanted.info.size = Some(size);
        self.wanted.info.sha256 = self.wanted.info.sha256.take().or(self.noted.take());
        self.queue.push_back(Step::Keep { file: self.wanted.info.clone() });
        self.settle(Outcome::Done);
    }

    /// Has the store keep what is known of the file.
    pub(super) fn note(&mut self) {
        let alone = self.wanted.pieces.len() == 1;
        let note = Note {
            size: self.total,
            sha256: match (&self.wanted.info.sha256, &self.expected) {
                (Some(hash), _) | (None, Some(Promise::Sha256(hash))) => Some(hash.clone()),
                _ => None,
            },
            git: match &self.expected {
                Some(Promise::Git(hash)) => Some(hash.clone()),
                _ => None,
            },
            validator: self.validator.clone().filter(|_| alone),
        };
        // A note of strings and numbers has a JSON form.
        if let Ok(note) = serde_json::to_string(&note) {
            self.queue.push_back(Step::Note { note });
        }
    }
}
