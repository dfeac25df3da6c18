//! The header of a safetensors file, checked before anything is allocated by its numbers.
//!
//! A file is `n: u64 little-endian`, `n` bytes of JSON, then the data. The JSON maps each tensor's name to
//! `{"dtype", "shape", "data_offsets": [start, end]}`, offsets counted from the start of the data, and may
//! hold `"__metadata__"`, a map of strings. Format: <https://github.com/huggingface/safetensors>.
//!
//! The `safetensors` crate (0.8) accepts a name that occurs twice, the last one winning, and unknown fields.
//! A file that means different things to different readers cannot be trusted to name its own weights, so
//! both are refused here.
//!
//! Longer than most files: every refusal of a header stands in this one place, so that it can be read as a
//! list.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// The largest header read, in bytes. GPT-2's has 14,283.
pub const CAP_HEADER: u64 = 25_000_000;
/// The most tensors read. GPT-2 xl has 628 with its mask buffers.
pub const CAP_TENSORS: usize = 4096;
/// The longest tensor name, in bytes.
pub const CAP_NAME: usize = 256;
/// The most dimensions of a tensor. GPT-2's mask buffers have four.
pub const CAP_DIMS: usize = 4;

/// How the elements of a tensor are stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Dtype {
    F32,
    F16,
    #[serde(rename = "BF16")]
    Bf16,
    /// Only in the differences of checkpoints ([`super::delta`]).
    I8,
    /// Only in mask buffers, which are not read.
    U8,
    /// Only in mask buffers, which are not read.
    #[serde(rename = "BOOL")]
    Bool,
    /// Only in buffers of PyTorch files, which are not read.
    #[serde(skip)]
    I64,
}

impl Dtype {
    /// Whether weights may be stored so.
    pub fn is_float(self) -> bool {
        matches!(self, Dtype::F32 | Dtype::F16 | Dtype::Bf16)
    }

    /// Bytes of one element.
    pub fn size(self) -> u64 {
        match self {
            Dtype::I64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::Bf16 => "BF16",
            Dtype::I8 => "I8",
            Dtype::U8 => "U8",
            Dtype::Bool => "BOOL",
            Dtype::I64 => "I64",
        })
    }
}

/// One tensor: `start..end` are bytes from the start of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub dtype: Dtype,
    pub shape: Vec<u64>,
    pub start: u64,
    pub end: u64,
}

/// What a file of weights holds. That of a safetensors file describes it exactly: the tensors tile the data without
/// gap or overlap. That of a PyTorch file ([`super::torch`]) has other bytes between them, and tensors that are tied
/// share theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub tensors: BTreeMap<String, TensorInfo>,
    /// Where the data starts, in bytes from the start of the file. Not aligned: GPT-2's is 14,291. In a PyTorch file
    /// it is the file's own start.
    pub data_start: u64,
}

impl Header {
    /// The length `n` of the JSON, from the first eight bytes of a file of `file_len` bytes.
    ///
    /// # Errors
    /// `file.not_safetensors` when the bytes are text or a zip archive; `file.header` when `n` is 0, beyond
    /// the file or above [`CAP_HEADER`].
    pub fn len_from(first8: [u8; 8], file_len: u64) -> Result<u64> {
        refuse_other_formats(&first8, "file.not_safetensors", "a safetensors file")?;
        let n = u64::from_le_bytes(first8);
        let room = file_len.saturating_sub(8);
        if n == 0 || n > room {
            return Err(header_error(format!(
                "the first 8 bytes give a header of {n} bytes, expected 1 to {room} in a file of {file_len} bytes"
            )));
        }
        if n > CAP_HEADER {
            return Err(header_error(format!("the header has {n} bytes, expected at most {CAP_HEADER}")));
        }
        Ok(n)
    }

    /// Reads the header from `prefix`, the first bytes of a file of `file_len` bytes: at least `8 + n` of
    /// them, at most all. Allocates in proportion to `prefix` and to nothing that it claims.
    ///
    /// # Errors
    /// Those of [`Header::len_from`]; `file.header` when the JSON is cut, is not UTF-8 or is not a JSON
    /// object; `file.layout`, with the tensor's name, when a tensor is not what the format and the caps of
    /// this module allow, or when the tensors do not tile the file.
    pub fn read(prefix: &[u8], file_len: u64) -> Result<Self> {
        refuse_other_formats(prefix, "file.not_safetensors", "a safetensors file")?;
        let Some(first8) = prefix.first_chunk::<8>() else {
            return Err(header_error(format!("the file has {file_len} bytes, expected at least 8")));
        };
        let n = Self::len_from(*first8, file_len)?;
        let data_start = 8 + n;
        // `n` is at most CAP_HEADER here, so it fits a usize on every target.
        let json = prefix.get(8..data_start as usize).ok_or_else(|| {
            header_error(format!("the header has {n} bytes, found {}", prefix.len().saturating_sub(8)))
        })?;
        let json =
            std::str::from_utf8(json).map_err(|e| header_error(format!("the header is not UTF-8: {e}")))?;
        if !json.starts_with('{') {
            return Err(header_error(format!("the header starts with '{}', expected '{{'", start_of(json))));
        }
        // Syntax first, by a parser that neither recurses nor allocates, so that what fails below is meaning.
        serde_json::from_str::<IgnoredAny>(json)
            .map_err(|e| header_error(format!("the header is not JSON: {e}")))?;
        let entries = serde_json::Deserializer::from_str(json)
            .deserialize_map(Entries)
            .map_err(|e| layout_error(without_position(&e)))?;
        tile(entries, file_len - data_start).map(|tensors| Self { tensors, data_start })
    }
}

/// Checks each tensor's size and that together they cover `data_len` bytes exactly once.
fn tile(entries: Vec<(String, RawTensor)>, data_len: u64) -> Result<BTreeMap<String, TensorInfo>> {
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, raw) in entries {
        let [start, end] = raw.data_offsets;
        let shape = raw.shape.0;
        let bytes = shape.iter().try_fold(raw.dtype.size(), |size, dim| size.checked_mul(*dim));
        let Some(bytes) = bytes else {
            return Err(layout_error(format!(
                "tensor '{name}': shape {shape:?} of {} is beyond 2^64 bytes",
                raw.dtype
            )));
        };
        if end.checked_sub(start) != Some(bytes) {
            return Err(layout_error(format!(
                "tensor '{name}': shape {shape:?} of {} is {bytes} bytes, found data_offsets [{start}, {end}]",
                raw.dtype
            )));
        }
        if end > data_len {
            return Err(layout_error(format!(
                "tensor '{name}': data_offsets [{start}, {end}] end beyond the {data_len} bytes of data"
            ))
            .with_action("The file may have been cut while downloading: get it again."));
        }
        tensors.push((name, TensorInfo { dtype: raw.dtype, shape, start, end }));
    }
    tensors.sort_by_key(|(_, tensor)| (tensor.start, tensor.end));
    let mut covered = 0;
    for (name, tensor) in &tensors {
        if tensor.start != covered {
            let what = if tensor.start < covered { "overlaps the tensor before it" } else { "leaves a hole" };
            return Err(layout_error(format!(
                "tensor '{name}' {what}: expected it to start at byte {covered} of the data, found {}",
                tensor.start
            )));
        }
        covered = tensor.end;
    }
    if covered != data_len {
        return Err(layout_error(format!(
            "the tensors end at byte {covered} of the data, found {data_len} bytes of data"
        )));
    }
    Ok(tensors.into_iter().collect())
}

/// A tensor as the JSON gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    dtype: Dtype,
    shape: Shape,
    data_offsets: [u64; 2],
}

/// At most [`CAP_DIMS`] dimensions; reading stops at the first one too many.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a shape of at most {CAP_DIMS} dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut dims = Vec::with_capacity(CAP_DIMS);
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == CAP_DIMS {
                        return Err(A::Error::custom(format!(
                            "shape has more than {CAP_DIMS} dimensions, expected at most {CAP_DIMS}"
                        )));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        deserializer.deserialize_seq(Dims)
    }
}

/// The entries of the header in file order, within the caps and without a name that occurs twice.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, RawTensor)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Self::Value = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.len() > CAP_NAME {
                let (bytes, start) = (name.len(), start_of(&name));
                return Err(A::Error::custom(format!(
                    "the name of tensor '{start}…' has {bytes} bytes, expected at most {CAP_NAME}"
                )));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("tensor '{name}' occurs twice, expected it once")));
            }
            if name == "__metadata__" {
                let metadata = map.next_value_seed(StringMap);
                metadata.map_err(|e| A::Error::custom(format!("__metadata__: {e}")))?;
                continue;
            }
            if entries.len() == CAP_TENSORS {
                return Err(A::Error::custom(format!(
                    "the file has more than {CAP_TENSORS} tensors, expected at most {CAP_TENSORS}"
                )));
            }
            let tensor = map.next_value::<RawTensor>();
            let tensor = tensor.map_err(|e| A::Error::custom(format!("tensor '{name}': {e}")))?;
            entries.push((name, tensor));
        }
        Ok(entries)
    }
}

/// A map of strings, checked and dropped.
struct StringMap;

impl<'de> DeserializeSeed<'de> for StringMap {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StringMap {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings to strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<String, String>()?.is_some() {}
        Ok(())
    }
}

/// How the pickles of PyTorch before 1.6 start: their magic number, in protocol 2.
const OLD_TORCH: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF";

/// Recognises what people most often have in place of the weights: a web page, a git-LFS pointer, a
/// PyTorch file. Eight bytes of text read as a length of 2^57 or more, so no valid header is refused.
pub(super) fn refuse_other_formats(prefix: &[u8], code: &'static str, expected: &str) -> Result<()> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    let text = prefix.iter().take(40).take_while(|byte| printable(byte)).count();
    let shown = prefix.iter().take(text).map(|byte| if *byte < b' ' { ' ' } else { char::from(*byte) });
    let shown = shown.collect::<String>();
    let (what, action) = if prefix.starts_with(b"PK\x03\x04") {
        ("a zip archive, as pytorch_model.bin is", "Open the model's model.safetensors.")
    } else if prefix.starts_with(OLD_TORCH) {
        let what = "a PyTorch file in the format before version 1.6, one pickle without an archive";
        (what, "Load it in PyTorch and save it again with torch.save, or as model.safetensors.")
    } else if text < 8 {
        return Ok(());
    } else if shown.starts_with("version ") {
        ("a git-LFS pointer", "Fetch the file itself: git lfs pull.")
    } else {
        ("text", "Check that the address is that of the file and not of a web page.")
    };
    let quoted = if text < 8 { String::new() } else { format!(": '{shown}'") };
    Err(Error::input(code, format!("expected {expected}, found {what}{quoted}")).with_action(action))
}

/// The first 40 characters, for an error message.
fn start_of(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// serde_json's message without its trailing position: a byte offset says nothing to people here.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

fn header_error(message: String) -> Error {
    Error::input("file.header", message)
}

fn layout_error(message: String) -> Error {
    Error::input("file.layout", message)
}
