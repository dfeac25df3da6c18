//! `microtome build --out DIR`: the page as a plain folder, for any file server, under any path.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::module::{self, io_error};
use super::shell;
use super::source::Source;
use crate::error::{Error, Result};

/// Lists the files that the last build wrote, one a line: they, and nothing else, are replaced by
/// the next one.
const MARKER: &str = ".microtome-site";

#[derive(clap::Args)]
pub struct Args {
    /// The folder to write: a new one, an empty one, or one that this command wrote before.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a host that cannot send the headers of cross-origin isolation: the page's service worker adds them from its
    /// second load on, so that the engine may use threads.
    #[arg(long)]
    isolate: bool,
}

/// # Errors
/// `site.out_not_empty` before anything is built; else those of [`module::make`], and `site.io`.
pub fn main(args: Args) -> Result<()> {
    let source = Source::find()?;
    refuse_foreign(&args.out, &source.www())?;
    module::make(&source)?;
    let written = copy_site(&source.www(), &args.out)?;
    shell::install(&args.out, args.isolate)?;
    println!("{} files in {}", written, args.out.display());
    Ok(())
}

/// An error unless `out` may be (over)written.
fn refuse_foreign(out: &Path, www: &Path) -> Result<()> {
    let refuse = |why: &str| {
        let message =
            format!("{} {why}; expected a new folder, an empty one or an earlier build", out.display());
        Err(Error::input("site.out_not_empty", message)
            .with_action("name another folder: `microtome build --out DIR`"))
    };
    let absolute = std::path::absolute(out).map_err(|error| io_error(out, &error))?;
    if absolute.canonicalize().unwrap_or(absolute).starts_with(www.canonicalize().unwrap_or_default()) {
        return refuse("is inside the source of the page");
    }
    match fs::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => refuse("is a file"),
        Err(error) => Err(io_error(out, &error)),
        Ok(_) if out.join(MARKER).is_file() => Ok(()),
        Ok(mut entries) => {
            if entries.next().is_none() {
                Ok(())
            } else {
                refuse("holds files that are not ours")
            }
        }
    }
}

/// Replaces what an earlier build left in `out` by the files of `www`; returns how many.
fn copy_site(www: &Path, out: &Path) -> Result<usize> {
    let files = files_under(www)?;
    let marker = out.join(MARKER);
    if let Ok(earlier) = fs::read_to_string(&marker) {
        for name in earlier.lines().map(Path::new).filter(|name| is_plain(name) && !files.contains(*name)) {
            let stale = out.join(name);
            match fs::remove_file(&stale) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error(&stale, &error));
                }
                _ => {}
            }
        }
    }
    fs::create_dir_all(out).map_err(|error| io_error(out, &error))?;
    // Before the copies: a build that stops half-way must still be known as ours.
    let list: String = files.iter().map(|name| format!("{}\n", name.display())).collect();
    fs::write(&marker, list).map_err(|error| io_error(&marker, &error))?;
    for name in &files {
        let target = out.join(name);
        let folder = target.parent().unwrap_or(out);
        fs::create_dir_all(folder).map_err(|error| io_error(folder, &error))?;
        fs::copy(www.join(name), &target).map_err(|error| io_error(&target, &error))?;
    }
    Ok(files.len())
}

/// Every file at any depth, by its path from `root`, sorted.
pub(super) fn files_under(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).map_err(|error| io_error(&path, &error))? {
            let name = folder.join(entry.map_err(|error| io_error(&path, &error))?.file_name());
            if root.join(&name).is_dir() {
                open.push(name);
            } else {
                files.insert(name);
            }
        }
    }
    Ok(files)
}

/// Whether a path stays inside the folder that it is joined to: a marker file can be edited.
fn is_plain(name: &Path) -> bool {
    name.components().count() > 0 && name.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("microtome-build-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("www/pkg")).unwrap();
        fs::write(folder.join("www/index.html"), "page").unwrap();
        fs::write(folder.join("www/pkg/old.js"), "old").unwrap();
        folder
    }

    #[test]
    fn a_second_build_replaces_the_first_and_nothing_else() {
        let folder = scratch("twice");
        let (www, out) = (folder.join("www"), folder.join("out"));
        refuse_foreign(&out, &www).unwrap();
        assert_eq!(copy_site(&www, &out).unwrap(), 2);
        assert_eq!(fs::read_to_string(out.join("pkg/old.js")).unwrap(), "old");

        fs::write(out.join("CNAME"), "mine").unwrap();
        fs::rename(www.join("pkg/old.js"), www.join("pkg/new.js")).unwrap();
        refuse_foreign(&out, &www).unwrap();
        copy_site(&www, &out).unwrap();
        assert!(!out.join("pkg/old.js").exists() && out.join("pkg/new.js").exists());
        assert_eq!(fs::read_to_string(out.join("CNAME")).unwrap(), "mine");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_site_works_offline_however_often_it_is_built() {
        let folder = scratch("offline");
        let (www, out) = (folder.join("www"), folder.join("out"));
        fs::write(www.join("index.html"), "<head>\n</head><body></head>").unwrap();
        fs::write(www.join("sw.js"), "const SHELL = null;").unwrap();
        let mut workers = Vec::new();
        for isolate in [false, false, true] {
            copy_site(&www, &out).unwrap();
            shell::install(&out, isolate).unwrap();
            let page = fs::read_to_string(out.join("index.html")).unwrap();
            let line = "  <script type=\"module\" src=\"offline.js\"></script>\n";
            assert_eq!(page, format!("<head>\n{line}</head><body></head>"));
            workers.push(fs::read_to_string(out.join("sw.js")).unwrap());
        }
        assert_eq!(workers[0], workers[1], "the same site is the same version");
        assert!(workers[0].contains("\"isolate\":false") && workers[2].contains("\"isolate\":true"));
        copy_site(&www, &out).unwrap();
        fs::write(out.join("index.html"), "no head").unwrap();
        assert_eq!(shell::install(&out, false).unwrap_err().code, "site.io");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_marker_cannot_delete_outside_its_folder() {
        let folder = scratch("marker");
        let out = folder.join("out");
        fs::create_dir_all(&out).unwrap();
        fs::write(folder.join("precious"), "x").unwrap();
        fs::write(out.join(MARKER), "../precious\n\n").unwrap();
        copy_site(&folder.join("www"), &out).unwrap();
        assert!(folder.join("precious").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn other_peoples_folders_are_refused_as_bad_input() {
        let folder = scratch("foreign");
        let www = folder.join("www");
        for (out, why) in
            [(folder.clone(), "not ours"), (www.join("x"), "inside"), (www.join("index.html"), "inside")]
        {
            let error = refuse_foreign(&out, &www).expect_err(why);
            assert_eq!((error.code.as_ref(), error.exit_status()), ("site.out_not_empty", 2));
            assert!(error.message.contains(why), "{}", error.message);
        }
        let file = folder.join("file");
        fs::write(&file, "").unwrap();
        assert!(refuse_foreign(&file, &www).unwrap_err().message.contains("is a file"));
        fs::remove_dir_all(folder).unwrap();
    }
}
