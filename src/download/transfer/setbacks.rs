//! What goes wrong on the way, and what is made of it: another try, a new start, or an error with a name.

use super::super::Step;
use super::super::content::Content;
use super::super::response::Response;
use super::super::retry::CAP_BUSY;
use super::{Outcome, State, Transfer};
use crate::error::Error;
use sha2::{Digest, Sha256};

/// Why a request did not bring what it should have.
pub(super) enum Trouble<'a> {
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

impl Transfer {
    /// Tries again after a wait, or gives up.
    pub(super) fn again(&mut self, trouble: Trouble<'_>) {
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

    pub(super) fn gave_up(&self, trouble: &Trouble<'_>) -> Error {
        let what = trouble.what(self.pos, self.total);
        let code = match trouble {
            Trouble::Short => "net.short",
            Trouble::Status(401 | 403) => "net.forbidden",
            Trouble::Status(_) => "net.server",
            Trouble::Stall => "net.stalled",
            Trouble::Network(_) if !self.answered => "net.unreachable",
            Trouble::Network(_) => "net.truncated",
        };
        let beside_the_page = self.wanted.info.source.starts_with("./");
        let action = match code {
            "net.unreachable" if beside_the_page => "Check the network and the address.",
            // A browser does not tell a page which of these it is.
            "net.unreachable" => {
                "Check the network. If it works, that host does not let other pages read its files (CORS): download them and open them from your own disk, or serve them beside the page."
            }
            "net.short" => "Try again; if it stays so, the file on the server is cut.",
            _ => "Try again: what has arrived is kept.",
        };
        Error::run(code, format!("{}: {what}", self.label())).with_action(action)
    }

    pub(super) fn busy(&mut self, seconds: Option<u64>) {
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
    pub(super) fn inconsistent(&mut self, why: &str) {
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
    pub(super) fn start_over(&mut self, why: &str) {
        self.truncate(0, why);
        self.total = self.wanted.info.size;
        self.expected = self.wanted.promise.clone();
        self.validator = None;
    }

    /// Bytes from `to` on are forgotten; `to` is 0 or where the piece that is being read begins.
    pub(super) fn truncate(&mut self, to: u64, why: &str) {
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

    pub(super) fn forget_learnt(&mut self) {
        self.content = Content::new(self.wanted.kind);
        (self.masks, self.masks_made, self.checking) = (Vec::new(), false, false);
        self.patches.clear();
    }

    pub(super) fn absent(&mut self) {
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

    pub(super) fn forbidden(&self, response: &Response) -> Error {
        let reason = response.headers.x_error_code.as_deref().unwrap_or_default();
        let reason: String = reason.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let message = format!("{}: the server refuses with status {}{reason}", self.label(), response.status);
        Error::input("net.forbidden", message)
            .with_action("The model does not exist, is private, or wants an account: download it yourself and open its files.")
    }

    pub(super) fn wrong_content(&mut self, error: Error) {
        self.state = State::Idle;
        self.queue.push_back(Step::Drop);
        let error = error.at(self.label());
        if self.content.is_web_page() {
            self.settle(Outcome::WebPage(error));
        } else {
            self.fail(error);
        }
    }
}
