//! The shell of the page: the files that it needs besides models, each with its hash. The service worker `www/sw.js` gets the
//! list, keeps exactly these bytes, and so never mixes two versions of the page.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::build::files_under;
use super::module::io_error;
use crate::error::{Error, Result};
use crate::weights::manifest::hex;

/// Pages that work offline. The others have readers who never asked for that: an article with one figure.
const PAGES: [&str; 2] = ["index.html", "workshop.html"];
/// What such a page loads for it.
const SCRIPT: &str = "<script type=\"module\" src=\"offline.js\"></script>";
/// In the worker's source: where the list goes.
const PLACE: &str = "const SHELL = null;";
/// The service worker's file.
pub const WORKER: &str = "sw.js";

/// As the worker reads it; `version` is of all the rest, and of the worker itself: another one must not work in the cache of
/// the one that runs.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct Shell {
    version: String,
    /// Whether the worker adds the headers of cross-origin isolation.
    isolate: bool,
    /// Files that are fetched when the version is installed, by path from the worker's folder, with the SHA-256 of each.
    core: BTreeMap<String, String>,
    /// Files that are kept when they are first used: each browser needs one build of the engine only.
    later: BTreeMap<String, String>,
}

/// When a file is fetched.
#[derive(Debug, PartialEq, Eq)]
enum When {
    Core,
    Later,
}

/// Models are in stores of their own, and what only people read is left out; so is whatever the page does not load by itself.
fn when(name: &str) -> Option<When> {
    let hidden = name.split('/').any(|part| part.starts_with('.'));
    if hidden || name.starts_with("models/") || name == WORKER || name.ends_with(".d.ts") {
        return None;
    }
    match name.rsplit_once('.').map(|(_, end)| end) {
        _ if name == "pkg/build.json" => Some(When::Core),
        Some("html" | "js" | "css" | "json" | "svg" | "webmanifest" | "wasm") if name.starts_with("pkg/") => {
            Some(When::Later)
        }
        Some("html" | "js" | "css" | "json" | "svg" | "webmanifest") => Some(When::Core),
        Some("wasm" | "png" | "npz") => Some(When::Later),
        _ => None,
    }
}

impl Shell {
    /// The shell of the site in `folder`, as it is served: `edit` gives a file's bytes as they go out.
    ///
    /// # Errors
    /// `site.io`.
    pub fn of(folder: &Path, isolate: bool, edit: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Result<Self> {
        let (mut core, mut later) = (BTreeMap::new(), BTreeMap::new());
        for path in files_under(folder)? {
            // A name that is not UTF-8 is none of the page's.
            let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
            let Some(name) = parts.map(|parts| parts.join("/")) else { continue };
            let list = match when(&name) {
                Some(When::Core) => &mut core,
                Some(When::Later) => &mut later,
                None => continue,
            };
            let file = folder.join(&path);
            let bytes = std::fs::read(&file).map_err(|error| io_error(&file, &error))?;
            let hash = hex(&Sha256::digest(edit(&name, bytes)));
            list.insert(name, hash);
        }
        let mut shell = Self { version: String::new(), isolate, core, later };
        // A folder without a worker has nothing to install.
        let worker = std::fs::read(folder.join(WORKER)).unwrap_or_default();
        let version = hex(&Sha256::new().chain_update(shell.json()?).chain_update(worker).finalize());
        shell.version = version.chars().take(16).collect();
        Ok(shell)
    }

    /// All files, the largest first.
    pub fn names(&self, folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = self.core.keys().chain(self.later.keys()).cloned().collect();
        names.sort_by_key(|name| {
            std::cmp::Reverse(std::fs::metadata(folder.join(name)).map_or(0, |file| file.len()))
        });
        names
    }

    fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::internal(error.to_string()))
    }

    /// The worker's source with the list in it.
    ///
    /// # Errors
    /// `site.io` for a source without a place for it.
    pub fn worker(&self, source: &str) -> Result<String> {
        if !source.contains(PLACE) {
            return Err(Error::run("site.io", format!("{WORKER}: expected “{PLACE}”, found none")));
        }
        Ok(source.replacen(PLACE, &format!("const SHELL = {};", self.json()?), 1))
    }
}

/// Lines for a page's head: that it works offline, if it is one of those that do.
pub fn line(name: &str) -> Option<&'static str> {
    PAGES.contains(&name).then_some(SCRIPT)
}

/// A page with lines at the end of its head; null where it has no head.
pub fn with_lines(page: &str, lines: &[String]) -> Option<String> {
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    page.contains("</head>").then(|| page.replacen("</head>", &format!("{lines}</head>"), 1))
}

/// Makes the site in `folder`, a copy of the page's source, work offline.
///
/// # Errors
/// `site.io`.
pub fn install(folder: &Path, isolate: bool) -> Result<()> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| io_error(path, &error));
    let write = |path: &Path, text: &str| std::fs::write(path, text).map_err(|error| io_error(path, &error));
    for name in PAGES {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let page = with_lines(&read(&path)?, &[SCRIPT.to_owned()]).ok_or_else(|| {
            Error::run("site.io", format!("{}: expected </head>, found none", path.display()))
        })?;
        write(&path, &page)?;
    }
    let worker = folder.join(WORKER);
    let source = read(&worker)?;
    write(&worker, &Shell::of(folder, isolate, |_, bytes| bytes)?.worker(&source)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn models_prose_and_hidden_files_are_no_part_of_the_shell() {
        for (name, expected) in [
            ("index.html", Some(When::Core)),
            ("store/opfs.js", Some(When::Core)),
            ("recorded/ablate.json", Some(When::Core)),
            ("pkg/build.json", Some(When::Core)),
            ("pkg/microtome.js", Some(When::Later)),
            ("pkg/threads/microtome_bg.wasm", Some(When::Later)),
            ("preview.png", Some(When::Later)),
            ("models/pronoun/config.json", None),
            ("models/pronoun/model.safetensors", None),
            ("pkg/microtome.d.ts", None),
            ("pkg/THIRD_PARTY.txt", None),
            ("sw.js", None),
            (".microtome-site", None),
            ("vendor/x/LICENSE", None),
        ] {
            assert_eq!(when(name), expected, "{name}");
        }
    }

    #[test]
    fn the_version_is_of_every_byte_and_of_nothing_else() {
        let folder = std::env::temp_dir().join(format!("microtome-shell-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("models/m")).unwrap();
        for (name, text) in
            [("index.html", "<head></head>"), ("main.js", "1"), ("sw.js", PLACE), ("models/m/w.json", "w")]
        {
            fs::write(folder.join(name), text).unwrap();
        }
        let version = || Shell::of(&folder, false, |_, bytes| bytes).unwrap().version;
        let first = version();
        fs::write(folder.join("models/m/w.json"), "other").unwrap();
        assert_eq!(version(), first);
        fs::write(folder.join("main.js"), "2").unwrap();
        assert_ne!(version(), first);
        fs::write(folder.join("main.js"), "1").unwrap();
        assert_eq!(version(), first);
        assert_ne!(Shell::of(&folder, true, |_, bytes| bytes).unwrap().version, first);
        // A worker with other code must not work in the cache of the one that runs.
        fs::write(folder.join("sw.js"), format!("{PLACE}\n// mended")).unwrap();
        assert_ne!(version(), first);
        fs::write(folder.join("sw.js"), PLACE).unwrap();
        let edited =
            Shell::of(&folder, false, |name, bytes| if name == "main.js" { b"2".to_vec() } else { bytes });
        assert_ne!(edited.unwrap().version, first);

        install(&folder, false).unwrap();
        let page = fs::read_to_string(folder.join("index.html")).unwrap();
        assert_eq!(page, format!("<head>  {SCRIPT}\n</head>"));
        let worker = fs::read_to_string(folder.join("sw.js")).unwrap();
        let hash = hex(&Sha256::digest(&page));
        assert!(worker.contains(&hash), "the list is of the page as it is served: {worker}");
        assert_eq!(install(&folder, false).unwrap_err().code, "site.io", "a list has a place only once");
        fs::remove_dir_all(folder).unwrap();
    }
}
