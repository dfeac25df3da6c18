//! Compressed copies of what is served. A file is compressed once and not once a client: the copies are kept in memory, and a
//! file that has changed has another tag and so another copy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any_service, get};
use tokio::sync::{OnceCell, Semaphore};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// Kept copies have at most so many bytes together; with more than that all are made anew when they are wanted. The page has
/// about two megabytes of them.
const CAP: usize = 64 << 20;
/// A longer file goes out as it is: it would be held in memory.
const LONGEST: usize = 32 << 20;

/// How a copy is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Coding {
    Gzip,
    Brotli,
}

impl Coding {
    /// The one that the client likes best; of equals Brotli, which is the shorter one.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let items = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let weighted = items.flat_map(|list| list.split(',')).filter_map(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight.trim().to_ascii_lowercase().strip_prefix("q=")?.parse::<f32>().ok()?;
            let coding = match name.trim().to_ascii_lowercase().as_str() {
                "br" => Self::Brotli,
                "gzip" | "x-gzip" => Self::Gzip,
                _ => return None,
            };
            (weight > 0.0).then_some((weight, coding))
        });
        let better = |a: &(f32, Self), b: &(f32, Self)| {
            a.0.total_cmp(&b.0).then((a.1 == Self::Brotli).cmp(&(b.1 == Self::Brotli)))
        };
        weighted.max_by(better).map(|(_, coding)| coding)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// Of the copy for somebody who waits for it, and of the one that [`warm`] makes before anybody does. The engine, 2 MB: a
    /// tenth of a second for 640 kB of Brotli, and four seconds for 560 kB.
    const fn level(self, thorough: bool) -> CompressionLevel {
        CompressionLevel::Precise(match (self, thorough) {
            (Self::Gzip, false) => 6,
            (Self::Gzip, true) => 9,
            (Self::Brotli, false) => 5,
            (Self::Brotli, true) => 11,
        })
    }
}

/// What a copy is of: the file's path as [`spelled`], its tag, and how it is compressed.
type Key = (String, HeaderValue, Coding);

/// A path in one spelling: `%61.js`, `//a.js` and `a.js` are one file to the server, and would have a copy each.
fn spelled(path: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut rest, mut bytes) = (path.as_bytes(), Vec::with_capacity(path.len()));
    while let [first, after @ ..] = rest {
        // Two hexadecimal digits make a byte.
        let decoded = match (*first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => u8::try_from(16 * high + low).ok(),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    let path = String::from_utf8_lossy(&bytes);
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

#[derive(Default)]
struct Copy {
    /// Whoever comes while it is made waits for it.
    quick: OnceCell<Bytes>,
    thorough: OnceLock<Bytes>,
}

/// The copies of a site; what serves it over HTTPS and over plain http may share them.
pub struct Copies {
    /// With the bytes of all copies.
    kept: Mutex<(HashMap<Key, Arc<Copy>>, usize)>,
    made: AtomicUsize,
    /// For whoever may compress now: more threads than cores would only hold more files in memory. One more is for [`warm`],
    /// which takes seconds for a file.
    turns: Semaphore,
}

impl Default for Copies {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { kept: Mutex::default(), made: AtomicUsize::new(0), turns: Semaphore::new(cores + 1) }
    }
}

impl Copies {
    /// How often something was compressed.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn of(&self, key: Key) -> Arc<Copy> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.entry(key).or_default().clone()
    }

    /// The copy, made of `body` if it is not there; `None` for a body that cannot be read.
    async fn copy(self: Arc<Self>, key: Key, thorough: bool, body: Body) -> Option<Bytes> {
        let coding = key.2;
        let copy = self.of(key);
        let make = async || {
            let _turn = self.turns.acquire().await.ok()?;
            let bytes = to_bytes(body, LONGEST).await.ok()?;
            let made = compress(bytes, coding, thorough).await?;
            self.made.fetch_add(1, Ordering::Relaxed);
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.1 += made.len();
            if kept.1 > CAP {
                *kept = Default::default();
            }
            Some(made)
        };
        if let Some(best) = copy.thorough.get() {
            return Some(best.clone());
        }
        if thorough {
            let made = make().await?;
            return Some(copy.thorough.get_or_init(|| made).clone());
        }
        copy.quick.get_or_try_init(async || make().await.ok_or(())).await.ok().cloned()
    }
}

/// In a thread of its own, which nobody waits for at the end of the program.
async fn compress(bytes: Bytes, coding: Coding, thorough: bool) -> Option<Bytes> {
    let (told, made) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let all = |_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| true;
        let encoder = CompressionLayer::new().quality(coding.level(thorough)).compress_when(all);
        let file = get(move || async move { bytes }).layer(encoder);
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.name()));
        let answer = async { to_bytes(file.call(request, ()).await.into_body(), usize::MAX).await };
        // Who asked may be gone.
        let _ = told.send(pollster::block_on(answer));
    });
    made.await.ok()?.ok()
}

/// Marks the requests of [`warm`]: their copies may take their time.
#[derive(Clone)]
struct Thorough;

/// A layer that answers with a copy where the client takes one and the answer is a whole file with a tag that is worth it.
pub async fn layer(State(copies): State<Arc<Copies>>, request: Request, next: Next) -> Response {
    let coding = Coding::accepted(request.headers()).filter(|_| request.method() == Method::GET);
    let thorough = request.extensions().get::<Thorough>().is_some();
    let path = spelled(request.uri().path());
    let response = next.run(request).await;
    // Weights are incompressible, and a download that can be resumed must keep its byte offsets: so must every part.
    let whole = |status: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        status == StatusCode::OK && length.is_none_or(|length: usize| length <= LONGEST)
    };
    let worth_it = SizeAbove::new(256)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(whole);
    if !worth_it.should_compress(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let (Some(coding), Some(tag)) = (coding, parts.headers.get(header::ETAG).cloned()) else {
        return Response::from_parts(parts, body);
    };
    let Some(copy) = copies.copy((path, tag, coding), thorough, body).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "500: this file could not be read.\n").into_response();
    };
    parts.headers.remove(header::ACCEPT_RANGES);
    parts.headers.insert(header::CONTENT_LENGTH, copy.len().into());
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    Response::from_parts(parts, copy.into())
}

/// Makes the best copies of these files of `site`, one after another, as if somebody asked for them.
pub async fn warm(site: Router, names: Vec<String>) {
    for name in names {
        let name = name.strip_suffix("index.html").unwrap_or(&name);
        // A name that no address can hold is none of the page's.
        let Ok(uri) = format!("/{name}").parse() else { continue };
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        request
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Coding::Brotli.name()));
        request.extensions_mut().insert(Thorough);
        any_service(site.clone()).call(request, ()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_coding() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("br;q=0.5, gzip", Some(Coding::Gzip)),
            ("br;q=0.5, GZIP ; Q=0.5", Some(Coding::Brotli)),
            ("br;q=0, x-gzip", Some(Coding::Gzip)),
            ("br;q=0, gzip;q=0.0", None),
            ("br;q=high", None),
            ("identity, *", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(Coding::accepted(&headers), expected, "{accepted}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn a_file_has_one_name_however_it_is_spelled() {
        for path in ["/pkg/m.js", "/%70kg/m%2Ejs", "//pkg/./m.js", "/pkg%2Fm.js", "/pkg/m.js/"] {
            assert_eq!(spelled(path), "pkg/m.js", "{path}");
        }
        for (path, name) in
            [("/", ""), ("/100%", "100%"), ("/%zz%2", "%zz%2"), ("/%C3%A4", "ä"), ("/%2525", "%25")]
        {
            assert_eq!(spelled(path), name);
        }
    }

    #[tokio::test]
    async fn copies_do_not_fill_the_memory() {
        let copies = Arc::new(Copies::default());
        copies.kept.lock().unwrap().1 = CAP - 10;
        let key = |name: &str| (name.to_owned(), HeaderValue::from_static("\"1\""), Coding::Gzip);
        let text = || Body::from("text ".repeat(1000));
        assert!(copies.clone().copy(key("a"), false, text()).await.unwrap().len() > 10);
        assert_eq!(copies.kept.lock().unwrap().0.len(), 0, "it was one too many");
        for _ in 0..2 {
            copies.clone().copy(key("a"), false, text()).await.unwrap();
        }
        assert_eq!((copies.made(), copies.kept.lock().unwrap().0.len()), (2, 1));
    }
}
