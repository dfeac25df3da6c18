//! Where a certificate and its key lie between two starts. Without a home folder that is the folder for everybody's temporary
//! files: whoever has put a key there, or has read ours, could listen to the room.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::certificate::Certificate;
use crate::cli::module::io_error;
use crate::error::{Error, Result};

/// No certificate of ours is longer.
const CAP: u64 = 1 << 20;

/// A folder with a new file in it, which takes the place of the kept one once it is written.
pub struct Place {
    path: PathBuf,
    half: PathBuf,
    file: File,
    is_written: bool,
}

impl Place {
    /// Makes the folder, for its owner only, where there is none.
    ///
    /// # Errors
    /// `site.io` for one that cannot be written to.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| io_error(folder, &error))?;
        let half = folder.join(format!("room.{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&half).map_err(|error| io_error(&half, &error))?;
        Ok(Self { path: folder.join("room.json"), half, file, is_written: false })
    }

    /// What is kept, if nobody else can have written or read it.
    pub fn read(&self) -> Option<Certificate> {
        let file = File::open(&self.path).ok()?;
        if !self.is_ours(&file) {
            eprintln!("warning: {} may be known to others and is not used", self.path.display());
            return None;
        }
        let mut json = Vec::new();
        file.take(CAP).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Whether a file has the owner of what this program writes, and nobody else may open it.
    #[cfg(unix)]
    fn is_ours(&self, file: &File) -> bool {
        use std::os::unix::fs::MetadataExt;
        let (Ok(kept), Ok(own)) = (file.metadata(), self.file.metadata()) else { return false };
        kept.is_file() && kept.uid() == own.uid() && kept.mode() & 0o077 == 0
    }

    /// Elsewhere the folder for temporary files is a user's own.
    #[cfg(not(unix))]
    fn is_ours(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|kept| kept.is_file())
    }

    /// Written beside and renamed, so that there is no moment in which it is half there.
    ///
    /// # Errors
    /// `site.io`
    pub fn write(mut self, certificate: &Certificate) -> Result<()> {
        let json =
            serde_json::to_vec_pretty(certificate).map_err(|error| Error::internal(error.to_string()))?;
        let written = self.file.write_all(&json).and_then(|()| fs::rename(&self.half, &self.path));
        self.is_written = written.is_ok();
        written.map_err(|error| io_error(&self.path, &error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_written {
            let _ = fs::remove_file(&self.half);
        }
    }
}
