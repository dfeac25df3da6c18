//! Sharded PyTorch checkpoints, as Hugging Face saves them (`tests/golden/torch/sharded`): the same model as one file, from
//! a folder and through a download, or an error that names what is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

use crate::download::sim::{Server, Store, download};
use crate::files::{config, load, same, stored};
use crate::support::weights;
use crate::torch::golden;
use microtome::download::Spec;
use microtome::weights::ModelFiles;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const INDEX: &str = "pytorch_model.bin.index.json";
const SHARDS: [&str; 3] = [
    "pytorch_model-00001-of-00003.bin",
    "pytorch_model-00002-of-00003.bin",
    "pytorch_model-00003-of-00003.bin",
];

type Files = BTreeMap<String, Vec<u8>>;

fn files() -> Files {
    let names = SHARDS.iter().chain(&[INDEX]).map(|name| (*name).to_owned());
    let mut files: Files = names.map(|name| (name.clone(), golden(&format!("sharded/{name}")))).collect();
    files.insert("config.json".into(), config(true));
    files
}

/// The files with another index.
fn indexed(change: impl FnOnce(&mut Value)) -> Files {
    let mut files = files();
    let mut index: Value = serde_json::from_slice(&files[INDEX]).unwrap();
    change(&mut index["weight_map"]);
    files.insert(INDEX.into(), index.to_string().into_bytes());
    files
}

fn open(files: Files) -> microtome::Result<microtome::weights::Weights> {
    weights(&ModelFiles::in_memory("sharded", files)).map(|(weights, _)| weights)
}

fn refused(files: Files, code: &str, words: &[&str]) {
    let e = open(files).expect_err(code);
    assert_eq!(e.code, code, "{e}");
    assert!(words.iter().all(|word| e.message.contains(word)), "{words:?} in: {e}");
}

#[test]
fn a_sharded_torch_checkpoint_is_the_same_model() {
    let expected = load(&stored(Dtype::F32), true).unwrap();
    same(&open(files()).unwrap(), &expected);
    // Its own head, stored in the first shard.
    let mut own_head = files();
    own_head.insert("config.json".into(), config(false));
    let head = open(own_head).unwrap();
    let [head, embedding] = [microtome::weights::Weight::Unembed, microtome::weights::Weight::Embed]
        .map(|weight| head.get(weight).unwrap().clone());
    assert_eq!(head, embedding);

    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch-shards");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    same(&weights(&ModelFiles::from_dir(&folder).unwrap()).unwrap().0, &expected);
    std::fs::remove_file(folder.join(SHARDS[1])).unwrap();
    let e = ModelFiles::from_dir(&folder).err().unwrap();
    assert_eq!(e.code, "file.missing");
    assert!(e.message.contains(&format!("shard {}, which {INDEX} names", SHARDS[1])), "{e}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn one_file_is_preferred_to_shards_and_safetensors_to_both() {
    let mut both = files();
    both.insert("pytorch_model.bin".into(), b"<html>".to_vec());
    refused(both.clone(), "file.not_torch", &["pytorch_model.bin: "]);
    both.insert("model.safetensors".into(), crate::files::bytes_of(&stored(Dtype::F32)));
    open(both).unwrap();
}

#[test]
fn what_is_wrong_with_torch_shards_is_named() {
    let mut missing = files();
    missing.remove(SHARDS[2]);
    refused(missing, "file.missing", &["shard pytorch_model-00003-of-00003.bin", INDEX]);
    // A tensor in two shards: the index can name one alone. All tensors are in the second here, by the index too.
    let mut twice = indexed(|map| {
        map.as_object_mut().unwrap().values_mut().for_each(|shard| *shard = json!(SHARDS[1]));
    });
    twice.insert(SHARDS[1].into(), golden("tied.bin"));
    open(twice.clone()).unwrap();
    let mut index: Value = serde_json::from_slice(&twice[INDEX]).unwrap();
    index["weight_map"]["lm_head.weight"] = json!(SHARDS[0]);
    twice.insert(INDEX.into(), index.to_string().into_bytes());
    let tensor = "transformer.h.0.attn.c_attn.bias";
    let place = format!("expected tensor '{tensor}' in {}, found it in '{}'", SHARDS[1], SHARDS[0]);
    refused(twice, "file.index", &[&place]);
    for path in
        ["../x.bin", "/etc/passwd.bin", "a/b.bin", "..\\x.bin", ".x.bin", "model.safetensors", "x", ""]
    {
        let outside = indexed(|map| map["transformer.wte.weight"] = json!(path));
        refused(
            outside,
            "file.index",
            &[INDEX, "expected a file name such as 'pytorch_model-00001-of-00002.bin'"],
        );
    }
    refused(
        indexed(|map| map["transformer.wte.weight"] = json!(SHARDS[2])),
        "file.index",
        &["expected tensor 'transformer.wte.weight' in 'pytorch_model-00003-of-00003.bin', found it absent"],
    );
    refused(
        indexed(|map| drop(map.as_object_mut().unwrap().remove("transformer.wte.weight"))),
        "file.index",
        &[
            "expected tensor 'transformer.wte.weight' in no shard, found it in 'pytorch_model-00001-of-00003.bin'",
        ],
    );
    let mut html = files();
    html.insert(SHARDS[0].into(), b"<!DOCTYPE html><html>".to_vec());
    refused(html, "file.not_torch", &[SHARDS[0]]);
}

#[test]
fn torch_shards_are_downloaded_by_their_index() {
    let base = "https://huggingface.co/a/b/resolve/main/";
    let serve =
        |files: Files| Server::new(files.into_iter().map(|(name, bytes)| (format!("{base}{name}"), bytes)));
    let mut store = Store::new();
    let run = download(&Spec::new("hf:a/b"), &mut serve(files()), &mut store, usize::MAX).unwrap();
    let names: Vec<String> = run.end.unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["config.json", INDEX, SHARDS[0], SHARDS[1], SHARDS[2]]);
    let arrived: Files = store
        .into_iter()
        .filter(|(_, entry)| entry.complete)
        .map(|((_, name), entry)| (name, entry.bytes))
        .collect();
    assert_eq!(arrived, files());
    same(&open(arrived).unwrap(), &load(&stored(Dtype::F32), true).unwrap());

    let failed = |files: Files| {
        let run = download(&Spec::new("hf:a/b"), &mut serve(files), &mut Store::new(), usize::MAX).unwrap();
        run.end.expect_err("refused")
    };
    let mut missing = files();
    missing.remove(SHARDS[1]);
    let e = failed(missing);
    assert!(e.code.starts_with("net.") && e.message.contains(SHARDS[1]), "{}: {e}", e.code);
    let e = failed(indexed(|map| map["transformer.wte.weight"] = json!("../x.bin")));
    assert!(e.code == "file.index" && e.message.contains(INDEX), "{e}");
    let mut html = files();
    html.insert(SHARDS[2].into(), b"<!DOCTYPE html><html><title>Sign in".to_vec());
    let e = failed(html);
    assert_eq!(e.code, "file.not_torch", "{e}");
}
