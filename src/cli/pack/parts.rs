//! Writes one file of a packed folder, in parts where it is larger than the host allows, hashing as it goes.

use std::fs::File as Handle;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::io_error;
use crate::error::Result;
use crate::weights::manifest::{File, Part, hex};

pub struct PartWriter {
    dir: PathBuf,
    name: String,
    most: u64,
    size: u64,
    hash: Sha256,
    parts: Vec<Part>,
    /// The part that is being written, its length and its hash.
    open: Option<(Handle, u64, Sha256)>,
    divided: bool,
}

impl PartWriter {
    /// A file that is divided where it is longer than `most` bytes; `None` never divides it.
    pub fn new(dir: &Path, name: &str, most: Option<u64>) -> Self {
        Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            most: most.unwrap_or(u64::MAX),
            size: 0,
            hash: Sha256::new(),
            parts: Vec::new(),
            open: None,
            divided: most.is_some(),
        }
    }

    /// # Errors
    /// `pack.io`
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let full = self.open.as_ref().is_some_and(|(_, len, _)| *len == self.most);
            if full {
                self.close_part()?;
            }
            let path = self.dir.join(self.part_name());
            let (handle, len, hash) = match &mut self.open {
                Some(open) => open,
                None => {
                    let handle = Handle::create_new(&path).map_err(|e| io_error(&path, &e))?;
                    self.open.insert((handle, 0, Sha256::new()))
                }
            };
            let room = usize::try_from(self.most - *len).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            handle.write_all(now).map_err(|e| io_error(&path, &e))?;
            hash.update(now);
            *len += room as u64;
            bytes = later;
        }
        Ok(())
    }

    /// What was written.
    ///
    /// # Errors
    /// `pack.io`
    pub fn finish(mut self) -> Result<File> {
        self.close_part()?;
        if let [only] = &self.parts[..]
            && self.divided
        {
            // It fits: no part, but the file.
            let (from, to) = (self.dir.join(&only.name), self.dir.join(&self.name));
            std::fs::rename(&from, &to).map_err(|e| io_error(&to, &e))?;
            self.parts.clear();
        }
        if !self.divided {
            self.parts.clear();
        }
        Ok(File { name: self.name, size: self.size, sha256: hex(&self.hash.finalize()), parts: self.parts })
    }

    fn part_name(&self) -> String {
        if self.divided {
            format!("{}.part-{:03}", self.name, self.parts.len() + 1)
        } else {
            self.name.clone()
        }
    }

    fn close_part(&mut self) -> Result<()> {
        let name = self.part_name();
        let Some((handle, size, hash)) = self.open.take() else { return Ok(()) };
        handle.sync_all().map_err(|e| io_error(&self.dir.join(&name), &e))?;
        self.parts.push(Part { name, size, sha256: hex(&hash.finalize()) });
        Ok(())
    }
}
