//! `microtome.json`: what a packed folder holds, so that length and hash of every file are known before it is asked for,
//! and so that a file may lie there in parts, for hosts that limit the size of a file.
//!
//! ```json
//! { "format": "microtome", "version": 1, "name": "gpt2", "dtype": "f16",
//!   "files": [ { "name": "config.json", "size": 665, "sha256": "…" },
//!              { "name": "model.safetensors", "size": 50000000, "sha256": "…",
//!                "parts": [ { "name": "model.safetensors.part-001", "size": 24000000, "sha256": "…" }, … ] } ] }
//! ```
//!
//! Put together in their order, the parts are the file: `cat model.safetensors.part-* > model.safetensors`.

use super::delta;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The manifest's own name.
pub const MANIFEST: &str = "microtome.json";

/// The largest manifest, in bytes.
pub const CAP_MANIFEST: u64 = 4_000_000;

/// The most files, parts included.
const CAP_FILES: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `microtome`
    pub format: String,
    /// 1
    pub version: u32,
    /// Shown to people.
    pub name: String,
    /// How the weights are stored: `f32` or `f16`.
    pub dtype: String,
    pub files: Vec<File>,
    /// Steps of the training that made this model, in their order; the last is the model itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<Step>,
}

/// A checkpoint of training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub step: u64,
    /// Its difference from the model, one of `files` ([`super::delta`]); `None` where it is the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// One file of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    /// Bytes, of all parts together.
    pub size: u64,
    /// Lower-case hexadecimal, of all parts together.
    pub sha256: String,
    /// In their order; none where the file lies there whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// Consecutive bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// A step of training that a family does not have.
pub fn unknown_step(step: u64, known: impl Iterator<Item = u64>) -> Error {
    let known: Vec<String> = known.map(|step| step.to_string()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::input("checkpoint.unknown", format!("no checkpoint of step {step}; there are {known}"))
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// `file.manifest` when it is not one: another version, a name that could lead out of the folder or occurs twice, a
    /// hash that is none, parts that are not as long as their file.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        if manifest.format != "microtome" || manifest.version != 1 {
            return Err(wrong(format!(
                "expected format microtome, version 1, found '{}', version {}",
                manifest.format.chars().take(40).collect::<String>(),
                manifest.version
            )));
        }
        let names = manifest.files.iter().flat_map(|file| {
            let parts = file.parts.iter().map(|part| (&part.name, &part.sha256));
            std::iter::once((&file.name, &file.sha256)).chain(parts)
        });
        let mut seen = HashSet::new();
        for (count, (name, sha256)) in names.enumerate() {
            let shown: String = name.chars().take(80).filter(|c| !c.is_control()).collect();
            if count >= CAP_FILES {
                return Err(wrong(format!("more than {CAP_FILES} files")));
            }
            if !is_plain_name(name) {
                return Err(wrong(format!("'{shown}' is not a plain file name")));
            }
            if !seen.insert(name) {
                return Err(wrong(format!("'{shown}' occurs twice")));
            }
            if !is_sha256(sha256) || sha256.bytes().any(|b| b.is_ascii_uppercase()) {
                return Err(wrong(format!(
                    "'{shown}': expected a SHA-256 of 64 lower-case hexadecimal digits"
                )));
            }
        }
        for file in &manifest.files {
            let sum = file.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
            let whole = file.parts.is_empty() || sum == Some(file.size);
            if !whole || file.size >= 1 << 53 || file.parts.iter().any(|part| part.size == 0) {
                return Err(wrong(format!(
                    "'{}': its parts are not {} bytes together",
                    file.name, file.size
                )));
            }
        }
        let mut before = None;
        for Step { step, file } in &manifest.checkpoints {
            let named = file.as_ref().is_none_or(|name| {
                *name == delta::file_name(*step) && manifest.files.iter().any(|file| file.name == *name)
            });
            if !named || before.is_some_and(|before| before >= *step) {
                return Err(wrong(format!(
                    "checkpoint {step}: expected steps that rise, each with its file {} or none",
                    delta::file_name(*step)
                )));
            }
            before = Some(*step);
        }
        Ok(manifest)
    }

    /// The checkpoint of a step.
    ///
    /// # Errors
    /// `checkpoint.unknown` with the steps that there are.
    pub fn checkpoint(&self, step: u64) -> Result<&Step> {
        self.checkpoints
            .iter()
            .find(|checkpoint| checkpoint.step == step)
            .ok_or_else(|| unknown_step(step, self.checkpoints.iter().map(|checkpoint| checkpoint.step)))
    }

    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }
}

impl File {
    /// The files of the folder that hold this one, in their order, with their lengths: one where it lies there whole.
    pub fn pieces(&self) -> Vec<(&str, u64)> {
        if self.parts.is_empty() {
            return vec![(&self.name, self.size)];
        }
        self.parts.iter().map(|part| (part.name.as_str(), part.size)).collect()
    }
}

/// Letters, digits and `._-`, not starting with a dot: a name that cannot leave its folder, hide or be escaped.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// A hash in lower-case hexadecimal, as files and servers write it.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is a SHA-256 in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn wrong(message: String) -> Error {
    Error::input("file.manifest", message).at(MANIFEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> serde_json::Value {
        let hash = "a".repeat(64);
        serde_json::json!({
            "format": "microtome", "version": 1, "name": "m", "dtype": "f32",
            "files": [
                { "name": "config.json", "size": 3, "sha256": hash },
                { "name": "model.safetensors", "size": 30, "sha256": hash, "parts": [
                    { "name": "model.safetensors.part-001", "size": 20, "sha256": hash },
                    { "name": "model.safetensors.part-002", "size": 10, "sha256": hash },
                ] },
            ],
        })
    }

    fn read(value: &serde_json::Value) -> Result<Manifest> {
        Manifest::from_json(value.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_reads_and_gives_the_parts_of_a_file() {
        let manifest = read(&manifest()).unwrap();
        let pieces = manifest.file("model.safetensors").unwrap().pieces();
        assert_eq!(pieces, [("model.safetensors.part-001", 20), ("model.safetensors.part-002", 10)]);
        assert_eq!(manifest.file("config.json").unwrap().pieces(), [("config.json", 3)]);
        assert_eq!(
            Manifest::from_json(serde_json::to_string(&manifest).unwrap().as_bytes()).unwrap(),
            manifest
        );
    }

    #[test]
    fn whatever_could_mislead_is_refused() {
        for (pointer, value) in [
            ("/format", serde_json::json!("other")),
            ("/version", serde_json::json!(2)),
            ("/files/0/name", serde_json::json!("../config.json")),
            ("/files/0/name", serde_json::json!("https://evil.example/x")),
            ("/files/0/name", serde_json::json!(".hidden")),
            ("/files/0/name", serde_json::json!("")),
            ("/files/0/name", serde_json::json!("model.safetensors")),
            ("/files/0/sha256", serde_json::json!("A".repeat(64))),
            ("/files/0/sha256", serde_json::json!("a".repeat(63))),
            ("/files/0/size", serde_json::json!(1_u64 << 53)),
            ("/files/0/size", serde_json::json!(-1)),
            ("/files/1/size", serde_json::json!(31)),
            ("/files/1/parts/0/size", serde_json::json!(u64::MAX)),
            ("/files/1/parts/1/name", serde_json::json!("model.safetensors.part-001")),
            ("/files/1/parts/1/name", serde_json::json!("a/b")),
        ] {
            let mut changed = manifest();
            *changed.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(read(&changed).expect_err(pointer).code, "file.manifest", "{pointer} = {value}");
        }
        assert_eq!(Manifest::from_json(b"<html>").expect_err("html").code, "file.manifest");
    }
}
