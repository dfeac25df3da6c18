//! A packed folder holds the same model, in files no larger than asked for, and downloads as one file.

use crate::download::sim::{Server, Store, download, sha256};
use half::{bf16, f16};
use microtome::cli::pack::pack;
use microtome::download::{Manifest, Spec};
use microtome::weights::header::{Dtype, Header};
use microtome::weights::{Format, ModelFiles, ShardIndex};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models").join(name)
}

/// A fresh path; nothing is there.
fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("microtome-pack-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    dir
}

/// The weights of a packed folder, put together.
fn joined(dir: &Path, manifest: &Manifest) -> Vec<u8> {
    let file = manifest.file("model.safetensors").unwrap();
    let parts: Vec<Vec<u8>> =
        file.pieces().iter().map(|(name, _)| fs::read(dir.join(name)).unwrap()).collect();
    for (part, (name, len)) in parts.iter().zip(file.pieces()) {
        assert_eq!(part.len() as u64, len, "{name}");
    }
    for (part, listed) in parts.iter().zip(&file.parts) {
        assert_eq!(sha256(part), listed.sha256);
    }
    let whole = parts.concat();
    assert_eq!((whole.len() as u64, sha256(&whole)), (file.size, file.sha256.clone()));
    whole
}

/// Every tensor but the masks, as numbers, under its name without prefix.
fn values(file: &[u8]) -> BTreeMap<String, (Vec<u64>, Vec<f32>)> {
    let header = Header::read(file, file.len() as u64).unwrap();
    let tensors = header
        .tensors
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".attn.bias") && !name.ends_with("masked_bias"));
    tensors
        .map(|(name, info)| {
            let bytes =
                &file[(header.data_start + info.start) as usize..(header.data_start + info.end) as usize];
            let values = match info.dtype {
                Dtype::F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
                Dtype::F16 => {
                    bytes.chunks(2).map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect()
                }
                Dtype::Bf16 => {
                    bytes.chunks(2).map(|b| bf16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect()
                }
                other => panic!("{name} is {other}"),
            };
            (name.strip_prefix("transformer.").map(str::to_owned).unwrap_or(name), (info.shape, values))
        })
        .collect()
}

/// What a packed folder must hold: all but an unembedding that is the embedding.
fn originals(dir: &Path) -> BTreeMap<String, (Vec<u64>, Vec<f32>)> {
    let mut all: BTreeMap<_, _> = match fs::read(dir.join("model.safetensors.index.json")) {
        Err(_) => values(&fs::read(dir.join("model.safetensors")).unwrap()),
        Ok(index) => {
            let index = ShardIndex::from_json(&index, Format::Safetensors).unwrap();
            index.shards().into_iter().flat_map(|shard| values(&fs::read(dir.join(shard)).unwrap())).collect()
        }
    };
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
    if config["tie_word_embeddings"] != false {
        all.remove("lm_head.weight");
    }
    all
}

#[test]
fn every_tensor_is_there_in_files_of_the_size_asked_for() {
    for name in ["gelu-new", "gelu-bf16", "gelu-fast-f16"] {
        let out = scratch(name);
        let manifest = pack(&model(name), "f32", 40_000, &out).unwrap();
        for entry in fs::read_dir(&out).unwrap() {
            let entry = entry.unwrap();
            assert!(entry.metadata().unwrap().len() <= 40_000, "{:?}", entry.file_name());
        }
        assert_eq!(Manifest::from_json(&fs::read(out.join("microtome.json")).unwrap()).unwrap(), manifest);
        let whole = joined(&out, &manifest);
        assert_eq!(values(&whole), originals(&model(name)), "{name}");
        // A packed folder can be packed again, differently.
        let again = scratch(&format!("{name}-again"));
        let second = pack(&out, "f32", 1 << 30, &again).unwrap();
        assert!(second.files.iter().all(|file| file.parts.is_empty()));
        assert_eq!(fs::read(again.join("model.safetensors")).unwrap(), whole);
        let config = |dir: &Path| fs::read(dir.join("config.json")).unwrap();
        assert_eq!(config(&out), config(&model(name)));
        fs::remove_dir_all(out).unwrap();
        fs::remove_dir_all(again).unwrap();
    }
}

#[test]
fn f16_halves_the_weights_and_rounds_to_the_nearest() {
    let out = scratch("half");
    let manifest = pack(&model("gelu-new"), "f16", 24_000_000, &out).unwrap();
    assert!(manifest.file("model.safetensors").unwrap().parts.is_empty());
    let rounded: BTreeMap<_, _> = originals(&model("gelu-new"))
        .into_iter()
        .map(|(name, (shape, values))| {
            (name, (shape, values.into_iter().map(|v| f16::from_f32(v).to_f32()).collect()))
        })
        .collect();
    assert_eq!(values(&joined(&out, &manifest)), rounded);
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn a_packed_folder_downloads_as_one_verified_file() {
    let out = scratch("served");
    let manifest = pack(&model("gelu-new"), "f32", 30_000, &out).unwrap();
    assert!(manifest.file("model.safetensors").unwrap().parts.len() > 2);
    let files = fs::read_dir(&out).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (format!("https://x.org/m/{}", path.file_name().unwrap().to_string_lossy()), fs::read(path).unwrap())
    });
    let (mut server, mut store) = (Server::new(files), Store::new());
    let spec = Spec { base: Some("https://x.org/".into()), ..Spec::new("./m/") };
    let run = download(&spec, &mut server, &mut store, usize::MAX).unwrap();
    assert_eq!(run.end.unwrap().len(), manifest.files.len());
    assert!(store.values().all(|entry| entry.complete && entry.verified));
    let weights = store.iter().find(|((_, name), _)| name == "model.safetensors").unwrap().1;
    assert_eq!(weights.bytes, joined(&out, &manifest));
    fs::remove_dir_all(out).unwrap();
}

/// Whatever the loader reads can be packed, and is the same model then.
#[test]
fn every_layout_that_is_read_can_be_packed() {
    let torch = |name: &str| crate::torch::golden(name);
    let shards = ["00001-of-00003.bin", "00002-of-00003.bin", "00003-of-00003.bin"];
    let mut sharded: Vec<(String, Vec<u8>)> = shards
        .map(|end| (format!("pytorch_model-{end}"), torch(&format!("sharded/pytorch_model-{end}"))))
        .into();
    let index = "pytorch_model.bin.index.json";
    sharded.push((index.into(), torch(&format!("sharded/{index}"))));
    let whole = |name: &str| vec![("pytorch_model.bin".to_owned(), torch(name))];
    for (name, files) in [
        ("tied", whole("tied.bin")),
        ("masks-f16", whole("masks-f16.bin")),
        ("views-bf16", whole("views-bf16.bin")),
        ("sharded", sharded),
    ] {
        let (dir, out) = (scratch(&format!("{name}-from")), scratch(&format!("{name}-to")));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("config.json"), crate::files::config(true)).unwrap();
        files.iter().for_each(|(file, bytes)| fs::write(dir.join(file), bytes).unwrap());
        let packed = pack(&dir, "f32", 1_000, &out).unwrap();
        assert!(packed.file("model.safetensors").unwrap().parts.len() > 2, "{name}");
        let read = |dir: &Path| crate::support::weights(&ModelFiles::from_dir(dir).unwrap()).unwrap().0;
        crate::files::same(&read(&out), &read(&dir));
        fs::remove_dir_all(dir).unwrap();
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn what_cannot_be_packed_is_refused() {
    let out = scratch("refused");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("mine.txt"), "mine").unwrap();
    assert_eq!(pack(&model("gelu-new"), "f32", 40_000, &out).unwrap_err().code, "pack.exists");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    let empty = scratch("refused-empty");
    assert_eq!(pack(&out, "f32", 40_000, &empty).unwrap_err().code, "file.missing");
    let small = scratch("refused-small");
    assert_eq!(pack(&model("gelu-new"), "f32", 100, &small).unwrap_err().code, "pack.size");
    // A folder that is no model of this kind, and weights that f16 cannot hold: nothing that looks packed is left.
    let dir = scratch("refused-from");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.json"), crate::files::config(true)).unwrap();
    let mut tensors = crate::files::stored(safetensors::Dtype::F32);
    let (_, _, data) = tensors.get_mut("h.0.attn.c_attn.weight").unwrap();
    data[20..24].copy_from_slice(&70000.0_f32.to_le_bytes());
    fs::write(dir.join("model.safetensors"), crate::files::bytes_of(&tensors)).unwrap();
    let wide = scratch("refused-wide");
    let e = pack(&dir, "f16", 40_000, &wide).unwrap_err();
    assert_eq!(e.code, "model.f16_range");
    assert!(e.message.contains("tensor 'h.0.attn.c_attn.weight' holds 70000"), "{e}");
    assert!(!wide.join("microtome.json").exists());
    tensors.remove("wpe.weight");
    fs::write(dir.join("model.safetensors"), crate::files::bytes_of(&tensors)).unwrap();
    let other = scratch("refused-other");
    assert_eq!(pack(&dir, "f32", 40_000, &other).unwrap_err().code, "model.unsupported");
    assert!(!other.exists());
    for dir in [out, empty, small, dir, wide] {
        let _ = fs::remove_dir_all(dir);
    }
}
