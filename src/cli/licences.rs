//! The note of third-party parts that the built site carries: every crate that is compiled into
//! the browser module, with its licence and the licence texts that its authors ship.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;

use super::source::Source;
use super::toolchain::{TARGET, Toolchain};
use crate::error::{Error, Result};

/// The page's libraries, in `www/vendor`, where they live, and their licences; tests of the page's compare them with npm's.
const VENDORED: [(&str, &str, &str); 2] = [
    ("uPlot 1.6.32", "https://github.com/leeoniya/uPlot", include_str!("../../www/vendor/uplot/LICENSE")),
    ("fflate 0.8.3", "https://github.com/101arrowz/fflate", include_str!("../../www/vendor/fflate/LICENSE")),
];

/// The part of `cargo metadata` that matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    /// Where it came from; nothing for what lies in this repository.
    source: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `None` is a normal dependency; `build` and `dev` ones do not reach the module.
    kind: Option<String>,
}

/// The whole note, as text.
///
/// # Errors
/// `site.build_failed` when cargo cannot describe the crates.
pub fn note(source: &Source, toolchain: &Toolchain) -> Result<String> {
    let failed = |cause: String| Error::run("site.build_failed", format!("cargo metadata: {cause}"));
    let output = toolchain
        .cargo("metadata")
        .args([
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--no-default-features",
            "--features",
            "threads",
            "--filter-platform",
            TARGET,
        ])
        .current_dir(source.root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    Ok(render(&compiled_in(&metadata)))
}

/// The crates that a walk over normal dependencies reaches from ours. Procedural macros and what
/// only they need run in the compiler and leave nothing of themselves in the module.
fn compiled_in(metadata: &Metadata) -> Vec<&Package> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let is_macro = |id: &str| {
        packages
            .get(id)
            .is_some_and(|p| p.targets.iter().any(|t| t.kind.iter().any(|kind| kind == "proc-macro")))
    };
    let root = metadata.resolve.root.as_str();
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            let id = dependency.pkg.as_str();
            let is_normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if is_normal && !is_macro(id) && seen.insert(id) {
                open.push(id);
            }
        }
    }
    let mut found: Vec<&Package> =
        seen.into_iter().filter_map(|id| packages.get(id).copied()).filter(|p| p.source.is_some()).collect();
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    found
}

fn render(packages: &[&Package]) -> String {
    let mut text = String::from(
        "Third-party parts of this site\n\
         ==============================\n\n\
         The page itself is Microtome's, under MIT OR Apache-2.0. The WebAssembly module also contains the\n\
         Rust standard library (MIT OR Apache-2.0) and the crates listed here; the page draws its line\n\
         charts with uPlot. The licence texts that their authors ship follow the list; identical texts are\n\
         printed once.\n\n",
    );
    let mut texts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for (title, home, licence) in VENDORED {
        let _ = writeln!(text, "{title:<36} {:<48} {home}", "MIT");
        texts.insert(licence.into(), (licence.into(), vec![title.into()]));
    }
    for package in packages {
        let title = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see the text below");
        let home = package.repository.as_deref().unwrap_or("");
        let _ = writeln!(text, "{}", format!("{title:<36} {licence:<48} {home}").trim_end());
        for licence_text in shipped_texts(Path::new(&package.manifest_path)) {
            // The same licence differs between crates in line breaks only.
            let key = licence_text.split_whitespace().collect::<Vec<_>>().join(" ");
            texts.entry(key).or_insert_with(|| (licence_text, Vec::new())).1.push(title.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_values().collect();
    texts.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    for (licence_text, titles) in texts {
        let _ =
            write!(text, "\n\n{}\n{}\n\n{}\n", "-".repeat(100), titles.join(", "), licence_text.trim_end());
    }
    text
}

/// The files beside a crate's manifest that are licences or notices by their names.
fn shipped_texts(manifest: &Path) -> Vec<String> {
    let is_licence = |path: &Path| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        ["licen", "copying", "notice", "unlicense"].iter().any(|start| name.starts_with(start))
            && path.is_file()
    };
    let mut paths: Vec<_> = manifest
        .parent()
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_licence(path))
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_compiled_in_is_listed() {
        let package = |name: &str, kind: &str| {
            let source = if name.starts_with("ours") { "null" } else { "\"registry\"" };
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","source":{source},"license":"MIT","repository":null,
                    "manifest_path":"/nowhere/Cargo.toml","targets":[{{"kind":["{kind}"]}}]}}"#
            )
        };
        let dependency =
            |name: &str, kind: &str| format!(r#"{{"pkg":"{name}","dep_kinds":[{{"kind":{kind}}}]}}"#);
        let json = format!(
            r#"{{"packages":[{}],"resolve":{{"root":"ours","nodes":[
                {{"id":"ours","deps":[{},{},{}]}},
                {{"id":"ours-too","deps":[{}]}},
                {{"id":"normal","deps":[{}]}},
                {{"id":"macro","deps":[{}]}}]}}}}"#,
            ["ours", "ours-too", "normal", "deep", "build-only", "macro-only"]
                .map(|name| package(name, "lib"))
                .into_iter()
                .chain([package("macro", "proc-macro")])
                .collect::<Vec<_>>()
                .join(","),
            dependency("ours-too", "null"),
            dependency("macro", "null"),
            dependency("build-only", "\"build\""),
            dependency("normal", "null"),
            dependency("deep", "null"),
            dependency("macro-only", "null"),
        );
        let metadata: Metadata = serde_json::from_str(&json).unwrap();
        let found = compiled_in(&metadata);
        assert_eq!(found.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["deep", "normal"]);
        let note = render(&found);
        assert!(note.contains("\ndeep 1.0.0"));
        assert!(note.contains("\nuPlot 1.6.32 ") && note.contains("Copyright (c) 2022 Leon Sorokin"));
    }

    #[test]
    fn the_texts_that_a_package_ships_are_found() {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let texts = shipped_texts(&ours);
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains("Apache License") && texts[1].contains("MIT License"));
    }
}
