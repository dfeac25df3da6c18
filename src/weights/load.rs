//! Hugging Face's tensors to this program's weights. The tables here are the only place that knows
//! Hugging Face's names.
//!
//! GPT-2's linear layers are `Conv1D`s: `y = x W + b` with `W: [in, out]`, which is the layout of
//! [`Weight::shape`] already. `c_attn` holds `W_Q | W_K | W_V` side by side and is split by columns.

use super::files::{ModelFiles, ShardIndex};
use super::header::{Dtype, Header, TensorInfo};
use super::{Part, Weight, Weights};
use crate::config::{Config, unsupported};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lower-case hexadecimal SHA-256 of the weight file; of shards, of their bytes one after the other in the
/// order of their names.
pub type Sha256Hex = String;

/// The tensors of layer `N`, after `h.N.`, and the weights that they hold side by side.
const BLOCK: [(&str, &[Part]); 12] = [
    ("ln_1.weight", &[Part::Ln1W]),
    ("ln_1.bias", &[Part::Ln1B]),
    ("attn.c_attn.weight", &[Part::WQ, Part::WK, Part::WV]),
    ("attn.c_attn.bias", &[Part::BQ, Part::BK, Part::BV]),
    ("attn.c_proj.weight", &[Part::WO]),
    ("attn.c_proj.bias", &[Part::BO]),
    ("ln_2.weight", &[Part::Ln2W]),
    ("ln_2.bias", &[Part::Ln2B]),
    ("mlp.c_fc.weight", &[Part::WIn]),
    ("mlp.c_fc.bias", &[Part::BIn]),
    ("mlp.c_proj.weight", &[Part::WOut]),
    ("mlp.c_proj.bias", &[Part::BOut]),
];

/// The prefix that some checkpoints put before every name but that of the head.
const PREFIX: &str = "transformer.";
/// The unembedding, stored only where it is not the embedding.
const HEAD: &str = "lm_head.weight";

/// Buffers of the causal mask that some checkpoints carry: constants, not weights.
fn is_mask(name: &str) -> bool {
    let buffer = name.strip_prefix("h.").and_then(|rest| rest.split_once('.'));
    buffer.is_some_and(|(layer, rest)| {
        layer.parse::<u32>().is_ok() && matches!(rest, "attn.bias" | "attn.masked_bias")
    })
}

/// Every stored tensor of a model with the weights in it, in the order of the forward pass.
pub(crate) fn table(cfg: &Config) -> Vec<(String, Vec<Weight>)> {
    let one = |name: &str, weight| (name.to_owned(), vec![weight]);
    let mut rows = vec![one("wte.weight", Weight::Embed), one("wpe.weight", Weight::PosEmbed)];
    for layer in 0..cfg.n_layers {
        rows.extend(BLOCK.iter().map(|(name, parts)| {
            let weights = parts.iter().map(|part| Weight::Block(layer, *part)).collect();
            (format!("h.{layer}.{name}"), weights)
        }));
    }
    rows.push(one("ln_f.weight", Weight::LnFinalW));
    rows.push(one("ln_f.bias", Weight::LnFinalB));
    if !cfg.tie_word_embeddings {
        rows.push(one(HEAD, Weight::Unembed));
    }
    rows
}

/// Reads the weights of a model, as `f32`.
///
/// A stored `lm_head` is not used where the configuration ties the embeddings: Hugging Face ties after
/// loading, so there the embedding wins. `unembed.b_U` is zero, as in `convert_gpt2_weights`. A `wpe` with
/// more rows than `n_ctx` is cut to them, as TransformerLens does.
///
/// # Errors
/// Those of [`Config::from_json`] and [`Header::read`]; `file.index` when shards and index differ;
/// `model.unsupported` with up to five differences when the tensors are not those of the configuration;
/// `model.not_finite` with the tensor's name and the count when a weight is NaN or infinite.
pub fn weights(files: &ModelFiles) -> Result<(Weights, Sha256Hex)> {
    let cfg = Config::from_json(&files.config)?;
    let headers = headers(files)?;
    let rows = table(&cfg);
    let (tensors, differences) = match_tensors(&cfg, &rows, &headers);
    if !differences.is_empty() {
        return Err(unsupported("weights", &differences));
    }
    let mut weights = Weights::new(cfg.clone());
    for ((_, parts), tensor) in rows.iter().zip(tensors) {
        let mut values = tensor.decode()?;
        if parts[..] == [Weight::PosEmbed] {
            values.truncate(cfg.n_ctx * cfg.d_model);
        }
        let width = tensor.info.shape.last().map_or(1, |dim| *dim as usize);
        for (weight, data) in parts.iter().zip(split_columns(values, width, parts.len())) {
            weights.set(*weight, data)?;
        }
    }
    if cfg.tie_word_embeddings {
        let tied = Arc::clone(weights.get(Weight::Embed)?);
        weights.set(Weight::Unembed, tied)?;
    }
    weights.set(Weight::UnembedBias, vec![0.0; cfg.d_vocab])?;
    Ok((weights, sha256(files)))
}

/// A tensor where it lies, under its stored name.
#[derive(Clone, Copy)]
struct Tensor<'a> {
    name: &'a str,
    info: &'a TensorInfo,
    /// The data of the whole file, from its `data_start`.
    data: &'a [u8],
}

impl Tensor<'_> {
    /// The values as `f32`: exact for all three types.
    fn decode(self) -> Result<Vec<f32>> {
        let name = self.name;
        let Some(bytes) = self.data.get(self.info.start as usize..self.info.end as usize) else {
            return Err(Error::internal(format!("tensor '{name}' lies outside its file")));
        };
        let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
        let values: Vec<f32> = match self.info.dtype {
            Dtype::F32 => quads.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => pairs.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => pairs.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::U8 | Dtype::Bool | Dtype::I64 => {
                return Err(Error::internal(format!("tensor '{name}' is {}", self.info.dtype)));
            }
        };
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        if bad > 0 {
            return Err(Error::input(
                "model.not_finite",
                format!(
                    "tensor '{name}': {bad} of {} values are NaN or infinite, expected none",
                    values.len()
                ),
            )
            .with_action("Get the weights again, or use a checkpoint whose training did not diverge."));
        }
        Ok(values)
    }
}

/// The headers of the weight files with the data behind them, in the order of the names; shards checked
/// against their index.
fn headers(files: &ModelFiles) -> Result<Vec<(Header, &[u8])>> {
    let mut by_file = BTreeMap::new();
    for file in &files.weights {
        by_file.insert(file.name.as_str(), (file.header()?, file.bytes.as_slice()));
    }
    match &files.index {
        Some(index) => ShardIndex::from_json(index)?.check(&by_file)?,
        None if files.weights.len() != 1 => {
            let message = format!("expected one weight file or an index of shards, found {}", by_file.len());
            return Err(Error::input("file.index", message));
        }
        None => {}
    }
    let data = |(header, bytes): (Header, _)| {
        let bytes: &[u8] = bytes;
        let start = header.data_start as usize;
        (header, bytes.get(start..).unwrap_or_default())
    };
    Ok(by_file.into_values().map(data).collect())
}

/// One tensor for each row of the table, and what is wrong with the others: shapes and types, missing
/// tensors and unexpected ones by turns, so that the first five differences show each sort. The tensors
/// are complete only where there is no difference.
fn match_tensors<'a>(
    cfg: &Config,
    rows: &[(String, Vec<Weight>)],
    headers: &'a [(Header, &'a [u8])],
) -> (Vec<Tensor<'a>>, Vec<String>) {
    let (mut wrong, mut missing, mut unexpected) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored = BTreeMap::new();
    for (header, data) in headers {
        for (name, info) in &header.tensors {
            let short = name.strip_prefix(PREFIX).unwrap_or(name);
            let tied_head = name == HEAD && cfg.tie_word_embeddings;
            if is_mask(short) || tied_head {
                continue;
            }
            if stored.insert(short, Tensor { name, info, data }).is_some() {
                unexpected.push(format!("'{short}' is there with and without the prefix '{PREFIX}'"));
            }
        }
    }
    let mut found = Vec::with_capacity(rows.len());
    for (name, parts) in rows {
        let expected = stored_shape(cfg, parts);
        let Some(tensor) = stored.remove(name.as_str()) else {
            missing.push(format!("'{name}' {expected:?} is missing"));
            continue;
        };
        let (shape, dtype) = (&tensor.info.shape, tensor.info.dtype);
        let longer = parts[..] == [Weight::PosEmbed] && shape[..].first() > expected.first();
        let fits = if longer { shape.get(1..) == expected.get(1..) } else { *shape == expected };
        if !fits {
            wrong.push(format!("'{}' has shape {shape:?}, expected {expected:?}", tensor.name));
        } else if !dtype.is_float() {
            wrong.push(format!("'{}' is {dtype}, expected F32, F16 or BF16", tensor.name));
        }
        found.push(tensor);
    }
    unexpected.extend(stored.values().map(|t| format!("'{}' {:?} is unexpected", t.name, t.info.shape)));
    (found, by_turns([wrong, missing, unexpected]))
}

/// The shape as stored: the weights stand side by side in the last dimension.
fn stored_shape(cfg: &Config, parts: &[Weight]) -> Vec<u64> {
    let first = parts.first().map(|weight| weight.shape(cfg)).unwrap_or_default();
    let mut shape: Vec<u64> = first.into_iter().map(|dim| dim as u64).collect();
    if let Some(last) = shape.last_mut() {
        *last *= parts.len() as u64;
    }
    shape
}

/// One of each list, then the next of each, until all are empty.
fn by_turns(lists: [Vec<String>; 3]) -> Vec<String> {
    let mut lists = lists.map(Vec::into_iter);
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

/// Splits rows of `width` values into `n` blocks of columns.
fn split_columns(values: Vec<f32>, width: usize, n: usize) -> Vec<Vec<f32>> {
    if n == 1 {
        return vec![values];
    }
    let part = width / n;
    let block = |i: usize| {
        let rows = values.chunks_exact(width);
        rows.flat_map(|row| row.iter().skip(i * part).take(part)).copied().collect()
    };
    (0..n).map(block).collect()
}

fn sha256(files: &ModelFiles) -> Sha256Hex {
    let mut sorted: Vec<_> = files.weights.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    for file in sorted {
        hash.update(&file.bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
