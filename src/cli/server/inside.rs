//! Files that a server may open: those of one folder, once every symbolic link is followed.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, DefaultServeDirFallback, TokioBackend};

use crate::cli::room::files::Files;

/// Opens only what lies under `root`. `ServeDir` itself refuses `..` in any spelling, but would follow a link out of the folder.
#[derive(Clone)]
pub struct Inside {
    root: PathBuf,
    /// Of a model's folder: what in it belongs to the model.
    only: Option<Arc<Files>>,
}

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The files under `root`, a path without links; of a model's folder only the model's.
pub fn files(root: &Path, only: Option<Files>) -> ServeDir<DefaultServeDirFallback, Inside> {
    let inside = Inside { root: root.to_path_buf(), only: only.map(Arc::new) };
    ServeDir::with_backend(root, inside).ignore_multi_range_requests(true)
}

impl Inside {
    /// `path` itself, or "not found": whether there is anything else is nobody's business.
    async fn check(self, path: PathBuf) -> io::Result<PathBuf> {
        let real = tokio::fs::canonicalize(&path).await?;
        let allowed = match &self.only {
            None => real.starts_with(&self.root),
            Some(files) => {
                path.strip_prefix(&self.root).is_ok_and(|name| files.allow(&self.root, name, &real))
            }
        };
        if allowed { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Backend for Inside {
    type File = <TokioBackend as Backend>::File;
    type Metadata = <TokioBackend as Backend>::Metadata;
    type OpenFuture = Later<Self::File>;
    type MetadataFuture = Later<Self::Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let inside = self.clone();
        Box::pin(async move { TokioBackend.open(inside.check(path).await?).await })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let inside = self.clone();
        Box::pin(async move { TokioBackend.metadata(inside.check(path).await?).await })
    }
}
