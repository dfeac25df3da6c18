//! `microtome pack --model DIR --out DIR`: a folder that any file server can host, also one that limits the size of a
//! file. Weights lie there in parts; `microtome.json` names every file with its length and SHA-256.

mod parts;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use half::{bf16, f16};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::tokens::CAP_FILE;
use crate::weights::header::{Dtype, Header, TensorInfo};
use crate::weights::manifest::{File, MANIFEST, Manifest};
use parts::PartWriter;
use source::FolderSource;

/// Bytes of a tensor that are converted at a time; a multiple of every element's size.
const PIECE: u64 = 1 << 23;

const WEIGHTS: &str = "model.safetensors";

#[derive(clap::Args)]
pub struct Args {
    /// Directory with config.json, model.safetensors or its shards, and a tokenizer.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// How weights are stored: f16 halves the download and rounds them to 11 bits.
    #[arg(long, default_value = "f32", value_parser = ["f16", "f32"])]
    dtype: String,
    /// The largest file that is written, such as 24MB.
    #[arg(long, value_name = "SIZE", default_value = "24MB", value_parser = parse_size)]
    shard_size: u64,
    /// Directory to write; it must be empty or absent.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn main(args: Args) -> Result<()> {
    let manifest = pack(&args.model, &args.dtype, args.shard_size, &args.out)?;
    for file in &manifest.files {
        let parts =
            if file.parts.is_empty() { String::new() } else { format!("  in {} parts", file.parts.len()) };
        println!("{}  {} bytes  SHA-256 {}{parts}", file.name, file.size, file.sha256);
    }
    Ok(())
}

/// Packs the model in `model` into `out`, no file larger than `most` bytes.
///
/// # Errors
/// `pack.exists` when `out` is not empty; `pack.size` for a file that cannot be divided; `pack.overflow` for a weight that
/// f16 cannot hold; `pack.io`; those of the model's files.
pub fn pack(model: &Path, dtype: &str, most: u64, out: &Path) -> Result<Manifest> {
    fs::create_dir_all(out).map_err(|e| io_error(out, &e))?;
    if fs::read_dir(out).map_err(|e| io_error(out, &e))?.next().is_some() {
        return Err(Error::input("pack.exists", format!("{} is not empty", out.display()))
            .with_action("Name a folder that does not exist yet."));
    }
    let source = FolderSource::open(model)?;
    let mut files = Vec::new();
    let names = ["config.json", "tokenizer.json", "vocab.json", "merges.txt"];
    for name in names {
        let Some(bytes) = source.small(name, CAP_FILE)? else { continue };
        if name == "config.json" {
            Config::from_json(&bytes).map_err(|e| e.at(model.display()))?;
        }
        if bytes.len() as u64 > most {
            let message =
                format!("{name} has {} bytes, and files of at most {most} are to be written", bytes.len());
            return Err(Error::input("pack.size", message).with_action("Choose a larger --shard-size."));
        }
        let mut writer = PartWriter::new(out, name, None);
        writer.write(&bytes)?;
        files.push(writer.finish()?);
    }
    if files.first().is_none_or(|file| file.name != "config.json") {
        return Err(Error::input(
            "file.missing",
            format!("{}: expected config.json, found none", model.display()),
        ));
    }
    files.push(weights(&source, dtype, most, out)?);
    let full = model.canonicalize().unwrap_or_else(|_| model.to_owned());
    let manifest = Manifest {
        format: "microtome".into(),
        version: 1,
        name: full.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        dtype: dtype.to_owned(),
        files,
        // They are differences from the weights as they were, not as they are rounded and split here.
        checkpoints: Vec::new(),
    };
    // Last: a folder without it is not a packed one.
    let json =
        serde_json::to_string_pretty(&manifest).map_err(|e| Error::internal(format!("the manifest: {e}")))?;
    let path = out.join(MANIFEST);
    fs::write(&path, json + "\n").map_err(|e| io_error(&path, &e))?;
    Ok(manifest)
}

/// Writes every tensor but the masks, which are constants, as one safetensors file in parts.
fn weights(source: &FolderSource, dtype: &str, most: u64, out: &Path) -> Result<File> {
    let to = if dtype == "f16" { Dtype::F16 } else { Dtype::F32 };
    let mut tensors: BTreeMap<String, (usize, u64, TensorInfo)> = BTreeMap::new();
    for (file, (name, header)) in source.weights()?.into_iter().enumerate() {
        for (tensor, info) in header.tensors {
            if is_buffer(&tensor) {
                continue;
            }
            if tensors.insert(tensor.clone(), (file, header.data_start, info)).is_some() {
                return Err(Error::input(
                    "file.layout",
                    format!("{name}: tensor '{tensor}' is in another file too"),
                ));
            }
        }
    }
    let mut writer = PartWriter::new(out, WEIGHTS, Some(most));
    writer.write(&header(&tensors, to)?)?;
    for (name, (file, data_start, info)) in &tensors {
        let (mut at, end) = (data_start + info.start, data_start + info.end);
        while at < end {
            let to_here = end.min(at + PIECE);
            let bytes = source.read(*file, at..to_here)?;
            writer.write(&convert(&bytes, info.dtype, to).map_err(|e| e.at(format!("tensor '{name}'")))?)?;
            at = to_here;
        }
    }
    writer.finish()
}

/// Buffers of the causal mask: constants that no reader of GPT-2 needs.
fn is_buffer(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}

/// Length and JSON of a safetensors header, padded to eight bytes as the format asks.
fn header(tensors: &BTreeMap<String, (usize, u64, TensorInfo)>, to: Dtype) -> Result<Vec<u8>> {
    let mut at = 0;
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    for (name, (_, _, info)) in tensors {
        let start = at;
        at += (info.end - info.start) / info.dtype.size() * to.size();
        let entry =
            serde_json::json!({ "dtype": to.to_string(), "shape": info.shape, "data_offsets": [start, at] });
        entries.insert(name.clone(), entry);
    }
    let json = serde_json::to_string(&entries).map_err(|e| Error::internal(format!("the header: {e}")))?;
    let padded = json.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes());
    bytes.resize(8 + padded, b' ');
    Header::read(&bytes, 8 + padded as u64 + at)?;
    Ok(bytes)
}

/// Elements of one type as another.
fn convert(bytes: &[u8], from: Dtype, to: Dtype) -> Result<Vec<u8>> {
    if from == to {
        return Ok(bytes.to_vec());
    }
    let size = from.size() as usize;
    let values = bytes.chunks_exact(size).map(|element| match (from, element) {
        (Dtype::F32, &[a, b, c, d]) => Ok(f32::from_le_bytes([a, b, c, d])),
        (Dtype::F16, &[a, b]) => Ok(f16::from_le_bytes([a, b]).to_f32()),
        (Dtype::Bf16, &[a, b]) => Ok(bf16::from_le_bytes([a, b]).to_f32()),
        _ => Err(Error::input("model.unsupported", format!("{from} is not a type of weights"))),
    });
    let mut out = Vec::with_capacity(bytes.len() / size * to.size() as usize);
    for value in values {
        let value = value?;
        if to == Dtype::F32 {
            out.extend(value.to_le_bytes());
            continue;
        }
        let half = f16::from_f32(value);
        if half.is_infinite() && value.is_finite() {
            return Err(Error::input("pack.overflow", format!("{value} is beyond what f16 can hold, 65504"))
                .with_action("Pack it with --dtype f32."));
        }
        out.extend(half.to_le_bytes());
    }
    Ok(out)
}

/// `24MB`, `24MiB`, `500kB` or a number of bytes.
fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("'{other}' is not a unit; expected kB, MB, GB, KiB, MiB or GiB")),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| *size >= 1_000)
        .ok_or_else(|| format!("expected a size of 1kB or more, found '{text}'"))
}

fn io_error(path: &Path, error: &std::io::Error) -> Error {
    Error::run("pack.io", format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("24MB"), Ok(24_000_000));
        assert_eq!(parse_size("1MiB"), Ok(1_048_576));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "MB", "24 MB", "-1MB", "24mb", "0", "99999999999GB", "1.5MB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_f16_cannot_hold_is_refused() {
        let bytes: Vec<u8> = [1.0_f32, -65504.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let half = convert(&bytes, Dtype::F32, Dtype::F16).unwrap();
        assert_eq!(half, [f16::from_f32(1.0).to_le_bytes(), f16::from_f32(-65504.0).to_le_bytes()].concat());
        let beyond = convert(&70000.0_f32.to_le_bytes(), Dtype::F32, Dtype::F16);
        assert_eq!(beyond.expect_err("beyond").code, "pack.overflow");
    }
}
