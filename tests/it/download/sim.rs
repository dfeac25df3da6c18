//! A server, a store and a driver that exist only in memory: they do what a download says, and what a test says goes wrong.

use microtome::download::{Download, FailureKind, Headers, Response, Spec, Step};
use microtome::error::Error;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    None,
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// The body ends after so many bytes, without an error and without a `Content-Length`.
    Short(usize),
    /// Nothing comes any more after so many bytes.
    Stall(usize),
    Unreachable,
    /// The answer to a Range is the whole file.
    WholeFile,
    /// `Content-Range` begins one byte later.
    WrongRange,
    /// `Content-Range` states another total.
    OtherTotal,
    OtherEtag,
    Status(u16),
    Busy(u64),
    /// A link that has expired, after a redirect.
    Expired,
    /// One byte of the body is another one.
    Flip(usize),
    Body(&'static [u8]),
    /// No header but the length can be read.
    Hidden,
    Redirected(&'static str),
    /// As from a compressing server across origins: `Content-Length` counts other bytes.
    Compressed,
}

pub struct Server {
    pub files: BTreeMap<String, Vec<u8>>,
    pub etags: bool,
    /// Faults of the requests for a URL that ends so, in their order; then none.
    pub faults: Vec<(&'static str, Vec<Fault>)>,
    /// Every request: URL and Range.
    pub log: Vec<(String, Option<String>)>,
    pub chunk: usize,
}

impl Server {
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self {
            files: files.into_iter().collect(),
            etags: true,
            faults: Vec::new(),
            log: Vec::new(),
            chunk: 10_000,
        }
    }

    pub fn fault(mut self, end: &'static str, faults: &[Fault]) -> Self {
        self.faults.push((end, faults.to_vec()));
        self
    }

    /// Requests for a URL that ends so.
    pub fn asked(&self, end: &str) -> Vec<Option<String>> {
        self.log.iter().filter(|(url, _)| url.ends_with(end)).map(|(_, range)| range.clone()).collect()
    }

    fn next_fault(&mut self, url: &str) -> Fault {
        let list = self.faults.iter_mut().find(|(end, list)| url.ends_with(end) && !list.is_empty());
        list.map_or(Fault::None, |(_, list)| list.remove(0))
    }

    fn answer(&mut self, url: &str, range: Option<&str>, fault: &Fault) -> (Response, Vec<u8>) {
        let plain = |status| Response { status, url: url.to_owned(), ..Response::default() };
        match fault {
            Fault::Status(status) => return (plain(*status), Vec::new()),
            Fault::Busy(seconds) => {
                let headers = Headers { retry_after: Some(seconds.to_string()), ..Headers::default() };
                return (Response { headers, ..plain(429) }, Vec::new());
            }
            Fault::Expired => return (Response { redirected: true, ..plain(403) }, Vec::new()),
            Fault::Body(bytes) => return (plain(200), bytes.to_vec()),
            _ => {}
        }
        let Some(file) = self.files.get(url) else { return (plain(404), b"<html>Not found".to_vec()) };
        let etag = if *fault == Fault::OtherEtag {
            "\"other\"".into()
        } else {
            format!("\"{}\"", &sha256(file)[..8])
        };
        let mut headers = Headers { etag: self.etags.then_some(etag), ..Headers::default() };
        let part = range.filter(|_| *fault != Fault::WholeFile).map(|range| {
            let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let from: usize = from.parse().unwrap();
            let to =
                if to.is_empty() { file.len() } else { (to.parse::<usize>().unwrap() + 1).min(file.len()) };
            (from, to)
        });
        let (status, body) = match part {
            Some((from, _)) if from >= file.len() => return (plain(416), Vec::new()),
            Some((from, to)) => {
                let shift = usize::from(*fault == Fault::WrongRange);
                let total = file.len() + usize::from(*fault == Fault::OtherTotal);
                headers.content_range = Some(format!("bytes {}-{}/{total}", from + shift, to - 1 + shift));
                (206, file[from..to].to_vec())
            }
            None => (200, file.clone()),
        };
        headers.content_length = Some(body.len().to_string());
        match fault {
            Fault::Hidden => {
                headers = Headers { content_length: headers.content_length, ..Headers::default() }
            }
            Fault::Compressed => {
                headers =
                    Headers { content_length: Some((body.len() / 3).to_string()), ..Headers::default() };
            }
            Fault::Short(_) => headers.content_length = None,
            _ => {}
        }
        let mut response = Response { status, headers, ..plain(200) };
        if let Fault::Redirected(landed) = fault {
            (response.url, response.redirected) = ((*landed).to_owned(), true);
        }
        (response, body)
    }
}

/// What a store keeps of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    pub bytes: Vec<u8>,
    pub note: Option<String>,
    pub complete: bool,
    pub verified: bool,
}

pub type Store = BTreeMap<(String, String), Entry>;

/// How a download went.
pub struct Run {
    pub end: Result<Vec<microtome::download::FileInfo>, Error>,
    pub waits: Vec<(u64, &'static str)>,
    pub received: u64,
    pub restarts: u32,
    /// Files that were kept as they were stored.
    pub kept: Vec<String>,
    pub truncated: Vec<String>,
}

/// Downloads; stops as if the tab was closed after `budget` bytes of bodies.
pub fn download(spec: &Spec, server: &mut Server, store: &mut Store, budget: usize) -> Option<Run> {
    let mut download = match Download::new(spec) {
        Ok(download) => download,
        Err(error) => panic!("{error}"),
    };
    let mut left = budget;
    let mut run = Run {
        end: Ok(Vec::new()),
        waits: Vec::new(),
        received: 0,
        restarts: 0,
        kept: Vec::new(),
        truncated: Vec::new(),
    };
    let mut open = (String::new(), String::new());
    let mut held: Option<(Fault, Vec<u8>)> = None;
    let mut before = download.progress();
    for _ in 0..20_000 {
        let now = download.progress();
        let same = now.file == before.file && now.restarts == before.restarts;
        assert!(!same || now.done >= before.done, "progress went back without a restart: {before:?} {now:?}");
        assert!(now.bytes.is_none_or(|bytes| now.done <= bytes), "{now:?}");
        assert!(now.all_bytes.is_none_or(|bytes| now.all_done <= bytes), "{now:?}");
        before = now;
        match download.step() {
            Step::Open { file } => {
                open = (format!("{}@{}", file.source, file.revision), file.name);
                let entry = store.entry(open.clone()).or_default();
                let (have, note) = (entry.bytes.len() as u64, entry.note.clone());
                let complete = entry.complete;
                download.opened(have, note.as_deref(), complete);
            }
            Step::Get { url, range, .. } => {
                let mut fault = server.next_fault(&url);
                // Nobody states the hash of what states hashes.
                if matches!(fault, Fault::Flip(_))
                    && (url.contains("/api/") || url.ends_with("microtome.json"))
                {
                    fault = Fault::None;
                }
                server.log.push((url.clone(), range.clone()));
                if fault == Fault::Unreachable {
                    download.failed(FailureKind::Network, "Failed to fetch");
                    continue;
                }
                let (response, mut body) = server.answer(&url, range.as_deref(), &fault);
                if let Fault::Flip(at) = fault
                    && !body.is_empty()
                {
                    let at = at % body.len();
                    body[at] ^= 1;
                }
                download.response(&response);
                held = Some((fault, body));
            }
            Step::Body => {
                let (fault, body) = held.take().expect("a body that was not asked for");
                let cut = match fault {
                    Fault::Cut(at) | Fault::Short(at) | Fault::Stall(at) => at.min(body.len()),
                    _ => body.len(),
                };
                let mut more = true;
                for chunk in body[..cut].chunks(server.chunk) {
                    if chunk.len() > left {
                        return None;
                    }
                    left -= chunk.len();
                    let part = download.bytes(chunk);
                    write(store, &open, part.at, &chunk[..part.to]);
                    more = part.more;
                    if !more {
                        break;
                    }
                }
                match fault {
                    _ if !more => {}
                    Fault::Cut(_) => download.failed(FailureKind::Network, "network error"),
                    Fault::Stall(_) => download.failed(FailureKind::Stall, ""),
                    _ => download.end(),
                }
            }
            Step::Read { from, to } => {
                let bytes = store[&open].bytes.get(from as usize..to as usize).map(<[u8]>::to_vec);
                match bytes {
                    Some(bytes) => assert_eq!(download.bytes(&bytes).to, 0),
                    None => download.failed(FailureKind::Network, "gone"),
                }
            }
            Step::Write { at, bytes } => write(store, &open, at, &bytes),
            Step::Note { note } => store.get_mut(&open).unwrap().note = Some(note),
            Step::Truncate { to, message } => {
                let entry = store.get_mut(&open).unwrap();
                entry.bytes.truncate(to as usize);
                entry.complete = false;
                run.truncated.push(message);
            }
            Step::Wait { ms, why, .. } => run.waits.push((ms, why)),
            Step::Close { size, sha256: hash, verified, .. } => {
                let entry = store.get_mut(&open).unwrap();
                assert_eq!(entry.bytes.len() as u64, size);
                assert_eq!(sha256(&entry.bytes), hash);
                (entry.complete, entry.verified) = (true, verified);
            }
            Step::Keep { file } => run.kept.push(file.name),
            Step::Drop => drop(store.remove(&open)),
            Step::Done { files, .. } => {
                run.end = Ok(files);
                break;
            }
            Step::Fail { error } => {
                run.end = Err(error);
                break;
            }
        }
    }
    assert!(matches!(download.step(), Step::Done { .. } | Step::Fail { .. }), "the download does not end");
    let progress = download.progress();
    (run.received, run.restarts) = (progress.received, progress.restarts);
    Some(run)
}

fn write(store: &mut Store, open: &(String, String), at: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let file = &mut store.get_mut(open).expect("an open file").bytes;
    let at = at as usize;
    assert!(at <= file.len(), "a hole is written: at {at} of {}", file.len());
    let end = (at + bytes.len()).max(file.len());
    file.resize(end, 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
