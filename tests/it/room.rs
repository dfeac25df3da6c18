//! A room: HTTPS with the certificate that was made, plain http beside it, the join page, models of other folders.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use microtome::cli::compressed::Copies;
use microtome::cli::room::Room;
use microtome::cli::room::address::Addresses;
use microtome::cli::room::certificate::Certificate;
use microtome::cli::room::join::Invitation;
use sha2::{Digest, Sha256};
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// A served room in a scratch folder; its threads end with the value.
pub struct Served {
    pub https: String,
    pub http: SocketAddr,
    pub scratch: PathBuf,
    pub invitation: Invitation,
    pub certificate: Certificate,
    pub copies: Arc<Copies>,
    /// Knows the room's certificate and no other.
    agent: Agent,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    /// The page at `www` for a room that is given `models`.
    pub fn open(name: &str, www: &Path, models: &[PathBuf]) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST.into(), name, www, models)
    }

    /// The same at this address of the machine.
    fn open_at(ip: IpAddr, name: &str, www: &Path, models: &[PathBuf]) -> Self {
        let scratch = scratch(name);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = || TcpListener::bind((ip, 0)).unwrap();
        let (https, http) = (listener(), listener());
        let (port, plain) = (https.local_addr().unwrap().port(), http.local_addr().unwrap());
        let room = Room::new((https, http), www, models, &scratch.join("cache")).unwrap();
        let (invitation, certificate) = (room.invitation.clone(), room.certificate.clone());
        let (agent, copies) = (agent(&certificate), room.copies.clone());
        let _guard = runtime.enter();
        runtime.spawn(async move { room.run(Handle::new()).await.unwrap() });
        drop(_guard);
        Self {
            certificate,
            copies,
            https: format!("https://localhost:{port}/"),
            http: plain,
            scratch,
            invitation,
            agent,
            _runtime: runtime,
        }
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Response<()>, Vec<u8>) {
        get(&self.agent, &format!("{}{path}", self.https), headers)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

pub fn get(agent: &Agent, url: &str, headers: &[(&str, &str)]) -> (u16, Response<()>, Vec<u8>) {
    let request = headers.iter().fold(agent.get(url), |request, (name, value)| request.header(*name, *value));
    let (parts, mut body): (_, Body) =
        request.call().unwrap_or_else(|error| panic!("{url}: {error}")).into_parts();
    let bytes =
        body.with_config().limit(1 << 30).read_to_vec().unwrap_or_else(|error| panic!("{url}: {error}"));
    (parts.status.as_u16(), Response::from_parts(parts, ()), bytes)
}

pub fn agent(certificate: &Certificate) -> Agent {
    let trusted = ureq::tls::Certificate::from_pem(certificate.certificate.as_bytes()).unwrap();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[trusted])).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .new_agent()
}

fn header<'a>(response: &'a Response<()>, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// A folder that goes when the test does.
struct Site {
    folder: PathBuf,
    www: PathBuf,
    model: PathBuf,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("microtome-room-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A page with a worker, and beside it a model whose folder holds what must not get out.
fn site(name: &str) -> Site {
    let folder = scratch(name);
    let (www, model) = (folder.join("www"), folder.join("tiny model"));
    for (path, text) in [
        ("www/index.html", "<html><head></head><body>page</body></html>"),
        ("www/main.js", "export {};"),
        ("www/sw.js", "const SHELL = null;"),
        ("www/models/pronoun/config.json", "{}"),
        ("www/models/pronoun/model.safetensors", "shipped"),
        ("tiny model/config.json", "{\"model_type\":\"gpt2\"}"),
        ("secret.txt", "secret"),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(model.join("model.safetensors"), (0..=255).cycle().take(100_000).collect::<Vec<u8>>()).unwrap();
    Site { folder, www, model }
}

/// One request over plain http from an address of the caller's choice.
fn plain(to: SocketAddr, from: Ipv4Addr, path: &str, host: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let mut stream = stream;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_page_comes_over_https_with_the_certificate_that_was_made() {
    let site = site("https");
    let room = Served::open("https-cache", &site.www, std::slice::from_ref(&site.model));
    let (status, response, body) = room.get("", &[]);
    let page = String::from_utf8(body.clone()).unwrap();
    assert_eq!(status, 200);
    assert!(page.contains(r#"<meta name="microtome-first" content="./models/tiny-model/">"#), "{page}");
    assert!(page.contains("offline.js") && !page.contains("microtome-https"), "{page}");
    assert_eq!(header(&response, "cross-origin-opener-policy"), Some("same-origin"));
    assert_eq!(header(&response, "content-length"), Some(page.len().to_string().as_str()));
    // The worker's list is of the page as it goes out, not as it lies on the disk.
    let worker = String::from_utf8(room.get("sw.js", &[]).2).unwrap();
    assert!(worker.contains(&hex(&body)), "{worker}");
    // The certificate is for the address too, which is what people in a room type, and the page says which one it is.
    let by_address = room.https.replace("localhost", "127.0.0.1");
    assert_eq!(get(&room.agent, &by_address, &[]).2, body);
    assert_eq!(room.invitation.https, std::slice::from_ref(&by_address));
    assert!(page.contains(&format!("<meta name=\"microtome-room\" content=\"{by_address}\">")), "{page}");
    // Somebody who does not know the certificate is told so.
    let stranger = agent(&Certificate::kept(&room.scratch.join("other"), &["localhost".to_owned()]).unwrap());
    let error = stranger.get(&room.https).call().unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn an_edited_file_is_a_new_version() {
    let site = site("versions");
    let room = Served::open("versions-cache", &site.www, &[]);
    let worker = || String::from_utf8(room.get("sw.js", &[]).2).unwrap();
    let first = worker();
    assert_eq!(worker(), first);
    fs::write(site.www.join("main.js"), "export const edited = true;").unwrap();
    let mut tries = 0;
    while worker() == first {
        tries += 1;
        assert!(tries < 40, "the worker is still the old one");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_page_is_compressed_before_anybody_comes_and_once_for_http_and_https() {
    let site = site("copies");
    let text = (0..400).map(|i| format!("export const c{i} = {};\n", i * i % 97)).collect::<String>();
    fs::write(site.www.join("main.js"), &text).unwrap();
    let room = Served::open("copies-cache", &site.www, std::slice::from_ref(&site.model));
    // Nothing else here is long enough to be worth it.
    let mut tries = 0;
    while room.copies.made() < 1 {
        tries += 1;
        assert!(tries < 200, "nothing is compressed");
        std::thread::sleep(Duration::from_millis(50));
    }
    let made = room.copies.made();
    let br = [("Accept-Encoding", "br")];
    let (status, response, body) = room.get("main.js", &br);
    assert_eq!((status, header(&response, "content-encoding")), (200, Some("br")));
    let mut quick = Vec::new();
    brotli::CompressorReader::new(text.as_bytes(), 4096, 5, 22).read_to_end(&mut quick).unwrap();
    assert!(body.len() < quick.len(), "{} bytes, {} when it is done quickly", body.len(), quick.len());
    let mut file = Vec::new();
    brotli::Decompressor::new(&body[..], 4096).read_to_end(&mut file).unwrap();
    assert_eq!(file, text.as_bytes());
    let plainly = get(&agent(&room.certificate), &format!("http://{}/main.js", room.http), &br);
    assert_eq!(plainly.2, body);
    assert_eq!(room.copies.made(), made, "somebody had it compressed again");
}

#[test]
fn a_page_that_is_changed_on_the_way_out_is_asked_about_and_not_sent_again() {
    let site = site("tags");
    fs::write(site.www.join("index.html"), format!("<head></head>{}", "<p>page</p>".repeat(100))).unwrap();
    let room = Served::open("tags-cache", &site.www, std::slice::from_ref(&site.model));
    for (path, headers) in [("", &[][..]), ("", &[("Accept-Encoding", "br")][..]), ("sw.js", &[][..])] {
        let (status, response, body) = room.get(path, headers);
        let tag = header(&response, "etag").unwrap().to_owned();
        assert_eq!((status, body.is_empty()), (200, false));
        if path.is_empty() {
            let with = |tag: &str| room.get(path, &[headers, &[("If-None-Match", tag)]].concat());
            let (status, response, body) = with(&format!("\"x\", {tag}"));
            assert_eq!((status, body.len()), (304, 0), "{tag}");
            assert_eq!(
                header(&response, "etag").map(|tag| tag.trim_start_matches("W/")),
                Some(tag.trim_start_matches("W/"))
            );
            assert_eq!(with("\"x\"").0, 200);
        }
    }
    let whole = room.get("", &[]).2.len().to_string();
    let head = room.agent.head(&room.https).call().unwrap();
    assert_eq!(head.headers().get("content-length").unwrap(), whole.as_str());
    let (status, _, all) = room.get("", &[("Range", "bytes=0-9")]);
    assert_eq!((status, all.len().to_string()), (200, whole), "a page has no parts");
    // Another page is another tag.
    let tag = header(&room.get("", &[]).1, "etag").unwrap().to_owned();
    fs::write(site.www.join("index.html"), "<head></head>other").unwrap();
    assert_eq!(room.get("", &[("If-None-Match", &tag)]).0, 200);
}

#[test]
fn plain_http_says_where_the_other_is_and_isolates_only_this_machine() {
    let site = site("plain");
    let room = Served::open("plain-cache", &site.www, &[]);
    let port = room.https.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    for (host, isolated) in [
        ("192.168.1.5:8081", false),
        ("desk.local", false),
        ("localhost:1", true),
        ("127.0.0.1:8081", true),
        ("[::1]:8081", true),
    ] {
        let answer = plain(room.http, Ipv4Addr::LOCALHOST, "/", host);
        assert!(answer.contains(&format!("<meta name=\"microtome-https\" content=\"{port}\">")), "{answer}");
        assert!(
            answer.contains(&format!("\"microtome-room\" content=\"https://127.0.0.1:{port}/\"")),
            "{answer}"
        );
        assert!(!answer.contains("offline.js"), "there is no service worker over plain http: {answer}");
        assert_eq!(answer.contains("cross-origin-opener-policy"), isolated, "{host}: {answer}");
    }
}

#[test]
fn a_models_folder_is_served_in_parts_and_nothing_beside_it() {
    let site = site("models");
    #[cfg(unix)]
    for (target, link) in [
        ("secret.txt", "tiny model/link.txt"),
        (".", "tiny model/up"),
        ("tiny model/config.json", "tiny model/vocab.json"),
    ] {
        std::os::unix::fs::symlink(site.folder.join(target), site.folder.join(link)).unwrap();
    }
    // What lies in the folder and is not the model's is nobody's business.
    let others = [".env", ".microtome-fetch.json", "notes.txt", "grades.json", "README.md"];
    for name in others {
        fs::write(site.model.join(name), "secret").unwrap();
    }
    let room = Served::open("models-cache", &site.www, std::slice::from_ref(&site.model));
    let bytes = fs::read(site.model.join("model.safetensors")).unwrap();
    let weights = "models/tiny-model/model.safetensors";
    let (status, response, part) =
        room.get(weights, &[("Range", "bytes=1000-1999"), ("Accept-Encoding", "br")]);
    assert_eq!((status, header(&response, "content-range")), (206, Some("bytes 1000-1999/100000")));
    assert_eq!(part, bytes[1000..2000]);
    let (status, response, whole) = room.get(weights, &[("Accept-Encoding", "br")]);
    assert_eq!((status, header(&response, "content-encoding"), whole), (200, None, bytes));
    // What is kept is asked about, not sent again.
    let etag = header(&response, "etag").unwrap().to_owned();
    assert_eq!(room.get(weights, &[("If-None-Match", &etag)]).0, 304);
    assert_eq!(
        room.get("models/pronoun/model.safetensors", &[]).2,
        b"shipped",
        "the page's own models are there"
    );
    for path in [
        "link.txt",
        "up/secret.txt",
        "../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/%2e%2e/secret.txt",
        "%2eenv",
        "up/config.json",
    ]
    .into_iter()
    .chain(others)
    {
        let answer = plain(room.http, Ipv4Addr::LOCALHOST, &format!("/models/tiny-model/{path}"), "test");
        let status = answer.split(' ').nth(1).unwrap();
        assert!(matches!(status, "400" | "404") && !answer.contains("\r\n\r\nsecret"), "{path}: {answer}");
    }
    #[cfg(unix)]
    assert_eq!(room.get("models/tiny-model/vocab.json", &[]).2, b"{\"model_type\":\"gpt2\"}");
}

/// As Hugging Face's tools keep a model: every file is a link to one that has its hash for a name.
#[cfg(unix)]
#[test]
fn a_folder_of_hugging_faces_cache_is_served_as_any_other() {
    use std::os::unix::fs::symlink;
    let site = site("hugging-face");
    let cache = site.folder.join("hub/models--openai-community--gpt2");
    let snapshot = cache.join("snapshots/607a30d783dfa663caf39e06633721c8d4cfcd7e");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(cache.join("blobs")).unwrap();
    for (name, blob) in [("config.json", "10c6"), ("model.safetensors", "248d"), (".gitattributes", "602b")] {
        fs::write(cache.join("blobs").join(blob), name.repeat(1000)).unwrap();
        symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    let room = Served::open("hugging-face-cache", &site.www, std::slice::from_ref(&snapshot));
    assert_eq!(room.invitation.model.0, "gpt2");
    assert_eq!(room.invitation.model.1, 17_000);
    for (name, status) in
        [("config.json", 200), ("model.safetensors", 200), (".gitattributes", 404), ("tokenizer.json", 404)]
    {
        let (got, _, body) = room.get(&format!("models/gpt2/{name}"), &[]);
        assert_eq!(got, status, "{name}");
        assert!(status == 404 || body == name.repeat(1000).as_bytes(), "{name}");
    }
    let (status, _, part) = room.get("models/gpt2/model.safetensors", &[("Range", "bytes=1-4")]);
    assert_eq!((status, part.as_slice()), (206, &b"odel"[..]));
    // Where a link leads later was never agreed to.
    fs::remove_file(snapshot.join("config.json")).unwrap();
    symlink(site.folder.join("secret.txt"), snapshot.join("config.json")).unwrap();
    assert_eq!(room.get("models/gpt2/config.json", &[]).0, 404);
}

#[test]
fn a_room_at_one_address_gives_out_that_one_alone() {
    let site = site("one-address");
    let ips = Addresses::find().ips;
    for ip in ips.into_iter().take(1).chain([Ipv4Addr::LOCALHOST.into()]) {
        let room = Served::open_at(ip, "one-address-cache", &site.www, &[]);
        let https = format!("https://{ip}:{}/", room.https.trim_end_matches('/').rsplit(':').next().unwrap());
        let http = format!("http://{}/", room.http);
        let Invitation { own, .. } = &room.invitation;
        assert_eq!(
            (&room.invitation.https, &room.invitation.http),
            (&vec![https.clone()], &vec![http.clone()])
        );
        assert_eq!(own, &http, "nothing else leads to it, not even localhost");
        // By that address, which the certificate names.
        assert_eq!(get(&room.agent, &format!("{https}join"), &[]).0, 200);
        assert_eq!(get(&room.agent, &format!("{own}join"), &[]).0, 200);
    }
}

#[test]
fn the_join_page_holds_to_a_strict_policy_and_counts_laptops() {
    let site = site("join");
    let room = Served::open("join-cache", &site.www, std::slice::from_ref(&site.model));
    let (status, response, page) = room.get("join", &[]);
    let page = String::from_utf8(page).unwrap();
    assert_eq!((status, header(&response, "content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = header(&response, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for text in [&room.invitation.https[0], &room.invitation.http[0], &"tiny-model".to_owned()] {
        assert!(page.contains(text.as_str()), "{text} is missing");
    }
    let fingerprint = page.replace("<wbr>", "");
    assert!(fingerprint.contains(&room.invitation.fingerprint), "{page}");
    assert!(!page.contains("style=") && !page.contains("<script>"), "{page}");
    for (path, kind) in [
        ("join.svg", "image/svg+xml"),
        ("join.js", "text/javascript; charset=utf-8"),
        ("join.css", "text/css; charset=utf-8"),
    ] {
        let (status, response, body) = room.get(path, &[]);
        assert_eq!((status, header(&response, "content-type")), (200, Some(kind)), "{path}");
        assert!(!body.is_empty());
    }
    let counts = || serde_json::from_slice::<serde_json::Value>(&room.get("join.json", &[]).2).unwrap();
    assert_eq!(
        counts(),
        serde_json::json!({ "laptops": 0, "loaded": 0, "bytes": 0, "weights": 0 }),
        "joining is no loading"
    );

    // Every address that begins with 127 is this machine, on Linux; elsewhere there is one laptop.
    let laptops = if cfg!(target_os = "linux") { 3 } else { 1 };
    let from = |i: u8| Ipv4Addr::new(127, 0, 0, if cfg!(target_os = "linux") { i } else { 1 });
    plain(room.http, from(1), "/main.js", "test");
    assert_eq!(counts()["laptops"], 0, "nobody has opened the page");
    let opened: Vec<_> = (1..=3).map(|i| plain(room.http, from(i), "/", "test")).collect();
    let page = opened[0].split_once("\r\n\r\n").unwrap().1.len();
    plain(room.http, from(2), "/models/tiny-model/model.safetensors", "test");
    plain(room.http, from(3), "/models/pronoun/model.safetensors", "test");
    let counted = counts();
    assert_eq!((&counted["laptops"], &counted["loaded"]), (&laptops.into(), &1.into()), "{counted}");
    assert_eq!(
        (&counted["bytes"], &counted["weights"]),
        (&(10 + 3 * page + 100_000 + 7).into(), &100_000.into())
    );
}

#[test]
fn a_certificate_is_kept_for_its_owner_and_replaced_when_it_must_be() {
    let folder = scratch("certificate");
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (two, three) =
        (names(&["localhost", "192.168.1.5"]), names(&["localhost", "192.168.1.5", "10.0.0.9"]));
    let first = Certificate::kept(&folder, &two).unwrap();
    let path = folder.join("room.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let fingerprint = |certificate: &Certificate| certificate.fingerprint().unwrap();
    assert_eq!(fingerprint(&Certificate::kept(&folder, &two).unwrap()), fingerprint(&first), "it is kept");
    assert_eq!(fingerprint(&first).len(), 95);
    let wider = Certificate::kept(&folder, &three).unwrap();
    assert_ne!(fingerprint(&wider), fingerprint(&first), "another address needs another one");
    assert_eq!(
        fingerprint(&Certificate::kept(&folder, &two).unwrap()),
        fingerprint(&wider),
        "one for more will do"
    );

    // Back and forth between two networks: one stranger at each, and never again.
    let elsewhere = names(&["localhost", "172.16.0.4"]);
    let both = Certificate::kept(&folder, &elsewhere).unwrap();
    assert_ne!(fingerprint(&both), fingerprint(&wider));
    for names in [&three, &elsewhere, &two, &three] {
        assert_eq!(fingerprint(&Certificate::kept(&folder, names).unwrap()), fingerprint(&both), "{names:?}");
    }
    // Names of long ago are forgotten.
    for network in 0..40 {
        let now = names(&["localhost", &format!("10.1.{network}.2")]);
        let certificate = Certificate::kept(&folder, &now).unwrap();
        assert_eq!(certificate.names[..2], now);
        assert!(certificate.names.len() <= 24, "{:?}", certificate.names);
    }
    let wider = Certificate::kept(&folder, &three).unwrap();

    let soon = wider.ends - 29 * 24 * 60 * 60;
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&wider.ends.to_string(), &soon.to_string())).unwrap();
    let renewed = Certificate::kept(&folder, &three).unwrap();
    assert_ne!(fingerprint(&renewed), fingerprint(&wider), "one that ends tomorrow is replaced");
    for damage in ["", "{", "{}", &text.replace("BEGIN CERTIFICATE", "BEGIN X")] {
        fs::write(&path, damage).unwrap();
        assert!(Certificate::kept(&folder, &three).unwrap().tls().is_ok(), "{damage:?}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing half-written is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        // A key that others may have read, or have put there, is not used.
        let mut before = fingerprint(&Certificate::kept(&folder, &three).unwrap());
        let mut is_replaced = |why: &str| {
            let now = fingerprint(&Certificate::kept(&folder, &three).unwrap());
            assert_ne!(std::mem::replace(&mut before, now), before, "{why}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        is_replaced("everybody may read it");
        // Only root can give a file away.
        let own = fs::metadata(&path).unwrap().uid();
        if chown(&path, Some(own + 1), None).is_ok() {
            is_replaced("it is somebody else's");
        }
        let fresh = folder.join("fresh");
        Certificate::kept(&fresh, &two).unwrap();
        assert_eq!(fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // A folder that cannot be made costs a warning, not the room.
    fs::write(folder.join("file"), "").unwrap();
    assert!(Certificate::kept(&folder.join("file/below"), &two).is_ok());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_room_cannot_have_is_one_sentence() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_microtome")).arg("serve").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), output.stdout.len())
    };
    let (code, error, said) = run(&["--lan", "--model", "/nowhere"]);
    assert_eq!((code, said, error.lines().count()), (Some(2), 0, 1), "{error}");
    assert!(error.contains("no config.json") && error.contains("model.no_folder"), "{error}");
    // The port after the one that is asked for is taken.
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, error, said) = run(&["--lan", "--port", &(port - 1).to_string()]);
    assert_eq!((code, said, error.lines().count()), (Some(1), 0, 1), "{error}");
    assert!(error.contains(&format!("port {port} of 0.0.0.0 is taken")), "{error}");
    // Weights are missed before anybody comes.
    let bare = scratch("bare");
    fs::write(bare.join("config.json"), "{}").unwrap();
    for lan in [&["--lan"][..], &[]] {
        let (code, error, said) = run(&[lan, &["--model", bare.to_str().unwrap()]].concat());
        assert_eq!((code, said, error.lines().count()), (Some(2), 0, 1), "{error}");
        assert!(error.contains("expected model.safetensors") && error.contains("bare"), "{error}");
    }
    fs::remove_dir_all(bare).unwrap();
    let (code, error, _) = run(&["--lan", "--port", "65535"]);
    assert_eq!((code, error.contains("two ports")), (Some(2), true), "{error}");
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
