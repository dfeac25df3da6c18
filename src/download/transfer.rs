//! One file's way into the store: which bytes are asked for next, what is made of each answer, when to wait, to start
//! again or to give up, and whether what arrived is the file.
//!
//! Bytes are written and hashed in the order of the file, so that what is stored is always a prefix of it, and a resumed
//! download feeds that prefix to the hash and the checks as if it had just arrived.
//!
//! Longer than most files: it is one state machine, and its states can only be read together.

use super::content::{Content, Kind};
use super::masks::Mask;
use super::response::{Asked, Body, Redirects, Response, Verdict, judge};
use super::retry::{CAP_BUSY, Retry};
use super::{FailureKind, FileInfo, Options, Part, Step};
use crate::error::Error;
use serde::{Deserialize, Serialize};
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

/// Kept with the stored bytes: what they are the beginning of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    size: Option<u64>,
    sha256: Option<String>,
    validator: Option<String>,
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
    /// The SHA-256 that it must have: promised, or stated by the server or by the store.
    expected: Option<String>,
    hash: Sha256,
    content: Content,
    /// The state of hash and checks where the piece that is being read begins: a server may send it again from there.
    piece_start: (u64, Sha256),
    /// Bytes that were in the store at the beginning and are not read back yet end here.
    stored: u64,
    from_store: bool,
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
            expected: wanted.info.sha256.clone(),
            hash: Sha256::new(),
            content: Content::new(wanted.kind),
            piece_start: (0, Sha256::new()),
            stored: 0,
            from_store: false,
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

    // --- What the driver tells ------------------------------------------------------------------------------------

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
            let same_hash = info.sha256.is_none() || note.sha256.is_none() || note.sha256 == info.sha256;
            let len = info.size.or(note.size);
            let same_size = info.size.is_none() || note.size.is_none() || note.size == info.size;
            same_hash && same_size && len.is_none_or(|len| if complete { have == len } else { have <= len })
        });
        let Some(note) = note.filter(|_| fits) else {
            return self.truncate(0, "what was stored belongs to another version of the file");
        };
        self.total = self.total.or(note.size);
        self.validator = note.validator.clone();
        if complete && !self.options.verify {
            let certain = self.wanted.pinned || (info.sha256.is_some() && info.sha256 == note.sha256);
            self.stored = have;
            // The text of a JSON file is needed in any case.
            if certain && !matches!(self.wanted.kind, Kind::Json { .. }) {
                return self.keep(have);
            }
            if !certain {
                let (url, stall_ms) = (self.wanted.pieces[0].url.clone(), self.retry.scaled(STALL));
                self.state = State::Rechecking;
                self.queue.push_back(Step::Get { url, range: None, stall_ms });
            }
        }
        // What was computed or stated when it was stored is what it must still be.
        self.expected = self.expected.take().or(note.sha256);
        self.stored = have;
        self.from_store = true;
        self.was_complete = complete;
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

    /// Whether a stored file is still the one on the server.
    fn recheck(&mut self, response: &Response) {
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

    fn unchanged(&mut self) {
        if !matches!(self.wanted.kind, Kind::Json { .. }) {
            self.keep(self.stored);
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
        let end = to.or(perhaps.filter(|end| *end > self.pos));
        match end {
            Some(_) => self.again(Trouble::Short),
            // Nothing said how long it is: what it must be decides.
            None if self.content.finish().is_err_and(|error| error.code == "net.short") => {
                self.again(Trouble::Short);
            }
            None => {
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

    // --- Setbacks -------------------------------------------------------------------------------------------------

    /// Tries again after a wait, or gives up.
    fn again(&mut self, trouble: Trouble<'_>) {
        // A body that ends early without an error is asked for once more: it may be all that there is.
        let stuck = matches!(trouble, Trouble::Short) && self.short_at.replace(self.pos) == Some(self.pos);
        match self.retry.after_failure(self.pos).filter(|_| !stuck) {
            Some(ms) => {
                let message =
                    format!("{}: {}; trying again", self.label(), trouble.what(self.pos, self.total));
                self.queue.push_back(Step::Wait { ms, why: "retry", message });
            }
            None => self.fail(self.gave_up(&trouble)),
        }
    }

    fn gave_up(&self, trouble: &Trouble<'_>) -> Error {
        let what = trouble.what(self.pos, self.total);
        let code = match trouble {
            Trouble::Short => "net.short",
            Trouble::Status(401 | 403) => "net.forbidden",
            Trouble::Status(_) => "net.server",
            Trouble::Stall => "net.stalled",
            Trouble::Network(_) if !self.answered => "net.unreachable",
            Trouble::Network(_) => "net.truncated",
        };
        let action = match (code, self.wanted.redirects) {
            ("net.unreachable", Redirects::SameOrigin) => "Check the network and the address.",
            // A browser does not tell a page which of these it is.
            ("net.unreachable", _) => {
                "Check the network. If it works, that host does not let other pages read its files (CORS): download them and open them from your own disk, or serve them beside the page."
            }
            ("net.short", _) => "Try again; if it stays so, the file on the server is cut.",
            _ => "Try again: what has arrived is kept.",
        };
        Error::run(code, format!("{}: {what}", self.label())).with_action(action)
    }

    fn busy(&mut self, seconds: Option<u64>) {
        let wait = self.retry.after_failure(self.pos);
        match (wait, seconds) {
            (Some(ms), seconds) if seconds.is_none_or(|seconds| seconds <= CAP_BUSY) => {
                let ms = seconds.map_or(ms, |seconds| self.retry.scaled(seconds * 1000));
                let message = format!("{}: the server is busy and asks to wait", self.label());
                self.queue.push_back(Step::Wait { ms, why: "busy", message });
            }
            _ => {
                let long = seconds.map_or(String::new(), |seconds| format!(" and asks to wait {seconds} s"));
                let message = format!("{}: the server is busy{long}", self.label());
                self.fail(
                    Error::run("net.busy", message).with_action("Try again later: what has arrived is kept."),
                );
            }
        }
    }

    /// Answers do not fit together: once, everything is thrown away.
    fn inconsistent(&mut self, why: &str) {
        if self.restarts_left == 0 {
            let message = format!("{}: {why}, twice", self.label());
            self.queue.push_back(Step::Drop);
            return self.fail(
                Error::run("net.inconsistent", message)
                    .with_action("The file may be changing on the server, or something between it and you alters it: try again later."),
            );
        }
        self.restarts_left -= 1;
        self.start_over(why);
    }

    /// Everything again from byte 0, with nothing believed that was learnt.
    fn start_over(&mut self, why: &str) {
        self.truncate(0, why);
        self.total = self.wanted.info.size;
        self.expected = self.wanted.info.sha256.clone();
        self.validator = None;
    }

    /// Bytes from `to` on are forgotten; `to` is 0 or where the piece that is being read begins.
    fn truncate(&mut self, to: u64, why: &str) {
        let to = if to == self.piece_start.0 { to } else { 0 };
        if to == 0 {
            self.hash = Sha256::new();
            self.piece_start = (0, Sha256::new());
            self.forget_learnt();
        } else {
            self.hash = self.piece_start.1.clone();
            if self.content.header_len().is_none_or(|len| len > to) {
                return self.truncate(0, why);
            }
        }
        if self.pos > 0 || self.stored > 0 {
            self.restarts += 1;
        }
        (self.pos, self.stored, self.from_store, self.was_complete) = (to, 0, false, false);
        self.queue.push_back(Step::Truncate { to, message: format!("{}: {why}", self.label()) });
    }

    fn forget_learnt(&mut self) {
        self.content = Content::new(self.wanted.kind);
        (self.masks, self.masks_made, self.checking) = (Vec::new(), false, false);
        self.patches.clear();
    }

    /// The store lost what it held.
    fn store_failed(&mut self) {
        self.start_over("what was stored cannot be used");
    }

    fn absent(&mut self) {
        if self.wanted.optional {
            self.queue.push_back(Step::Drop);
            self.settle(Outcome::Absent);
        } else {
            self.queue.push_back(Step::Drop);
            self.fail(
                Error::input("net.not_found", format!("{}: the server has no such file", self.label()))
                    .with_action("Check the name of the model, its revision and the file."),
            );
        }
    }

    fn forbidden(&self, response: &Response) -> Error {
        let reason = response.headers.x_error_code.as_deref().unwrap_or_default();
        let reason: String = reason.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let message = format!("{}: the server refuses with status {}{reason}", self.label(), response.status);
        Error::input("net.forbidden", message)
            .with_action("The model does not exist, is private, or wants an account: download it yourself and open its files.")
    }

    fn wrong_content(&mut self, error: Error) {
        self.state = State::Idle;
        self.queue.push_back(Step::Drop);
        let error = error.at(self.label());
        if self.content.is_web_page() {
            self.settle(Outcome::WebPage(error));
        } else {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: Error) {
        self.settle(Outcome::Failed(error));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.state = State::Ended;
        self.outcome = Some(outcome);
    }

    // --- The end --------------------------------------------------------------------------------------------------

    /// All bytes are there.
    fn finish(&mut self) {
        if let Err(error) = self.content.finish() {
            return if self.from_store { self.store_failed() } else { self.wrong_content(error) };
        }
        let got = format!("{:x}", HexDigest(self.hash.clone().finalize().as_slice()));
        let known = self.expected.clone();
        match known.as_deref() {
            Some(expected) if expected != got => self.wrong_hash(expected, &got),
            _ if self.was_complete && self.from_store => self.keep(self.pos),
            known => {
                let verified = known.is_some();
                self.wanted.info.size = Some(self.pos);
                self.expected = Some(got.clone());
                self.wanted.info.sha256 = Some(got.clone());
                self.note();
                self.queue.push_back(Step::Close {
                    file: self.wanted.info.clone(),
                    size: self.pos,
                    sha256: got,
                    verified,
                });
                self.settle(Outcome::Done);
            }
        }
    }

    /// The bytes are not those that were promised: perhaps because a mask was made, or because the store altered them.
    fn wrong_hash(&mut self, expected: &str, got: &str) {
        if self.masks_made && !self.was_complete {
            (self.masks_made, self.real_masks, self.checking) = (false, true, true);
            self.patches = std::mem::take(&mut self.masks).into_iter().map(|mask| mask.range).collect();
            self.next_patch();
        } else if self.from_store {
            self.start_over("what was stored is damaged");
        } else {
            self.queue.push_back(Step::Drop);
            let message = format!("{}: expected SHA-256 {expected}, got {got}", self.label());
            self.fail(
                Error::run("file.hash_mismatch", message)
                    .with_action("The file was damaged on its way and is not kept: try again."),
            );
        }
    }

    /// Fetches the next mask; after the last one the stored file is hashed again.
    fn next_patch(&mut self) {
        if let Some(patch) = self.patches.front() {
            self.pos = patch.start;
            self.retry.rewind(patch.start);
        } else {
            self.hash = Sha256::new();
            (self.pos, self.stored) = (0, self.total.unwrap_or(0));
        }
    }

    fn keep(&mut self, size: u64) {
        self.pos = size;
        self.total = Some(size);
        self.wanted.info.size = Some(size);
        self.queue.push_back(Step::Keep { file: self.wanted.info.clone() });
        self.settle(Outcome::Done);
    }

    /// Has the store keep what is known of the file.
    fn note(&mut self) {
        let alone = self.wanted.pieces.len() == 1;
        let note = Note {
            size: self.total,
            sha256: self.expected.clone(),
            validator: self.validator.clone().filter(|_| alone),
        };
        // A note of strings and numbers has a JSON form.
        if let Ok(note) = serde_json::to_string(&note) {
            self.queue.push_back(Step::Note { note });
        }
    }

    /// `hf:owner/name: model.safetensors`
    fn label(&self) -> String {
        format!("{}: {}", self.wanted.info.source, self.wanted.info.name)
    }
}

/// Why a request did not bring what it should have.
enum Trouble<'a> {
    Network(&'a str),
    Stall,
    Short,
    Status(u16),
}

impl Trouble<'_> {
    fn what(&self, pos: u64, total: Option<u64>) -> String {
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        match self {
            Trouble::Network(detail) if pos == 0 => format!("no answer ({})", brief(detail)),
            Trouble::Network(detail) => {
                format!("the connection broke off after byte {pos}{of} ({})", brief(detail))
            }
            Trouble::Stall => format!("nothing came for too long after byte {pos}{of}"),
            Trouble::Short => format!("the server ended after byte {pos}{of}"),
            Trouble::Status(status) => format!("the server answered with status {status}"),
        }
    }
}

fn brief(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

struct HexDigest<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexDigest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
