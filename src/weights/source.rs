//! Where the bytes of a model's files lie: a folder natively, blobs in the browser. Weights are read from it piece by
//! piece, in the order that processing wants, so that a model is never in memory twice.

use crate::error::{Error, Result};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

/// The bytes of one read, when they are there.
pub type Read<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'a>>;

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// Lower-case hexadecimal SHA-256 of the whole file, where somebody has computed it from these very bytes.
    pub sha256: Option<String>,
}

/// Files that can be read anywhere.
pub trait Source {
    /// Every file, in a fixed order.
    fn files(&self) -> &[SourceFile];

    /// The bytes `range` of file number `file`.
    ///
    /// # Errors
    /// `file.unreadable` when they cannot be read or are fewer: the file has changed under us.
    fn read(&self, file: usize, range: Range<u64>) -> Read<'_>;
}

/// Files held in memory: those that a test makes, or that arrived without a place to be stored.
#[derive(Debug, Default)]
pub struct Memory {
    files: Vec<SourceFile>,
    bytes: Vec<Vec<u8>>,
}

impl Memory {
    pub fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.files.push(SourceFile { name: name.into(), len: bytes.len() as u64, sha256: None });
        self.bytes.push(bytes);
    }
}

impl Source for Memory {
    fn files(&self) -> &[SourceFile] {
        &self.files
    }

    fn read(&self, file: usize, range: Range<u64>) -> Read<'_> {
        let found = self.bytes.get(file).and_then(|bytes| {
            bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
        });
        let bytes = found.map(<[u8]>::to_vec).ok_or_else(|| {
            let name = self.files.get(file).map_or("a file", |file| file.name.as_str());
            Error::input(
                "file.unreadable",
                format!("{name}: expected bytes {} to {}, found fewer", range.start, range.end),
            )
        });
        Box::pin(std::future::ready(bytes))
    }
}
