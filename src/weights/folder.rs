//! A model directory as a [`Source`]: its files are mapped into memory, so that a read costs a copy and a file of many
//! gigabytes costs nothing until it is read.

use super::files::{Format, Lie, ModelFiles, ShardIndex};
use super::manifest::{self, CAP_MANIFEST, MANIFEST, Manifest, hex};
use super::source::{Read, Source, SourceFile};
use crate::error::{Error, Result};
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// The files of a model directory that this program reads, but for shards.
const NAMES: [&str; 8] = [
    "config.json",
    Format::Safetensors.whole(),
    Format::Safetensors.index(),
    Format::Torch.whole(),
    Format::Torch.index(),
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
];

/// Mapped files.
struct Folder {
    files: Vec<SourceFile>,
    /// The pieces of each, one after the other: more than one where a packed folder holds a file in parts. An empty file
    /// has none.
    pieces: Vec<Vec<Mmap>>,
}

impl ModelFiles {
    /// Opens a model directory: `config.json`; the weights in one of the ways of [`Format`]; the tokenizer's files where
    /// they exist. In a packed folder `microtome.json` names the parts of a file.
    ///
    /// # Errors
    /// `file.missing` names the file and the folder; `file.unreadable` carries the system's reason; those of
    /// [`ShardIndex::from_json`].
    pub fn from_dir(dir: &Path) -> Result<Self> {
        Self::read_dir(dir, None)
    }

    /// Opens a model directory as it was at a step of its training, or as it is. `DIR/@1300` means step 1,300 of the model
    /// in `DIR`.
    ///
    /// # Errors
    /// Those of [`ModelFiles::from_dir`]; `checkpoint.unknown` for a step that `microtome.json` does not name;
    /// `file.hash_mismatch` when a file of a checkpoint is not the one that it names.
    pub fn from_dir_at(dir: &Path) -> Result<Self> {
        let (family, step) = family_and_step(dir);
        Self::read_dir(family, step)
    }

    fn read_dir(dir: &Path, step: Option<u64>) -> Result<Self> {
        let missing = |what: &str| {
            Error::input("file.missing", format!("{}: expected {what}, found none", dir.display()))
        };
        if !dir.is_dir() {
            return Err(missing("a model directory"));
        }
        let mut folder = Folder { files: Vec::new(), pieces: Vec::new() };
        let manifest = manifest(dir)?;
        let packed = manifest.as_ref().map_or(&[][..], |manifest| &manifest.files);
        for name in NAMES {
            match packed.iter().find(|file| file.name == name && !file.parts.is_empty()) {
                Some(file) => folder.add_parts(dir, file)?,
                None => _ = folder.add(dir, name)?,
            }
        }
        if folder.find("config.json").is_none() {
            return Err(missing("config.json"));
        }
        let Some((format, lie)) = Format::find(|name| folder.find(name)) else {
            return Err(missing(&Format::any()));
        };
        if lie == Lie::Shards {
            let index = folder.find(format.index()).map(|file| folder.bytes(file)).unwrap_or_default();
            let index = ShardIndex::from_json(index, format)?;
            for name in index.shards() {
                if !folder.add(dir, name)? {
                    return Err(missing(&index.missing(name)));
                }
            }
        }
        if let Some(step) = step {
            let manifest = manifest.as_ref().ok_or_else(|| manifest::unknown_step(step, [].into_iter()))?;
            folder.add_checkpoint(dir, manifest, step)?;
        }
        let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let mut name = full.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        step.iter().for_each(|step| name.push_str(&format!("@{step}")));
        Ok(Self { name, source: Rc::new(folder), step })
    }
}

/// A model's folder, and the step that is meant where the path ends in one: `DIR/@1300`, unless a folder has that name.
pub fn family_and_step(dir: &Path) -> (&Path, Option<u64>) {
    let step = dir.file_name().and_then(|name| name.to_str()?.strip_prefix('@')?.parse().ok());
    match (step, dir.parent()) {
        (Some(step), Some(family)) if !dir.exists() => (family, Some(step)),
        _ => (dir, None),
    }
}

/// `microtome.json` of a folder, where it has one.
///
/// # Errors
/// `file.unreadable`, `file.manifest`.
pub fn manifest(dir: &Path) -> Result<Option<Manifest>> {
    match map(&dir.join(MANIFEST))? {
        Some((manifest, len)) if len <= CAP_MANIFEST => {
            let manifest = Manifest::from_json(manifest.as_deref().unwrap_or_default());
            manifest.map(Some).map_err(|e| e.at(dir.display()))
        }
        _ => Ok(None),
    }
}

impl Folder {
    fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|file| file.name == name)
    }

    /// A file that lies there whole.
    fn bytes(&self, file: usize) -> &[u8] {
        self.pieces[file].first().map_or(&[], |map| map)
    }

    /// Maps a file; false where it does not exist.
    fn add(&mut self, dir: &Path, name: &str) -> Result<bool> {
        let Some((map, len)) = map(&dir.join(name))? else { return Ok(false) };
        self.files.push(SourceFile { name: name.to_owned(), len, sha256: None });
        self.pieces.push(map.into_iter().collect());
        Ok(true)
    }

    /// Maps the difference of a checkpoint, and checks that it and the model are those that belong together.
    fn add_checkpoint(&mut self, dir: &Path, manifest: &Manifest, step: u64) -> Result<()> {
        let Some(name) = &manifest.checkpoint(step).map_err(|e| e.at(dir.display()))?.file else {
            return Ok(());
        };
        match manifest.file(name) {
            Some(file) if !file.parts.is_empty() => self.add_parts(dir, file)?,
            _ if self.add(dir, name)? => {}
            _ => {
                let message = format!("{}: expected {name}, found none", dir.display());
                return Err(Error::input("file.missing", message));
            }
        }
        for name in ["model.safetensors", name] {
            let found = self.files.iter().position(|file| file.name == name);
            let (Some(index), Some(stated)) = (found, manifest.file(name)) else { continue };
            let mut hash = Sha256::new();
            self.pieces[index].iter().for_each(|piece| hash.update(piece));
            let found = hex(&hash.finalize());
            if found != stated.sha256 {
                let path = dir.join(name);
                let message =
                    format!("{}: expected SHA-256 {}, found {found}", path.display(), stated.sha256);
                return Err(Error::input("file.hash_mismatch", message));
            }
            self.files[index].sha256 = Some(found);
        }
        Ok(())
    }

    /// Maps the parts of a file of a packed folder.
    fn add_parts(&mut self, dir: &Path, file: &manifest::File) -> Result<()> {
        let mut pieces = Vec::new();
        for part in &file.parts {
            let path = dir.join(&part.name);
            let found = map(&path)?;
            match found {
                Some((Some(map), len)) if len == part.size => pieces.push(map),
                Some((_, len)) => {
                    let message = format!("{}: expected {} bytes, found {len}", path.display(), part.size);
                    return Err(Error::input("file.unreadable", message));
                }
                None => {
                    let message = format!("{}: expected part {}, found none", dir.display(), part.name);
                    return Err(Error::input("file.missing", message));
                }
            }
        }
        self.files.push(SourceFile { name: file.name.clone(), len: file.size, sha256: None });
        self.pieces.push(pieces);
        Ok(())
    }
}

/// Maps a file, and says how long it is; `None` where it does not exist, no map where it is empty.
fn map(path: &Path) -> Result<Option<(Option<Mmap>, u64)>> {
    let unreadable = |e: &std::io::Error| Error::input("file.unreadable", format!("{}: {e}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
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
    Ok(Some((map, len)))
}

impl Source for Folder {
    fn files(&self) -> &[SourceFile] {
        &self.files
    }

    fn read(&self, file: usize, range: Range<u64>) -> Read<'_> {
        let outside = || Error::internal("a read outside a file");
        let read = || {
            let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).ok()?);
            let mut start = 0;
            for piece in self.pieces.get(file)? {
                let end = start + piece.len() as u64;
                let here = range.start.max(start)..range.end.min(end);
                if here.start < here.end {
                    // Both are within the piece, whose length is a usize.
                    bytes.extend_from_slice(
                        &piece[(here.start - start) as usize..(here.end - start) as usize],
                    );
                }
                start = end;
            }
            (range.end <= start).then_some(bytes)
        };
        Box::pin(std::future::ready(read().ok_or_else(outside)))
    }
}
