//! The file server behind `microtome serve`: one folder, read-only, with what the page needs from
//! a server and a plain static host may lack (isolation headers, ranges, validators). For a room it also serves models from
//! other folders and changes what it says in the heads of the pages.

mod inside;

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::compressed::{self, Copies};
use super::module::io_error;
use super::room::files::Files;
use super::room::models::Model;
use super::shell::{self, Shell};
use crate::error::{Error, Result};
use crate::weights::manifest::hex;
use inside::files;

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

/// How many of those are about isolation. A browser ignores them, and says so as an error, on a page that it does not trust:
/// one over plain http from another machine.
const ISOLATION: usize = 2;

/// What a site has besides the files of its folder.
#[derive(Default, Clone)]
pub struct Extras {
    /// Each below `models/NAME/`.
    pub models: Vec<Model>,
    /// The address of the model that the page opens with, where it is not the page's own choice.
    pub first: Option<String>,
    /// Whether the pages install themselves for use without the server.
    pub offline: bool,
    /// `https://HOST:PORT/`, by which others in the room find this site: a page that is opened as localhost knows no such address.
    pub room: Option<String>,
    /// Where the same site is served over HTTPS; this one is over plain http, to other machines too.
    pub https_port: Option<u16>,
    /// Compressed copies of the files.
    pub copies: Arc<Copies>,
}

impl Extras {
    /// What the heads of a page get.
    fn lines(&self, name: &str) -> Vec<String> {
        let meta =
            |name: &str, content: &str| format!("<meta name=\"microtome-{name}\" content=\"{content}\">");
        self.first
            .iter()
            .map(|address| meta("first", address))
            .chain(self.room.iter().map(|address| meta("room", address)))
            .chain(self.https_port.iter().map(|port| meta("https", &port.to_string())))
            .chain(self.offline.then(|| shell::line(name)).flatten().map(str::to_owned))
            .collect()
    }

    /// A file as it goes out.
    fn edited(&self, name: &str, bytes: Vec<u8>) -> Vec<u8> {
        let lines = if name.ends_with(".html") { self.lines(name) } else { Vec::new() };
        if lines.is_empty() {
            return bytes;
        }
        let edited = std::str::from_utf8(&bytes).ok().and_then(|page| shell::with_lines(page, &lines));
        edited.map_or(bytes, String::into_bytes)
    }
}

/// Serves the files under `folder`.
///
/// # Errors
/// `site.io` when the folder cannot be found.
pub fn router(folder: &Path) -> Result<Router> {
    router_with(folder, &Extras::default())
}

/// Serves the files under `folder`, and what `extras` says.
///
/// # Errors
/// `site.io` when a folder cannot be found; those of [`Files::of`].
pub fn router_with(folder: &Path, extras: &Extras) -> Result<Router> {
    let root = folder.canonicalize().map_err(|error| io_error(folder, &error))?;
    let extras = Arc::new(extras.clone());
    let mut files = Router::new().fallback_service(files(&root, None));
    for model in &extras.models {
        let root = model.folder.canonicalize().map_err(|error| io_error(&model.folder, &error))?;
        let served = self::files(&root, Some(Files::of(&root)?));
        files = files.nest_service(&format!("/models/{}", model.name), served);
    }
    if extras.offline {
        let (extras, last) = (extras.clone(), Arc::new(Mutex::new(None)));
        let worker = move || worker(root.clone(), extras.clone(), last.clone());
        files = files.route(&format!("/{}", shell::WORKER), axum::routing::get(worker));
    }
    let (plain, copies) = (extras.https_port.is_some(), extras.copies.clone());
    Ok(files
        .layer(from_fn(conditional_range))
        .layer(from_fn_with_state(extras, edit_pages))
        .layer(from_fn_with_state(copies, compressed::layer))
        .layer(from_fn_with_state(plain, finish)))
}

/// Takes a port before anything is built: building for minutes only to find it taken would be rude.
///
/// # Errors
/// `site.port_taken`, `site.no_port`.
pub fn listen(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            let other = port.checked_add(2).unwrap_or(8080);
            Error::run("site.port_taken", format!("port {port} of {host} is taken"))
                .with_action(format!("run `cargo run --release -- serve --port {other}`"))
        }
        _ => Error::run("site.no_port", format!("cannot listen on {host} port {port}: {error}"))
            .with_action("run `cargo run --release -- serve --host 127.0.0.1 --port 8080`"),
    })
}

/// A server that ended by itself.
pub fn failed(error: &io::Error) -> Error {
    Error::run("site.server", format!("the server stopped: {error}"))
}

/// For so long a list of files is taken for current: a room asks for it all at once, and it is over megabytes.
const LIST_HOLDS: Duration = Duration::from_secs(1);

/// The service worker with the list of what is served right now: an edited file is a new version.
async fn worker(root: PathBuf, extras: Arc<Extras>, last: Arc<Mutex<Option<(Instant, String)>>>) -> Response {
    let make = move || -> Result<String> {
        // Whoever comes while it is made waits for it.
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, text)) = last.as_ref()
            && made.elapsed() < LIST_HOLDS
        {
            return Ok(text.clone());
        }
        let path = root.join(shell::WORKER);
        let source = std::fs::read_to_string(&path).map_err(|error| io_error(&path, &error))?;
        let text = Shell::of(&root, false, |name, bytes| extras.edited(name, bytes))?.worker(&source)?;
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    };
    match tokio::task::spawn_blocking(make).await {
        Ok(Ok(text)) => {
            let headers =
                [(header::CONTENT_TYPE, "text/javascript"), (header::ETAG, &tag_of(text.as_bytes()))];
            (headers, text).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.message.clone()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The validator of what is no file's bytes.
fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(bytes))[..32])
}

/// Puts the lines of the extras into the pages. What is changed has a validator of its own and no parts.
async fn edit_pages(State(extras): State<Arc<Extras>>, mut request: Request, next: Next) -> Response {
    /// No page of ours is longer.
    const CAP: usize = 1 << 20;
    let path = request.uri().path();
    let name =
        format!("{}{}", path.trim_start_matches('/'), if path.ends_with('/') { "index.html" } else { "" });
    if !name.ends_with(".html") || extras.lines(&name).is_empty() {
        return next.run(request).await;
    }
    let held = request.headers_mut().remove(header::IF_NONE_MATCH);
    for header in [header::RANGE, header::IF_RANGE, header::IF_MODIFIED_SINCE] {
        request.headers_mut().remove(header);
    }
    if request.method() == Method::HEAD {
        // The length and the tag are those of the changed page.
        *request.method_mut() = Method::GET;
    }
    let (mut parts, body) = next.run(request).await.into_parts();
    if parts.status != StatusCode::OK {
        return Response::from_parts(parts, body);
    }
    let Ok(bytes) = axum::body::to_bytes(body, CAP).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "500: this page could not be read.\n").into_response();
    };
    let page = extras.edited(&name, bytes.to_vec());
    let tag = tag_of(&page);
    let is_held = |held: &str| held.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    if held.is_some_and(|held| held.to_str().is_ok_and(is_held)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    for header in [header::CONTENT_LENGTH, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        parts.headers.remove(header);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, page.into())
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
async fn finish(State(plain): State<bool>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let trusted = !plain || names_this_machine(request.headers().get(header::HOST));
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
    for (name, value) in HEADERS.into_iter().skip(if trusted { 0 } else { ISOLATION }) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a browser that asked for this host trusts what it gets over plain http.
fn names_this_machine(host: Option<&HeaderValue>) -> bool {
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
