//! What a file must be, checked as its bytes arrive: a web page in place of half a gigabyte of weights is refused after
//! its first bytes.

use super::masks::Mask;
use crate::error::{Error, Result};
use crate::weights::header::Header;
use crate::weights::manifest::hex;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha1::{Digest, Sha1};
use std::collections::HashMap;

/// So many bytes are awaited before text is told from weights, so that a message can show them.
const ENOUGH: usize = 40;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// safetensors
    Weights,
    /// `pytorch_model.bin`: a zip archive.
    Torch,
    /// An object of at most `cap` bytes, kept for its reader.
    Json { cap: u64 },
    /// Lines of at most `cap` bytes.
    Text { cap: u64 },
}

/// The beginning of a file, as far as it has come.
pub struct Content {
    kind: Kind,
    /// The header of weights until it is read; all of a JSON file; 40 bytes of others.
    kept: Vec<u8>,
    seen: u64,
    header: Option<Read>,
}

/// What a weight file's header says.
struct Read {
    header: Header,
    end: u64,
}

impl Content {
    pub fn new(kind: Kind) -> Self {
        Self { kind, kept: Vec::new(), seen: 0, header: None }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file's length by its own header.
    pub fn end(&self) -> Option<u64> {
        self.header.as_ref().map(|read| read.end)
    }

    /// The masks that the header lists, of at least `least` bytes.
    pub fn masks(&self, least: u64) -> Vec<Mask> {
        self.header.as_ref().map(|read| Mask::of(&read.header, least)).unwrap_or_default()
    }

    /// How many bytes hold the header, once that is known.
    pub fn header_len(&self) -> Option<u64> {
        let first8 = self.kept.first_chunk::<8>()?;
        u64::from_le_bytes(*first8).checked_add(8)
    }

    /// All of a JSON file.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Git's hash of a file whose text is kept.
    pub fn git_hash(&self) -> Option<String> {
        if !matches!(self.kind, Kind::Json { .. } | Kind::Text { .. }) {
            return None;
        }
        let mut hash = Sha1::new();
        hash.update(format!("blob {}\0", self.kept.len()));
        hash.update(&self.kept);
        Some(hex(&hash.finalize()))
    }

    /// Whether it is a web page: many servers send one, with status 200, for a file that is absent.
    pub fn is_web_page(&self) -> bool {
        self.header.is_none() && self.kept.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
    }

    /// Checks the next bytes of a file whose length is `total`, where that is known.
    ///
    /// # Errors
    /// `file.not_safetensors`, `file.not_torch`, `file.not_json`, `file.not_text` for something else in its place;
    /// `file.header` and `file.layout` for weights that are not well formed; `file.too_large`.
    pub fn take(&mut self, bytes: &[u8], total: Option<u64>) -> Result<()> {
        self.seen += bytes.len() as u64;
        match self.kind {
            Kind::Weights => self.weights(bytes, total),
            Kind::Torch => {
                self.keep(bytes, ENOUGH);
                if self.kept.len() >= ENOUGH { self.torch() } else { Ok(()) }
            }
            Kind::Json { cap } | Kind::Text { cap } => {
                if self.seen > cap || total.is_some_and(|total| total > cap) {
                    let found = total.unwrap_or(self.seen);
                    let message = format!("the file has {found} bytes or more, expected at most {cap}");
                    return Err(Error::input("file.too_large", message));
                }
                self.kept.extend_from_slice(bytes);
                if self.kept.len() >= ENOUGH { self.text() } else { Ok(()) }
            }
        }
    }

    /// Checks a file that is complete.
    ///
    /// # Errors
    /// Those of [`Content::take`]; `net.short` for JSON that ends in the middle.
    pub fn finish(&mut self) -> Result<()> {
        match self.kind {
            Kind::Weights if self.header.is_some() => Ok(()),
            // The header's own reader says what is wrong with what came of it.
            Kind::Weights => match Header::read(&self.kept, u64::MAX) {
                Err(error) if error.code == "file.header" => Err(Error::run(
                    "net.short",
                    format!("the file ends in its header, after {} bytes", self.seen),
                )),
                read => read.map(|_| ()),
            },
            Kind::Torch => self.torch(),
            Kind::Text { .. } => self.text(),
            Kind::Json { .. } => {
                self.text()?;
                serde_json::from_slice::<IgnoredAny>(&self.kept).map(|_| ()).map_err(|e| {
                    let code = if e.is_eof() { "net.short" } else { "file.not_json" };
                    Error::input(code, format!("not a JSON file: {e}"))
                })
            }
        }
    }

    /// Up to `len` bytes from the start are kept.
    fn keep(&mut self, bytes: &[u8], len: usize) {
        let room = len.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }

    fn weights(&mut self, bytes: &[u8], total: Option<u64>) -> Result<()> {
        if self.header.is_some() {
            return Ok(());
        }
        let file_len = total.unwrap_or(u64::MAX);
        let mut rest = bytes;
        // First the length and enough to name what is there instead, then as much as the length says.
        if self.kept.len() < ENOUGH {
            let room = (ENOUGH - self.kept.len()).min(rest.len());
            self.kept.extend_from_slice(&rest[..room]);
            rest = &rest[room..];
        }
        let whole = total.is_some_and(|total| self.seen >= total);
        if self.kept.len() < ENOUGH && !whole {
            return Ok(());
        }
        let Some(first8) = self.kept.first_chunk::<8>().copied() else {
            return Header::read(&self.kept, file_len).map(|_| ());
        };
        let Ok(n) = Header::len_from(first8, file_len) else {
            // Read by the function that shows more than eight bytes of it.
            return Header::read(&self.kept, file_len).map(|_| ());
        };
        // At most `CAP_HEADER + 8`, so it fits a usize.
        let need = (8 + n) as usize;
        self.keep(rest, need);
        if self.kept.len() < need {
            return Ok(());
        }
        let end = match total {
            Some(total) => total,
            None => {
                end_by_header(&self.kept[8..need]).and_then(|len| len.checked_add(8 + n)).unwrap_or(file_len)
            }
        };
        let header = Header::read(&self.kept[..need], end)?;
        // JavaScript counts exactly up to here.
        if end >= 1 << 53 {
            return Err(Error::input("file.header", format!("the header describes a file of {end} bytes")));
        }
        self.kept = first8.to_vec();
        self.header = Some(Read { header, end });
        Ok(())
    }

    fn torch(&self) -> Result<()> {
        if self.kept.starts_with(b"PK\x03\x04") {
            return Ok(());
        }
        let (what, action) = found(&self.kept);
        let message = format!("expected a PyTorch checkpoint (a zip archive), found {what}");
        Err(Error::input("file.not_torch", message).with_action(action))
    }

    fn text(&self) -> Result<()> {
        let start = self.kept.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let start = &self.kept[start..];
        let pointer = start.starts_with(b"version https://git-lfs");
        let (code, expected, wrong) = match self.kind {
            Kind::Json { .. } => ("file.not_json", "a JSON file", !start.starts_with(b"{")),
            _ => ("file.not_text", "lines of text", start.starts_with(b"<") || start.contains(&0)),
        };
        if !wrong && !pointer {
            return Ok(());
        }
        let (what, action) = found(&self.kept);
        Err(Error::input(code, format!("expected {expected}, found {what}")).with_action(action))
    }
}

/// What the bytes are, with the first 40 that can be shown, and what to do about it.
fn found(bytes: &[u8]) -> (String, &'static str) {
    let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { ' ' };
    let text: String = bytes.iter().take(ENOUGH).map(shown).collect();
    let text = text.trim();
    if text.starts_with('<') {
        (format!("a web page: '{text}'"), "Check the address, or that the file is there.")
    } else if text.starts_with("version https://git-lfs") {
        (format!("a git-LFS pointer: '{text}'"), "Fetch the file itself: git lfs pull.")
    } else {
        (format!("'{text}'"), "Check that this is the file that the address means.")
    }
}

/// Where the data ends by the offsets of a header; what else it says is checked by its own reader.
fn end_by_header(json: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Entry {
        data_offsets: Option<(u64, u64)>,
    }
    let entries: HashMap<String, Entry> = serde_json::from_slice(json).ok()?;
    entries.values().filter_map(|entry| entry.data_offsets).map(|(_, end)| end).max()
}

#[cfg(test)]
mod tests;
