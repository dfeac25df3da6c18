//! What an experiment gives: the JSON value of the contract, the same from every door.
//!
//! Numbers that JSON cannot hold (masked attention scores are −∞) are `null` there; the `.safetensors` file of a
//! trace and the JavaScript arrays hold them as they are.

use crate::config::Config;
use crate::weights::Storage;
use serde::Serialize;
use std::collections::BTreeMap;

/// The result of an experiment.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub version: u64,
    pub kind: &'static str,
    #[serde(flatten)]
    pub answer: Answer,
    /// The experiment as understood, with defaults filled in.
    pub experiment: serde_json::Value,
    pub model: ModelInfo,
    pub engine: EngineInfo,
}

/// The part that depends on the kind.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Predict {
        tokens: Vec<TokenText>,
        top: Vec<Candidate>,
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Ranked>,
        /// One for each of the experiment's `answers`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        answers: Vec<Ranked>,
        /// Mean cross-entropy over the prompt in nats; `null` for a prompt of one token.
        loss: Option<f64>,
    },
    LogitDiff {
        values: Vec<f64>,
        mean: f64,
    },
    Trace {
        /// One object per prompt.
        tensors: Vec<BTreeMap<String, Tensor>>,
    },
    Ablate {
        /// Names of the axes; `site` counts several sites, `set` sets of places.
        axes: Vec<&'static str>,
        shape: Vec<usize>,
        values: Vec<f64>,
        /// The metric without any edit, as the mean over the prompts.
        baseline: f64,
    },
    Patch {
        axes: Vec<&'static str>,
        shape: Vec<usize>,
        values: Vec<f64>,
        /// The metric on the clean and on the corrupted run, as the mean over the pairs.
        clean: f64,
        corrupted: f64,
    },
    UnembedBias {
        values: Vec<f64>,
        /// `exp(first − second)`; `null` with fewer than two tokens.
        prob_ratio: Option<f64>,
    },
    Detect {
        /// `layer`, `head`; before them `pattern`, which counts several patterns.
        axes: Vec<&'static str>,
        shape: Vec<usize>,
        /// The mean over the prompts; `null` for a head that is not asked for, or that has no attention left to compare.
        values: Vec<Option<f64>>,
    },
}

/// A token; `text` is `null` where there is no tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenText {
    pub id: u32,
    pub text: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    #[serde(flatten)]
    pub token: TokenText,
    pub logit: f64,
    pub prob: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    #[serde(flatten)]
    pub token: TokenText,
    /// 0 for the most probable token, as TransformerLens' `test_prompt` counts.
    pub rank: usize,
    pub logit: f64,
    pub prob: f64,
}

/// An activation, row-major.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    pub name: String,
    #[serde(flatten)]
    pub cfg: Config,
    pub n_params: u64,
    /// Of the weight file's bytes.
    pub sha256: Option<String>,
    pub has_tokenizer: bool,
    /// Of its training, where it is a checkpoint of a family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// Which engine ran, why that one, how long, and the counted work.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EngineInfo {
    /// What the matrices are kept as; arithmetic is in f32.
    pub precision: Storage,
    /// What that did to the numbers where it was measured; absent for f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision_effect: Option<PrecisionEffect>,
    /// `cpu` or `gpu`
    pub backend: &'static str,
    pub adapter: Option<String>,
    /// The kernels that were measured to be fastest on the adapter; absent on the CPU, and before they were measured.
    /// Only with the same ones does the same input give the same bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<String>,
    /// Absent on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Tables>,
    /// Why this engine was taken.
    pub reason: String,
    pub build: &'static str,
    pub milliseconds: f64,
    /// Floating-point operations of matrix products, two per multiply-add.
    pub flops: u64,
    pub dispatches: u64,
    pub readbacks: u64,
    pub weight_bytes_read: u64,
}

/// How a GPU holds the embedding, which may be larger than a kernel may see at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// Most bytes that a kernel sees through one binding.
    pub binding_bytes: u64,
    /// Buffers that W_E is cut into.
    pub embedding_pieces: usize,
}

/// The largest change that rounded weights made in a shipped model's golden experiments, both processings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecisionEffect {
    /// The model that was measured; another may change more or less.
    pub model: &'static str,
    /// Of any log-probability, in nats.
    pub log_prob: f64,
    /// Of any logit difference.
    pub logit_diff: f64,
}

impl PrecisionEffect {
    /// Measured by the test `halves_change_what_every_result_says`.
    pub fn of(storage: Storage) -> Option<Self> {
        match storage {
            Storage::F32 => None,
            Storage::F16 => Some(Self { model: "pronoun", log_prob: 0.0021, logit_diff: 0.0007 }),
        }
    }
}

/// The program's version and the machine it was built for, with the number of its threads where the build has them.
pub fn build() -> &'static str {
    const BUILD: &str = if cfg!(target_arch = "wasm32") {
        concat!("microtome ", env!("CARGO_PKG_VERSION"), " wasm32")
    } else {
        concat!("microtome ", env!("CARGO_PKG_VERSION"), " native")
    };
    #[cfg(all(target_arch = "wasm32", feature = "threads"))]
    {
        static WITH_THREADS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        WITH_THREADS.get_or_init(|| format!("{BUILD} threads({})", rayon::current_num_threads()))
    }
    #[cfg(not(all(target_arch = "wasm32", feature = "threads")))]
    {
        BUILD
    }
}
