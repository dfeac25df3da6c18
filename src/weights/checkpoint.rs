//! A model's weights in its files: whether they are those of its configuration, and how they are read.

mod fit;

use super::files::{Format, Lie, ModelFiles, ShardIndex};
use super::header::{Dtype, Header};
use super::manifest::hex;
use super::names;
use super::raw::{Raw, Rows, as_rows};
use super::source::Source;
use super::{Weight, torch};
use crate::config::{Config, unsupported};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

/// Lower-case hexadecimal SHA-256 of the weight file; of shards, of their bytes one after the other in the
/// order of their names.
pub type Sha256Hex = String;

/// A model's weights where they lie: checked against the configuration, and unread.
///
/// A stored `lm_head` is not used where the configuration ties the embeddings: Hugging Face ties after loading, so there
/// the embedding wins. A `wpe` with more rows than `n_ctx` is read up to them, as TransformerLens does.
pub struct Checkpoint {
    cfg: Config,
    source: Rc<dyn Source>,
    /// Somebody has agreed to weights from which nothing sensible can come.
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
    /// infinite, or all zero; results then hold what becomes of that.
    ///
    /// # Errors
    /// `file.missing` names what is; those of [`Config::from_json`] and [`Header::read`]; `file.index` when shards and
    /// index differ; `model.unsupported` with up to five differences when the tensors are not those of the
    /// configuration.
    pub async fn open(files: &ModelFiles, allow_not_finite: bool) -> Result<Self> {
        let cfg = Config::from_json(&files.config().await?)?;
        let headers = headers(files).await?;
        let rows = names::table(&cfg);
        let (tensors, differences) = fit::match_tensors(&cfg, &rows, &headers);
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
        let [count, n] = as_rows(first, &self.cfg);
        let row_bytes = (n * parts.len()) as u64 * tensor.dtype.size();
        let at = |row: usize| tensor.bytes.start + row as u64 * row_bytes;
        let bytes = at(rows.start)..at(rows.end);
        if bytes.end > tensor.bytes.end {
            return Err(Error::internal(format!("rows {rows:?} are outside tensor '{}'", tensor.name)));
        }
        let values = tensor.decode(&self.source.read(tensor.file, bytes).await?)?;
        if self.allow_not_finite {
            return Ok(values);
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(self.not_finite(tensor).await?);
        }
        // Only these: a layer's matrix may be zero, where it was ablated or not trained yet. With their last rows, so that
        // the whole is read again once and not with every piece that has nothing but zeros.
        if matches!(first, Weight::Embed | Weight::Unembed)
            && rows.end == count
            && values.iter().all(|value| *value == 0.0)
            && self.is_zero(tensor).await?
        {
            return Err(self.all_zero(first, tensor));
        }
        Ok(values)
    }

    /// Whether nothing else is in a tensor.
    async fn is_zero(&self, tensor: &Tensor) -> Result<bool> {
        for bytes in tensor.pieces() {
            let values = tensor.decode(&self.source.read(tensor.file, bytes).await?)?;
            if values.iter().any(|value| *value != 0.0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn all_zero(&self, weight: Weight, tensor: &Tensor) -> Error {
        let so = if weight == Weight::unembed(&self.cfg) {
            "all logits are equal"
        } else {
            "no token differs from another"
        };
        let (name, all) = (&tensor.name, tensor.elements());
        Error::input("model.all_zero", format!("tensor '{name}': all {all} values are 0, so that {so}"))
            .with_action("Get the weights again, or allow such weights.")
    }

    /// Counts the values of a tensor that are no numbers.
    async fn not_finite(&self, tensor: &Tensor) -> Result<Error> {
        let mut bad = 0;
        for bytes in tensor.pieces() {
            let values = tensor.decode(&self.source.read(tensor.file, bytes).await?)?;
            bad += values.iter().filter(|value| !value.is_finite()).count();
        }
        let (name, all) = (&tensor.name, tensor.elements());
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
    fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Its bytes, as many as are in memory at a time.
    fn pieces(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let Range { start, end } = self.bytes;
        (start..end).step_by(PIECE_BYTES as usize).map(move |at| at..end.min(at + PIECE_BYTES))
    }

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
    let format = match files.weights() {
        None => return Err(files.missing(&Format::any())),
        Some((format, Lie::Whole(file))) => {
            return Ok(vec![(file, header(&*files.source, file, format).await?)]);
        }
        Some((format, Lie::Shards)) => format,
    };
    let name = format.index();
    let index = files.small(name).await?.ok_or_else(|| files.missing(name))?;
    let index = ShardIndex::from_json(&index, format)?;
    let mut by_name = BTreeMap::new();
    for shard in index.shards() {
        let file = files.find(shard).ok_or_else(|| files.missing(&index.missing(shard)))?;
        by_name.insert(shard, (file, header(&*files.source, file, format).await?));
    }
    index.check(&by_name)?;
    Ok(by_name.into_values().collect())
}

/// The header of a weight file.
///
/// # Errors
/// Those of [`Header::read`] and [`torch::read`], with the file's name in front.
pub(super) async fn header(source: &dyn Source, file: usize, format: Format) -> Result<Header> {
    let Some(at) = source.files().get(file) else { return Err(Error::internal("no such file")) };
    let read = async {
        if format == Format::Torch {
            return torch::read(source, file).await;
        }
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
