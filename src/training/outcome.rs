//! What an experiment over checkpoints gives.

use crate::error::Error;
use crate::outcome::{Answer, EngineInfo, ModelInfo};
use serde::Serialize;
use serde_json::Value;

/// The result, as every door gives it.
#[derive(Debug, Serialize)]
pub struct TrainingOutcome {
    pub version: u64,
    pub kind: &'static str,
    /// In the order of their steps.
    pub checkpoints: Vec<Asked>,
    /// The experiment as understood, with defaults filled in.
    pub experiment: Value,
    /// The open model, whose family they are or beside which they stand.
    pub model: ModelInfo,
    /// The work of all of them together.
    pub engine: EngineInfo,
}

/// What became of one checkpoint: answers, or why there are none.
#[derive(Debug, Serialize)]
pub struct Asked {
    pub step: u64,
    #[serde(flatten)]
    pub found: Found,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Found {
    Answers(CheckpointAnswers),
    Skipped(Skipped),
}

#[derive(Debug, Serialize)]
pub struct CheckpointAnswers {
    pub model: CheckpointModel,
    /// One for each experiment, as its own result has them.
    pub answers: Vec<Numbers>,
}

#[derive(Debug, Serialize)]
pub struct CheckpointModel {
    pub name: String,
    pub sha256: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Numbers {
    pub kind: &'static str,
    #[serde(flatten)]
    pub answer: Answer,
}

/// A checkpoint that is missing, damaged or of another shape.
#[derive(Debug, Serialize)]
pub struct Skipped {
    pub error: Why,
}

#[derive(Debug, Serialize)]
pub struct Why {
    pub code: String,
    pub message: String,
}

impl Skipped {
    /// `None` for what is not the checkpoint's fault, and ends everything: a cancel, a lost engine, a fault in this program.
    pub fn of(error: &Error) -> Option<Self> {
        let ours = ["run.", "gpu.", "engine.", "internal"];
        let skipped = !ours.iter().any(|start| error.code.starts_with(start));
        skipped.then(|| Self { error: Why { code: error.code.to_string(), message: error.message.clone() } })
    }
}

impl EngineInfo {
    /// Counts another run's work and time to this one's.
    pub fn add(&mut self, other: &EngineInfo) {
        self.milliseconds += other.milliseconds;
        self.flops += other.flops;
        self.dispatches += other.dispatches;
        self.readbacks += other.readbacks;
        self.weight_bytes_read += other.weight_bytes_read;
        self.kernels = other.kernels.clone().or(self.kernels.take());
    }
}
