//! The loader: every layout of GPT-2's files that it must read, and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

use crate::support::weights;
use microtome::lab::Model;
use microtome::weights::{Checkpoint, ModelFiles, Part, Raw, Weight, Weights};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// d_model of the model below.
const D: usize = 4;

/// Two layers, two heads, d_mlp 6, n_ctx 3, d_vocab 5.
pub fn config(tied: bool) -> Vec<u8> {
    json!({"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": D, "n_inner": 6, "n_positions": 3,
           "vocab_size": 5, "tie_word_embeddings": tied})
    .to_string()
    .into_bytes()
}

/// Tensors by Hugging Face's names.
pub type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn stored_shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![("wte.weight".to_owned(), vec![5, D]), ("wpe.weight".to_owned(), vec![3, D])];
    for layer in 0..2 {
        for (name, shape) in [
            ("ln_1.weight", vec![D]),
            ("ln_1.bias", vec![D]),
            ("attn.c_attn.weight", vec![D, 3 * D]),
            ("attn.c_attn.bias", vec![3 * D]),
            ("attn.c_proj.weight", vec![D, D]),
            ("attn.c_proj.bias", vec![D]),
            ("ln_2.weight", vec![D]),
            ("ln_2.bias", vec![D]),
            ("mlp.c_fc.weight", vec![D, 6]),
            ("mlp.c_fc.bias", vec![6]),
            ("mlp.c_proj.weight", vec![6, D]),
            ("mlp.c_proj.bias", vec![D]),
        ] {
            shapes.push((format!("h.{layer}.{name}"), shape));
        }
    }
    shapes.extend([("ln_f.weight".to_owned(), vec![D]), ("ln_f.bias".to_owned(), vec![D])]);
    shapes
}

/// Values k/4 for k in -128..128: exact in bf16 (8 bits) and f16. `salt` tells tensors apart.
fn value(salt: usize, i: usize) -> f32 {
    (((37 * salt + 11 * i) % 255) as f32 - 127.0) / 4.0
}

fn encode(dtype: Dtype, values: impl Iterator<Item = f32>) -> Vec<u8> {
    values
        .flat_map(|v| match dtype {
            Dtype::F16 => half::f16::from_f32(v).to_le_bytes().to_vec(),
            Dtype::BF16 => half::bf16::from_f32(v).to_le_bytes().to_vec(),
            _ => v.to_le_bytes().to_vec(),
        })
        .collect()
}

/// The model without prefix.
pub fn stored(dtype: Dtype) -> Stored {
    let tensor = |(salt, (name, shape)): (usize, (String, Vec<usize>))| {
        let n = shape.iter().product();
        (name, (dtype, shape, encode(dtype, (0..n).map(|i| value(salt, i)))))
    };
    stored_shapes().into_iter().enumerate().map(tensor).collect()
}

pub fn bytes_of(tensors: &Stored) -> Vec<u8> {
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    serialize(views, None).unwrap()
}

fn model(tensors: &Stored, tied: bool) -> ModelFiles {
    let files = [("config.json".into(), config(tied)), ("model.safetensors".into(), bytes_of(tensors))];
    ModelFiles::in_memory("tiny", files)
}

pub fn load(tensors: &Stored, tied: bool) -> microtome::Result<Weights> {
    weights(&model(tensors, tied)).map(|(weights, _)| weights)
}

pub fn same(a: &Weights, b: &Weights) {
    assert_eq!(a.iter().count(), b.iter().count());
    for ((name, data), (other, expected)) in a.iter().zip(b.iter()) {
        assert_eq!((name, data), (other, expected), "{name}");
    }
}

#[test]
fn every_weight_lands_where_the_program_reads_it() {
    let loaded = load(&stored(Dtype::F32), true).unwrap();
    let salts: BTreeMap<_, _> = stored_shapes().into_iter().enumerate().map(|(i, (n, _))| (n, i)).collect();
    // W_K[i, j] is c_attn.weight[i, d + j]: y = x W, columns Q | K | V.
    for (column, part) in [(0, Part::WQ), (D, Part::WK), (2 * D, Part::WV)] {
        for layer in 0..2 {
            let salt = salts[&format!("h.{layer}.attn.c_attn.weight")];
            let got = loaded.get(Weight::Block(layer, part)).unwrap();
            let expected: Vec<f32> =
                (0..D * D).map(|i| value(salt, i / D * 3 * D + column + i % D)).collect();
            assert_eq!(**got, expected, "{part:?} of layer {layer}");
        }
    }
    let salt = salts["h.1.attn.c_attn.bias"];
    let b_v: Vec<f32> = (2 * D..3 * D).map(|i| value(salt, i)).collect();
    assert_eq!(**loaded.get(Weight::Block(1, Part::BV)).unwrap(), b_v);
    for (name, weight) in [
        ("wte.weight", Weight::Embed),
        ("wpe.weight", Weight::PosEmbed),
        ("h.0.ln_1.weight", Weight::Block(0, Part::Ln1W)),
        ("h.0.ln_1.bias", Weight::Block(0, Part::Ln1B)),
        ("h.1.attn.c_proj.weight", Weight::Block(1, Part::WO)),
        ("h.1.attn.c_proj.bias", Weight::Block(1, Part::BO)),
        ("h.0.ln_2.weight", Weight::Block(0, Part::Ln2W)),
        ("h.0.ln_2.bias", Weight::Block(0, Part::Ln2B)),
        ("h.1.mlp.c_fc.weight", Weight::Block(1, Part::WIn)),
        ("h.1.mlp.c_fc.bias", Weight::Block(1, Part::BIn)),
        ("h.0.mlp.c_proj.weight", Weight::Block(0, Part::WOut)),
        ("h.0.mlp.c_proj.bias", Weight::Block(0, Part::BOut)),
        ("ln_f.weight", Weight::LnFinalW),
        ("ln_f.bias", Weight::LnFinalB),
    ] {
        let got = loaded.get(weight).unwrap();
        let expected: Vec<f32> = (0..got.len()).map(|i| value(salts[name], i)).collect();
        assert_eq!(**got, expected, "{weight}");
    }
    assert_eq!(loaded.iter().count(), Weight::stored(&loaded.cfg).count());
    assert!(loaded.get(Weight::Unembed).is_err(), "tied embeddings are one table");
}

#[test]
fn f16_and_bf16_are_converted_exactly() {
    let f32s = load(&stored(Dtype::F32), true).unwrap();
    same(&load(&stored(Dtype::F16), true).unwrap(), &f32s);
    same(&load(&stored(Dtype::BF16), true).unwrap(), &f32s);
}

#[test]
fn prefix_and_mask_buffers_change_nothing() {
    let plain = stored(Dtype::F32);
    let expected = load(&plain, true).unwrap();
    let prefixed = |prefix: &str, dtype: Dtype, size: usize| {
        let mut tensors: Stored = plain.iter().map(|(n, t)| (format!("{prefix}{n}"), t.clone())).collect();
        for layer in 0..2 {
            let mask = (dtype, vec![1, 1, 3, 3], vec![1; 9 * size]);
            tensors.insert(format!("{prefix}h.{layer}.attn.bias"), mask);
            tensors.insert(format!("{prefix}h.{layer}.attn.masked_bias"), (dtype, vec![], vec![0; size]));
        }
        tensors
    };
    for (dtype, size) in [(Dtype::F32, 4), (Dtype::F16, 2), (Dtype::U8, 1), (Dtype::BOOL, 1)] {
        same(&load(&prefixed("", dtype, size), true).unwrap(), &expected);
        same(&load(&prefixed("transformer.", dtype, size), true).unwrap(), &expected);
    }
}

fn with_head(dtype: Dtype) -> Stored {
    let mut tensors = stored(dtype);
    let head = encode(dtype, (0..5 * D).map(|i| value(99, i)));
    tensors.insert("lm_head.weight".into(), (dtype, vec![5, D], head));
    tensors
}

#[test]
fn a_separate_head_is_read_only_where_the_embeddings_are_not_tied() {
    let tensors = with_head(Dtype::F32);
    let untied = load(&tensors, false).unwrap();
    let head: Vec<f32> = (0..5 * D).map(|i| value(99, i)).collect();
    assert_eq!(**untied.get(Weight::Unembed).unwrap(), head);
    // Hugging Face ties after loading: the stored head is overwritten by the embedding.
    same(&load(&tensors, true).unwrap(), &load(&stored(Dtype::F32), true).unwrap());
    let e = load(&stored(Dtype::F32), false).unwrap_err();
    assert!(e.code == "model.unsupported" && e.message.contains("'lm_head.weight' [5, 4] is missing"), "{e}");
}

#[test]
fn positions_beyond_n_ctx_are_cut() {
    let mut tensors = stored(Dtype::F32);
    let expected = load(&tensors, true).unwrap();
    let (_, shape, data) = tensors.get_mut("wpe.weight").unwrap();
    shape[0] = 4;
    data.extend([0u8; 4 * D]);
    same(&load(&tensors, true).unwrap(), &expected);
    let (_, shape, data) = tensors.get_mut("wpe.weight").unwrap();
    shape[0] = 2;
    data.truncate(2 * 4 * D);
    let e = load(&tensors, true).unwrap_err();
    assert!(e.message.contains("'wpe.weight' has shape [2, 4], expected [3, 4]"), "{e}");
}

#[test]
fn the_first_five_differences_are_listed() {
    let mut tensors = stored(Dtype::F32);
    tensors.get_mut("h.0.attn.c_attn.weight").unwrap().1 = vec![3 * D, D];
    tensors.remove("ln_f.bias");
    tensors.insert("model.layers.0.self_attn.q_proj.weight".into(), (Dtype::F32, vec![D, D], vec![0; 64]));
    let e = load(&tensors, true).unwrap_err();
    assert_eq!(e.code, "model.unsupported");
    let differences = "'h.0.attn.c_attn.weight' has shape [12, 4], expected [4, 12]; \
        'ln_f.bias' [4] is missing; 'model.layers.0.self_attn.q_proj.weight' [4, 4] is unexpected";
    assert!(e.message.ends_with(differences), "{e}");

    let llama = Stored::from([("model.embed_tokens.weight".into(), (Dtype::F32, vec![5, D], vec![0; 80]))]);
    let e = load(&llama, true).unwrap_err();
    assert_eq!(e.message.matches(" is missing").count(), 4, "{e}");
    assert!(e.message.contains("'model.embed_tokens.weight' [5, 4] is unexpected"), "{e}");
    assert!(e.message.contains("and 24 more"), "{e}");

    let mut tensors = stored(Dtype::F32);
    tensors.insert("wte.weight".into(), (Dtype::U8, vec![5, D], vec![0; 20]));
    assert!(load(&tensors, true).unwrap_err().message.contains("'wte.weight' is U8, expected F32"));
    let mut tensors = stored(Dtype::F32);
    tensors.insert("transformer.wte.weight".into(), tensors["wte.weight"].clone());
    assert!(load(&tensors, true).unwrap_err().message.contains("with and without the prefix"));
}

#[test]
fn weights_that_are_not_finite_are_refused_with_their_number() {
    for (dtype, at) in [(Dtype::F32, 4), (Dtype::F16, 2), (Dtype::BF16, 2)] {
        let mut tensors = stored(dtype);
        let (_, _, data) = tensors.get_mut("h.1.mlp.c_fc.weight").unwrap();
        let bad = encode(dtype, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter());
        data[at..at + bad.len()].copy_from_slice(&bad);
        let e = load(&tensors, true).unwrap_err();
        assert_eq!(e.code, "model.not_finite");
        assert!(e.message.contains("'h.1.mlp.c_fc.weight'") && e.message.contains("3 of 24"), "{e}");
        // With consent they are read as they are.
        let checkpoint = pollster::block_on(Checkpoint::open(&model(&tensors, true), true)).unwrap();
        let loaded = pollster::block_on(Weights::read(&checkpoint)).unwrap();
        let found = loaded.get(Weight::Block(1, Part::WIn)).unwrap();
        assert!(found[1].is_nan() && found[2..4] == [f32::INFINITY, f32::NEG_INFINITY], "{found:?}");
        assert!(found[4..].iter().all(|x| x.is_finite()));
    }
}

/// What was trained on nothing is said, with the tensor and the number of its values, and run with consent only.
#[test]
fn a_model_that_is_all_zero_is_refused_without_consent() {
    let zeroed = |names: &dyn Fn(&str) -> bool| {
        let mut tensors = with_head(Dtype::F16);
        for (name, (_, _, data)) in &mut tensors {
            if names(name) {
                data.fill(0);
            }
        }
        tensors
    };
    let refused = |tensors: &Stored, tied: bool, message: &str| {
        let e = load(tensors, tied).unwrap_err();
        assert_eq!((&*e.code, &*e.message), ("model.all_zero", message));
        let checkpoint = pollster::block_on(Checkpoint::open(&model(tensors, tied), true)).unwrap();
        pollster::block_on(Weights::read(&checkpoint)).expect("somebody agreed");
    };
    let all = "tensor 'wte.weight': all 20 values are 0, so that all logits are equal";
    refused(&zeroed(&|_| true), true, all);
    refused(&zeroed(&|name| name == "wte.weight"), true, all);
    refused(
        &zeroed(&|name| name == "lm_head.weight"),
        false,
        "tensor 'lm_head.weight': all 20 values are 0, so that all logits are equal",
    );
    refused(
        &zeroed(&|name| name == "wte.weight"),
        false,
        "tensor 'wte.weight': all 20 values are 0, so that no token differs from another",
    );
    // What a real model may have: a layer that was ablated, no positions, no biases, tokens that were never used.
    load(&zeroed(&|name| name.contains("mlp") || name.contains("attn") || name == "wpe.weight"), true)
        .unwrap();
    load(&zeroed(&|name| name == "lm_head.weight"), true).unwrap();
    let mut tensors = with_head(Dtype::F16);
    tensors.get_mut("wte.weight").unwrap().2[2 * D..].fill(0);
    load(&tensors, true).unwrap();
    // Read a few rows at a time, as an engine reads them: the zeros at the end are not taken for all.
    let checkpoint = pollster::block_on(Checkpoint::open(&model(&tensors, true), false)).unwrap();
    let last = pollster::block_on(checkpoint.rows(&[Weight::Embed], 4..5)).unwrap();
    assert_eq!(last, [0.0; D]);
}

/// Two shards, the first with every tensor of layer 0, and their index.
fn shards() -> (Vec<(String, Vec<u8>)>, serde_json::Value) {
    let (first, second): (Stored, Stored) =
        stored(Dtype::F32).into_iter().partition(|(name, _)| name.starts_with("h.0"));
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut map = serde_json::Map::new();
    for (tensors, name) in [(&first, names[0]), (&second, names[1])] {
        map.extend(tensors.keys().map(|tensor| (tensor.clone(), json!(name))));
    }
    let file = |name: &str, tensors| (name.to_owned(), bytes_of(tensors));
    (vec![file(names[1], &second), file(names[0], &first)], json!({"metadata": {}, "weight_map": map}))
}

fn sharded(files: &[(String, Vec<u8>)], index: &serde_json::Value) -> ModelFiles {
    let index = ("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    let config = ("config.json".to_owned(), config(true));
    ModelFiles::in_memory("sharded", files.iter().cloned().chain([index, config]))
}

#[test]
fn shards_are_one_model_and_hash_in_the_order_of_their_names() {
    let (files, index) = shards();
    let (loaded, sha256) = weights(&sharded(&files, &index)).unwrap();
    same(&loaded, &load(&stored(Dtype::F32), true).unwrap());
    let mut hash = Sha256::new();
    hash.update(&files[1].1);
    hash.update(&files[0].1);
    let expected: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sha256, expected);
}

#[test]
fn an_index_that_lies_is_refused() {
    let (files, index) = shards();
    let refused = |files: &[(String, Vec<u8>)], index: &serde_json::Value, word: &str| {
        let e = weights(&sharded(files, index)).expect_err(word);
        assert!(e.code == "file.index" && e.message.contains(word), "{e}");
    };
    let changed = |tensor: &str, shard: serde_json::Value| {
        let mut index = index.clone();
        index["weight_map"][tensor] = shard;
        index
    };
    let elsewhere = changed("wte.weight", json!("model-00001-of-00002.safetensors"));
    refused(&files, &elsewhere, "expected tensor 'wte.weight' in 'model-00001-of-00002.safetensors'");
    refused(&files, &changed("ghost", json!("model-00001-of-00002.safetensors")), "'ghost'");
    for path in ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "a\\b.safetensors", "x.bin", ""] {
        refused(&files, &changed("wte.weight", json!(path)), "expected a file name");
    }
    let mut unlisted = index.clone();
    unlisted["weight_map"].as_object_mut().unwrap().remove("wte.weight");
    refused(&files, &unlisted, "expected tensor 'wte.weight' in no shard");
    refused(&files, &json!({"weight_map": {}}), "empty");
    refused(&files, &json!([]), "model.safetensors.index.json");
    let missing = |files: Vec<(String, Vec<u8>)>, word: &str| {
        let e = weights(&ModelFiles::in_memory("sharded", files)).unwrap_err();
        assert!(e.code == "file.missing" && e.message.contains(word), "{e}");
    };
    let config = ("config.json".to_owned(), config(true));
    let index = ("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    missing(vec![config.clone(), index, files[0].clone()], "shard model-00001-of-00002.safetensors");
    missing(vec![config, files[0].clone()], "model.safetensors, or model.safetensors.index.json");
}

/// A folder of its own under the build directory, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    fn refused(&self, code: &str, words: &[&str]) {
        let e = ModelFiles::from_dir(&self.0).and_then(|files| {
            pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(())))?;
            Ok(())
        });
        let e = e.expect_err(code);
        assert_eq!(e.code, code, "{e}");
        assert!(words.iter().all(|word| e.message.contains(word)), "{words:?} in: {e}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_is_read_and_what_it_lacks_is_named() {
    let folder = Folder::new("one");
    folder.refused("file.missing", &["files-one", "expected config.json"]);
    folder.put("config.json", &config(true));
    folder.refused("file.missing", &["files-one", "model.safetensors"]);
    folder.put("model.safetensors", b"<!DOCTYPE html><html><body>Not found</body></html>");
    folder.refused(
        "file.not_safetensors",
        &["model.safetensors: ", "<!DOCTYPE html><html><body>Not found</bo'"],
    );
    let bytes = bytes_of(&stored(Dtype::F32));
    folder.put("model.safetensors", &bytes[..bytes.len() - 1]);
    folder.refused("file.layout", &["model.safetensors: ", "beyond the"]);
    folder.put("model.safetensors", &bytes);
    folder.put("merges.txt", b"#version: 0.2\n");
    let files = ModelFiles::from_dir(&folder.0).unwrap();
    assert_eq!(files.name, "files-one");
    let tokenizer = pollster::block_on(files.tokenizer()).unwrap();
    assert_eq!(tokenizer.merges.as_deref(), Some(&b"#version: 0.2\n"[..]));
    assert!(tokenizer.tokenizer_json.is_none());
    let (loaded, sha256) = weights(&files).unwrap();
    same(&loaded, &load(&stored(Dtype::F32), true).unwrap());
    let expected: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sha256, expected);
    std::fs::remove_file(folder.0.join("merges.txt")).unwrap();
    let e = ModelFiles::from_dir(&folder.0.join("nowhere")).err().unwrap();
    assert!(e.code == "file.missing" && e.message.contains("nowhere"), "{e}");
}

#[test]
fn a_folder_of_shards_is_read() {
    let folder = Folder::new("shards");
    let (files, index) = shards();
    folder.put("config.json", &config(true));
    folder.put("model.safetensors.index.json", index.to_string().as_bytes());
    folder.put(&files[0].0, &files[0].1);
    folder.refused("file.missing", &["files-shards", "model-00001-of-00002.safetensors"]);
    folder.put(&files[1].0, &files[1].1);
    let loaded = weights(&ModelFiles::from_dir(&folder.0).unwrap()).unwrap().0;
    same(&loaded, &load(&stored(Dtype::F32), true).unwrap());
}
