//! A model directory as a [`Source`]: its files are mapped into memory, so that a read costs a copy and a file of many
//! gigabytes costs nothing until it is read.

use super::files::{INDEX, ModelFiles, ShardIndex, TORCH};
use super::source::{Read, Source, SourceFile};
use crate::error::{Error, Result};
use memmap2::Mmap;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// The files of a model directory that this program reads, but for shards.
const NAMES: [&str; 7] =
    ["config.json", "model.safetensors", INDEX, TORCH, "tokenizer.json", "vocab.json", "merges.txt"];

/// Mapped files.
struct Folder {
    files: Vec<SourceFile>,
    /// `None` for an empty file, which cannot be mapped.
    maps: Vec<Option<Mmap>>,
}

impl ModelFiles {
    /// Opens a model directory: `config.json`; `model.safetensors`, or else the shards that
    /// `model.safetensors.index.json` names, or else `pytorch_model.bin`; the tokenizer's files where they exist.
    ///
    /// # Errors
    /// `file.missing` names the file and the folder; `file.unreadable` carries the system's reason; those of
    /// [`ShardIndex::from_json`].
    pub fn from_dir(dir: &Path) -> Result<Self> {
        let missing = |what: &str| {
            Error::input("file.missing", format!("{}: expected {what}, found none", dir.display()))
        };
        if !dir.is_dir() {
            return Err(missing("a model directory"));
        }
        let mut folder = Folder { files: Vec::new(), maps: Vec::new() };
        for name in NAMES {
            folder.add(dir, name)?;
        }
        if !folder.has("config.json") {
            return Err(missing("config.json"));
        }
        if !folder.has("model.safetensors") {
            let shards: Vec<_> = match folder.bytes(INDEX) {
                Some(index) => {
                    ShardIndex::from_json(index)?.shards().into_iter().map(str::to_owned).collect()
                }
                None if folder.has(TORCH) => Vec::new(),
                None => {
                    let what = format!("model.safetensors, or {INDEX} and its shards, or {TORCH}");
                    return Err(missing(&what));
                }
            };
            for name in shards {
                if !folder.add(dir, &name)? {
                    return Err(missing(&format!("shard {name}, which {INDEX} names")));
                }
            }
        }
        let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let name = full.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { name, source: Rc::new(folder) })
    }
}

impl Folder {
    fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let file = self.files.iter().position(|file| file.name == name)?;
        Some(self.maps[file].as_deref().unwrap_or_default())
    }

    /// Maps a file; false where it does not exist.
    fn add(&mut self, dir: &Path, name: &str) -> Result<bool> {
        let path = dir.join(name);
        let unreadable =
            |e: &std::io::Error| Error::input("file.unreadable", format!("{}: {e}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(unreadable(&e)),
        };
        let metadata = file.metadata().map_err(|e| unreadable(&e))?;
        if !metadata.is_file() {
            return Err(Error::input("file.unreadable", format!("{}: expected a file", path.display())));
        }
        let len = metadata.len();
        #[allow(
            unsafe_code,
            reason = "nothing safe maps a file: another process could change it under the map. Its bytes are only ever \
                      copied out and decoded, so that changed ones are wrong numbers, as they would be on disk"
        )]
        let map = (len > 0).then(|| unsafe { Mmap::map(&file) }).transpose().map_err(|e| unreadable(&e))?;
        self.files.push(SourceFile { name: name.to_owned(), len, sha256: None });
        self.maps.push(map);
        Ok(true)
    }
}

impl Source for Folder {
    fn files(&self) -> &[SourceFile] {
        &self.files
    }

    fn read(&self, file: usize, range: Range<u64>) -> Read<'_> {
        let bytes = self.maps.get(file).and_then(|map| {
            let bytes: &[u8] = map.as_deref().unwrap_or_default();
            bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
        });
        let bytes = bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::internal("a read outside a file"));
        Box::pin(std::future::ready(bytes))
    }
}
