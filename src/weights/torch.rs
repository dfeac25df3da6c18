//! The tensors of a PyTorch file, `pytorch_model.bin`, found without running anything of it.
//!
//! Since PyTorch 1.6 `torch.save` writes a zip archive of uncompressed entries: `NAME/data.pkl`, a pickle of the
//! dictionary, and for each storage an entry `NAME/data/KEY` with its elements, little-endian. So each tensor is a
//! range of bytes of the file, and [`read`] gives the same [`Header`] as that of a safetensors file, except that the
//! ranges leave holes and that tied tensors share one. Format: `torch/serialization.py`.

mod pickle;
mod zip;

use super::header::{CAP_DIMS, CAP_NAME, Dtype, Header, TensorInfo, refuse_other_formats};
use super::source::Source;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use zip::Archive;

/// The largest `data.pkl` read, in bytes. That of GPT-2 small has about 20,000.
pub const CAP_PICKLE: u64 = 4_000_000;

/// A run of elements in an entry of the archive.
#[derive(Clone, Copy, Debug)]
struct Storage<'a> {
    dtype: Dtype,
    /// The entry is `NAME/data/KEY`.
    key: &'a str,
    elements: u64,
}

/// A view of a storage.
#[derive(Clone, Debug)]
struct Tensor<'a> {
    storage: Storage<'a>,
    /// Elements before the first.
    offset: u64,
    shape: Vec<u64>,
    /// How many elements lie between neighbours in each dimension.
    strides: Vec<u64>,
}

/// Reads the table of tensors of file number `file`: `data_start` is 0, and `start..end` of a tensor are bytes of the
/// file. Masks and other buffers are in it too, of any type of [`Dtype`].
///
/// # Errors
/// `file.not_torch` when it is not such an archive, with what it is instead; `file.zip` when the archive is damaged,
/// compressed or encrypted; `file.pickle` when `data.pkl` is more than a dictionary of tensors, with the name of what
/// it would import; `file.layout`, with the tensor's name, when a tensor is not stored row by row within its entry;
/// those of [`Source::read`].
pub async fn read(source: &dyn Source, file: usize) -> Result<Header> {
    let Some(len) = source.files().get(file).map(|file| file.len) else {
        return Err(Error::internal(format!("there is no file number {file}")));
    };
    refuse_others(&source.read(file, 0..len.min(40)).await?, len)?;
    let mut archive = Archive::open(source, file, len).await?;
    let root = root(&archive)?;
    let order = archive.read(&format!("{root}byteorder"), 16).await?;
    if let Some(order) = order.filter(|order| order != b"little") {
        let order = shown(&String::from_utf8_lossy(&order));
        return Err(layout_error(format!("{root}byteorder is '{order}', expected 'little'")));
    }
    let name = format!("{root}data.pkl");
    let pickle = archive.read(&name, CAP_PICKLE).await?.unwrap_or_default();
    let mut entries: BTreeMap<&str, Range<u64>> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (name, tensor) in pickle::tensors(&pickle)? {
        let key = tensor.storage.key;
        let entry = match entries.get(key) {
            Some(entry) => entry.clone(),
            None => {
                let found = archive.range(&format!("{root}data/{key}")).await?;
                let entry = found.ok_or_else(|| {
                    layout_error(format!(
                        "tensor '{}': entry '{root}data/{}' is absent",
                        shown(name),
                        shown(key)
                    ))
                })?;
                entries.entry(key).or_insert(entry).clone()
            }
        };
        let info = place(&tensor, entry)
            .map_err(|fault| layout_error(format!("tensor '{}': {fault}", shown(name))))?;
        if name.len() > CAP_NAME {
            return Err(layout_error(format!(
                "the name of tensor '{}…' has {} bytes, expected at most {CAP_NAME}",
                shown(name),
                name.len()
            )));
        }
        if tensors.insert(name.to_owned(), info).is_some() {
            return Err(layout_error(format!("tensor '{name}' occurs twice, expected it once")));
        }
    }
    Ok(Header { tensors, data_start: 0 })
}

/// Where a tensor lies in the file, given where its storage's `entry` lies; or what is wrong with it.
fn place(tensor: &Tensor, entry: Range<u64>) -> std::result::Result<TensorInfo, String> {
    let Tensor { storage: Storage { dtype, key, elements }, offset, shape, strides } = tensor;
    let (size, found) = (dtype.size(), entry.end - entry.start);
    if elements.checked_mul(size) != Some(found) {
        return Err(format!(
            "storage '{}' has {elements} elements of {dtype}, found an entry of {found} bytes",
            shown(key)
        ));
    }
    if shape.len() != strides.len() || shape.len() > CAP_DIMS {
        return Err(format!("shape {shape:?} and strides {strides:?} differ in length"));
    }
    let mut n = 1u64;
    let mut contiguous = true;
    for (dim, stride) in shape.iter().zip(strides).rev() {
        contiguous &= *dim == 1 || *stride == n;
        n = n.checked_mul(*dim).ok_or_else(|| format!("shape {shape:?} is beyond 2^64 elements"))?;
    }
    if !contiguous && n > 0 {
        return Err(format!(
            "shape {shape:?} has strides {strides:?}, expected its rows one after the other; save tensor.contiguous()"
        ));
    }
    if offset.checked_add(n).is_none_or(|end| end > *elements) {
        return Err(format!(
            "{n} elements from element {offset} of storage '{}', which has {elements}",
            shown(key)
        ));
    }
    // At most the entry's bytes, which lie in the file.
    let start = entry.start + offset * size;
    Ok(TensorInfo { dtype: *dtype, shape: shape.clone(), start, end: start + n * size })
}

/// The folder of the archive that holds `data.pkl`, with its slash.
fn root(archive: &Archive) -> Result<String> {
    let mut roots = archive.names().filter_map(|name| {
        let root = name.strip_suffix("data.pkl")?;
        (root.matches('/').count() == 1 && root.ends_with('/')).then_some(root)
    });
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_owned()),
        (Some(_), Some(_)) => Err(not_torch("a zip archive with two data.pkl".into())),
        (None, _) => Err(not_torch("a zip archive without a folder that has data.pkl".into())),
    }
}

/// Names what people have in place of such an archive.
fn refuse_others(first: &[u8], len: u64) -> Result<()> {
    if first.starts_with(b"PK\x03\x04") {
        return Ok(());
    }
    refuse_other_formats(first, "file.not_torch", "a PyTorch zip archive")?;
    let start = first.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    Err(not_torch(format!("a file of {len} bytes that starts with {start}")))
}

fn not_torch(found: String) -> Error {
    Error::input("file.not_torch", format!("expected a PyTorch zip archive, found {found}"))
}

fn layout_error(message: String) -> Error {
    Error::input("file.layout", message)
}

/// A name from the file, short and on one line, for a message.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
