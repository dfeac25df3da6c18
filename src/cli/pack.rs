//! `microtome pack --model DIR --out DIR`: a folder that any file server can host, also one that limits the size of a
//! file. Weights lie there in parts; `microtome.json` names every file with its length and SHA-256.

mod parts;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::weights::header::{Dtype, Header};
use crate::weights::manifest::{File, MANIFEST, Manifest};
use crate::weights::names::{stored_shape, table};
use crate::weights::storage::narrow;
use crate::weights::{Checkpoint, Format, ModelFiles, Raw, Storage, pieces};
use parts::PartWriter;

#[derive(clap::Args)]
pub struct Args {
    /// Directory with config.json, weights in any way that is read, and a tokenizer.
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

/// Packs the model in `model` into `out`, no file larger than `most` bytes. The weights that GPT-2 needs are written, under
/// Hugging Face's names without prefix; masks and an unembedding that is the embedding are not.
///
/// # Errors
/// `pack.exists` when `out` is not empty; `pack.size` for a file that cannot be divided; `model.f16_range` for a weight that
/// f16 cannot hold; `pack.io` when something cannot be written; those of the model's files.
pub fn pack(model: &Path, dtype: &str, most: u64, out: &Path) -> Result<Manifest> {
    pollster::block_on(pack_files(&ModelFiles::from_dir(model)?, dtype.parse()?, most, out))
}

async fn pack_files(source: &ModelFiles, dtype: Storage, most: u64, out: &Path) -> Result<Manifest> {
    // What is wrong with a model is said before anything is written. Weights that are no numbers are written as they are.
    let checkpoint = Checkpoint::open(source, true).await?;
    let tokenizer = source.tokenizer().await?;
    let whole = [
        ("config.json", Some(source.config().await?)),
        ("tokenizer.json", tokenizer.tokenizer_json),
        ("vocab.json", tokenizer.vocab),
        ("merges.txt", tokenizer.merges),
    ];
    fs::create_dir_all(out).map_err(|e| io_error(out, &e))?;
    if fs::read_dir(out).map_err(|e| io_error(out, &e))?.next().is_some() {
        return Err(Error::input("pack.exists", format!("{} is not empty", out.display()))
            .with_action("Name a folder that does not exist yet."));
    }
    let mut files = Vec::new();
    for (name, bytes) in whole {
        let Some(bytes) = bytes else { continue };
        if bytes.len() as u64 > most {
            let message =
                format!("{name} has {} bytes, and files of at most {most} are to be written", bytes.len());
            return Err(Error::input("pack.size", message).with_action("Choose a larger --shard-size."));
        }
        let mut writer = PartWriter::new(out, name, None);
        writer.write(&bytes)?;
        files.push(writer.finish()?);
    }
    files.push(
        weights(&checkpoint, dtype, PartWriter::new(out, Format::Safetensors.whole(), Some(most))).await?,
    );
    let manifest = Manifest {
        format: "microtome".into(),
        version: 1,
        name: source.name.clone(),
        dtype: dtype.to_string(),
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

/// Writes the weights as one safetensors file, a few rows at a time.
async fn weights(model: &impl Raw, dtype: Storage, mut writer: PartWriter) -> Result<File> {
    let cfg = model.cfg();
    let tensors = table(cfg);
    let shapes = tensors.iter().map(|(name, parts)| (name.as_str(), stored_shape(cfg, parts)));
    writer.write(&header(shapes, dtype)?)?;
    for (name, parts) in &tensors {
        for rows in pieces(parts, cfg) {
            let values = model.rows(parts, rows).await?;
            writer.write(&bytes_of(name, &values, dtype)?)?;
        }
    }
    writer.finish()
}

/// Length and JSON of a safetensors header, padded to eight bytes as the format asks.
fn header<'a>(shapes: impl Iterator<Item = (&'a str, Vec<u64>)>, dtype: Storage) -> Result<Vec<u8>> {
    let kind = match dtype {
        Storage::F32 => Dtype::F32,
        Storage::F16 => Dtype::F16,
    };
    let mut at = 0;
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    for (name, shape) in shapes {
        let start = at;
        at += shape.iter().product::<u64>() * kind.size();
        let entry =
            serde_json::json!({ "dtype": kind.to_string(), "shape": shape, "data_offsets": [start, at] });
        entries.insert(name.to_owned(), entry);
    }
    let json = serde_json::to_string(&entries).map_err(|e| Error::internal(format!("the header: {e}")))?;
    let padded = json.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes());
    bytes.resize(8 + padded, b' ');
    Header::read(&bytes, 8 + padded as u64 + at)?;
    Ok(bytes)
}

/// Values of a tensor, little-endian.
fn bytes_of(name: &str, values: &[f32], dtype: Storage) -> Result<Vec<u8>> {
    Ok(match dtype {
        Storage::F32 => values.iter().map(|value| value.to_le_bytes()).collect::<Vec<_>>().into_flattened(),
        Storage::F16 => {
            let mut halves = vec![0; values.len()];
            narrow(format_args!("tensor '{name}'"), values, &mut halves)?;
            halves.iter().map(|half| half.to_le_bytes()).collect::<Vec<_>>().into_flattened()
        }
    })
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
}
