//! The file server over a real socket: types, ranges, compression, validators, and what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use microtome::cli::compressed::Copies;
use microtome::cli::server::{self, Extras};

/// A served scratch folder; the server's threads end with the value.
struct Site {
    address: SocketAddr,
    folder: PathBuf,
    copies: Arc<Copies>,
    _runtime: tokio::runtime::Runtime,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Site {
    /// Serves `scratch/site`; `scratch/secret.txt` lies beside it.
    fn open(name: &str) -> Self {
        let scratch = std::env::temp_dir().join(format!("microtome-server-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let folder = scratch.join("site");
        fs::create_dir_all(folder.join("pkg")).unwrap();
        fs::write(scratch.join("secret.txt"), "secret").unwrap();
        for (name, bytes) in [
            ("index.html", "<!doctype html>".repeat(100).into_bytes()),
            ("app.js", "export {};\n".repeat(100).into_bytes()),
            ("types.d.ts", b"export {};".to_vec()),
            ("a.json", b"{}".to_vec()),
            ("picture.svg", b"<svg/>".to_vec()),
            ("README.md", b"# x".to_vec()),
            ("pkg/m.wasm", vec![0; 4096]),
            ("model.safetensors", (0..=255).cycle().take(5000).collect()),
            ("empty.bin", Vec::new()),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let copies = Arc::new(Copies::default());
        let extras = Extras { copies: copies.clone(), ..Extras::default() };
        let router = server::router_with(&folder, &extras).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, folder, copies, _runtime: runtime }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers)
    }

    /// The path goes on the wire exactly as written: a client library would tidy `..` away.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(scratch) = self.folder.parent() {
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[test]
fn every_kind_of_file_has_its_type() {
    let site = Site::open("types");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/types.d.ts", "text/plain; charset=utf-8"),
        ("/a.json", "application/json"),
        ("/picture.svg", "image/svg+xml"),
        ("/README.md", "text/markdown; charset=utf-8"),
        ("/pkg/m.wasm", "application/wasm"),
        ("/model.safetensors", "application/octet-stream"),
    ] {
        let answer = site.get(path, &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
    }
}

#[test]
fn every_answer_isolates_the_page() {
    let site = Site::open("headers");
    for (path, status) in [("/", 200), ("/nowhere", 404), ("/pkg", 307)] {
        let answer = site.get(path, &[]);
        assert_eq!(answer.status, status, "{path}");
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
    }
    assert_eq!(site.ask("POST", "/index.html", &[("Content-Length", "0")]).status, 405);
    let head = site.ask("HEAD", "/model.safetensors", &[]);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("5000"), 0));
}

#[test]
fn a_range_is_served_as_asked_and_never_compressed() {
    let site = Site::open("ranges");
    let whole = site.get("/model.safetensors", &[("Accept-Encoding", "br, gzip")]);
    assert_eq!((whole.header("accept-ranges"), whole.header("content-encoding")), (Some("bytes"), None));
    for (range, content_range, bytes) in [
        ("bytes=0-0", "bytes 0-0/5000", 0..1),
        ("bytes=100-299", "bytes 100-299/5000", 100..300),
        ("bytes=4990-", "bytes 4990-4999/5000", 4990..5000),
        ("bytes=-10", "bytes 4990-4999/5000", 4990..5000),
        ("bytes=4990-9999", "bytes 4990-4999/5000", 4990..5000),
    ] {
        let part = site.get("/model.safetensors", &[("Range", range), ("Accept-Encoding", "br")]);
        assert_eq!((part.status, part.header("content-range")), (206, Some(content_range)), "{range}");
        assert_eq!(part.body, whole.body[bytes], "{range}");
    }
    let script = site.get("/app.js", &[("Range", "bytes=0-599"), ("Accept-Encoding", "br, gzip")]);
    assert_eq!((script.status, script.header("content-encoding"), script.body.len()), (206, None, 600));
    let beyond = site.get("/model.safetensors", &[("Range", "bytes=5000-"), ("Accept-Encoding", "br")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */5000")));
}

#[test]
fn a_part_of_a_changed_file_is_refused() {
    let site = Site::open("if-range");
    let etag = site.get("/model.safetensors", &[]).header("etag").unwrap().to_owned();
    let part = site.get("/model.safetensors", &[("Range", "bytes=10-19"), ("If-Range", &etag)]);
    assert_eq!((part.status, part.body.len()), (206, 10));
    fs::write(site.folder.join("model.safetensors"), vec![7; 6000]).unwrap();
    let whole = site.get("/model.safetensors", &[("Range", "bytes=10-19"), ("If-Range", &etag)]);
    assert_eq!((whole.status, whole.body.len()), (200, 6000));
}

#[test]
fn text_is_compressed_and_weights_are_not() {
    let site = Site::open("compression");
    for (path, accepted, encoding) in [
        ("/app.js", "gzip, deflate, br", Some("br")),
        ("/app.js", "gzip", Some("gzip")),
        ("/app.js", "identity", None),
        ("/pkg/m.wasm", "br", Some("br")),
        ("/a.json", "br", None), // not worth it
        ("/model.safetensors", "br, gzip", None),
    ] {
        let answer = site.get(path, &[("Accept-Encoding", accepted)]);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{path} {accepted}");
        let size = fs::metadata(site.folder.join(&path[1..])).unwrap().len();
        match encoding {
            // Another byte sequence than the file's: no strong validator, no byte offsets.
            Some(_) => {
                assert!((answer.body.len() as u64) < size / 4, "{path}: {} bytes", answer.body.len());
                assert!(answer.header("etag").unwrap().starts_with("W/"), "{path}");
                assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
                assert_eq!(unpacked(&answer), fs::read(site.folder.join(&path[1..])).unwrap(), "{path}");
            }
            None => {
                assert_eq!(answer.header("content-length"), Some(size.to_string().as_str()), "{path}");
                assert!(answer.header("etag").unwrap().starts_with('"'), "{path}");
                assert_eq!(answer.body, fs::read(site.folder.join(&path[1..])).unwrap(), "{path}");
            }
        }
        // A cache must tell apart what it got for one client and what another can read.
        let varies = answer.header("vary").is_some_and(|vary| vary.contains("accept-encoding"));
        assert_eq!(varies, matches!(path, "/app.js" | "/pkg/m.wasm"), "{path} {accepted}");
    }
}

/// What was compressed. Of gzip, whose decoder is nowhere here, the length that it ends with.
fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut file = Vec::new();
    match answer.header("content-encoding") {
        Some("br") => drop(brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut file).unwrap()),
        Some("gzip") => {
            let (magic, end) = (&answer.body[..2], answer.body.last_chunk::<4>().unwrap());
            assert_eq!((magic, u32::from_le_bytes(*end)), (&[0x1f, 0x8b][..], 1100));
            file = "export {};\n".repeat(100).into_bytes();
        }
        other => panic!("{other:?}"),
    }
    file
}

#[test]
fn a_file_is_compressed_once_for_all_clients() {
    let site = Site::open("copies");
    let br = [("Accept-Encoding", "br")];
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| site.get("/pkg/m.wasm", &br))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(site.copies.made(), 1, "they came at once");
    assert!(answers.iter().all(|answer| answer.status == 200 && unpacked(answer) == vec![0; 4096]));
    for (accepted, made) in [("br", 1), ("identity", 1), ("gzip", 2), ("gzip", 2), ("br, gzip", 2)] {
        assert_eq!(site.get("/pkg/m.wasm", &[("Accept-Encoding", accepted)]).status, 200);
        assert_eq!(site.copies.made(), made, "{accepted}");
    }
    // Another spelling is the same file.
    for path in ["/pkg/m%2Ewasm", "/%70kg/%6D.wasm", "//pkg/m.wasm", "/pkg/./m.wasm"] {
        assert_eq!(unpacked(&site.get(path, &br)), vec![0; 4096], "{path}");
        assert_eq!(site.copies.made(), 2, "{path}");
    }
    // Neither an answer without a body nor a part nor weights cost anything.
    let tag = answers[0].header("etag").unwrap();
    assert_eq!(site.get("/pkg/m.wasm", &[br[0], ("If-None-Match", tag)]).status, 304);
    assert_eq!(site.get("/pkg/m.wasm", &[br[0], ("Range", "bytes=0-9")]).body, [0; 10]);
    assert_eq!(site.ask("HEAD", "/pkg/m.wasm", &br).header("content-length"), Some("4096"));
    assert_eq!(site.get("/model.safetensors", &br).body.len(), 5000);
    assert_eq!(site.copies.made(), 2);
    // Of two files that were written at once with one length, each has its own copy.
    fs::write(site.folder.join("one.js"), "1".repeat(500)).unwrap();
    fs::write(site.folder.join("two.js"), "2".repeat(500)).unwrap();
    let same = fs::metadata(site.folder.join("one.js")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(site.folder.join("two.js")).unwrap().set_modified(same).unwrap();
    for (path, text) in [("/one.js", "1"), ("/two.js", "2")] {
        assert_eq!(unpacked(&site.get(path, &br)), text.repeat(500).into_bytes(), "{path}");
    }
    // An edited file has another copy.
    fs::write(site.folder.join("pkg/m.wasm"), [1; 5000]).unwrap();
    assert_eq!(unpacked(&site.get("/pkg/m.wasm", &br)), [1; 5000]);
    assert_eq!(site.copies.made(), 5);
}

#[test]
fn an_unchanged_file_is_not_sent_again_and_an_edited_one_is() {
    let site = Site::open("validators");
    let first = site.get("/app.js", &[("Accept-Encoding", "br")]);
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let again = site.get("/app.js", &[("Accept-Encoding", "br"), ("If-None-Match", etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(site.get("/app.js", &[("If-Modified-Since", modified)]).status, 304);
    fs::write(site.folder.join("app.js"), "edited").unwrap();
    let edited = site.get("/app.js", &[("If-None-Match", etag)]);
    assert_eq!((edited.status, edited.body.as_slice()), (200, b"edited".as_slice()));
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let site = Site::open("outside");
    let outside = site.folder.parent().unwrap();
    for path in [
        "/../secret.txt",
        "/pkg/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/pkg/%2e%2e/%2e%2e/secret.txt",
        "//../secret.txt",
        "/./.././secret.txt",
        "/%00",
        &format!("/{}", outside.join("secret.txt").display()),
        &format!("/%2f{}", outside.join("secret.txt").display()),
    ] {
        let answer = site.get(path, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.body.windows(6).any(|window| window == b"secret"), "{path}");
    }
    // The same file inside the folder is served, so the refusals above are not accidents.
    fs::copy(outside.join("secret.txt"), site.folder.join("secret.txt")).unwrap();
    assert_eq!(site.get("/secret.txt", &[]).body, b"secret");
}

#[cfg(unix)]
#[test]
fn links_are_followed_inside_the_folder_only() {
    let site = Site::open("links");
    let link =
        |target: &Path, name: &str| std::os::unix::fs::symlink(target, site.folder.join(name)).unwrap();
    let outside = site.folder.parent().unwrap();
    link(&outside.join("secret.txt"), "link.txt");
    link(outside, "up");
    link(&site.folder.join("a.json"), "inside.json");
    for path in ["/link.txt", "/up/secret.txt", "/up/site/a.json/../../secret.txt", "/up"] {
        for headers in [&[][..], &[("Range", "bytes=0-3")][..]] {
            assert_eq!(site.get(path, headers).status, 404, "{path}");
            assert_eq!(site.ask("HEAD", path, headers).status, 404, "{path}");
        }
    }
    assert_eq!(site.get("/inside.json", &[]).body, b"{}");
}

#[test]
fn a_taken_port_is_one_sentence_with_the_command() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .args(["serve", "--port", &port.to_string()])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&format!("port {port} of 127.0.0.1 is taken")), "{error}");
    assert!(error.contains("serve --port"), "{error}");
}

#[test]
fn bad_options_and_foreign_folders_are_bad_input() {
    let run =
        |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_microtome")).args(arguments).output().unwrap();
    assert_eq!(run(&["serve", "--port", "http"]).status.code(), Some(2));
    assert_eq!(run(&["bulid"]).status.code(), Some(2));
    let output = run(&["build", "--out", env!("CARGO_MANIFEST_DIR")]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len(), error.lines().count()),
        (Some(2), 0, 1),
        "{error}"
    );
    assert!(error.contains("site.out_not_empty"), "{error}");
}
