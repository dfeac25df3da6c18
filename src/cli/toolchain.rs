//! Finds, or installs, a compiler that can build the browser module.
//!
//! The toolchain that built this program usually has no standard library for wasm32, and
//! `rust-toolchain.toml` must not ask for one (rustup would then download it on every machine).
//! The order is: a wasm32 library that is already there; Debian's `rustc-web`, which builds its
//! own from source; `rustup target add`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::source::again;
use crate::error::{Error, Result};

/// The rustc target of the browser module.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for web browsers, its library source, and the linker it lacks.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Why a build has no threads, and what to do about it.
pub const NO_THREADS: &str =
    "its standard library must be compiled from source (run `rustup component add rust-src`)";

/// A cargo and rustc that can build for [`TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// cargo and rustc with a wasm32 standard library of their own.
    Installed { cargo: PathBuf, rustc: PathBuf },
    /// cargo and rustc that compile the standard library with the module, from the source that is installed with them.
    FromSource { cargo: PathBuf, rustc: PathBuf },
    /// Debian's packages: the standard library is compiled with the module.
    Debian,
}

impl Toolchain {
    /// A cargo command for this toolchain, without the caller's `RUSTFLAGS`: they would replace
    /// those of `.cargo/config.toml`, which the module does not compile without.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = match self {
            Self::Installed { cargo, rustc } => {
                let mut command = Command::new(cargo);
                command.env("RUSTC", rustc);
                command
            }
            Self::FromSource { cargo, rustc } => {
                let mut command = Command::new(cargo);
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                command
            }
            Self::Debian => {
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    // A stable compiler: this admits `-Zbuild-std`.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19");
                command
            }
        };
        command.arg(subcommand).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    /// What `cargo build` needs besides the target. A standard library that is compiled anyway is compiled for size.
    pub fn build_flags(&self) -> &'static [&'static str] {
        match self {
            Self::Installed { .. } => &[],
            Self::FromSource { .. } | Self::Debian => {
                &["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]
            }
        }
    }

    /// The toolchain for the build with threads: an installed standard library has none, so it must be compiled too.
    pub fn with_threads(&self) -> Option<Self> {
        match self {
            Self::Installed { cargo, rustc } => {
                let sysroot = output_of(Command::new(rustc).args(["--print", "sysroot"]))?;
                if Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file() {
                    return Some(Self::FromSource { cargo: cargo.clone(), rustc: rustc.clone() });
                }
                debian_ready().then_some(Self::Debian)
            }
            Self::FromSource { .. } | Self::Debian => Some(self.clone()),
        }
    }

    /// The compiler's name and version, for people and for the fingerprint of a build.
    pub fn version(&self) -> Result<String> {
        let rustc = match self {
            Self::Installed { rustc, .. } | Self::FromSource { rustc, .. } => rustc.as_path(),
            Self::Debian => Path::new("/usr/bin/rustc"),
        };
        output_of(Command::new(rustc).arg("--version")).ok_or_else(|| {
            Error::run("site.toolchain", format!("{} does not answer --version", rustc.display()))
        })
    }
}

/// Finds a toolchain and installs what is missing where that needs nobody's permission.
///
/// # Errors
/// `site.toolchain` when nothing may be installed, `site.install_failed` when installing failed;
/// both carry the command to run.
pub fn find_or_install() -> Result<Toolchain> {
    match choose(&Machine::look())? {
        Choice::Ready(toolchain) => return Ok(toolchain),
        Choice::Apt => install_debian_packages()?,
        Choice::Rustup => install_rustup_target()?,
    }
    match choose(&Machine::look())? {
        Choice::Ready(toolchain) => Ok(toolchain),
        Choice::Apt | Choice::Rustup => Err(Error::run(
            "site.install_failed",
            format!("the installation ended well but no compiler for {TARGET} is there"),
        )
        .with_action(format!("run `apt-get install --reinstall -y {}`", DEBIAN_PACKAGES.join(" ")))),
    }
}

/// What matters about this machine.
#[derive(Default)]
struct Machine {
    /// The toolchain on `PATH`, if it has a wasm32 standard library.
    installed: Option<Toolchain>,
    /// Debian's packages are all there and new enough.
    debian_ready: bool,
    /// apt-get can install [`DEBIAN_PACKAGES`] here.
    debian_offers: bool,
    root: bool,
    rustup: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Ready(Toolchain),
    Apt,
    Rustup,
}

fn choose(machine: &Machine) -> Result<Choice> {
    let apt = format!("apt-get install -y {}", DEBIAN_PACKAGES.join(" "));
    let rustup = format!("rustup target add {TARGET}");
    match machine {
        Machine { installed: Some(toolchain), .. } => Ok(Choice::Ready(toolchain.clone())),
        Machine { debian_ready: true, .. } => Ok(Choice::Ready(Toolchain::Debian)),
        Machine { debian_offers: true, root: true, .. } => Ok(Choice::Apt),
        Machine { rustup: true, .. } => Ok(Choice::Rustup),
        Machine { debian_offers, .. } => {
            let command = if *debian_offers { format!("sudo apt-get update && sudo {apt}") } else { rustup };
            Err(Error::run("site.toolchain", format!("no compiler for {TARGET} is installed"))
                .with_action(format!("run `{command}`, then `{}`", again())))
        }
    }
}

impl Machine {
    fn look() -> Self {
        let id = output_of(Command::new("id").arg("-u"));
        Self {
            installed: installed(),
            debian_ready: debian_ready(),
            debian_offers: debian_offers(),
            root: id.as_deref() == Some("0"),
            rustup: output_of(Command::new("rustup").arg("--version")).is_some(),
        }
    }
}

/// The rustc and cargo in use, if rustc's own folder has a standard library for the target.
fn installed() -> Option<Toolchain> {
    let program =
        |variable, name| std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from);
    let (cargo, rustc) = (program("CARGO", "cargo"), program("RUSTC", "rustc"));
    let sysroot = output_of(Command::new(&rustc).args(["--print", "sysroot"]))?;
    let library = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    let has_std = std::fs::read_dir(library)
        .ok()?
        .flatten()
        .any(|entry| entry.file_name().to_str().is_some_and(is_std));
    has_std.then_some(Toolchain::Installed { cargo, rustc })
}

/// Debian 12 has a much older `rustc` package at the same path, so the version is looked at too.
fn debian_ready() -> bool {
    let parts = ["/usr/bin/cargo", "/usr/bin/wasm-ld-19", "/usr/lib/rustlib/src/rust/library/std/Cargo.toml"];
    parts.iter().all(|part| Path::new(part).exists())
        && output_of(Command::new("/usr/bin/rustc").arg("--version"))
            .as_deref()
            .and_then(|version| version.split(' ').nth(1).and_then(minor_version))
            .zip(minor_version(env!("CARGO_PKG_RUST_VERSION")))
            .is_some_and(|(found, needed)| found >= needed)
}

/// `1.95.0` or `1.95` is `(1, 95)`.
fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Debian itself (a fresh one has no package lists to ask yet), or a descendant that has the packages.
fn debian_offers() -> bool {
    let is_debian = || {
        std::fs::read_to_string("/etc/os-release")
            .is_ok_and(|release| release.lines().any(|line| line == "ID=debian"))
    };
    let has_package = || output_of(Command::new("apt-cache").args(["show", DEBIAN_PACKAGES[0]])).is_some();
    Path::new("/usr/bin/apt-get").exists() && (is_debian() || has_package())
}

fn install_debian_packages() -> Result<()> {
    eprintln!("Installing the compiler for the browser module: {}", DEBIAN_PACKAGES.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    install(&mut apt(&["update"]))?;
    install(apt(&["install", "-y", "--no-install-recommends"]).args(DEBIAN_PACKAGES))
}

fn install_rustup_target() -> Result<()> {
    install(Command::new("rustup").args(["target", "add", TARGET]))
}

/// Runs an installer with its own output as progress (on standard error: standard output is kept
/// for results).
fn install(command: &mut Command) -> Result<()> {
    let line = spell(command);
    let failed = |how: String| {
        Error::run(
            "site.install_failed",
            format!("installing the compiler for the browser module failed: {how}"),
        )
        .with_action(format!("check the network, run `{line}`, then `{}`", again()))
    };
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| failed(format!("cannot start `{line}`: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("`{line}` ended with {status}"))) }
}

/// The command as a person would type it, without apt's quiet options.
fn spell(command: &Command) -> String {
    let quiet = ["-q", "-o", "Dpkg::Use-Pty=0"];
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .filter(|word| !quiet.contains(&word.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Standard output of a command that ends well, trimmed.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_toolchain() -> Toolchain {
        Toolchain::Installed { cargo: "cargo".into(), rustc: "rustc".into() }
    }

    #[test]
    fn the_order_is_installed_then_debian_then_rustup() {
        let mut machine = Machine {
            installed: Some(some_toolchain()),
            debian_ready: true,
            debian_offers: true,
            root: true,
            rustup: true,
        };
        assert_eq!(choose(&machine).ok(), Some(Choice::Ready(some_toolchain())));
        machine.installed = None;
        assert_eq!(choose(&machine).ok(), Some(Choice::Ready(Toolchain::Debian)));
        machine.debian_ready = false;
        assert_eq!(choose(&machine).ok(), Some(Choice::Apt));
        machine.root = false;
        assert_eq!(choose(&machine).ok(), Some(Choice::Rustup));
    }

    #[test]
    fn without_permission_the_error_is_the_command_to_run() {
        let debian = Machine { debian_offers: true, ..Machine::default() };
        let error = choose(&debian).expect_err("nothing may be installed");
        assert_eq!(error.exit_status(), 1);
        let action = error.action.unwrap_or_default();
        assert!(
            action.contains("&& sudo apt-get install -y rustc-web cargo-web rust-web-src lld-19`"),
            "{action}"
        );

        let elsewhere = choose(&Machine::default()).expect_err("no rustup either");
        assert!(elsewhere.action.unwrap_or_default().contains("`rustup target add wasm32-unknown-unknown`"));
    }

    #[test]
    fn a_failed_installer_is_named_with_its_command() {
        let error = install(Command::new("false").args(["-q", "install", "x"])).expect_err("false fails");
        assert_eq!(error.code, "site.install_failed");
        assert!(error.action.unwrap_or_default().contains("run `false install x`"));
        let error = install(&mut Command::new("/nonexistent/apt-get")).expect_err("no such program");
        assert!(error.message.contains("cannot start `/nonexistent/apt-get`"), "{}", error.message);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(minor_version("1.95.0"), Some((1, 95)));
        assert!(minor_version("1.100") > minor_version("1.95"));
        assert_eq!(minor_version("nightly"), None);
    }
}
