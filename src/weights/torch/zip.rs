//! The entries of a zip archive that lies in a [`Source`]: its directory is read from the end of the file, and the
//! place of an entry's bytes from the few bytes before them. Nothing is unpacked: PyTorch stores without compression.

use crate::error::{Error, Result};
use crate::weights::source::Source;
use rawzip::{CompressionMethod, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is read at once from the end of the file, in bytes: the directory of most models, and the longest comment
/// that may stand behind it.
const TAIL: u64 = 1 << 17;
/// The longest comment with the record before it, in bytes.
const SEARCHED: u64 = 22 + 0xFFFF;
/// What is read at once elsewhere, in bytes: the header before an entry has 30.
const PIECE: u64 = 64;
/// The largest directory read, in bytes. That of GPT-2 xl has about 50,000.
const CAP_DIRECTORY: u64 = 4_000_000;

/// An archive whose directory has been read.
pub(super) struct Archive<'a> {
    source: &'a dyn Source,
    file: usize,
    zip: ZipArchive<Pieces>,
    entries: BTreeMap<String, Entry>,
}

/// An entry as the directory describes it.
struct Entry {
    at: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    encrypted: bool,
    crc32: u32,
}

impl<'a> Archive<'a> {
    /// Reads the directory of file number `file`, which has `len` bytes.
    ///
    /// # Errors
    /// `file.zip` when there is none, when it contradicts itself or names an entry twice, or when it is larger than
    /// [`CAP_DIRECTORY`]; those of [`Source::read`].
    pub async fn open(source: &'a dyn Source, file: usize, len: u64) -> Result<Self> {
        let start = len.saturating_sub(TAIL);
        let tail = (start, source.read(file, start..len).await?);
        let mut pieces = Pieces { len, tail, other: (0, Vec::new()), missing: Cell::new(None) };
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let locator = ZipLocator::new().max_search_space(SEARCHED);
        // One read more for each record that lies before the tail: two at most.
        for _ in 0..3 {
            let located = locator.locate_in_reader(pieces, &mut buffer, len);
            let missing = match &located {
                Ok(zip) => zip.get_ref().missing.take(),
                Err((pieces, _)) => pieces.missing.take(),
            };
            match (missing, located) {
                (None, Ok(zip)) => {
                    let mut archive = Self { source, file, zip, entries: BTreeMap::new() };
                    archive.read_directory(&mut buffer, len).await?;
                    return Ok(archive);
                }
                (None, Err((_, e))) => {
                    return Err(zip_error(format!("the archive has no directory at its end: {e}"))
                        .with_action("The file may have been cut while downloading: get it again."));
                }
                (Some(at), Ok(zip)) => {
                    pieces = zip.into_inner();
                    pieces.read(source, file, at, PIECE).await?;
                }
                (Some(at), Err((back, _))) => {
                    pieces = back;
                    pieces.read(source, file, at, PIECE).await?;
                }
            }
        }
        Err(zip_error("the records at the archive's end point to too many places".into()))
    }

    async fn read_directory(&mut self, buffer: &mut [u8], len: u64) -> Result<()> {
        let (start, end) = (self.zip.directory_offset(), self.zip.eocd_offset());
        if self.zip.end_offset() != len {
            let end = self.zip.end_offset();
            return Err(zip_error(format!("the archive ends at byte {end}, found {len} bytes")));
        }
        let bytes = end.saturating_sub(start);
        if bytes > CAP_DIRECTORY {
            return Err(zip_error(format!(
                "the directory has {bytes} bytes, expected at most {CAP_DIRECTORY}"
            )));
        }
        if start < self.zip.get_ref().tail.0 {
            self.zip.get_mut().read(self.source, self.file, start, bytes).await?;
        }
        let mut left = self.zip.entries_hint();
        let mut entries = self.zip.entries(buffer);
        let failed = |e: rawzip::Error| zip_error(format!("the directory cannot be read: {e}"));
        while let Some(entry) = entries.next_entry().map_err(failed)? {
            let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
            let flags = entry.flags();
            let found = Entry {
                at: entry.wayfinder(),
                method: entry.compression_method(),
                encrypted: flags.is_encrypted() || flags.has_strong_encryption(),
                crc32: entry.crc32(),
            };
            if self.entries.insert(name.clone(), found).is_some() {
                return Err(zip_error(format!("entry '{}' occurs twice", super::shown(&name))));
            }
            left = left.wrapping_sub(1);
        }
        if left != 0 {
            let (found, expected) = (self.entries.len(), self.zip.entries_hint());
            return Err(zip_error(format!("the directory has {found} entries, expected {expected}")));
        }
        Ok(())
    }

    /// The names of all entries.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Where the bytes of an entry lie in the file; `None` when there is no such entry.
    ///
    /// # Errors
    /// `file.zip` when the entry is compressed or encrypted, or does not lie within the file; those of
    /// [`Source::read`].
    pub async fn range(&mut self, name: &str) -> Result<Option<Range<u64>>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let fault = |fault: String| zip_error(format!("entry '{}' {fault}", super::shown(name)));
        if entry.method != CompressionMethod::STORE || entry.encrypted {
            let how = if entry.encrypted {
                "encrypted".to_owned()
            } else {
                format!("compressed ({})", entry.method)
            };
            return Err(fault(format!("is {how}, expected it stored as it is, as torch.save does")));
        }
        let (at, sizes) = (entry.at, (entry.at.compressed_size_hint(), entry.at.uncompressed_size_hint()));
        if sizes.0 != sizes.1 {
            return Err(fault(format!("is stored in {} bytes, expected its {}", sizes.0, sizes.1)));
        }
        // The first try finds which bytes are missing, unless they are held already.
        for _ in 0..2 {
            let found = self.zip.get_entry(at).map(|entry| entry.compressed_data_range());
            if let Some(missing) = self.zip.get_ref().missing.take() {
                self.zip.get_mut().read(self.source, self.file, missing, PIECE).await?;
                continue;
            }
            let (start, end) = found.map_err(|e| fault(format!("has no header: {e}")))?;
            let directory = self.zip.directory_offset();
            if end > directory {
                return Err(fault(format!(
                    "ends at byte {end}, expected before the directory at {directory}"
                )));
            }
            return Ok(Some(start..end));
        }
        Err(fault("has no header within the file".into()))
    }

    /// The bytes of an entry of at most `cap` bytes, its checksum compared; `None` when there is no such entry.
    ///
    /// # Errors
    /// Those of [`Archive::range`]; `file.zip` when it is larger or its checksum differs.
    pub async fn read(&mut self, name: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let Some(range) = self.range(name).await? else { return Ok(None) };
        let (shown, len) = (super::shown(name), range.end - range.start);
        if len > cap {
            return Err(zip_error(format!("entry '{shown}' has {len} bytes, expected at most {cap}")));
        }
        let bytes = self.source.read(self.file, range).await?;
        let (found, expected) = (rawzip::crc32(&bytes), self.entries.get(name).map(|entry| entry.crc32));
        if expected != Some(found) {
            let expected = expected.unwrap_or_default();
            return Err(zip_error(format!(
                "entry '{shown}' has the checksum {found:08x}, expected {expected:08x}"
            )));
        }
        Ok(Some(bytes))
    }
}

/// The parts of a file that have been read. `rawzip` asks for bytes and cannot wait: what is not here is noted, read
/// by the caller, and asked for again.
struct Pieces {
    /// Bytes of the file.
    len: u64,
    /// Where the last bytes of the file start, and they.
    tail: (u64, Vec<u8>),
    /// The piece read last.
    other: (u64, Vec<u8>),
    missing: Cell<Option<u64>>,
}

impl Pieces {
    /// Reads `n` bytes from `at`, fewer at the end of the file.
    async fn read(&mut self, source: &dyn Source, file: usize, at: u64, n: u64) -> Result<()> {
        self.other = (at, source.read(file, at..at.saturating_add(n).min(self.len)).await?);
        Ok(())
    }
}

impl ReaderAt for Pieces {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        if offset >= self.len || buffer.is_empty() {
            return Ok(0);
        }
        for (start, bytes) in [&self.tail, &self.other] {
            let at = offset.checked_sub(*start).and_then(|at| usize::try_from(at).ok());
            let found = at.and_then(|at| bytes.get(at..)).unwrap_or_default();
            let n = found.len().min(buffer.len());
            if n > 0 {
                buffer[..n].copy_from_slice(&found[..n]);
                return Ok(n);
            }
        }
        self.missing.set(Some(offset));
        Err(std::io::Error::other("these bytes have not been read yet"))
    }
}

fn zip_error(message: String) -> Error {
    Error::input("file.zip", message)
}
