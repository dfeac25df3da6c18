//! Writes a trained model in GPT-2's own file layout, as Hugging Face's `GPT2LMHeadModel` reads it.

use super::bpe::BOS;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::{Part, Weight, Weights};
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
    let config = serde_json::to_string_pretty(&config(&model.cfg, tokenizer)).map_err(|source| failed(dir, source))?;
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
    let cfg = &model.cfg;
    let mut tensors: BTreeMap<String, Stored> = BTreeMap::new();
    let mut store = |name: String, weight: Weight| -> Result<()> {
        tensors.insert(name, Stored { shape: weight.shape(cfg), bytes: f16_bytes(model.get(weight)?) });
        Ok(())
    };
    store("wte.weight".into(), Weight::Embed)?;
    store("wpe.weight".into(), Weight::PosEmbed)?;
    store("ln_f.weight".into(), Weight::LnFinalW)?;
    store("ln_f.bias".into(), Weight::LnFinalB)?;
    for layer in 0..cfg.n_layers {
        for (name, part) in [
            ("ln_1.weight", Part::Ln1W),
            ("ln_1.bias", Part::Ln1B),
            ("attn.c_proj.weight", Part::WO),
            ("attn.c_proj.bias", Part::BO),
            ("ln_2.weight", Part::Ln2W),
            ("ln_2.bias", Part::Ln2B),
            ("mlp.c_fc.weight", Part::WIn),
            ("mlp.c_fc.bias", Part::BIn),
            ("mlp.c_proj.weight", Part::WOut),
            ("mlp.c_proj.bias", Part::BOut),
        ] {
            store(format!("h.{layer}.{name}"), Weight::Block(layer, part))?;
        }
    }
    let d = cfg.d_model;
    for layer in 0..cfg.n_layers {
        // GPT-2 keeps q, k and v side by side in one matrix, [d_model, 3 · d_model].
        let of = |part| model.get(Weight::Block(layer, part));
        let (q, k, v) = (of(Part::WQ)?, of(Part::WK)?, of(Part::WV)?);
        let rows = q.chunks_exact(d).zip(k.chunks_exact(d)).zip(v.chunks_exact(d));
        let weight = rows.flat_map(|((q, k), v)| [q, k, v].concat()).collect::<Vec<f32>>();
        let bias = [of(Part::BQ)?.as_slice(), of(Part::BK)?, of(Part::BV)?].concat();
        let name = format!("h.{layer}.attn.c_attn");
        tensors.insert(format!("{name}.weight"), Stored { shape: vec![d, 3 * d], bytes: f16_bytes(&weight) });
        tensors.insert(format!("{name}.bias"), Stored { shape: vec![3 * d], bytes: f16_bytes(&bias) });
    }
    let failed = |source: safetensors::SafeTensorError| Error::internal(format!("model.safetensors: {source}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (name, stored) in &tensors {
        views.push((name, TensorView::new(Dtype::F16, stored.shape.clone(), &stored.bytes).map_err(failed)?));
    }
    let format = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize(views, Some(format)).map_err(failed)
}

fn f16_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect()
}
