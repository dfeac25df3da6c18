//! The models that a room is given beside those of the page: folders of this machine, each below `models/NAME/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::files::Files;
use crate::cli::module::io_error;
use crate::error::{Error, Result};
use crate::weights::ModelFiles;
use crate::weights::folder::manifest;

/// A folder and where the page finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Only letters, digits and `-_`: it goes into addresses and pages.
    pub name: String,
    pub folder: PathBuf,
}

impl Model {
    /// As the page opens it.
    pub fn address(&self) -> String {
        format!("./models/{}/", self.name)
    }

    /// Names of the files with its weights, and their bytes.
    pub fn weights(&self) -> (BTreeSet<String>, u64) {
        // A packed folder holds a file in parts.
        let files = manifest(&self.folder).ok().flatten().map(|manifest| manifest.files).unwrap_or_default();
        let part_of: BTreeMap<&str, &str> = files
            .iter()
            .flat_map(|file| file.parts.iter().map(|part| (part.name.as_str(), file.name.as_str())))
            .collect();
        let sizes: Vec<(String, u64)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                Some((entry.file_name().into_string().ok()?, fs::metadata(entry.path()).ok()?.len()))
            })
            .filter(|(name, _)| !name.starts_with('.') && !name.starts_with("step-"))
            .collect();
        let ends = |name: &str, end: &str| part_of.get(name).unwrap_or(&name).ends_with(end);
        let of = |end: &str| sizes.iter().filter(|(name, _)| ends(name, end)).cloned().collect::<Vec<_>>();
        let found =
            [".safetensors", ".bin"].map(of).into_iter().find(|files| !files.is_empty()).unwrap_or_default();
        let bytes = found.iter().map(|(_, bytes)| bytes).sum();
        (found.into_iter().map(|(name, _)| name).collect(), bytes)
    }
}

/// The folders under names of their own, none of them a name that the page's models have already. A folder that is one of
/// those is served as that one.
///
/// # Errors
/// `model.no_folder` for a folder that is not there or has no `config.json`; `file.missing` for one without weights; those of
/// [`Files::of`].
pub fn named(folders: &[PathBuf], www: &Path) -> Result<Vec<Model>> {
    let own = www.join("models");
    let mut models: Vec<Model> = Vec::new();
    for folder in folders {
        let expected = "expected a folder as `microtome fetch … --out DIR` writes it";
        if !folder.is_dir() || fs::symlink_metadata(folder.join("config.json")).is_err() {
            let message = format!("{} holds no model: it has no config.json", folder.display());
            return Err(Error::input("model.no_folder", message).with_action(expected));
        }
        let folder = folder.canonicalize().map_err(|error| io_error(folder, &error))?;
        Files::of(&folder)?;
        // With the eyes of whoever loads it: nobody should find out in the middle of a workshop that there are no weights.
        ModelFiles::from_dir(&folder).map_err(|error| error.with_action(expected))?;
        let plain = plain_name(&folder);
        let taken = |name: &str| {
            let other = own.join(name);
            models.iter().any(|model| model.name == name)
                || (other.exists() && other.canonicalize().ok().as_deref() != Some(&folder))
        };
        let mut name = plain.clone();
        for number in 2.. {
            if !taken(&name) {
                break;
            }
            name = format!("{plain}-{number}");
        }
        models.push(Model { name, folder });
    }
    Ok(models)
}

/// The folder's own name as far as an address takes it. That of a folder of Hugging Face's cache,
/// `models--OWNER--NAME/snapshots/COMMIT`, would be a commit.
fn plain_name(folder: &Path) -> String {
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let cached =
        folder.parent().filter(|above| above.ends_with("snapshots")).and_then(Path::parent).and_then(name);
    let cached = cached.and_then(|name| Some(name.strip_prefix("models--")?.rsplit("--").next()?.to_owned()));
    let name = cached.or_else(|| name(folder)).unwrap_or_default();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(60).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "model".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_into_addresses_whatever_the_folder_is_called() {
        let scratch = std::env::temp_dir().join(format!("microtome-room-models-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let www = scratch.join("www");
        let cached = "models--openai-community--gpt2/snapshots/607a30d";
        let names =
            ["www/models/pronoun", "a/gpt2", "b/gpt2", "c/pronoun", "d/\"><img src=x>", "e/…", cached];
        for name in names {
            fs::create_dir_all(scratch.join(name)).unwrap();
            fs::write(scratch.join(name).join("config.json"), "{}").unwrap();
            fs::write(scratch.join(name).join("model.safetensors"), "x").unwrap();
        }
        let models = named(&names.map(|name| scratch.join(name)), &www).unwrap();
        let got: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(got, ["pronoun", "gpt2", "gpt2-2", "pronoun-2", "img-src-x", "model", "gpt2-3"]);
        for model in &models {
            assert!(
                matches!(model.address().parse(), Ok(crate::address::Address::Folder(_))),
                "{}",
                model.name
            );
        }
        let error = named(&[www], &scratch).unwrap_err();
        assert_eq!((error.code.as_ref(), error.exit_status()), ("model.no_folder", 2));
        fs::remove_file(scratch.join("a/gpt2/model.safetensors")).unwrap();
        let error = named(&[scratch.join("a/gpt2")], &scratch).unwrap_err();
        assert_eq!((error.code.as_ref(), error.exit_status()), ("file.missing", 2));
        assert!(error.message.contains("expected model.safetensors"), "{}", error.message);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn weights_are_the_whole_model_without_its_checkpoints() {
        let scratch = std::env::temp_dir().join(format!("microtome-room-weights-{}", std::process::id()));
        fs::create_dir_all(&scratch).unwrap();
        let model = Model { name: "m".to_owned(), folder: scratch.clone() };
        for (name, bytes) in [("pytorch_model.bin", 5), ("config.json", 2)] {
            fs::write(scratch.join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(model.weights(), (BTreeSet::from(["pytorch_model.bin".to_owned()]), 5));
        for (name, bytes) in [("a.safetensors", 10), ("b.safetensors", 20), ("step-3.safetensors", 40)] {
            fs::write(scratch.join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(model.weights(), (["a.safetensors", "b.safetensors"].map(str::to_owned).into(), 30));
        // Packed: the parts are the file.
        for name in ["a.safetensors", "b.safetensors"] {
            fs::remove_file(scratch.join(name)).unwrap();
        }
        let part = |number: u32| format!("model.safetensors.part-00{number}");
        let hash = "0".repeat(64);
        let parts =
            [1, 2].map(|number| serde_json::json!({ "name": part(number), "size": 6, "sha256": hash }));
        let file =
            serde_json::json!({ "name": "model.safetensors", "size": 12, "sha256": hash, "parts": parts });
        let manifest = serde_json::json!({ "format": "microtome", "version": 1, "name": "m", "dtype": "f32", "files": [file] });
        fs::write(scratch.join("microtome.json"), manifest.to_string()).unwrap();
        for number in [1, 2] {
            fs::write(scratch.join(part(number)), [0; 6]).unwrap();
        }
        assert_eq!(model.weights(), ([part(1), part(2)].into(), 12));
        fs::remove_dir_all(scratch).unwrap();
    }
}
