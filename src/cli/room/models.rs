//! The models that a room is given beside those of the page: folders of this machine, each below `models/NAME/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::module::io_error;
use crate::error::{Error, Result};

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
        let sizes: Vec<(String, u64)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                Some((entry.file_name().into_string().ok()?, fs::metadata(entry.path()).ok()?.len()))
            })
            .filter(|(name, _)| !name.starts_with("step-"))
            .collect();
        let of =
            |end: &str| sizes.iter().filter(|(name, _)| name.ends_with(end)).cloned().collect::<Vec<_>>();
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
/// `model.no_folder` for a folder that is not there or has no `config.json`.
pub fn named(folders: &[PathBuf], www: &Path) -> Result<Vec<Model>> {
    let own = www.join("models");
    let mut models: Vec<Model> = Vec::new();
    for folder in folders {
        if !folder.join("config.json").is_file() {
            let message = format!("{} holds no model: it has no config.json", folder.display());
            return Err(Error::input("model.no_folder", message)
                .with_action("expected a folder as `microtome fetch … --out DIR` writes it"));
        }
        let folder = folder.canonicalize().map_err(|error| io_error(folder, &error))?;
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

/// The folder's own name as far as an address takes it.
fn plain_name(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
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
        let names = ["www/models/pronoun", "a/gpt2", "b/gpt2", "c/pronoun", "d/\"><img src=x>", "e/…"];
        for name in names {
            fs::create_dir_all(scratch.join(name)).unwrap();
            fs::write(scratch.join(name).join("config.json"), "{}").unwrap();
        }
        let models = named(&names.map(|name| scratch.join(name)), &www).unwrap();
        let got: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(got, ["pronoun", "gpt2", "gpt2-2", "pronoun-2", "img-src-x", "model"]);
        for model in &models {
            assert!(
                matches!(model.address().parse(), Ok(crate::address::Address::Folder(_))),
                "{}",
                model.name
            );
        }
        let error = named(&[www], &scratch).unwrap_err();
        assert_eq!((error.code.as_ref(), error.exit_status()), ("model.no_folder", 2));
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
        fs::remove_dir_all(scratch).unwrap();
    }
}
