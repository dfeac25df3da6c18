//! The folder that is packed, read tensor by tensor. It may itself be a packed one.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{WEIGHTS, io_error};
use crate::error::{Error, Result};
use crate::weights::ShardIndex;
use crate::weights::header::Header;
use crate::weights::manifest::{CAP_MANIFEST, MANIFEST, Manifest};

const INDEX: &str = "model.safetensors.index.json";
/// The largest index, in bytes.
const CAP_INDEX: u64 = 25_000_000;

/// A weight file: its name, and the files that hold it in their order, with their lengths.
struct WeightFile {
    name: String,
    pieces: Vec<(PathBuf, u64)>,
}

pub struct FolderSource {
    dir: PathBuf,
    files: Vec<WeightFile>,
}

impl FolderSource {
    /// # Errors
    /// `file.missing` when there are no weights; `file.manifest` and `file.index`; `pack.io`.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut source = Self { dir: dir.to_owned(), files: Vec::new() };
        let packed = match source.small(MANIFEST, CAP_MANIFEST)? {
            Some(bytes) => {
                Manifest::from_json(&bytes).map_err(|e| e.at(dir.display()))?.file(WEIGHTS).cloned()
            }
            None => None,
        };
        source.files = if let Some(file) = packed {
            let pieces = file.pieces().into_iter().map(|(name, len)| (dir.join(name), len)).collect();
            vec![WeightFile { name: WEIGHTS.into(), pieces }]
        } else if dir.join(WEIGHTS).exists() {
            vec![source.whole(WEIGHTS)?]
        } else if let Some(index) = source.small(INDEX, CAP_INDEX)? {
            let index = ShardIndex::from_json(&index).map_err(|e| e.at(dir.display()))?;
            index.shards().into_iter().map(|shard| source.whole(shard)).collect::<Result<_>>()?
        } else {
            let message =
                format!("{}: expected {WEIGHTS}, or {INDEX} and its shards, found neither", dir.display());
            return Err(Error::input("file.missing", message));
        };
        Ok(source)
    }

    fn whole(&self, name: &str) -> Result<WeightFile> {
        let path = self.dir.join(name);
        let len = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(Error::input("file.missing", format!("{} is missing", path.display())));
            }
            Err(e) => return Err(io_error(&path, &e)),
        };
        Ok(WeightFile { name: name.to_owned(), pieces: vec![(path, len)] })
    }

    /// A file of at most `cap` bytes; `None` when there is none.
    ///
    /// # Errors
    /// `file.too_large`, `pack.io`
    pub fn small(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error(&path, &e)),
        };
        let mut bytes = Vec::new();
        file.take(cap + 1).read_to_end(&mut bytes).map_err(|e| io_error(&path, &e))?;
        if bytes.len() as u64 > cap {
            let message = format!("{} has more than {cap} bytes", path.display());
            return Err(Error::input("file.too_large", message));
        }
        Ok(Some(bytes))
    }

    /// Every weight file's name and header.
    ///
    /// # Errors
    /// Those of [`Header::read`]; `pack.io`
    pub fn weights(&self) -> Result<Vec<(String, Header)>> {
        let header = |(file, weights): (usize, &WeightFile)| {
            let len: u64 = weights.pieces.iter().map(|(_, len)| len).sum();
            let first = self.read(file, 0..len.min(40))?;
            let n = match first.first_chunk::<8>() {
                // A wrong length is reported by the header's own reader, from what there is.
                Some(first8) => Header::len_from(*first8, len).unwrap_or(0),
                None => 0,
            };
            let prefix = if 8 + n > 40 { self.read(file, 0..8 + n)? } else { first };
            let place = self.dir.join(&weights.name);
            let header = Header::read(&prefix, len).map_err(|e| e.at(place.display()))?;
            Ok((weights.name.clone(), header))
        };
        self.files.iter().enumerate().map(header).collect()
    }

    /// The bytes `range` of weight file number `file`.
    ///
    /// # Errors
    /// `pack.io`, also when there are fewer.
    pub fn read(&self, file: usize, range: Range<u64>) -> Result<Vec<u8>> {
        let Some(weights) = self.files.get(file) else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let mut start = 0;
        for (path, len) in &weights.pieces {
            let (from, to) = (range.start.max(start), range.end.min(start + len));
            if from < to {
                let before = bytes.len() as u64;
                let read = |bytes: &mut Vec<u8>| {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(from - start))?;
                    file.take(to - from).read_to_end(bytes)
                };
                read(&mut bytes).map_err(|e| io_error(path, &e))?;
                if bytes.len() as u64 - before != to - from {
                    let message = format!("{} is shorter than the {len} bytes expected", path.display());
                    return Err(Error::input("file.unreadable", message));
                }
            }
            start += len;
        }
        Ok(bytes)
    }
}
