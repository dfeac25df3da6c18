//! Requests of `fetch`, and the bodies of their answers.

use std::io::Read;
use std::time::Duration;

use crate::address::origin;
use crate::download::{FailureKind, Headers, Response};

/// The most hosts that a request is sent on to: the Hub's storage is two away.
const HOPS: usize = 5;

type Failure = (FailureKind, String);

/// A client. It follows redirects itself: where to is decided before anything is sent there.
pub struct Http {
    agent: ureq::Agent,
}

/// An answer, its body unread.
pub struct Answer {
    pub response: Response,
    pub body: Reader,
}

/// A body, read as it comes.
pub struct Reader {
    inner: Box<dyn Read>,
}

impl Http {
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("microtome/", env!("CARGO_PKG_VERSION")))
            // Ranges count the bytes of the file, not of a compressed copy.
            .accept_encoding("identity")
            .build();
        Self { agent: config.into() }
    }

    /// Asks for `url`; `follow` says where the request may be sent on to.
    ///
    /// # Errors
    /// What the connection died of; `stall` is how long it may be silent.
    pub fn get(
        &self,
        url: &str,
        range: Option<&str>,
        stall: Duration,
        follow: &dyn Fn(&str) -> bool,
    ) -> Result<Answer, Failure> {
        let mut at = url.to_owned();
        // The Hub states hash and length of a file where it sends to its storage.
        let mut linked = (None, None);
        for hop in 0..=HOPS {
            let mut request = self.agent.get(&at);
            if let Some(range) = range {
                request = request.header("range", range);
            }
            let request = request
                .config()
                .timeout_connect(Some(stall))
                .timeout_recv_response(Some(stall))
                .timeout_per_read(Some(stall))
                .build();
            let answer = request.call().map_err(|e| failure(&e))?;
            let status = answer.status().as_u16();
            let header = |name: &str| {
                answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
            };
            linked = (header("x-linked-etag").or(linked.0), header("x-linked-size").or(linked.1));
            if let (301 | 302 | 303 | 307 | 308, Some(location)) = (status, header("location")) {
                let to = join(&at, &location);
                if to.as_deref().is_some_and(follow) && hop < HOPS {
                    at = to.unwrap_or_default();
                    continue;
                }
            }
            let landed = match (status, header("location")) {
                (300..400, Some(location)) => join(&at, &location).unwrap_or_else(|| at.clone()),
                _ => at.clone(),
            };
            let headers = Headers {
                content_range: header("content-range"),
                content_length: header("content-length"),
                content_encoding: header("content-encoding"),
                etag: header("etag"),
                last_modified: header("last-modified"),
                x_linked_etag: linked.0,
                x_linked_size: linked.1,
                retry_after: header("retry-after"),
                x_error_code: header("x-error-code"),
            };
            let response = Response { status, url: landed, redirected: hop > 0, headers };
            let body = Reader { inner: Box::new(answer.into_body().into_reader()) };
            return Ok(Answer { response, body });
        }
        Err((FailureKind::Network, "too many redirects".into()))
    }
}

impl Reader {
    /// # Errors
    /// What the connection died of.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.inner.read(buffer).map_err(|e| {
            let stall = matches!(e.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock);
            (if stall { FailureKind::Stall } else { FailureKind::Network }, e.to_string())
        })
    }
}

fn failure(error: &ureq::Error) -> Failure {
    let kind = match error {
        ureq::Error::Timeout(_) => FailureKind::Stall,
        _ => FailureKind::Network,
    };
    (kind, error.to_string())
}

/// The URL that a `Location` means: a whole one, or a path on the same host.
fn join(url: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    let path = location.starts_with('/') && !location.starts_with("//");
    path.then(|| origin(url).map(|origin| format!("{origin}{location}"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_url_or_a_path() {
        let url = "https://a.org/x/y?z";
        assert_eq!(join(url, "/api/q?w").as_deref(), Some("https://a.org/api/q?w"));
        assert_eq!(join(url, "https://b.org/q").as_deref(), Some("https://b.org/q"));
        for odd in ["//b.org/q", "q", "ftp://b.org", "javascript:x"] {
            assert_eq!(join(url, odd), None, "{odd}");
        }
    }
}
