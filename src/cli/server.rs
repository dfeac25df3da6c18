//! The file server behind `microtome serve`: one folder, read-only, with what the page needs from
//! a server and a plain static host may lack (isolation headers, ranges, validators).

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, TokioBackend};

use super::module::io_error;
use crate::error::Result;

/// Sent with every answer.
///
/// The first two make the page cross-origin isolated (shared memory, exact clocks); the third lets
/// pages elsewhere that are isolated themselves embed this one. `no-cache` means "ask each time":
/// with the validators that costs one 304, and an edited file shows on reload.
const HEADERS: [(HeaderName, &str); 5] = [
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// Serves the files under `folder`.
///
/// # Errors
/// `site.io` when the folder cannot be found.
pub fn router(folder: &Path) -> Result<Router> {
    let root = folder.canonicalize().map_err(|error| io_error(folder, &error))?;
    let files =
        ServeDir::with_backend(&root, Inside { root: root.clone() }).ignore_multi_range_requests(true);
    // Weights are incompressible, and a download that can be resumed must keep its byte offsets.
    let worth_compressing = SizeAbove::new(256)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("application/octet-stream"));
    Ok(Router::new()
        .fallback_service(files)
        .layer(from_fn(conditional_range))
        .layer(CompressionLayer::new().compress_when(worth_compressing.and(whole_answers)))
        .layer(from_fn(finish)))
}

/// Opens only files that lie under `root` once every symbolic link is followed. `ServeDir` itself
/// refuses `..` in any spelling, but would follow a link out of the folder.
#[derive(Clone)]
struct Inside {
    root: PathBuf,
}

type Later<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Inside {
    /// `path` itself, or "not found": whether there is anything outside is nobody's business.
    async fn check(self, path: PathBuf) -> io::Result<PathBuf> {
        let real = tokio::fs::canonicalize(&path).await?;
        if real.starts_with(&self.root) { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
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

/// A part of a file, or an answer about a part, is sent as it is.
fn whole_answers(
    status: StatusCode,
    _: axum::http::Version,
    _: &HeaderMap,
    _: &axum::http::Extensions,
) -> bool {
    status == StatusCode::OK
}

/// `If-Range`: a part is of use only with the other parts of the same file, so when the file has
/// changed since, the whole of it is sent.
async fn conditional_range(mut request: Request, next: Next) -> Response {
    if let Some(held) = request.headers_mut().remove(header::IF_RANGE) {
        let mut probe = Request::new(axum::body::Body::empty());
        *probe.method_mut() = axum::http::Method::HEAD;
        *probe.uri_mut() = request.uri().clone();
        let now = next.clone().run(probe).await;
        let unchanged =
            [header::ETAG, header::LAST_MODIFIED].iter().any(|name| now.headers().get(name) == Some(&held));
        if !unchanged {
            request.headers_mut().remove(header::RANGE);
        }
    }
    next.run(request).await
}

/// The headers of every answer, the character set of text, and a body for a bare "not found".
async fn finish(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        response = (StatusCode::NOT_FOUND, "404: there is no such file here.\n").into_response();
    }
    let headers = response.headers_mut();
    if let Some(kind) = content_type(&path, headers.get(header::CONTENT_TYPE)) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        weaken_etag(headers);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Text is UTF-8; `.ts` is TypeScript here, not the video format of that name.
fn content_type(path: &str, guessed: Option<&HeaderValue>) -> Option<HeaderValue> {
    let guessed = guessed?.to_str().ok()?;
    if path.ends_with(".ts") {
        return Some(HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    let is_bare_text = guessed.starts_with("text/") && !guessed.contains("charset");
    is_bare_text.then(|| HeaderValue::from_str(&format!("{guessed}; charset=utf-8")).ok()).flatten()
}

/// A compressed answer has other bytes than the file, so a strong validator would be a lie.
fn weaken_etag(headers: &mut HeaderMap) {
    let weak = headers
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
        .filter(|tag| !tag.starts_with("W/"))
        .and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}
