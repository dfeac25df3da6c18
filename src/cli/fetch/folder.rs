//! A folder as the store of a download: `NAME.part` while a file is incomplete, `NAME` once it is checked, and a hidden
//! file that says what they are. Whatever interrupts the program, the next run continues from these.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::download::FileInfo;
use crate::error::{Error, Result};

/// What the folder's files are.
const RECORD: &str = ".microtome-fetch.json";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Entry {
    source: String,
    revision: String,
    note: Option<String>,
    complete: bool,
}

pub struct Folder {
    dir: PathBuf,
    entries: BTreeMap<String, Entry>,
    open: Option<(String, File)>,
}

impl Folder {
    /// Makes the folder where there is none.
    ///
    /// # Errors
    /// `fetch.io`
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| io_error(dir, &e))?;
        let record = dir.join(RECORD);
        let entries = match fs::read(&record) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::input("fetch.record", format!("{}: {e}", record.display()))
                    .with_action("Remove it with the files beside it, or choose another folder.")
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(io_error(&record, &e)),
        };
        Ok(Self { dir: dir.to_owned(), entries, open: None })
    }

    /// Opens a file; what there is of it, the last note, and whether it was complete.
    ///
    /// # Errors
    /// `fetch.exists` for a file that is not this one: it is not overwritten; `fetch.io`.
    pub fn open_file(&mut self, info: &FileInfo) -> Result<(u64, Option<String>, bool)> {
        let whole = self.dir.join(&info.name);
        let ours = |entry: &&Entry| entry.source == info.source && entry.revision == info.revision;
        let entry = self.entries.get(&info.name).filter(ours).cloned();
        if whole.exists() && !entry.as_ref().is_some_and(|entry| entry.complete) {
            return Err(Error::input("fetch.exists", format!("{} is there already", whole.display())).with_action(
                "Choose another folder: a file that is not this revision of this model is not overwritten.",
            ));
        }
        let entry = entry.filter(|entry| !entry.complete || whole.exists()).unwrap_or_else(|| Entry {
            source: info.source.clone(),
            revision: info.revision.clone(),
            ..Entry::default()
        });
        let path = if entry.complete { whole } else { self.part(&info.name) };
        let mut options = OpenOptions::new();
        options.read(true).write(!entry.complete).create(!entry.complete);
        // Without a note nobody knows what a part is the beginning of.
        options.truncate(!entry.complete && entry.note.is_none());
        let file = options.open(&path).map_err(|e| io_error(&path, &e))?;
        let have = file.metadata().map_err(|e| io_error(&path, &e))?.len();
        let answer = (have, entry.note.clone(), entry.complete);
        self.entries.insert(info.name.clone(), entry);
        self.open = Some((info.name.clone(), file));
        Ok(answer)
    }

    /// # Errors
    /// `fetch.io`, also when there are fewer bytes.
    pub fn read(&mut self, from: u64, to: u64) -> Result<Vec<u8>> {
        self.with_file(|file| {
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            Read::by_ref(file).take(to - from).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// # Errors
    /// `fetch.io`
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.with_file(|file| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        })
    }

    /// # Errors
    /// `fetch.io`
    pub fn note(&mut self, note: String) -> Result<()> {
        let Some((name, _)) = &self.open else { return Ok(()) };
        self.entries.entry(name.clone()).or_default().note = Some(note);
        self.save()
    }

    /// # Errors
    /// `fetch.io`
    pub fn truncate(&mut self, to: u64) -> Result<()> {
        let Some((name, _)) = &self.open else { return Ok(()) };
        let (name, path) = (name.clone(), self.part(name));
        let was_complete = self.entries.get(&name).is_some_and(|entry| entry.complete);
        if was_complete {
            // What was complete is wrong; from now on there is only a part.
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
            self.open = Some((name.clone(), file.map_err(|e| io_error(&path, &e))?));
            let whole = self.dir.join(&name);
            fs::remove_file(&whole).map_err(|e| io_error(&whole, &e))?;
            self.entries.entry(name).or_default().complete = false;
            return self.save();
        }
        self.with_file(|file| file.set_len(to))
    }

    /// Gives the open file its name.
    ///
    /// # Errors
    /// `fetch.io`
    pub fn close(&mut self) -> Result<()> {
        self.with_file(|file| file.sync_all())?;
        let Some((name, file)) = self.open.take() else { return Ok(()) };
        drop(file);
        let (part, whole) = (self.part(&name), self.dir.join(&name));
        fs::rename(&part, &whole).map_err(|e| io_error(&whole, &e))?;
        self.entries.entry(name).or_default().complete = true;
        self.save()
    }

    /// Removes the open file.
    ///
    /// # Errors
    /// `fetch.io`
    pub fn drop_file(&mut self) -> Result<()> {
        let Some((name, file)) = self.open.take() else { return Ok(()) };
        drop(file);
        let part = self.part(&name);
        match fs::remove_file(&part) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(&part, &e)),
            _ => {}
        }
        self.entries.remove(&name);
        self.save()
    }

    fn part(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.part"))
    }

    fn with_file<T>(&mut self, act: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
        let Some((name, file)) = &mut self.open else {
            return Err(Error::internal("no file of the download is open"));
        };
        act(file).map_err(|e| io_error(&self.dir.join(name), &e))
    }

    /// Writes the record beside itself first, so that it is always one or the other.
    fn save(&self) -> Result<()> {
        let (path, new) = (self.dir.join(RECORD), self.dir.join(format!("{RECORD}.new")));
        let json = serde_json::to_vec_pretty(&self.entries)
            .map_err(|e| Error::internal(format!("the record: {e}")))?;
        fs::write(&new, json).and_then(|()| fs::rename(&new, &path)).map_err(|e| io_error(&path, &e))
    }
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::run("fetch.io", format!("{}: {error}", path.display()))
}
