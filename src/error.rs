//! The one error type. A message names the place, what was expected and what was found; it is
//! reported once, at the edge (standard error, or `LabError` in JavaScript).

use std::borrow::Cow;

/// Whose fault it is, which decides the exit status of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The input was wrong (exit status 2): an experiment, a model directory, an option.
    Input,
    /// Something failed while running (exit status 1): a lost device, a full disk, a cancel.
    Run,
}

/// An error with a stable `code` for programs, a sentence for people and, where there is one, the
/// action that mends it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Stable, dotted: `input.unknown_field`, `model.unsupported`, `run.cancelled`.
    pub code: Cow<'static, str>,
    pub message: String,
    pub action: Option<String>,
    pub blame: Blame,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn input(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), action: None, blame: Blame::Input }
    }

    pub fn run(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), action: None, blame: Blame::Run }
    }

    /// What the person can do about it, as a sentence or a command.
    #[must_use]
    pub fn with_action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Puts the place in front of the message: `experiment.json: …`.
    #[must_use]
    pub fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The job was stopped on request.
    pub fn cancelled() -> Self {
        Self::run("run.cancelled", "cancelled")
    }

    /// A broken promise between two parts of the program itself, reported instead of a panic.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::run("internal", message)
    }

    /// Exit status of the command line.
    pub fn exit_status(&self) -> u8 {
        match self.blame {
            Blame::Input => 2,
            Blame::Run => 1,
        }
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::internal(format!("cpu engine: {error}"))
    }
}
