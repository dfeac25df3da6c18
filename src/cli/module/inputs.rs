//! The files that a build was made from, and whether they are still the same.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::io_error;
use crate::error::Result;
use crate::weights::manifest::hex;

/// What cargo itself reads.
pub const OF_CARGO: [&str; 5] =
    ["Cargo.toml", "Cargo.lock", "src/loops/Cargo.toml", ".cargo/config.toml", super::THREADS_CONFIG];

/// The files of the checkout at `root` that rustc read for the module at `wasm`: cargo's dependency file beside it
/// lists them, those of `include_str!` too.
pub fn read_by_rustc(root: &Path, wasm: &Path) -> Result<Vec<String>> {
    let list = wasm.with_extension("d");
    let text = fs::read_to_string(&list).map_err(|error| io_error(&list, &error))?;
    Ok(dependency_paths(&text)
        .iter()
        .filter_map(|path| Path::new(path).strip_prefix(root).ok()?.to_str().map(str::to_owned))
        .collect())
}

/// The paths after the colon in `OUTPUT: PATH PATH …`, where a space in a path is `\ `.
fn dependency_paths(text: &str) -> Vec<String> {
    let after_colon =
        text.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, paths)| paths);
    // A character that no path has stands for the escaped space while splitting.
    after_colon
        .replace("\\ ", "\0")
        .split(' ')
        .filter(|path| !path.is_empty())
        .map(|p| p.replace('\0', " "))
        .collect()
}

/// SHA-256 over the names and bytes.
pub fn digest(root: &Path, inputs: &[String]) -> Result<String> {
    let mut hasher = Sha256::new();
    for name in inputs {
        let path = root.join(name);
        let bytes = fs::read(&path).map_err(|error| io_error(&path, &error))?;
        // Lengths keep two different lists of files from giving the same stream of bytes.
        hasher.update(format!("{} {} ", name.len(), bytes.len()));
        hasher.update(name);
        hasher.update(&bytes);
    }
    Ok(hex(&hasher.finalize()))
}

/// Whether a file was edited while rustc may have been reading it, so that its digest may not be what was compiled.
pub fn changed_since(root: &Path, inputs: &[String], start: SystemTime) -> bool {
    let modified = |name: &String| fs::metadata(root.join(name)).and_then(|metadata| metadata.modified());
    inputs.iter().any(|name| modified(name).map_or(true, |time| time >= start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_files_are_read_with_spaces_in_paths() {
        let text = "/t/microtome.wasm: /my\\ code/src/lib.rs /my\\ code/shaders/gelu.wgsl\n";
        assert_eq!(dependency_paths(text), ["/my code/src/lib.rs", "/my code/shaders/gelu.wgsl"]);
    }

    #[test]
    fn a_change_of_a_name_or_a_byte_changes_the_digest() {
        let folder = std::env::temp_dir().join(format!("microtome-digest-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        fs::write(folder.join("a"), "x").unwrap();
        fs::write(folder.join("b"), "x").unwrap();
        let before = digest(&folder, &names(&["a"])).unwrap();
        assert_eq!(before.len(), 64);
        assert_ne!(before, digest(&folder, &names(&["b"])).unwrap());
        fs::write(folder.join("a"), "y").unwrap();
        assert_ne!(before, digest(&folder, &names(&["a"])).unwrap());
        assert_eq!(digest(&folder, &names(&["missing"])).unwrap_err().code, "site.io");

        let hour = std::time::Duration::from_secs(3600);
        assert!(changed_since(&folder, &names(&["a"]), SystemTime::now() - hour));
        assert!(!changed_since(&folder, &names(&["a"]), SystemTime::now() + hour));
        fs::remove_dir_all(&folder).unwrap();
    }
}
