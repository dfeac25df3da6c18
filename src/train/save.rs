//! Writes a trained model in GPT-2's own file layout, as Hugging Face's `GPT2LMHeadModel` reads it, and the checkpoints of
//! its training as differences from it ([`crate::weights::delta`]).

use super::bpe::BOS;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::delta::{SCALE, file_name};
use crate::weights::manifest::{File, MANIFEST, Manifest, Step, hex};
use crate::weights::names::table;
use crate::weights::{Weight, Weights, as_rows};
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::Tokenizer;

/// Writes `config.json`, `model.safetensors` (f16) and `tokenizer.json` into `dir`, which is made where it is absent; with
/// checkpoints, `step-N.safetensors` for each and `microtome.json`, which names all of them. `step` is the model's own.
pub fn save(
    model: &Weights,
    step: u64,
    checkpoints: &[(u64, Weights)],
    tokenizer: &Tokenizer,
    dir: &Path,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
    let mut files = Vec::new();
    let mut write = |name: String, bytes: &[u8]| {
        let path = dir.join(&name);
        std::fs::write(&path, bytes).map_err(|source| failed(&path, source))?;
        let sha256 = hex(&Sha256::digest(bytes));
        files.push(File { name, size: bytes.len() as u64, sha256, parts: Vec::new() });
        Ok::<(), Error>(())
    };
    let json = |value: &serde_json::Value| {
        serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|source| failed(dir, source))
    };
    write("config.json".into(), json(&config(&model.cfg, tokenizer))?.as_bytes())?;
    let tokenizer = tokenizer.to_string(false).map_err(|source| failed(dir, source))?;
    write("tokenizer.json".into(), tokenizer.as_bytes())?;
    write("model.safetensors".into(), &serialize(whole(model)?)?)?;
    if checkpoints.is_empty() {
        return Ok(());
    }
    let mut steps = Vec::new();
    let stored = rounded(model)?;
    for (step, weights) in checkpoints {
        write(file_name(*step), &difference(&stored, weights)?)?;
        steps.push(Step { step: *step, file: Some(file_name(*step)) });
    }
    steps.push(Step { step, file: None });
    let name = dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let (format, dtype) = ("microtome".to_owned(), "f16".to_owned());
    let manifest = Manifest { format, version: 1, name, dtype, files, checkpoints: steps };
    let manifest = serde_json::to_value(&manifest).map_err(|source| failed(dir, source))?;
    // Last: a folder without it has no checkpoints.
    let path = dir.join(MANIFEST);
    std::fs::write(&path, json(&manifest)?).map_err(|source| failed(&path, source))
}

fn failed(path: &Path, source: impl std::fmt::Display) -> Error {
    Error::run("train.write", format!("{}: cannot be written: {source}", path.display()))
}

fn config(cfg: &Config, tokenizer: &Tokenizer) -> serde_json::Value {
    let bos = tokenizer.token_to_id(BOS);
    json!({
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.0,
        "bos_token_id": bos,
        "embd_pdrop": 0.0,
        "eos_token_id": bos,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "model_type": "gpt2",
        "n_ctx": cfg.n_ctx,
        "n_embd": cfg.d_model,
        "n_head": cfg.n_heads,
        "n_inner": cfg.d_mlp,
        "n_layer": cfg.n_layers,
        "n_positions": cfg.n_ctx,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": true,
        "torch_dtype": "float16",
        "vocab_size": cfg.d_vocab,
    })
}

/// The weights as `model.safetensors` holds them.
pub fn rounded(model: &Weights) -> Result<Weights> {
    let mut rounded = model.clone();
    for (weight, values) in model.iter() {
        let halves: Vec<f32> = values.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
        rounded.set(weight, halves)?;
    }
    Ok(rounded)
}

/// One tensor of a file: its type, its shape and its values, little-endian.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn halves(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        Self { dtype: Dtype::F16, shape, bytes }
    }
}

fn serialize(tensors: BTreeMap<String, Stored>) -> Result<Vec<u8>> {
    let failed = |source: safetensors::SafeTensorError| Error::internal(format!("safetensors: {source}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (name, stored) in &tensors {
        views.push((
            name,
            TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes).map_err(failed)?,
        ));
    }
    let format = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize(views, Some(format)).map_err(failed)
}

fn whole(model: &Weights) -> Result<BTreeMap<String, Stored>> {
    let stored = table(&model.cfg).into_iter().map(|(name, parts)| {
        let mut shape = parts.first().map_or_else(Vec::new, |part| part.shape(&model.cfg));
        if let Some(last) = shape.last_mut() {
            *last *= parts.len();
        }
        Ok((name, Stored::halves(shape, &side_by_side(model, &parts)?)))
    });
    stored.collect()
}

/// The file of a checkpoint: what `weights` are more than `model`, the weights as they are read from `model.safetensors`.
///
/// Each row's scale maps its largest difference to 127.
///
/// # Errors
/// Where the two are not of one shape.
pub fn difference(model: &Weights, weights: &Weights) -> Result<Vec<u8>> {
    let mut tensors = BTreeMap::new();
    for (name, parts) in table(&model.cfg) {
        let Some(first) = parts.first() else { continue };
        let [rows, n] = as_rows(*first, &model.cfg);
        let (base, values) = (side_by_side(model, &parts)?, side_by_side(weights, &parts)?);
        let n = n * parts.len();
        if first.shape(&model.cfg).len() == 1 {
            tensors.insert(name, Stored::halves(vec![n], &values));
            continue;
        }
        let (mut integers, mut scales) = (Vec::with_capacity(rows * n), Vec::with_capacity(4 * rows));
        for (base, values) in base.chunks_exact(n).zip(values.chunks_exact(n)) {
            let differences = || values.iter().zip(base).map(|(value, base)| value - base);
            let scale = differences().fold(0.0_f32, |most, d| most.max(d.abs())) / 127.0;
            scales.extend(scale.to_le_bytes());
            // A row without a difference has scale 0, and integers that are NaN as floats: 0 by the cast.
            integers.extend(differences().map(|d| ((d / scale).round() as i8).cast_unsigned()));
        }
        tensors
            .insert(format!("{name}{SCALE}"), Stored { dtype: Dtype::F32, shape: vec![rows], bytes: scales });
        tensors.insert(name, Stored { dtype: Dtype::I8, shape: vec![rows, n], bytes: integers });
    }
    serialize(tensors)
}

/// The weights of one stored tensor: in each row the columns of the first, then those of the next.
fn side_by_side(model: &Weights, parts: &[Weight]) -> Result<Vec<f32>> {
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    let [rows, n] = as_rows(*first, &model.cfg);
    let mut values = Vec::with_capacity(rows * n * parts.len());
    for row in 0..rows {
        for part in parts {
            let row = model.get(*part)?.get(row * n..(row + 1) * n);
            values.extend_from_slice(row.ok_or_else(|| Error::internal(format!("{part} is too short")))?);
        }
    }
    Ok(values)
}
