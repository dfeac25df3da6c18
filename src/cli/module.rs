//! The browser module: `src/` compiled to WebAssembly, its JavaScript glue and the note of
//! third-party parts, all in `www/pkg/`. Nothing is done when nothing that went into it changed.
//!
//! There is no `wasm-opt` pass: after link-time optimisation it took a minute, left the compressed size as it was
//! (781 KB with brotli, 782 after `-O3`, 783 after `-Oz`) and the sweeps no faster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::licences;
use super::progress::Steps;
use super::source::{Source, again};
use super::toolchain::{self, TARGET, Toolchain};
use crate::error::{Error, Result};

const NAME: &str = "microtome";

/// `www/pkg/build.json`: what the module was made from. Written last, so that an interrupted build
/// is not taken for a finished one.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Build {
    compiler: String,
    /// Every file of this repository that went in, relative to its root.
    inputs: Vec<String>,
    /// SHA-256 over the inputs' names and bytes.
    inputs_sha256: String,
}

/// Makes `www/pkg/` current. Says what it does on standard error, or that there is nothing to do.
///
/// # Errors
/// `site.toolchain`, `site.install_failed`: no compiler; `site.download_failed`: no network;
/// `site.build_failed`: the code does not compile; `site.io`: a file cannot be read or written.
pub fn make(source: &Source) -> Result<()> {
    let toolchain = toolchain::find_or_install()?;
    let compiler = toolchain.version()?;
    let pkg = source.pkg();

    // Two commands started together must not write into the same folder.
    let target = source.wasm_target();
    fs::create_dir_all(&target).map_err(|error| io_error(&target, &error))?;
    let lock_path = target.join("microtome.lock");
    let lock = fs::File::create(&lock_path).map_err(|error| io_error(&lock_path, &error))?;
    lock.lock().map_err(|error| io_error(&lock_path, &error))?;

    if is_current(source, &pkg, &compiler) {
        eprintln!("The browser module is up to date.");
        return Ok(());
    }
    let record = pkg.join("build.json");
    remove_if_there(&record)?;

    let mut steps = Steps::new(4);
    steps.announce("Fetching the crates of the browser module", || fetch(source, &toolchain))?;
    let name = compiler.split(" (").next().unwrap_or(&compiler);
    let compiling = format!("Compiling the browser module with {name} (minutes the first time, then less)");
    let started = SystemTime::now();
    let wasm = steps.announce(&compiling, || compile(source, &toolchain))?;
    steps.timed("Writing the JavaScript glue", || glue(&wasm, &pkg))?;
    steps.timed("Listing third-party parts and their licences", || {
        let note = licences::note(source, &toolchain)?;
        write(&pkg.join("THIRD_PARTY.txt"), note.as_bytes())
    })?;

    let inputs = inputs(source, &wasm)?;
    if changed_since(source.root(), &inputs, started) {
        eprintln!("A source file changed during the build: the next start builds again.");
        return Ok(());
    }
    let inputs_sha256 = digest(source.root(), &inputs)?;
    let build = Build { compiler, inputs, inputs_sha256 };
    let json = serde_json::to_vec_pretty(&build).map_err(|error| Error::internal(error.to_string()))?;
    write(&record, &json)
}

fn is_current(source: &Source, pkg: &Path, compiler: &str) -> bool {
    let made = ["microtome.js", "microtome_bg.wasm", "THIRD_PARTY.txt"];
    let record =
        fs::read(pkg.join("build.json")).ok().and_then(|json| serde_json::from_slice::<Build>(&json).ok());
    record.is_some_and(|build| {
        build.compiler == compiler
            && made.iter().all(|name| pkg.join(name).is_file())
            && digest(source.root(), &build.inputs).is_ok_and(|sha256| sha256 == build.inputs_sha256)
    })
}

/// Downloading is a step of its own so that a missing network is not reported as broken code.
fn fetch(source: &Source, toolchain: &Toolchain) -> Result<()> {
    let mut command = toolchain.cargo("fetch");
    command.args(["--locked", "--target", TARGET]).args(toolchain.build_flags()).current_dir(source.root());
    let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_start(&command, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let cause = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("cargo gave no reason").trim();
    Err(Error::run(
        "site.download_failed",
        format!("the crates of the browser module cannot be fetched: {cause}"),
    )
    .with_action(format!("check the network, then run `{}`", again())))
}

fn compile(source: &Source, toolchain: &Toolchain) -> Result<PathBuf> {
    let target = source.wasm_target();
    let mut command = toolchain.cargo("build");
    command
        .args([
            "--locked",
            "--offline",
            "--lib",
            "--no-default-features",
            "--profile",
            "web",
            "--target",
            TARGET,
        ])
        .args(toolchain.build_flags())
        .arg("--target-dir")
        .arg(&target)
        .current_dir(source.root());
    let status = command.stdin(Stdio::null()).status().map_err(|error| cannot_start(&command, &error))?;
    if status.success() {
        return Ok(target.join(TARGET).join("web").join(NAME).with_extension("wasm"));
    }
    Err(Error::run(
        "site.build_failed",
        format!("compiling the browser module failed: cargo ended with {status}"),
    )
    .with_action("read cargo's messages above"))
}

fn glue(wasm: &Path, pkg: &Path) -> Result<()> {
    let generate = || {
        wasm_bindgen_cli_support::Bindgen::new()
            .input_path(wasm)
            .out_name(NAME)
            .web(true)?
            .typescript(true)
            .remove_producers_section(true)
            .remove_name_section(true)
            .generate(pkg)
    };
    generate().map_err(|error| Error::run("site.build_failed", format!("the JavaScript glue: {error:#}")))
}

/// The files that went into the module: those that rustc read (cargo's dependency file lists them,
/// `include_str!` ones too) and those that cargo read.
fn inputs(source: &Source, wasm: &Path) -> Result<Vec<String>> {
    let list = wasm.with_extension("d");
    let text = fs::read_to_string(&list).map_err(|error| io_error(&list, &error))?;
    let mut inputs = dependency_paths(&text)
        .iter()
        .filter_map(|path| Path::new(path).strip_prefix(source.root()).ok()?.to_str().map(str::to_owned))
        .collect::<Vec<_>>();
    inputs.extend(["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(str::to_owned));
    inputs.sort();
    inputs.dedup();
    Ok(inputs)
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

fn digest(root: &Path, inputs: &[String]) -> Result<String> {
    let mut hasher = Sha256::new();
    for name in inputs {
        let path = root.join(name);
        let bytes = fs::read(&path).map_err(|error| io_error(&path, &error))?;
        // Lengths keep two different lists of files from giving the same stream of bytes.
        hasher.update(format!("{} {} ", name.len(), bytes.len()));
        hasher.update(name);
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a file was edited while rustc may have been reading it, so that its digest may not be what was compiled.
fn changed_since(root: &Path, inputs: &[String], start: SystemTime) -> bool {
    let modified = |name: &String| fs::metadata(root.join(name)).and_then(|metadata| metadata.modified());
    inputs.iter().any(|name| modified(name).map_or(true, |time| time >= start))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, &error)),
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| io_error(path, &error))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    Error::run("site.build_failed", format!("cannot start {}: {error}", command.get_program().display()))
}

pub(super) fn io_error(path: &Path, error: &std::io::Error) -> Error {
    Error::run("site.io", format!("{}: {error}", path.display()))
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
