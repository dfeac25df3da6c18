//! The weights of a model, by TransformerLens' names, in `f32` and in the layout that the engines multiply with.
//!
//! | name | shape here | TransformerLens' shape |
//! |---|---|---|
//! | `embed.W_E`, `pos_embed.W_pos` | `[d_vocab, d_model]`, `[n_ctx, d_model]` | the same |
//! | `blocks.L.attn.W_Q`, `W_K`, `W_V` | `[d_model, head · d_head]` | `[head, d_model, d_head]` |
//! | `blocks.L.attn.b_Q`, `b_K`, `b_V` | `[head · d_head]` | `[head, d_head]` |
//! | `blocks.L.attn.W_O` | `[head · d_head, d_model]` | `[head, d_head, d_model]` |
//! | `blocks.L.mlp.W_in`, `W_out` | `[d_model, d_mlp]`, `[d_mlp, d_model]` | the same |
//! | `unembed.W_U` | `[d_vocab, d_model]` | `[d_model, d_vocab]` |
//!
//! `W_U` keeps one row per token, as GPT-2's tied `wte` does: a logit difference reads two rows of it. Where the two are
//! tied there is one table, `W_E`, also behind processing, which would give each its own values: a third of GPT-2 small.
//! The table stays as it is stored, and what processing does to it is done to what is read from it (see
//! `crate::processing`).

mod checkpoint;
pub mod delta;
mod files;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
pub mod header;
pub mod manifest;
mod memory;
pub(crate) mod names;
mod raw;
pub mod source;
pub mod storage;
pub mod torch;

pub use checkpoint::{Checkpoint, PIECE_BYTES, Sha256Hex};
pub use delta::Delta;
pub use files::{Format, ModelFiles, ShardIndex};
pub use memory::{MemoryPlan, Room};
pub use raw::{Raw, Rows, Sink, as_rows, pieces};
pub use storage::Storage;

use crate::config::Config;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A weight by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Weight {
    /// The embedding as it is stored.
    Embed,
    /// What processing takes from each row of it.
    EmbedMean,
    PosEmbed,
    Block(usize, Part),
    LnFinalW,
    LnFinalB,
    /// The unembedding as it is stored, where it is not [`Weight::Embed`].
    Unembed,
    UnembedBias,
}

/// A weight of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Ln1W,
    Ln1B,
    WQ,
    BQ,
    WK,
    BK,
    WV,
    BV,
    WO,
    BO,
    Ln2W,
    Ln2B,
    WIn,
    BIn,
    WOut,
    BOut,
}

impl Part {
    pub const ALL: [Part; 16] = [
        Part::Ln1W,
        Part::Ln1B,
        Part::WQ,
        Part::BQ,
        Part::WK,
        Part::BK,
        Part::WV,
        Part::BV,
        Part::WO,
        Part::BO,
        Part::Ln2W,
        Part::Ln2B,
        Part::WIn,
        Part::BIn,
        Part::WOut,
        Part::BOut,
    ];

    fn name(self) -> &'static str {
        match self {
            Part::Ln1W => "ln1.w",
            Part::Ln1B => "ln1.b",
            Part::WQ => "attn.W_Q",
            Part::BQ => "attn.b_Q",
            Part::WK => "attn.W_K",
            Part::BK => "attn.b_K",
            Part::WV => "attn.W_V",
            Part::BV => "attn.b_V",
            Part::WO => "attn.W_O",
            Part::BO => "attn.b_O",
            Part::Ln2W => "ln2.w",
            Part::Ln2B => "ln2.b",
            Part::WIn => "mlp.W_in",
            Part::BIn => "mlp.b_in",
            Part::WOut => "mlp.W_out",
            Part::BOut => "mlp.b_out",
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weight::Embed => f.write_str("embed.W_E"),
            Weight::EmbedMean => f.write_str("embed.mean"),
            Weight::PosEmbed => f.write_str("pos_embed.W_pos"),
            Weight::Block(layer, part) => write!(f, "blocks.{layer}.{}", part.name()),
            Weight::LnFinalW => f.write_str("ln_final.w"),
            Weight::LnFinalB => f.write_str("ln_final.b"),
            Weight::Unembed => f.write_str("unembed.W_U"),
            Weight::UnembedBias => f.write_str("unembed.b_U"),
        }
    }
}

impl Weight {
    /// The shape in this program's layout (see the module's table).
    pub fn shape(self, cfg: &Config) -> Vec<usize> {
        let d = cfg.d_model;
        match self {
            Weight::Embed | Weight::Unembed => vec![cfg.d_vocab, d],
            Weight::PosEmbed => vec![cfg.n_ctx, d],
            Weight::LnFinalW | Weight::LnFinalB => vec![d],
            Weight::UnembedBias | Weight::EmbedMean => vec![cfg.d_vocab],
            Weight::Block(_, part) => match part {
                Part::WQ | Part::WK | Part::WV | Part::WO => vec![d, d],
                Part::WIn => vec![d, cfg.d_mlp],
                Part::WOut => vec![cfg.d_mlp, d],
                Part::BIn => vec![cfg.d_mlp],
                _ => vec![d],
            },
        }
    }

    /// The table of the unembedding.
    pub fn unembed(cfg: &Config) -> Weight {
        if cfg.tie_word_embeddings { Weight::Embed } else { Weight::Unembed }
    }

    /// Every weight that a model's files hold, in the order of the forward pass.
    pub fn stored(cfg: &Config) -> impl Iterator<Item = Weight> + use<> {
        let blocks =
            (0..cfg.n_layers).flat_map(|layer| Part::ALL.map(move |part| Weight::Block(layer, part)));
        let own = (!cfg.tie_word_embeddings).then_some(Weight::Unembed);
        [Weight::Embed, Weight::PosEmbed]
            .into_iter()
            .chain(blocks)
            .chain([Weight::LnFinalW, Weight::LnFinalB])
            .chain(own)
    }

    /// Every weight that an engine reads: those of the files, but for LayerNorm's where they are folded, and what
    /// processing adds to them.
    pub fn used(cfg: &Config, ln_folded: bool) -> impl Iterator<Item = Weight> + use<> {
        let folded = move |weight: &Weight| {
            ln_folded && matches!(weight, Weight::Block(_, Part::Ln1W | Part::Ln1B | Part::Ln2W | Part::Ln2B))
        };
        Weight::stored(cfg)
            .filter(move |weight| !folded(weight))
            .chain([Weight::EmbedMean, Weight::UnembedBias])
    }
}

/// Weights of a model in memory, as a training or a test has them. Cloning shares the data.
#[derive(Clone, Debug)]
pub struct Weights {
    pub cfg: Config,
    tensors: BTreeMap<Weight, Arc<Vec<f32>>>,
}

impl Weights {
    pub fn new(cfg: Config) -> Self {
        Self { cfg, tensors: BTreeMap::new() }
    }

    /// The data of a weight, row-major.
    ///
    /// # Errors
    /// When it is absent, as the LayerNorm weights are after folding.
    pub fn get(&self, weight: Weight) -> Result<&Arc<Vec<f32>>> {
        self.tensors.get(&weight).ok_or_else(|| Error::internal(format!("weight {weight} is absent")))
    }

    /// Puts a weight in place.
    ///
    /// # Errors
    /// When its length is not that of [`Weight::shape`].
    pub fn set(&mut self, weight: Weight, data: impl Into<Arc<Vec<f32>>>) -> Result<()> {
        let (data, shape) = (data.into(), weight.shape(&self.cfg));
        let expected: usize = shape.iter().product();
        if data.len() != expected {
            return Err(Error::internal(format!(
                "weight {weight}: expected {expected} values {shape:?}, found {}",
                data.len()
            )));
        }
        self.tensors.insert(weight, data);
        Ok(())
    }

    pub fn remove(&mut self, weight: Weight) {
        self.tensors.remove(&weight);
    }

    pub fn iter(&self) -> impl Iterator<Item = (Weight, &Arc<Vec<f32>>)> {
        self.tensors.iter().map(|(weight, data)| (*weight, data))
    }

    /// Whether LayerNorm's own weights are folded into those that follow (TransformerLens' `LNPre`).
    pub fn ln_folded(&self) -> bool {
        !self.tensors.contains_key(&Weight::Block(0, Part::Ln1W))
    }

    /// Reads every weight that a model's files hold.
    ///
    /// # Errors
    /// Those of [`Raw::rows`].
    pub async fn read(raw: &dyn Raw) -> Result<Self> {
        let mut weights = Self::new(raw.cfg().clone());
        for (_, parts) in names::table(raw.cfg()) {
            let [rows, n] = parts.first().map_or([0, 1], |weight| as_rows(*weight, raw.cfg()));
            let values = raw.rows(&parts, 0..rows).await?;
            for (i, weight) in parts.iter().enumerate() {
                let columns = |row: &[f32]| row[i * n..(i + 1) * n].to_vec();
                let own: Vec<f32> = values.chunks_exact(n * parts.len()).flat_map(columns).collect();
                weights.set(*weight, own)?;
            }
        }
        Ok(weights)
    }
}
