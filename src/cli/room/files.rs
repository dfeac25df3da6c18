//! Which files of a model's folder a room gets: those that the page asks for, and nothing else that lies there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::module::io_error;
use crate::error::{Error, Result};
use crate::weights::folder::manifest;
use crate::weights::manifest::MANIFEST;

const NAMES: [&str; 7] = [
    MANIFEST,
    "config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];
/// How weights end, in one file or in shards, checkpoints too.
const WEIGHTS: [&str; 2] = [".safetensors", ".bin"];

/// The files of a model, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Of a packed folder: what its manifest names.
    listed: BTreeSet<String>,
    /// Links that lead out of the folder, and where to. What they lead to later does not count.
    links: BTreeMap<String, PathBuf>,
}

impl Files {
    /// Those of `folder`, a path without links. The folders of Hugging Face's cache hold nothing but links, to the `blobs` beside
    /// them; other links may lead to what is a model's file by its name.
    ///
    /// # Errors
    /// `model.link` for a link that leads nowhere, or to something else; `file.manifest`, `site.io`.
    pub fn of(folder: &Path) -> Result<Self> {
        let files = manifest(folder)?.map(|manifest| manifest.files).unwrap_or_default();
        let names = |file: crate::weights::manifest::File| {
            let parts = file.parts.into_iter().map(|part| part.name);
            std::iter::once(file.name).chain(parts).collect::<Vec<_>>()
        };
        let mut found = Self { listed: files.into_iter().flat_map(names).collect(), links: BTreeMap::new() };
        let cache = folder.parent().filter(|above| above.ends_with("snapshots")).and_then(Path::parent);
        let blobs = cache.map(|cache| cache.join("blobs"));
        for entry in fs::read_dir(folder).map_err(|error| io_error(folder, &error))? {
            let entry = entry.map_err(|error| io_error(folder, &error))?;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|name| found.has(name)) else { continue };
            if !path.is_symlink() {
                continue;
            }
            let wrong = |why: String| {
                Err(Error::input(
                    "model.link",
                    format!("{}: expected a file of the model, found a link {why}", path.display()),
                )
                .with_action("put the file itself in its place"))
            };
            let Ok(target) = path.canonicalize() else { return wrong("that leads nowhere".to_owned()) };
            let named = target.file_name().and_then(OsStr::to_str).is_some_and(|name| found.has(name));
            if target.starts_with(folder) {
                continue;
            }
            if !named && (blobs.is_none() || target.parent() != blobs.as_deref()) {
                return wrong(format!("to {}", target.display()));
            }
            found.links.insert(name.to_owned(), target);
        }
        Ok(found)
    }

    /// Whether the page may ask for a file of this name.
    fn has(&self, name: &str) -> bool {
        let known = NAMES.contains(&name) || WEIGHTS.iter().any(|end| name.ends_with(end));
        !name.starts_with('.') && (known || self.listed.contains(name))
    }

    /// Whether `name`, which is `real` once links are followed, is to be had: it lies in `folder` itself, or was linked at the start.
    pub fn allow(&self, folder: &Path, name: &Path, real: &Path) -> bool {
        // A path of several parts is no name.
        name.to_str().is_some_and(|name| {
            self.has(name)
                && (real.starts_with(folder) || self.links.get(name).is_some_and(|target| target == real))
        }) && name.components().count() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_model_are_a_models() {
        let packed =
            Files { listed: ["model.safetensors.part-001".to_owned()].into(), links: BTreeMap::new() };
        for (name, is_served) in [
            ("config.json", true),
            ("microtome.json", true),
            ("tokenizer.json", true),
            ("vocab.json", true),
            ("merges.txt", true),
            ("model.safetensors", true),
            ("model-00001-of-00002.safetensors", true),
            ("model.safetensors.index.json", true),
            ("pytorch_model-00001-of-00002.bin", true),
            ("pytorch_model.bin.index.json", true),
            ("step-1250.safetensors", true),
            ("model.safetensors.part-001", true),
            ("model.safetensors.part-002", false),
            (".env", false),
            (".hidden.safetensors", false),
            ("notes.txt", false),
            ("README.md", false),
            ("answers.json", false),
            ("below/model.safetensors", false),
        ] {
            let real = Path::new("/m").join(name);
            assert_eq!(packed.allow(Path::new("/m"), Path::new(name), &real), is_served, "{name}");
        }
        assert!(!packed.allow(Path::new("/m"), Path::new("config.json"), Path::new("/other/config.json")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_to_a_file_of_a_model_or_is_refused_at_the_start() {
        use std::os::unix::fs::symlink;
        let scratch = std::env::temp_dir().join(format!("microtome-room-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let folder = scratch.join("models--a--b/snapshots/1");
        for made in [&folder, &scratch.join("models--a--b/blobs"), &scratch.join("else")] {
            fs::create_dir_all(made).unwrap();
        }
        let folder = folder.canonicalize().unwrap();
        for name in ["models--a--b/blobs/1f", "else/model.safetensors", "else/id_key", "else/1f"] {
            fs::write(scratch.join(name), "x").unwrap();
        }
        symlink("../../blobs/1f", folder.join("config.json")).unwrap();
        symlink(scratch.join("else/model.safetensors"), folder.join("model.safetensors")).unwrap();
        symlink("config.json", folder.join("tokenizer.json")).unwrap();
        // What the page never asks for leads wherever it likes: nobody gets it.
        symlink(scratch.join("else/id_key"), folder.join("notes.txt")).unwrap();
        let files = Files::of(&folder).unwrap();
        assert_eq!(
            files.links.keys().collect::<Vec<_>>(),
            ["config.json", "model.safetensors", "tokenizer.json"]
        );
        for (target, said) in [
            ("else/id_key", "found a link to "),
            ("else/1f", "found a link to "),
            ("nowhere", "leads nowhere"),
        ] {
            let link = folder.join("merges.txt");
            let _ = fs::remove_file(&link);
            symlink(scratch.join(target), &link).unwrap();
            let error = Files::of(&folder).unwrap_err();
            assert_eq!((error.code.as_ref(), error.exit_status()), ("model.link", 2));
            assert!(
                error.message.contains("merges.txt") && error.message.contains(said),
                "{}",
                error.message
            );
        }
        fs::remove_dir_all(scratch).unwrap();
    }
}
