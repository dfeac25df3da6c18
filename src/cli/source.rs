//! Where the source of the page and of the engine lies. The browser module is compiled from
//! source, so `serve` and `build` need the checkout, not only the binary.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The checkout: `Cargo.toml`, `src/`, `shaders/`, `www/`.
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// The checkout that this binary was built from; if it is gone (a copied binary), the nearest
    /// folder at or above the current one that is a checkout.
    ///
    /// # Errors
    /// `site.no_source` when there is none.
    pub fn find() -> Result<Self> {
        let built_from = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let here = std::env::current_dir().unwrap_or_default();
        Self::among(std::iter::once(built_from.as_path()).chain(here.ancestors()))
            .ok_or_else(|| {
                Error::run(
                    "site.no_source",
                    format!(
                        "the source of Microtome is neither in {} (where this program was built) nor at or above {}",
                        built_from.display(),
                        here.display()
                    ),
                )
                .with_action("change to a checkout and run `cargo run --release -- serve`")
            })
    }

    fn among<'a>(candidates: impl IntoIterator<Item = &'a Path>) -> Option<Self> {
        let is_ours = |root: &&Path| {
            root.join("www").is_dir()
                && std::fs::read_to_string(root.join("Cargo.toml"))
                    .is_ok_and(|manifest| manifest.contains("\nname = \"microtome\"\n"))
        };
        candidates.into_iter().find(is_ours).map(|root| Self { root: root.to_path_buf() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The page as it is served: `serve` shows these very files, so an edit needs only a reload.
    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// The generated part of the page (git-ignored): the browser module and its glue.
    pub fn pkg(&self) -> PathBuf {
        self.root.join("www/pkg")
    }

    /// Cargo's folder for the browser build, apart from the native one so that neither evicts or
    /// blocks the other.
    pub fn wasm_target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |target| self.root.join(target))
            .join("wasm")
    }
}

/// The command that is running, as it is typed in a checkout.
pub fn again() -> String {
    let arguments = std::env::args().skip(1).map(|argument| format!(" {argument}"));
    format!("cargo run --release --{}", arguments.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_from_inside_and_not_from_elsewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let inside = root.join("src/cli");
        assert_eq!(Source::among(inside.ancestors()).map(|s| s.root), Some(root.to_path_buf()));
        assert!(Source::among(std::env::temp_dir().ancestors()).is_none());
    }
}
