//! One file's way into the store: which bytes are asked for next, what is made of each answer, when to wait, to start
//! again or to give up, and whether what arrived is the file.
//!
//! Bytes are written and hashed in the order of the file, so that what is stored is always a prefix of it, and a resumed
//! download feeds that prefix to the hash and the checks as if it had just arrived.
//!
//! Longer than most files: the states and what moves between them are read together. What is stored already
//! ([`stored`]), what goes wrong ([`setbacks`]) and the end ([`finish`]) stand beside it.

mod finish;
mod setbacks;
mod stored;

use super::content::{Content, Kind};
use super::masks::Mask;
use super::response::{Asked, Body, Promise, Redirects, Response, Verdict, judge};
use super::retry::Retry;
use super::{FailureKind, FileInfo, Options, Part, Step};
use crate::error::Error;
use setbacks::Trouble;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::ops::Range;

/// Bytes asked for at first: GPT-2's header has 14,291, and what is beyond a header is wanted too.
const FIRST: u64 = 65_536;
/// Stored bytes read, and masks made, in one step.
const PIECE: u64 = 1 << 20;
/// Milliseconds without a byte after which a request is given up.
const STALL: u64 = 20_000;

/// A file that is wanted, and what is known of it before anything is asked.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub info: FileInfo,
    /// Its hash, where somebody states it.
    pub promise: Option<Promise>,
    pub kind: Kind,
    /// Where its bytes lie, in their order; at least one, and each but a single one with its length.
    pub pieces: Vec<Piece>,
    /// A file that is absent is none.
    pub optional: bool,
    /// The bytes at this address can never change.
    pub pinned: bool,
    pub redirects: Redirects,
}

/// A resource that holds a file, or a part of it.
#[derive(Clone, Debug)]
pub struct Piece {
    pub url: String,
    pub len: Option<u64>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// In the store; a JSON file's text is in [`Transfer::kept`].
    Done,
    Absent,
    /// A web page where the file would be: absent, unless it must exist; then this is why not.
    WebPage(Error),
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store has not said yet what it holds.
    Opening,
    Idle,
    /// A request is on its way; `start` is where its resource begins in the file, `range` counts from there.
    Asked {
        start: u64,
        range: Option<(u64, Option<u64>)>,
    },
    /// As `Asked`, for a stored file that may have changed on the server since.
    Rechecking,
    /// A body is being read that ends at `to` or, if nothing says where, perhaps at `perhaps`.
    Reading {
        to: Option<u64>,
        perhaps: Option<u64>,
    },
    /// Stored bytes up to `to` are awaited.
    Feeding {
        to: u64,
    },
    Ended,
}

pub struct Transfer {
    wanted: Wanted,
    options: Options,
    state: State,
    /// Steps that come before anything else.
    queue: VecDeque<Step>,
    outcome: Option<Outcome>,

    /// The next byte: all before it are stored and hashed.
    pos: u64,
    total: Option<u64>,
    validator: Option<String>,
    /// The hash that it must have: promised, or stated by the server or by the store.
    expected: Option<Promise>,
    hash: Sha256,
    content: Content,
    /// The state of hash and checks where the piece that is being read begins: a server may send it again from there.
    piece_start: (u64, Sha256),
    /// Bytes that were in the store at the beginning and are not read back yet end here.
    stored: u64,
    from_store: bool,
    /// The SHA-256 that the store's entry had when it was made.
    noted: Option<String>,
    was_complete: bool,

    masks: Vec<Mask>,
    masks_made: bool,
    /// Masks are downloaded: made ones gave another hash.
    real_masks: bool,
    /// Masks that must be fetched after all.
    patches: VecDeque<Range<u64>>,
    /// The file is there and is read again.
    checking: bool,

    retry: Retry,
    /// Ask for whole resources only: parts of them cannot be told apart.
    whole_only: bool,
    /// How often the file may still be thrown away because answers do not fit together.
    restarts_left: u32,
    answered: bool,
    /// Where a body last ended too early.
    short_at: Option<u64>,
    pub received: u64,
    pub restarts: u32,
}

impl Transfer {
    pub fn new(wanted: Wanted, options: Options, seed: u64) -> Self {
        let retry = Retry::new(seed, options.time_scale);
        let mut transfer = Self {
            state: State::Opening,
            queue: VecDeque::from([Step::Open { file: wanted.info.clone() }]),
            outcome: None,
            pos: 0,
            total: wanted.info.size,
            validator: None,
            expected: wanted.promise.clone(),
            hash: Sha256::new(),
            content: Content::new(wanted.kind),
            piece_start: (0, Sha256::new()),
            stored: 0,
            from_store: false,
            noted: None,
            was_complete: false,
            masks: Vec::new(),
            masks_made: false,
            real_masks: false,
            patches: VecDeque::new(),
            checking: false,
            retry,
            whole_only: false,
            restarts_left: 1,
            answered: false,
            short_at: None,
            received: 0,
            restarts: 0,
            wanted,
            options,
        };
        transfer.forget_learnt();
        transfer
    }

    /// For a file that is read into memory and never stored.
    pub fn in_memory(wanted: Wanted, options: Options, seed: u64) -> Self {
        let mut transfer = Self::new(wanted, options, seed);
        transfer.queue.clear();
        transfer.state = State::Idle;
        transfer
    }

    pub fn info(&self) -> &FileInfo {
        &self.wanted.info
    }

    /// All of a JSON file.
    pub fn kept(&self) -> &[u8] {
        self.content.kept()
    }

    /// How it ended, once it did and its last steps are taken.
    pub fn outcome(&mut self) -> Option<Outcome> {
        if self.queue.is_empty() { self.outcome.take() } else { None }
    }

    /// Whether whoever answers at `url` may answer for this file.
    pub fn may_follow(&self, url: &str) -> bool {
        self.piece().is_some_and(|(piece, _)| self.wanted.redirects.allow(&piece.url, url))
    }

    /// Bytes that are there, and how many there will be.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let done = if self.checking { self.total.unwrap_or(self.pos) } else { self.pos };
        (self.total.map_or(done, |total| done.min(total)), self.total)
    }

    pub fn is_checking(&self) -> bool {
        self.checking || self.pos < self.stored
    }

    /// The next step; `None` when it has ended.
    pub fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.queue.pop_front() {
                return Some(step);
            }
            match self.state {
                State::Ended => return None,
                State::Reading { .. } => return Some(Step::Body),
                // The driver has not answered the last step; say it again by failing as it would for a dead network.
                State::Opening | State::Asked { .. } | State::Rechecking => {
                    self.fail(Error::internal(
                        "a download was asked for its next step while it waited for an answer",
                    ));
                }
                State::Feeding { .. } | State::Idle => self.advance(),
            }
        }
    }

    /// Chooses what to do next.
    fn advance(&mut self) {
        let (start, boundary) = self.piece().map_or((0, u64::MAX), |(piece, start)| {
            (start, piece.len.map_or(u64::MAX, |len| start.saturating_add(len)))
        });
        if start == self.pos && !self.checking {
            self.piece_start = (start, self.hash.clone());
        }
        if self.pos < self.stored {
            let to = self.stored.min(self.pos + PIECE).min(boundary);
            self.state = State::Feeding { to };
            self.queue.push_back(Step::Read { from: self.pos, to });
        } else if let Some(end) = self.patches.front().map(|patch| patch.end) {
            if self.pos < end {
                self.ask(Some(end));
            } else {
                self.patches.pop_front();
                self.next_patch();
            }
        } else if self.total == Some(self.pos) {
            self.finish();
        } else if let Some(mask) = self.masks.iter().find(|mask| mask.range.contains(&self.pos)) {
            let bytes = mask.bytes(self.pos, PIECE.min(boundary - self.pos) as usize);
            let at = self.pos;
            self.hash.update(&bytes);
            self.pos += bytes.len() as u64;
            self.masks_made = true;
            self.queue.push_back(Step::Write { at, bytes });
        } else {
            let before_mask = self.masks.iter().map(|mask| mask.range.start).find(|start| *start > self.pos);
            self.ask(before_mask.or_else(|| self.first_part()));
        }
    }

    /// Where the first request for weights ends: after its header, or after what probably holds it.
    fn first_part(&self) -> Option<u64> {
        let worth_it = self.total.is_none_or(|total| total > self.options.least_gap.max(FIRST));
        let unread = self.wanted.kind == Kind::Weights && self.content.end().is_none();
        (worth_it && unread)
            .then(|| self.content.header_len().unwrap_or(0).max(self.pos.saturating_add(FIRST)))
    }

    /// Asks for the bytes from here to `to`, or as many of them as the resource that holds the first has.
    fn ask(&mut self, to: Option<u64>) {
        let Some((piece, start)) = self.piece() else {
            let message = format!("the parts of {} are shorter than the file", self.wanted.info.name);
            return self.fail(Error::input("file.manifest", message));
        };
        let (url, len) = (piece.url.clone(), piece.len);
        let from = self.pos - start;
        let to = to.map(|to| to - start).filter(|to| len.is_none_or(|len| *to < len));
        let ranged = (from > 0 || to.is_some()) && !self.whole_only;
        if from > 0 && !ranged {
            // Only a whole resource can be had: what is there of it is of no use.
            let why = "the server only sends whole files";
            return if self.checking { self.start_over(why) } else { self.truncate(start, why) };
        }
        let end = to.map_or(String::new(), |to| (to - 1).to_string());
        let range = ranged.then(|| format!("bytes={from}-{end}"));
        self.state = State::Asked { start, range: ranged.then_some((from, to)) };
        let stall_ms = self.retry.scaled(STALL);
        self.queue.push_back(Step::Get { url, range, stall_ms });
    }

    /// The resource that holds the next byte, and where it begins in the file.
    fn piece(&self) -> Option<(&Piece, u64)> {
        let mut start = 0;
        for piece in &self.wanted.pieces {
            match piece.len {
                Some(len) if self.pos >= start + len => start += len,
                _ => return Some((piece, start)),
            }
        }
        None
    }

    pub fn response(&mut self, response: &Response) {
        let (start, range, rechecking) = match self.state {
            State::Asked { start, range } => (start, range, false),
            State::Rechecking => (0, None, true),
            _ => return,
        };
        self.state = State::Idle;
        self.answered = true;
        let Some((piece, _)) = self.piece() else { return };
        if !self.wanted.redirects.allow(&piece.url, &response.url) {
            let host = crate::address::origin(&response.url).unwrap_or_else(|| "another host".into());
            return self.fail(
                Error::run("net.blocked", format!("{}: the server sends us to {host}", self.label()))
                    .with_action("That host is not part of this address. Nothing was read from it."),
            );
        }
        let (linked_hash, linked_len) = if self.wanted.redirects == Redirects::SameOrigin {
            (None, None)
        } else {
            response.headers.linked()
        };
        if rechecking {
            return self.recheck(response);
        }
        let alone = self.wanted.pieces.len() == 1;
        let asked = Asked {
            range,
            len: if alone { self.total.or(linked_len) } else { piece.len },
            validator: self.validator.clone(),
        };
        match judge(&asked, response) {
            Verdict::Take(body) => {
                if alone {
                    self.expected = self.expected.take().or(linked_hash);
                    self.total = self.total.or(body.len);
                    self.validator = response.headers.validator().or(self.validator.take());
                    self.note();
                }
                self.take(start, &body);
            }
            Verdict::Inconsistent(why) => self.inconsistent(&why),
            Verdict::NotRangeable => self.whole_only = true,
            Verdict::Again | Verdict::Expired => self.again(Trouble::Status(response.status)),
            Verdict::Busy(seconds) => self.busy(seconds),
            Verdict::Absent => self.absent(),
            Verdict::Forbidden => self.fail(self.forbidden(response)),
            Verdict::Refused => self.fail(Error::run(
                "net.refused",
                format!("{}: the server answered with status {}", self.label(), response.status),
            )),
        }
    }

    /// Reads a body, whose first byte belongs at `body.from` of the resource that begins at `start`.
    fn take(&mut self, start: u64, body: &Body) {
        let at = start + body.from;
        if at < self.pos {
            if self.patches.is_empty() {
                self.truncate(at, "the server sends the file from its beginning again");
            } else {
                // Masks that cannot be had by themselves come with the whole file.
                self.start_over("the server sends the file from its beginning again");
            }
        }
        // Thrown away further back than this body begins, it has to be asked for again.
        if self.pos == at {
            let to = body.to.map(|to| start + to);
            self.state = State::Reading { to, perhaps: body.perhaps.map(|len| start + len) };
        }
    }

    /// The next bytes of a body, or of the store. Gives where they belong, how many of them do, and whether more are wanted.
    pub fn bytes(&mut self, chunk: &[u8]) -> Part {
        let at = self.pos;
        match self.state {
            State::Reading { to, .. } => {
                let room = to.map_or(u64::MAX, |to| to - at);
                if chunk.len() as u64 > room {
                    self.state = State::Idle;
                    self.inconsistent("the server sends more than it said");
                    return Part { at, to: 0, more: false };
                }
                self.received += chunk.len() as u64;
                if !self.take_in(chunk) {
                    return Part { at, to: 0, more: false };
                }
                // The header may have said just now where it ends.
                let State::Reading { to, .. } = self.state else { return Part { at, to: 0, more: false } };
                if to.is_some_and(|to| self.pos > to) {
                    self.state = State::Idle;
                    self.inconsistent("the file is longer than its header says");
                    return Part { at, to: 0, more: false };
                }
                let more = Some(self.pos) != to;
                if !more {
                    self.state = State::Idle;
                }
                Part { at, to: chunk.len(), more }
            }
            State::Feeding { to } => {
                self.state = State::Idle;
                if chunk.len() as u64 != to - at || !self.fits_store(chunk) {
                    self.store_failed();
                }
                Part { at, to: 0, more: false }
            }
            _ => Part { at, to: 0, more: false },
        }
    }

    /// Checks and hashes bytes that arrived; false when the file cannot go on.
    fn take_in(&mut self, chunk: &[u8]) -> bool {
        if self.patches.is_empty() {
            if let Err(error) = self.content.take(chunk, self.total) {
                self.wrong_content(error);
                return false;
            }
            self.hash.update(chunk);
            self.learn();
        }
        self.pos += chunk.len() as u64;
        true
    }

    /// As [`Transfer::take_in`] for stored bytes, which are not the server's fault.
    fn fits_store(&mut self, chunk: &[u8]) -> bool {
        // While a finished file is checked its header has been read already.
        if !self.checking && self.content.take(chunk, self.total).is_err() {
            return false;
        }
        self.hash.update(chunk);
        self.pos += chunk.len() as u64;
        self.learn();
        true
    }

    /// What the header tells, once it is there.
    fn learn(&mut self) {
        let Some(end) = self.content.end() else { return };
        if self.total.is_none() {
            self.total = Some(end);
            self.note();
        }
        if let State::Reading { to, .. } = &mut self.state {
            // Of one resource; parts know their own lengths.
            *to = to.or(Some(end));
        }
        if self.masks.is_empty() && !self.whole_only && !self.real_masks {
            self.masks = self.content.masks(self.options.least_gap);
            // Masks that were in the store may have been made.
            self.masks_made |= self.masks.iter().any(|mask| mask.range.start < self.stored);
        }
    }

    /// The body ended by itself.
    pub fn end(&mut self) {
        let State::Reading { to, perhaps } = self.state else { return };
        self.state = State::Idle;
        let early = to.or(perhaps.filter(|end| *end > self.pos)).is_some();
        match self.content.finish() {
            // A short answer that is something else: a server's word about an error.
            Err(error) if error.code.starts_with("file.not_") && self.patches.is_empty() => {
                self.wrong_content(error)
            }
            Err(error) if error.code == "net.short" => self.again(Trouble::Short),
            _ if early => self.again(Trouble::Short),
            // Nothing said how long it is: it is as long as it is.
            _ => {
                self.total = Some(self.pos);
                self.note();
            }
        }
    }

    pub fn failed(&mut self, kind: FailureKind, detail: &str) {
        match self.state {
            State::Asked { .. } | State::Reading { .. } => {
                self.state = State::Idle;
                match kind {
                    FailureKind::Network => self.again(Trouble::Network(detail)),
                    FailureKind::Stall => self.again(Trouble::Stall),
                    FailureKind::Blocked => self.fail(
                        Error::run(
                            "net.blocked",
                            format!("{}: this page may not ask that host ({detail})", self.label()),
                        )
                        .with_action(
                            "Host the page yourself, with the address in its Content-Security-Policy.",
                        ),
                    ),
                }
            }
            // Offline: what is stored is what there is.
            State::Rechecking => {
                self.state = State::Idle;
                self.unchanged();
            }
            State::Feeding { .. } => {
                self.state = State::Idle;
                self.store_failed();
            }
            _ => {}
        }
    }

    fn fail(&mut self, error: Error) {
        self.settle(Outcome::Failed(error));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.state = State::Ended;
        self.outcome = Some(outcome);
    }

    /// `hf:owner/name: model.safetensors`
    fn label(&self) -> String {
        format!("{}: {}", self.wanted.info.source, self.wanted.info.name)
    }
}
