//! `microtome fetch` against a server on this machine that misbehaves on purpose.

use crate::download::sim::sha256;
use microtome::weights::ModelFiles;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with the next request for the weights.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes.
    Hang(usize),
    Flip,
    Html,
    Status(u16),
    /// The file's other address answers, after a redirect.
    Redirect(&'static str),
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
    /// Ranges asked for of the weights.
    ranges: Vec<String>,
}

struct Hub {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    fn open(faults: &[Fault]) -> Self {
        let weights = weights();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models/gelu-new");
        let config = fs::read(folder.join("config.json")).unwrap();
        let tokenizer = fs::read(folder.join("tokenizer.json")).unwrap();
        let listing = serde_json::json!({ "sha": COMMIT, "siblings": [
            { "rfilename": "config.json", "size": config.len() },
            { "rfilename": "tokenizer.json", "size": tokenizer.len() },
            { "rfilename": "model.safetensors", "size": weights.len(), "lfs": { "sha256": sha256(&weights) } },
        ] });
        let at = |name: &str| format!("/a/b/resolve/{COMMIT}/{name}");
        let files = BTreeMap::from([
            ("/api/models/a/b/revision/main?blobs=true".to_owned(), listing.to_string().into_bytes()),
            (at("config.json"), config),
            (at("tokenizer.json"), tokenizer),
            (at("model.safetensors"), weights.clone()),
            ("/storage/weights".to_owned(), weights),
        ]);
        let state = Arc::new(Mutex::new(State { files, faults: faults.to_vec(), ranges: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that goes away in the middle is no concern of the server's.
                std::thread::spawn(move || drop(answer(stream, &state)));
            }
        });
        Self { url, state }
    }

    /// `scale` multiplies the waits and the 20 s that a server may be silent.
    fn fetch(&self, out: &Path, scale: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_microtome"));
        command.args(["fetch", "hf:a/b", "--time-scale", scale, "--endpoint", &self.url, "--out"]);
        command.arg(out).args(more);
        command
    }

    fn run(&self, out: &Path, more: &[&str]) -> Output {
        self.fetch(out, "0.02", more).output().unwrap()
    }
}

fn weights() -> Vec<u8> {
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let json = format!(r#"{{"a":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, data.len());
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &data].concat()
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut range = None;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("range") => range = Some(value.to_owned()),
                Some(_) => {}
                None => break,
            }
        }
        let (file, fault) = {
            let mut state = state.lock().unwrap();
            let weights = path.ends_with("weights") || path.ends_with("model.safetensors");
            if weights {
                state.ranges.push(range.clone().unwrap_or_default());
            }
            let fault = (weights && !state.faults.is_empty()).then(|| state.faults.remove(0));
            (state.files.get(&path).cloned(), fault)
        };
        let (status, mut body) = match (file, fault) {
            (_, Some(Fault::Status(status))) => (status, Vec::new()),
            (_, Some(Fault::Redirect(to))) => {
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nlocation: {to}\r\nx-linked-size: 7\r\ncontent-length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes())?;
                continue;
            }
            (_, Some(Fault::Html)) => {
                (200, b"<!doctype html><title>Sign in to continue</title> and more".to_vec())
            }
            (Some(file), _) => (200, file),
            (None, _) => (404, b"nothing here".to_vec()),
        };
        let mut head = format!("HTTP/1.1 {status} x\r\netag: \"1\"\r\n");
        if status == 200
            && !matches!(fault, Some(Fault::Html))
            && let Some((from, to)) =
                range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        {
            let (from, total) = (from.parse::<usize>().unwrap(), body.len());
            let to = to.parse::<usize>().map_or(total, |to| (to + 1).min(total));
            head = format!(
                "HTTP/1.1 206 x\r\netag: \"1\"\r\ncontent-range: bytes {from}-{}/{total}\r\n",
                to - 1
            );
            body = body[from..to].to_vec();
        }
        stream.write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes())?;
        match fault {
            Some(Fault::Cut(at)) => return stream.write_all(&body[..at.min(body.len())]),
            Some(Fault::Hang(at)) => {
                stream.write_all(&body[..at.min(body.len())])?;
                stream.flush()?;
                std::thread::sleep(Duration::from_secs(60));
            }
            Some(Fault::Flip) => body[100] ^= 1,
            _ => {}
        }
        stream.write_all(&body)?;
    }
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("microtome-fetch-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    dir
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The folder's files, without the hidden record.
fn files(dir: &Path) -> Vec<String> {
    let names =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn a_model_arrives_whatever_the_server_does_on_the_way() {
    for (i, faults) in [
        vec![],
        vec![Fault::Cut(10_000), Fault::Cut(100_000)],
        vec![Fault::Hang(50_000)],
        vec![Fault::Status(503), Fault::Status(500)],
        vec![Fault::Redirect("/storage/weights"), Fault::Cut(9), Fault::Redirect("/storage/weights")],
    ]
    .into_iter()
    .enumerate()
    {
        let (hub, out) = (Hub::open(&faults), scratch(&format!("arrives-{i}")));
        let output = hub.run(&out, &[]);
        assert!(output.status.success(), "{faults:?}: {}", error(&output));
        assert_eq!(files(&out), ["config.json", "model.safetensors", "tokenizer.json"]);
        assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), weights(), "{faults:?}");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(&sha256(&weights())), "{printed}");
        // A second run downloads nothing.
        let asked = hub.state.lock().unwrap().ranges.len();
        assert!(hub.run(&out, &[]).status.success());
        assert_eq!(hub.state.lock().unwrap().ranges.len(), asked);
        fs::remove_dir_all(out).unwrap();
    }
}

/// From the server to a folder that packs and loads as the same model, shard by shard.
#[test]
fn a_sharded_torch_checkpoint_is_fetched() {
    let (hub, out) = (Hub::open(&[]), scratch("torch-shards"));
    let shards = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/torch/sharded")).unwrap();
    let mut model: BTreeMap<String, Vec<u8>> = shards
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    model.insert("config.json".into(), crate::files::config(true));
    let listed: Vec<_> = model
        .iter()
        .map(|(name, bytes)| {
            serde_json::json!({ "rfilename": name, "size": bytes.len(), "lfs": { "sha256": sha256(bytes) } })
        })
        .collect();
    let listing = serde_json::json!({ "sha": COMMIT, "siblings": listed }).to_string().into_bytes();
    let at = |name: &str| format!("/a/b/resolve/{COMMIT}/{name}");
    let mut served: BTreeMap<_, _> = model.iter().map(|(name, bytes)| (at(name), bytes.clone())).collect();
    served.insert("/api/models/a/b/revision/main?blobs=true".into(), listing);
    hub.state.lock().unwrap().files = served;
    let output = hub.run(&out, &[]);
    assert!(output.status.success(), "{}", error(&output));
    assert_eq!(files(&out), model.keys().cloned().collect::<Vec<_>>());
    let (loaded, _) = crate::support::weights(&ModelFiles::from_dir(&out).unwrap()).unwrap();
    let stored = crate::files::stored(safetensors::Dtype::F32);
    crate::files::same(&loaded, &crate::files::load(&stored, true).unwrap());
    fs::remove_dir_all(&out).unwrap();
    // A shard that the list has and the server has not.
    let shard = "pytorch_model-00002-of-00003.bin";
    hub.state.lock().unwrap().files.remove(&at(shard));
    let output = hub.run(&out, &[]);
    assert!(!output.status.success() && error(&output).contains(shard), "{}", error(&output));
    assert!(!files(&out).contains(&shard.to_owned()));
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn a_killed_download_continues_where_it_was() {
    let (hub, out) = (Hub::open(&[Fault::Cut(usize::MAX), Fault::Hang(500_000)]), scratch("killed"));
    let mut child = hub.fetch(&out, "1", &[]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let (part, start) = (out.join("model.safetensors.part"), Instant::now());
    while part.metadata().map_or(0, |part| part.len()) < 400_000 && start.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let had = part.metadata().unwrap().len();
    assert!(had >= 400_000 && !out.join("model.safetensors").exists(), "{had}");
    let output = hub.run(&out, &[]);
    assert!(output.status.success(), "{}", error(&output));
    assert_eq!(fs::read(out.join("model.safetensors")).unwrap(), weights());
    assert_eq!(hub.state.lock().unwrap().ranges.last().unwrap(), &format!("bytes={had}-"));
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn what_is_wrong_is_named_and_not_kept() {
    for (i, (fault, code, status, words)) in [
        (Fault::Flip, "file.hash_mismatch", 1, "expected SHA-256"),
        (Fault::Html, "file.not_safetensors", 2, "<!doctype html>"),
        (Fault::Status(404), "net.not_found", 2, "hf:a/b: model.safetensors"),
        (Fault::Status(403), "net.forbidden", 2, "hf:a/b: model.safetensors"),
        (Fault::Redirect("http://example.invalid/x"), "net.blocked", 1, "http://example.invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        let (hub, out) = (Hub::open(&[fault]), scratch(&format!("wrong-{i}")));
        let output = hub.run(&out, &[]);
        let error = error(&output);
        assert_eq!(output.status.code(), Some(status), "{error}");
        assert!(error.contains(code) && error.contains(words), "{error}");
        assert!(output.stdout.is_empty());
        assert!(!out.join("model.safetensors").exists());
        let _ = fs::remove_dir_all(out);
    }
}

#[test]
fn a_stored_file_is_checked_on_request_and_a_strangers_is_not_overwritten() {
    let (hub, out) = (Hub::open(&[]), scratch("checked"));
    assert!(hub.run(&out, &[]).status.success());
    let path = out.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2_000_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(hub.run(&out, &["--verify"]).status.success());
    assert_eq!(fs::read(&path).unwrap(), weights());
    fs::remove_dir_all(&out).unwrap();

    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("config.json"), "{}").unwrap();
    let output = hub.run(&out, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(error(&output).contains("fetch.exists"), "{}", error(&output));
    assert_eq!(fs::read_to_string(out.join("config.json")).unwrap(), "{}");
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn what_is_no_model_address_is_refused() {
    for (address, code) in [
        ("gpt2", "address.scheme"),
        ("http://x/", "address.scheme"),
        ("./here/", "address.local"),
        ("hf:a/../b", "address.repo"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_microtome"))
            .args(["fetch", address, "--out", "nowhere"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(error(&output).contains(code), "{}", error(&output));
    }
}
