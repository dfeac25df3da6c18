//! Hugging Face's tensors to this program's weights. The tables here are the only place that knows
//! Hugging Face's names.
//!
//! GPT-2's linear layers are `Conv1D`s: `y = x W + b` with `W: [in, out]`, which is the layout of
//! [`Weight::shape`] already. `c_attn` holds `W_Q | W_K | W_V` side by side and is split by columns.

use super::files::{INDEX, ModelFiles, ShardIndex, TORCH};
use super::header::{Dtype, Header};
use super::manifest::hex;
use super::raw::{Raw, Rows, as_rows};
use super::source::Source;
use super::{Part, Weight, torch};
use crate::config::{Config, unsupported};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

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

/// A model's weights where they lie: checked against the configuration, and unread.
///
/// A stored `lm_head` is not used where the configuration ties the embeddings: Hugging Face ties after loading, so there
/// the embedding wins. A `wpe` with more rows than `n_ctx` is read up to them, as TransformerLens does.
pub struct Checkpoint {
    cfg: Config,
    source: Rc<dyn Source>,
    pub(super) allow_not_finite: bool,
    /// Under the first weight of each stored tensor.
    tensors: HashMap<Weight, Tensor>,
    /// Files that hold weights, in the order of their names.
    files: Vec<usize>,
}

/// A tensor where it lies, under its stored name.
#[derive(Clone)]
struct Tensor {
    name: String,
    file: usize,
    dtype: Dtype,
    shape: Vec<u64>,
    /// Its first byte in the file, and the one behind its last.
    bytes: Range<u64>,
}

/// At most so many bytes of a file are in memory at a time.
pub const PIECE_BYTES: u64 = 4 << 20;

impl Checkpoint {
    /// Reads the configuration and the headers of the weight files. With `allow_not_finite`, weights may be NaN or
    /// infinite; results then hold what becomes of that.
    ///
    /// # Errors
    /// `file.missing` names what is; those of [`Config::from_json`] and [`Header::read`]; `file.index` when shards and
    /// index differ; `model.unsupported` with up to five differences when the tensors are not those of the
    /// configuration.
    pub async fn open(files: &ModelFiles, allow_not_finite: bool) -> Result<Self> {
        let cfg = Config::from_json(&files.config().await?)?;
        let headers = headers(files).await?;
        let rows = table(&cfg);
        let (tensors, differences) = match_tensors(&cfg, &rows, &headers);
        if !differences.is_empty() {
            return Err(unsupported("weights", &differences));
        }
        let firsts = rows.iter().filter_map(|(_, parts)| parts.first().copied());
        let tensors = firsts.zip(tensors).collect();
        let files_of = headers.iter().map(|(file, _)| *file).collect();
        Ok(Self { cfg, source: Rc::clone(&files.source), allow_not_finite, tensors, files: files_of })
    }

    /// The hash of the weight files: read through, but for a file whose hash its source knows. `read` is told the bytes
    /// that were read and of how many, and may stop it.
    ///
    /// # Errors
    /// Those of [`Source::read`] and of `read`.
    pub async fn sha256(&self, read: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Sha256Hex> {
        self.sha256_of(&self.files, read).await
    }

    /// The same of other files of its source.
    pub(super) async fn sha256_of(
        &self,
        files: &[usize],
        read: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Sha256Hex> {
        let file = |file: &usize| self.source.files().get(*file);
        if let [only] = *files
            && let Some(known) = file(&only).and_then(|file| file.sha256.clone())
        {
            return Ok(known);
        }
        let total = files.iter().filter_map(file).map(|file| file.len).sum();
        let (mut hash, mut done) = (Sha256::new(), 0);
        for index in files {
            let len = file(index).map_or(0, |file| file.len);
            let mut start = 0;
            while start < len {
                let end = len.min(start + PIECE_BYTES);
                hash.update(&self.source.read(*index, start..end).await?);
                done += end - start;
                start = end;
                read(done, total)?;
            }
        }
        Ok(hex(&hash.finalize()))
    }

    async fn read(&self, parts: &[Weight], rows: Range<usize>) -> Result<Vec<f32>> {
        let first = parts.first().copied().unwrap_or(Weight::Embed);
        let tensor =
            self.tensors.get(&first).ok_or_else(|| Error::internal(format!("{first} is not stored")))?;
        let [_, n] = as_rows(first, &self.cfg);
        let row_bytes = (n * parts.len()) as u64 * tensor.dtype.size();
        let at = |row: usize| tensor.bytes.start + row as u64 * row_bytes;
        let bytes = at(rows.start)..at(rows.end);
        if bytes.end > tensor.bytes.end {
            return Err(Error::internal(format!("rows {rows:?} are outside tensor '{}'", tensor.name)));
        }
        let values = tensor.decode(&self.source.read(tensor.file, bytes).await?)?;
        if self.allow_not_finite || values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(self.not_finite(tensor).await?)
    }

    /// Counts the values of a tensor that are no numbers.
    async fn not_finite(&self, tensor: &Tensor) -> Result<Error> {
        let (mut bad, mut start) = (0, tensor.bytes.start);
        while start < tensor.bytes.end {
            let end = tensor.bytes.end.min(start + PIECE_BYTES);
            let values = tensor.decode(&self.source.read(tensor.file, start..end).await?)?;
            bad += values.iter().filter(|value| !value.is_finite()).count();
            start = end;
        }
        let (name, all) = (&tensor.name, tensor.shape.iter().product::<u64>());
        let message = format!("tensor '{name}': {bad} of {all} values are NaN or infinite, expected none");
        Ok(Error::input("model.not_finite", message).with_action(
            "Get the weights again, use a checkpoint whose training did not diverge, or allow such weights.",
        ))
    }
}

impl Raw for Checkpoint {
    fn cfg(&self) -> &Config {
        &self.cfg
    }

    fn rows(&self, parts: &[Weight], rows: Range<usize>) -> Rows<'_> {
        let parts = parts.to_vec();
        Box::pin(async move { self.read(&parts, rows).await })
    }
}

impl Tensor {
    /// The values as `f32`: exact for all three types.
    fn decode(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        let (pairs, quads) = (bytes.as_chunks::<2>().0, bytes.as_chunks::<4>().0);
        Ok(match self.dtype {
            Dtype::F32 => quads.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => pairs.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => pairs.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::I8 | Dtype::U8 | Dtype::Bool | Dtype::I64 => {
                return Err(Error::internal(format!("tensor '{}' is {}", self.name, self.dtype)));
            }
        })
    }
}

/// The headers of the weight files, in the order of their names; shards checked against their index.
async fn headers(files: &ModelFiles) -> Result<Vec<(usize, Header)>> {
    let index = match files.find("model.safetensors") {
        Some(file) => return Ok(vec![(file, header(&*files.source, file).await?)]),
        None => files.small(INDEX).await?,
    };
    let Some(index) = index else {
        let Some(file) = files.find(TORCH) else {
            let what = format!("model.safetensors, or {INDEX} and its shards, or {TORCH}");
            return Err(files.missing(&what));
        };
        let header = torch::read(&*files.source, file).await.map_err(|e| e.at(TORCH))?;
        return Ok(vec![(file, header)]);
    };
    let index = ShardIndex::from_json(&index)?;
    let mut by_name = BTreeMap::new();
    for name in index.shards() {
        let file =
            files.find(name).ok_or_else(|| files.missing(&format!("shard {name}, which {INDEX} names")))?;
        by_name.insert(name, (file, header(&*files.source, file).await?));
    }
    index.check(&by_name)?;
    Ok(by_name.into_values().collect())
}

/// The header of a safetensors file.
///
/// # Errors
/// Those of [`Header::read`], with the file's name in front.
pub(super) async fn header(source: &dyn Source, file: usize) -> Result<Header> {
    let Some(at) = source.files().get(file) else { return Err(Error::internal("no such file")) };
    let read = async {
        // A web page has no header length: let the error show its first bytes.
        let mut prefix = source.read(file, 0..at.len.min(40)).await?;
        if let Some(first8) = prefix.first_chunk::<8>()
            && let Ok(n) = Header::len_from(*first8, at.len)
        {
            prefix = source.read(file, 0..8 + n).await?;
        }
        Header::read(&prefix, at.len)
    };
    read.await.map_err(|e| e.at(&at.name))
}

/// One tensor for each row of the table, and what is wrong with the others: shapes and types, missing
/// tensors and unexpected ones by turns, so that the first five differences show each sort. The tensors
/// are complete only where there is no difference.
fn match_tensors(
    cfg: &Config,
    rows: &[(String, Vec<Weight>)],
    headers: &[(usize, Header)],
) -> (Vec<Tensor>, Vec<String>) {
    let (mut wrong, mut missing, mut unexpected) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored = BTreeMap::new();
    for (file, header) in headers {
        for (name, info) in &header.tensors {
            let short = name.strip_prefix(PREFIX).unwrap_or(name);
            let tied_head = name == HEAD && cfg.tie_word_embeddings;
            if is_mask(short) || tied_head {
                continue;
            }
            let bytes = header.data_start + info.start..header.data_start + info.end;
            let (name, dtype, shape) = (name.clone(), info.dtype, info.shape.clone());
            if stored.insert(short, Tensor { name, file: *file, dtype, shape, bytes }).is_some() {
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
        let (shape, dtype) = (&tensor.shape, tensor.dtype);
        let longer = parts[..] == [Weight::PosEmbed] && shape[..].first() > expected.first();
        let fits = if longer { shape.get(1..) == expected.get(1..) } else { *shape == expected };
        if !fits {
            wrong.push(format!("'{}' has shape {shape:?}, expected {expected:?}", tensor.name));
        } else if !dtype.is_float() {
            wrong.push(format!("'{}' is {dtype}, expected F32, F16 or BF16", tensor.name));
        }
        found.push(tensor);
    }
    unexpected.extend(stored.values().map(|t| format!("'{}' {:?} is unexpected", t.name, t.shape)));
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
