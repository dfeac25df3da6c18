//! Writes a trained model in GPT-2's own file layout, as Hugging Face's `GPT2LMHeadModel` reads it.

use super::bpe::BOS;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::names::table;
use crate::weights::{Weight, Weights};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::Tokenizer;

/// Writes `config.json`, `model.safetensors` (f16) and `tokenizer.json` into `dir`, which is made where it is absent.
pub fn save(model: &Weights, tokenizer: &Tokenizer, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|source| failed(&path, source))
    };
    let config =
        serde_json::to_string_pretty(&config(&model.cfg, tokenizer)).map_err(|source| failed(dir, source))?;
    write("config.json", (config + "\n").as_bytes())?;
    let tokenizer = tokenizer.to_string(false).map_err(|source| failed(dir, source))?;
    write("tokenizer.json", tokenizer.as_bytes())?;
    write("model.safetensors", &weights(model)?)
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

/// One tensor of the file: its shape and its values in f16, little-endian.
struct Stored {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn weights(model: &Weights) -> Result<Vec<u8>> {
    let mut tensors: BTreeMap<String, Stored> = BTreeMap::new();
    for (name, parts) in table(&model.cfg) {
        tensors.insert(name, side_by_side(model, &parts)?);
    }
    let failed =
        |source: safetensors::SafeTensorError| Error::internal(format!("model.safetensors: {source}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (name, stored) in &tensors {
        views.push((name, TensorView::new(Dtype::F16, stored.shape.clone(), &stored.bytes).map_err(failed)?));
    }
    let format = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize(views, Some(format)).map_err(failed)
}

/// The weights of one stored tensor: the columns of the first, then those of the next.
fn side_by_side(model: &Weights, parts: &[Weight]) -> Result<Stored> {
    let mut shape = parts.first().map_or_else(Vec::new, |part| part.shape(&model.cfg));
    let width = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / width;
    let mut bytes = Vec::new();
    for row in 0..rows {
        for part in parts {
            let values = &model.get(*part)?[row * width..][..width];
            bytes.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()));
        }
    }
    if let Some(last) = shape.last_mut() {
        *last *= parts.len();
    }
    Ok(Stored { shape, bytes })
}
