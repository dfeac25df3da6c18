//! What a download is told and what it says: the values that pass between its decisions and whoever acts on them.

use crate::error::Error;
use serde::{Deserialize, Serialize};

/// What is to be downloaded, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// A model address of a repository or of a folder.
    pub address: String,
    /// The URL that `./` stands for.
    #[serde(default)]
    pub base: Option<String>,
    /// The host that the visitor agreed to.
    #[serde(default)]
    pub consent: Option<String>,
    /// In place of `https://huggingface.co`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Stored files are read again and checked.
    #[serde(default)]
    pub verify: bool,
    /// Multiplies all waits and limits of time.
    #[serde(default = "one")]
    pub time_scale: f64,
    /// Seeds the jitter of waits.
    #[serde(default)]
    pub seed: u64,
    /// The smallest mask buffer that is made instead of downloaded, in bytes.
    #[serde(default = "mebibyte")]
    pub least_gap: u64,
}

fn one() -> f64 {
    1.0
}

fn mebibyte() -> u64 {
    1 << 20
}

impl Spec {
    /// A download of `address` with the usual options.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            base: None,
            consent: None,
            endpoint: None,
            verify: false,
            time_scale: one(),
            seed: 0,
            least_gap: mebibyte(),
        }
    }
}

/// A file of the model: what names it in a store, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    pub name: String,
    /// The address without a revision.
    pub source: String,
    /// Of a repository: a commit where it is known; empty for a folder.
    pub revision: String,
    /// Bytes.
    pub size: Option<u64>,
    /// Lower-case hexadecimal.
    pub sha256: Option<String>,
}

/// A checkpoint of the model's training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub step: u64,
    /// Beside the model's own; `None` where nobody states them.
    pub bytes: Option<u64>,
}

/// What is to be done next; `www/engine.d.ts` says it in full.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    Open {
        file: FileInfo,
    },
    Get {
        url: String,
        range: Option<String>,
        stall_ms: u64,
    },
    Body,
    Read {
        from: u64,
        to: u64,
    },
    Write {
        at: u64,
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    Note {
        note: String,
    },
    Truncate {
        to: u64,
        message: String,
    },
    Wait {
        ms: u64,
        why: &'static str,
        message: String,
    },
    Close {
        file: FileInfo,
        size: u64,
        sha256: String,
        verified: bool,
    },
    Keep {
        file: FileInfo,
    },
    Drop,
    Done {
        revision: String,
        files: Vec<FileInfo>,
        checkpoints: Vec<Checkpoint>,
    },
    Fail {
        #[serde(skip)]
        error: Error,
    },
}

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    Network,
    Stall,
    Blocked,
}

/// The first `to` bytes of a chunk belong at byte `at` of the open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub at: u64,
    pub to: usize,
    /// Whether more of this body is wanted.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    pub file: Option<String>,
    pub files_done: usize,
    pub files: Option<usize>,
    pub done: u64,
    pub bytes: Option<u64>,
    pub all_done: u64,
    pub all_bytes: Option<u64>,
    pub received: u64,
    pub restarts: u32,
    pub phase: &'static str,
}
