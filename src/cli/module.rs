//! The browser module: `src/` compiled to WebAssembly, its JavaScript glue and the note of
//! third-party parts, all in `www/pkg/`. Nothing is done when nothing that went into it changed.
//!
//! It is compiled twice: for any page, and into `www/pkg/threads/` with threads, which only a cross-origin isolated page
//! can load. The two share one cargo folder, and with it the build scripts and procedural macros; everything else is
//! compiled with other instructions, the standard library too.
//!
//! There is no `wasm-opt` pass: after link-time optimisation it took a minute and left the compressed size as it was. What
//! makes the module small is in `Cargo.toml` (only the loops of `src/loops/` are built for speed), in the standard library's
//! own feature for it (see `Toolchain::build_flags`), and in what it does without (see `src/tokens.rs`).
//! `tests/browser/weight.mjs` holds it to a budget.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
mod inputs;

use super::licences;
use super::progress::Steps;
use super::source::{Source, again};
use super::toolchain::{self, TARGET, Toolchain};
use crate::error::{Error, Result};

const NAME: &str = "microtome";
/// Flags of the build with threads, from the root of the checkout.
const THREADS_CONFIG: &str = ".cargo/threads.toml";

/// `www/pkg/build.json`: what the module was made from. Written last, so that an interrupted build
/// is not taken for a finished one.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Build {
    compiler: String,
    /// Absent where the standard library cannot be compiled.
    threads: Option<Threads>,
    /// Every file of this repository that went in, relative to its root.
    inputs: Vec<String>,
    /// SHA-256 over the inputs' names and bytes.
    inputs_sha256: String,
}

/// The build with threads. `www/threads.js` reads this.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Threads {
    compiler: String,
    /// Whether it needs relaxed SIMD instructions, which not every browser has.
    relaxed_simd: bool,
}

/// Makes `www/pkg/` current. Says what it does on standard error, or that there is nothing to do.
///
/// # Errors
/// `site.toolchain`, `site.install_failed`: no compiler; `site.download_failed`: no network;
/// `site.build_failed`: the code does not compile; `site.io`: a file cannot be read or written.
pub fn make(source: &Source) -> Result<()> {
    let toolchain = toolchain::find_or_install()?;
    let compiler = toolchain.version()?;
    let with_threads = toolchain.with_threads();
    let threads = match &with_threads {
        Some(toolchain) => Some(Threads {
            compiler: toolchain.version()?,
            relaxed_simd: has_relaxed_simd(&source.root().join(THREADS_CONFIG))?,
        }),
        None => None,
    };
    let (pkg, threads_pkg) = (source.pkg(), source.pkg().join("threads"));

    // Two commands started together must not write into the same folder.
    let target = source.wasm_target();
    fs::create_dir_all(&target).map_err(|error| io_error(&target, &error))?;
    let lock_path = target.join("microtome.lock");
    let lock = fs::File::create(&lock_path).map_err(|error| io_error(&lock_path, &error))?;
    lock.lock().map_err(|error| io_error(&lock_path, &error))?;

    if is_current(source, &compiler, threads.as_ref()) {
        eprintln!("The browser module is up to date.");
        return Ok(());
    }
    let record = pkg.join("build.json");
    remove_if_there(&record)?;

    let mut steps = Steps::new(if with_threads.is_some() { 6 } else { 4 });
    steps.announce("Fetching the crates of the browser module", || {
        let other = with_threads.iter().filter(|other| **other != toolchain);
        std::iter::once(&toolchain).chain(other).try_for_each(|toolchain| fetch(source, toolchain))
    })?;
    let started = SystemTime::now();
    let mut inputs = inputs::OF_CARGO.map(str::to_owned).to_vec();
    let name = |compiler: &str| compiler.split(" (").next().unwrap_or_default().to_owned();
    let what =
        format!("Compiling the browser module with {} (minutes the first time, then less)", name(&compiler));
    let wasm = steps.announce(&what, || compile(source, &toolchain, &[]))?;
    steps.timed("Writing the JavaScript glue", || glue(&wasm, &pkg))?;
    inputs.extend(inputs::read_by_rustc(source.root(), &wasm)?);
    if let (Some(toolchain), Some(threads)) = (&with_threads, &threads) {
        let what = format!("Compiling it with threads, with {} (as long again)", name(&threads.compiler));
        let flags = ["--config", THREADS_CONFIG, "--features", "threads"];
        let wasm = steps.announce(&what, || compile(source, toolchain, &flags))?;
        steps.timed("Writing its glue", || glue(&wasm, &threads_pkg))?;
        inputs.extend(inputs::read_by_rustc(source.root(), &wasm)?);
    } else {
        eprintln!("There is no build with threads: {}", toolchain::NO_THREADS);
        match fs::remove_dir_all(&threads_pkg) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error(&threads_pkg, &error));
            }
            _ => {}
        }
    }
    steps.timed("Listing third-party parts and their licences", || {
        let note = licences::note(source, &toolchain)?;
        write(&pkg.join("THIRD_PARTY.txt"), note.as_bytes())
    })?;

    inputs.sort();
    inputs.dedup();
    if inputs::changed_since(source.root(), &inputs, started) {
        eprintln!("A source file changed during the build: the next start builds again.");
        return Ok(());
    }
    let inputs_sha256 = inputs::digest(source.root(), &inputs)?;
    let build = Build { compiler, threads, inputs, inputs_sha256 };
    let json = serde_json::to_vec_pretty(&build).map_err(|error| Error::internal(error.to_string()))?;
    write(&record, &json)
}

fn is_current(source: &Source, compiler: &str, threads: Option<&Threads>) -> bool {
    let pkg = source.pkg();
    let record =
        fs::read(pkg.join("build.json")).ok().and_then(|json| serde_json::from_slice::<Build>(&json).ok());
    let of_threads = ["threads/microtome.js", "threads/microtome_bg.wasm"];
    let mut made = ["microtome.js", "microtome_bg.wasm", "THIRD_PARTY.txt"]
        .iter()
        .chain(of_threads.iter().filter(|_| threads.is_some()));
    record.is_some_and(|build| {
        build.compiler == compiler
            && build.threads.as_ref() == threads
            && made.all(|name| pkg.join(name).is_file())
            && inputs::digest(source.root(), &build.inputs).is_ok_and(|sha256| sha256 == build.inputs_sha256)
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

fn compile(source: &Source, toolchain: &Toolchain, flags: &[&str]) -> Result<PathBuf> {
    let target = source.wasm_target();
    let made = target.join(TARGET).join("web");
    // Cargo tells the builds' other files apart by their names, but not this one: what the other build left would be
    // taken for this one's.
    remove_if_there(&made.join("deps").join(NAME).with_extension("wasm"))?;
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
        .args(flags)
        .args(toolchain.build_flags())
        .arg("--target-dir")
        .arg(&target)
        .current_dir(source.root());
    let status = command.stdin(Stdio::null()).status().map_err(|error| cannot_start(&command, &error))?;
    if status.success() {
        return Ok(made.join(NAME).with_extension("wasm"));
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

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, &error)),
        _ => Ok(()),
    }
}

/// Whether the flags of the file, comments apart, turn relaxed SIMD on.
fn has_relaxed_simd(path: &Path) -> Result<bool> {
    let text = fs::read_to_string(path).map_err(|error| io_error(path, &error))?;
    Ok(text.lines().any(|line| !line.starts_with('#') && line.contains("+relaxed-simd")))
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
    fn a_comment_does_not_turn_instructions_on() {
        let file = std::env::temp_dir().join(format!("microtome-flags-{}", std::process::id()));
        for (text, on) in [
            ("# with +relaxed-simd\nrustflags = [\"-Ctarget-feature=+atomics\"]\n", false),
            ("rustflags = [\n  \"-Ctarget-feature=+atomics,+relaxed-simd\",\n]\n", true),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(has_relaxed_simd(&file).ok(), Some(on), "{text}");
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(has_relaxed_simd(&file).unwrap_err().code, "site.io");
    }
}
