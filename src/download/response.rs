//! What an answer is worth: pure functions of a status, the headers that could be read, and what was asked.

use crate::address::origin;
use serde::Deserialize;

/// An answer's status and headers. A header that was not sent or that CORS hides is `None`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Response {
    pub status: u16,
    /// Where it came from in the end; empty where that is not known.
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub redirected: bool,
    #[serde(default)]
    pub headers: Headers,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Headers {
    pub content_range: Option<String>,
    pub content_length: Option<String>,
    pub content_encoding: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub x_linked_etag: Option<String>,
    pub x_linked_size: Option<String>,
    pub retry_after: Option<String>,
    pub x_error_code: Option<String>,
}

impl Headers {
    /// What changes when the file does. A compressed copy of the same file counts as the same.
    pub fn validator(&self) -> Option<String> {
        let etag = self.etag.as_deref().map(|etag| {
            let etag = etag.trim().trim_start_matches("W/").trim_matches('"');
            ["-gzip", ";gzip", "-br"].iter().fold(etag, |etag, end| etag.strip_suffix(end).unwrap_or(etag))
        });
        etag.or(self.last_modified.as_deref()).map(|text| text.chars().take(200).collect())
    }

    /// The hash and the length that the Hub states of a file: SHA-256 for one in its large-file storage, else git's.
    pub fn linked(&self) -> (Option<Promise>, Option<u64>) {
        let hash = self.x_linked_etag.as_deref().map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
        (hash.and_then(Promise::from_hex), self.x_linked_size.as_deref().and_then(number))
    }

    fn encoded(&self) -> bool {
        self.content_encoding.as_deref().is_some_and(|name| !name.trim().eq_ignore_ascii_case("identity"))
    }

    /// `Content-Length` where it counts the bytes that will arrive.
    fn length(&self) -> Option<u64> {
        self.content_length.as_deref().and_then(number).filter(|_| !self.encoded())
    }

    /// `Retry-After` in seconds; a date is left to the usual wait.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after.as_deref().and_then(number)
    }
}

/// A hash that somebody states of a file, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    Sha256(String),
    /// The SHA-1 of `blob LENGTH NUL` and the file: git's name for it.
    Git(String),
}

impl Promise {
    /// Told apart by their lengths.
    pub fn from_hex(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        match text.len() {
            64 if hex => Some(Promise::Sha256(text.to_ascii_lowercase())),
            40 if hex => Some(Promise::Git(text.to_ascii_lowercase())),
            _ => None,
        }
    }

    pub fn sha256(&self) -> Option<&str> {
        match self {
            Promise::Sha256(hash) => Some(hash),
            Promise::Git(_) => None,
        }
    }
}

/// A decimal number without sign, of a size that JavaScript can hold.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| *n < 1 << 53)
}

/// A request's range and what is known of the resource, in bytes of the resource.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Start and, where it is bounded, end (exclusive); `None`: the request had no `Range`.
    pub range: Option<(u64, Option<u64>)>,
    pub len: Option<u64>,
    pub validator: Option<String>,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its body is the resource's bytes from `from` on.
    Take(Body),
    /// It fits neither the request nor what came before.
    Inconsistent(String),
    /// A part of something whose length cannot be known: ask for all of it.
    NotRangeable,
    /// The server is in trouble.
    Again,
    /// The server asks to wait, this many seconds where it says so.
    Busy(Option<u64>),
    /// A link that was made for a while, and has expired.
    Expired,
    Absent,
    /// Not without an account, or not at all.
    Forbidden,
    /// It will not be different next time.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub from: u64,
    /// Where it must end, exclusive.
    pub to: Option<u64>,
    /// Where it says that it ends, when that may be the length of a compressed body.
    pub perhaps: Option<u64>,
    /// The resource's length.
    pub len: Option<u64>,
}

/// Judges an answer.
pub fn judge(asked: &Asked, response: &Response) -> Verdict {
    let headers = &response.headers;
    match response.status {
        200 | 206 => {}
        403 | 401 | 410 if response.redirected => return Verdict::Expired,
        404 | 410 => return Verdict::Absent,
        401 | 403 | 451 => return Verdict::Forbidden,
        416 => return Verdict::Inconsistent("the server says that the file has no such part".into()),
        429 => return Verdict::Busy(headers.retry_after()),
        // Some busy servers say when they will be back.
        503 if headers.retry_after().is_some() => return Verdict::Busy(headers.retry_after()),
        408 | 425 | 500.. => return Verdict::Again,
        _ => return Verdict::Refused,
    }
    if let (Some(before), Some(now)) = (&asked.validator, headers.validator())
        && *before != now
    {
        return Verdict::Inconsistent("the file has changed on the server".into());
    }
    if response.status == 200 {
        return Verdict::Take(Body { from: 0, to: asked.len, perhaps: headers.length(), len: asked.len });
    }
    let Some((from, to)) = asked.range else {
        return Verdict::Inconsistent("the server sent a part where the whole was asked for".into());
    };
    if headers.encoded() {
        return Verdict::Inconsistent("the server sent a part of a compressed copy".into());
    }
    let part = |to: u64, len: u64| Verdict::Take(Body { from, to: Some(to), perhaps: None, len: Some(len) });
    let wanted = |len: u64| to.map_or(len, |to| to.min(len));
    match (&headers.content_range, asked.len) {
        (None, None) => Verdict::NotRangeable,
        (None, Some(len)) => match headers.length() {
            Some(length) if from.checked_add(length) != Some(wanted(len)) => Verdict::Inconsistent(format!(
                "expected {} bytes, the server sends {length}",
                wanted(len).saturating_sub(from)
            )),
            _ => part(wanted(len), len),
        },
        (Some(text), known) => {
            let Some((first, last, total)) = content_range(text) else {
                return Verdict::Inconsistent(format!("Content-Range is '{}'", brief(text)));
            };
            let Some(len) = total.or(known) else { return Verdict::NotRangeable };
            let fits = first == from
                && last >= first
                && last < wanted(len)
                && known.is_none_or(|known| known == len);
            if fits {
                return part(last + 1, len);
            }
            let expected = known.map_or(String::new(), |known| format!(" of {known}"));
            Verdict::Inconsistent(format!(
                "expected bytes {from} and on{expected}, the server sends '{}'",
                brief(text)
            ))
        }
    }
}

/// `bytes FIRST-LAST/TOTAL`; a total of `*` is `None`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    Some((number(first)?, number(last)?, total))
}

/// A header's text in a message.
fn brief(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' }).collect()
}

/// Who may answer in place of the host that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// Nobody.
    SameOrigin,
    /// The Hub's storage.
    Hub,
    /// A mirror's: any secure host; a machine's own ports among each other.
    Mirror,
}

impl Redirects {
    /// Whether `landed` may answer for `asked`. An unknown `landed` was not redirected.
    pub fn allow(self, asked: &str, landed: &str) -> bool {
        let (Some(from), Some(to)) = (origin(asked), origin(landed)) else { return landed.is_empty() };
        if from == to {
            return true;
        }
        let secure = to.strip_prefix("https://");
        match self {
            Redirects::SameOrigin => false,
            Redirects::Hub => secure.is_some_and(|host| {
                host == "huggingface.co" || host.ends_with(".huggingface.co") || host.ends_with(".hf.co")
            }),
            Redirects::Mirror => secure.is_some() || (is_loopback(&from) && is_loopback(&to)),
        }
    }
}

fn is_loopback(origin: &str) -> bool {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests;
