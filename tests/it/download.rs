//! Every fault that a download may meet, with a simulated server: the right bytes or a named error, and never a wrong file
//! that is taken for right.

pub mod sim;

use microtome::download::{FailureKind, Headers, Response, Spec, Step};
use proptest::prelude::*;
use sim::{Entry, Fault, Run, Server, Store, download, sha256};

const HUB: &str = "https://huggingface.co/a/b/resolve/main/";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const FOLDER: &str = "https://x.org/lab/models/m/";
const WEIGHTS: &str = "model.safetensors";

/// Bytes that a seed decides.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A weight file with two masks of 16 KiB among 230 KB; the second is not what its name says where `real` is false.
fn weights(real: bool) -> Vec<u8> {
    let mask = |n: u64| (0..n * n).flat_map(|i| f32::from(i % n <= i / n).to_le_bytes()).collect::<Vec<u8>>();
    let mut other = mask(64);
    if !real {
        other[1000] ^= 1;
    }
    let tensors = [
        ("a", "[20000]", noise(1, 80_000)),
        ("h.0.attn.bias", "[1,1,64,64]", mask(64)),
        ("h.0.ln_1.weight", "[15000]", noise(2, 60_000)),
        ("h.1.attn.bias", "[1,1,64,64]", other),
        ("z", "[15000]", noise(3, 60_000)),
    ];
    let mut at = 0;
    let entries = tensors.iter().map(|(name, shape, data)| {
        let start = at;
        at += data.len();
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{at}]}}"#)
    });
    let json = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend(json.into_bytes());
    tensors.iter().for_each(|(_, _, data)| file.extend(data));
    file
}

fn config() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/models/gelu-new/");
    std::fs::read(format!("{folder}config.json")).unwrap()
}

fn tokenizer() -> Vec<u8> {
    br#"{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":[]}}"#.to_vec()
}

fn git(bytes: &[u8]) -> String {
    use sha1::Digest;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The Hub, with its list of files.
fn hub(weights: Vec<u8>) -> Server {
    let listing = serde_json::json!({ "sha": COMMIT, "siblings": [
        { "rfilename": "config.json", "size": config().len(), "blobId": git(&config()) },
        { "rfilename": "tokenizer.json", "size": tokenizer().len(), "blobId": git(&tokenizer()) },
        { "rfilename": WEIGHTS, "size": weights.len(), "blobId": "0", "lfs": { "sha256": sha256(&weights), "size": weights.len() } },
    ] });
    let base = HUB.replace("main", COMMIT);
    Server::new([
        (
            "https://huggingface.co/api/models/a/b/revision/main?blobs=true".to_owned(),
            listing.to_string().into_bytes(),
        ),
        (format!("{base}config.json"), config()),
        (format!("{base}tokenizer.json"), tokenizer()),
        (format!("{base}{WEIGHTS}"), weights),
    ])
}

/// The Hub or a mirror that lists nothing: no length and no hash is known beforehand.
fn unlisted(weights: Vec<u8>) -> Server {
    let files = [("config.json", config()), ("tokenizer.json", tokenizer()), (WEIGHTS, weights)];
    Server::new(files.map(|(name, bytes)| (format!("{HUB}{name}"), bytes)))
}

/// A folder as `microtome pack` writes it, its weights in parts of 50,000 bytes.
fn packed(weights: &[u8]) -> Server {
    packed_by(weights, 50_000)
}

fn packed_by(weights: &[u8], most: usize) -> Server {
    let parts: Vec<(String, &[u8])> = weights
        .chunks(most)
        .enumerate()
        .map(|(i, part)| (format!("{WEIGHTS}.part-{:03}", i + 1), part))
        .collect();
    let listed: Vec<serde_json::Value> = parts
        .iter()
        .map(|(name, part)| serde_json::json!({ "name": name, "size": part.len(), "sha256": sha256(part) }))
        .collect();
    let manifest = serde_json::json!({ "format": "microtome", "version": 1, "name": "m", "dtype": "f32", "files": [
        { "name": "config.json", "size": config().len(), "sha256": sha256(&config()) },
        { "name": WEIGHTS, "size": weights.len(), "sha256": sha256(weights), "parts": listed },
    ] });
    let mut files = vec![
        (format!("{FOLDER}microtome.json"), manifest.to_string().into_bytes()),
        (format!("{FOLDER}config.json"), config()),
    ];
    files.extend(parts.into_iter().map(|(name, part)| (format!("{FOLDER}{name}"), part.to_vec())));
    Server::new(files)
}

fn spec() -> Spec {
    Spec { least_gap: 4096, ..Spec::new("hf:a/b") }
}

fn folder() -> Spec {
    Spec { least_gap: 4096, base: Some("https://x.org/lab/".into()), ..Spec::new("./models/m/") }
}

fn run(spec: &Spec, server: &mut Server, store: &mut Store) -> Run {
    download(spec, server, store, usize::MAX).expect("an unlimited budget")
}

fn code(run: &Run) -> &str {
    run.end.as_ref().err().map_or("ok", |error| &error.code)
}

fn stored<'a>(store: &'a Store, name: &str) -> Option<&'a Entry> {
    store.iter().find(|((_, stored), _)| stored == name).map(|(_, entry)| entry)
}

/// Runs with faults in the weights' requests; the result's code, and the run.
fn with(server: Server, faults: &[Fault]) -> (String, Run, Server, Store) {
    let (mut server, mut store) = (server.fault(WEIGHTS, faults), Store::new());
    let run = run(&spec(), &mut server, &mut store);
    if run.end.is_ok() {
        assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(true));
    } else {
        assert!(stored(&store, WEIGHTS).is_none_or(|entry| !entry.complete), "a wrong file was closed");
    }
    (code(&run).to_owned(), run, server, store)
}

#[test]
fn a_repository_arrives_verified_and_without_its_masks() {
    let (code, run, server, store) = with(hub(weights(true)), &[]);
    assert_eq!(code, "ok");
    let names: Vec<&str> = store.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["config.json", WEIGHTS, "tokenizer.json"]);
    assert!(store.keys().all(|(source, _)| *source == format!("hf:a/b@{COMMIT}")));
    assert!(store.values().all(|entry| entry.complete && entry.verified));
    let listing = server.files.values().next_back().unwrap().len() as u64;
    let listing = listing
        .min(server.files["https://huggingface.co/api/models/a/b/revision/main?blobs=true"].len() as u64);
    let small = (config().len() + tokenizer().len()) as u64 + listing;
    assert_eq!(run.received, weights(true).len() as u64 - 2 * 16_384 + small, "the masks were downloaded");
    assert_eq!(server.asked(WEIGHTS).len(), 4, "{:?}", server.asked(WEIGHTS));
}

#[test]
fn without_a_list_the_usual_names_are_tried_and_no_hash_is_claimed() {
    let (code, _, server, store) = with(unlisted(weights(true)), &[]);
    assert_eq!(code, "ok");
    assert!(!stored(&store, WEIGHTS).unwrap().verified);
    assert_eq!(server.asked("vocab.json").len(), 0);
}

#[test]
fn a_mask_that_is_none_is_fetched_after_all() {
    let (mut server, mut store) = (hub(weights(false)), Store::new());
    let run = run(&spec(), &mut server, &mut store);
    assert_eq!(code(&run), "ok");
    let entry = stored(&store, WEIGHTS).unwrap();
    assert!(entry.verified && entry.bytes == weights(false));
    assert_eq!(server.asked(WEIGHTS).len(), 6);
    // … and when the server only sends whole files, or breaks off, meanwhile.
    for faults in [vec![Fault::WholeFile], vec![Fault::Cut(100)], vec![Fault::None, Fault::WrongRange]] {
        let good = vec![Fault::None; 4];
        let mut server = hub(weights(false)).fault(WEIGHTS, &[good, faults].concat());
        let mut store = Store::new();
        assert_eq!(code(&self::run(&spec(), &mut server, &mut store)), "ok");
        assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(false));
    }
}

// --- The rows of the fault table -------------------------------------------------------------------------------------

#[test]
fn a_cut_body_is_resumed_where_it_ended() {
    let (code, run, server, _) = with(hub(weights(true)), &[Fault::None, Fault::Cut(5000)]);
    assert_eq!((code.as_str(), run.restarts), ("ok", 0));
    assert_eq!(run.waits.len(), 1);
    let asked = server.asked(WEIGHTS);
    let from = |range: &Option<String>| {
        range.as_ref().unwrap()[6..].split('-').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(from(&asked[2]), from(&asked[1]) + 5000);
}

#[test]
fn after_five_tries_without_progress_it_gives_up_and_keeps_what_it_has() {
    let (code, run, _, store) =
        with(hub(weights(true)), &[vec![Fault::None], vec![Fault::Cut(0); 6]].concat());
    assert_eq!(code, "net.truncated");
    for ((ms, why), least) in run.waits.iter().zip([1000, 2000, 4000, 8000, 8000]) {
        assert!((least..=least + least / 4).contains(ms) && *why == "retry", "{:?}", run.waits);
    }
    assert_eq!(run.waits.len(), 5);
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes.len(), 65_536);
    // Progress in between starts the count again.
    let faults = [vec![Fault::Cut(0); 5], vec![Fault::Cut(9)], vec![Fault::Cut(0); 4]].concat();
    assert_eq!(with(hub(weights(true)), &faults).0, "ok");
}

#[test]
fn a_short_body_is_resumed_once() {
    for server in [hub, unlisted] {
        assert_eq!(with(server(weights(true)), &[Fault::None, Fault::Short(7000)]).0, "ok");
        let short = vec![Fault::Short(7000), Fault::Short(0), Fault::Short(0)];
        assert_eq!(with(server(weights(true)), &[vec![Fault::None], short].concat()).0, "net.short");
    }
    // Of a file whose length nobody states: cut within its header, and within JSON.
    let faults = [Fault::Hidden, Fault::Short(100), Fault::Short(100)];
    assert_eq!(with(unlisted(weights(true)), &faults).0, "net.short");
    let mut server = unlisted(weights(true)).fault("config.json", &[Fault::Short(10), Fault::Short(0)]);
    assert_eq!(code(&run(&spec(), &mut server, &mut Store::new())), "net.short");
}

#[test]
fn a_stall_is_given_up_and_resumed() {
    assert_eq!(with(hub(weights(true)), &[Fault::Stall(0), Fault::Stall(70), Fault::None]).0, "ok");
    assert_eq!(with(hub(weights(true)), &vec![Fault::Stall(0); 6]).0, "net.stalled");
}

#[test]
fn a_server_that_ignores_ranges_sends_the_file_from_its_start() {
    // At once: the masks are simply downloaded.
    let (code, run, _, store) = with(hub(weights(true)), &[Fault::WholeFile]);
    assert_eq!((code.as_str(), run.restarts), ("ok", 0));
    assert!(stored(&store, WEIGHTS).unwrap().verified);
    // In the middle: progress goes back, once.
    let (code, run, server, _) = with(hub(weights(true)), &[Fault::None, Fault::Cut(300), Fault::WholeFile]);
    assert_eq!((code.as_str(), run.restarts), ("ok", 1));
    assert_eq!(server.asked(WEIGHTS).len(), 3, "the answer that came is used");
    // Always, and it breaks off: never further than it once got.
    let faults: Vec<Fault> = (0..20).flat_map(|_| [Fault::WholeFile, Fault::Cut(1)]).collect();
    assert_eq!(with(hub(weights(true)), &faults).0, "ok");
}

#[test]
fn answers_that_do_not_fit_are_thrown_away_once() {
    for fault in [Fault::WrongRange, Fault::OtherTotal, Fault::OtherEtag, Fault::Status(416)] {
        for server in [hub, unlisted] {
            let (code, run, ..) = with(server(weights(true)), &[Fault::None, fault.clone()]);
            assert_eq!((code.as_str(), run.restarts), ("ok", 1), "{fault:?}");
        }
        let faults = [Fault::None, fault.clone(), Fault::None, fault.clone()];
        let (code, _, _, store) = with(hub(weights(true)), &faults);
        assert_eq!(code, "net.inconsistent", "{fault:?}");
        assert!(stored(&store, WEIGHTS).is_none());
    }
}

#[test]
fn a_status_is_waited_out_or_named_with_the_repository_and_the_file() {
    for (fault, times, expected) in [
        (Fault::Status(503), 5, "ok"),
        (Fault::Status(503), 6, "net.server"),
        (Fault::Status(500), 6, "net.server"),
        (Fault::Status(502), 1, "ok"),
        (Fault::Status(404), 1, "net.not_found"),
        (Fault::Status(403), 1, "net.forbidden"),
        (Fault::Status(401), 1, "net.forbidden"),
        (Fault::Status(400), 1, "net.refused"),
        (Fault::Busy(7), 2, "ok"),
        (Fault::Busy(7), 6, "net.busy"),
        (Fault::Busy(100_000), 1, "net.busy"),
        (Fault::Expired, 1, "ok"),
        (Fault::Expired, 6, "net.forbidden"),
        (Fault::Unreachable, 5, "ok"),
        (Fault::Unreachable, 6, "net.unreachable"),
    ] {
        let (code, run, ..) = with(hub(weights(true)), &vec![fault.clone(); times]);
        assert_eq!(code, expected, "{fault:?} × {times}");
        if let Err(error) = run.end {
            assert!(error.message.contains("hf:a/b: model.safetensors"), "{error}");
        }
    }
    let (_, run, ..) = with(hub(weights(true)), &[Fault::Busy(7)]);
    assert_eq!(run.waits, [(7000, "busy")]);
}

#[test]
fn a_file_that_a_model_needs_not_have_may_be_absent() {
    let mut server = unlisted(weights(true));
    server.files.remove(&format!("{HUB}tokenizer.json"));
    let mut store = Store::new();
    let run = self::run(&spec(), &mut server, &mut store);
    assert_eq!(code(&run), "ok");
    assert_eq!(store.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["config.json", WEIGHTS]);
    server.files.remove(&format!("{HUB}{WEIGHTS}"));
    assert_eq!(code(&self::run(&spec(), &mut server, &mut Store::new())), "file.missing");
    server.files.remove(&format!("{HUB}config.json"));
    assert_eq!(code(&self::run(&spec(), &mut server, &mut Store::new())), "net.not_found");
}

#[test]
fn a_redirect_to_anybody_else_is_not_followed_into() {
    for landed in ["http://cas-bridge.xethub.hf.co/x", "https://evil.example/x"] {
        assert_eq!(with(hub(weights(true)), &[Fault::Redirected(landed)]).0, "net.blocked", "{landed}");
    }
    assert_eq!(with(hub(weights(true)), &[Fault::Redirected("https://cas-bridge.xethub.hf.co/x")]).0, "ok");
}

#[test]
fn hidden_headers_are_lived_with() {
    // The length is known: parts can be told apart by it.
    assert_eq!(with(hub(weights(true)), &vec![Fault::Hidden; 9]).0, "ok");
    // It is not: one plain request.
    let (code, _, server, _) = with(unlisted(weights(true)), &vec![Fault::Hidden; 9]);
    assert_eq!(code, "ok");
    assert_eq!(server.asked(WEIGHTS)[1..], [None]);
}

#[test]
fn something_else_in_place_of_weights_is_named_and_not_kept() {
    for (body, words) in [
        (
            &b"<!doctype html><html><head><title>Sign in</title></head></html>"[..],
            "<!doctype html><html><head>",
        ),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:248d", "git-LFS pointer"),
        (br#"{"error":"Repository not found"}"#, "Repository not found"),
        (br#"{"error":1}"#, "{\"error\":1}"),
    ] {
        for server in [hub, unlisted] {
            let (code, run, _, store) = with(server(weights(true)), &[Fault::Body(body)]);
            assert_eq!(code, "file.not_safetensors");
            let error = run.end.unwrap_err();
            assert!(error.message.contains(words), "{error}");
            assert!(stored(&store, WEIGHTS).is_none());
        }
    }
    // A page in place of an optional file is an absent file, as on hosts that answer everything with their start page.
    let mut server =
        unlisted(weights(true)).fault("tokenizer.json", &[Fault::Body(b"<!doctype html><title>App</title>")]);
    assert_eq!(code(&run(&spec(), &mut server, &mut Store::new())), "ok");
}

#[test]
fn one_wrong_byte_of_the_right_length_is_found() {
    for at in [20_000, 65_000] {
        let (code, run, _, store) = with(hub(weights(true)), &[Fault::Flip(at), Fault::None]);
        assert_eq!(code, "file.hash_mismatch");
        let message = run.end.unwrap_err().message;
        assert!(message.contains(&sha256(&weights(true))), "{message}");
        assert!(stored(&store, WEIGHTS).is_none());
    }
    // In a small file too, by git's hash.
    let mut server = hub(weights(true)).fault("config.json", &[Fault::Flip(30)]);
    let run = run(&spec(), &mut server, &mut Store::new());
    assert!(["file.hash_mismatch", "file.not_json"].contains(&code(&run)), "{}", code(&run));
}

#[test]
fn a_compressed_body_may_state_another_length() {
    let mut server = unlisted(weights(true));
    server = server.fault("config.json", &[Fault::Compressed]).fault("tokenizer.json", &[Fault::Compressed]);
    assert_eq!(code(&run(&spec(), &mut server, &mut Store::new())), "ok");
}

#[test]
fn a_config_that_is_no_gpt2s_is_refused_before_the_weights_are_asked_for() {
    let mut server = unlisted(weights(true));
    server.files.insert(format!("{HUB}config.json"), br#"{"model_type": "llama"}"#.to_vec());
    assert_eq!(code(&run(&spec(), &mut server, &mut Store::new())), "model.unsupported");
    assert!(server.asked(WEIGHTS).is_empty());
}

// --- Resuming --------------------------------------------------------------------------------------------------------

#[test]
fn a_closed_tab_resumes_at_any_byte() {
    for server in [hub, unlisted] {
        for budget in [0, 500, 3000, 60_000, 70_000, 90_000, 120_000, 160_000, 190_000] {
            let (mut server, mut store) = (server(weights(true)), Store::new());
            assert!(download(&spec(), &mut server, &mut store, budget).is_none(), "{budget} is not cut");
            assert!(stored(&store, WEIGHTS).is_none_or(|entry| !entry.complete));
            let had = stored(&store, WEIGHTS).map_or(0, |entry| entry.bytes.len());
            let run = run(&spec(), &mut server, &mut store);
            assert_eq!(code(&run), "ok");
            assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(true));
            assert!(had < 65_536 || run.received < 170_000, "{budget}: {} bytes again", run.received);
        }
    }
}

#[test]
fn a_damaged_beginning_is_found_and_downloaded_again() {
    let (mut server, mut store) = (hub(weights(true)), Store::new());
    assert!(download(&spec(), &mut server, &mut store, 120_000).is_none());
    for (name, byte) in [(WEIGHTS, 40_000), (WEIGHTS, 3)] {
        let mut store = store.clone();
        let entry = store.iter_mut().find(|((_, stored), _)| stored == name).unwrap().1;
        entry.bytes[byte] ^= 1;
        let run = run(&spec(), &mut server, &mut store);
        assert_eq!((code(&run), run.restarts), ("ok", 1));
        assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(true));
    }
}

#[test]
fn a_file_that_changed_since_is_not_put_together_from_two() {
    let (mut server, mut store) = (unlisted(weights(true)), Store::new());
    assert!(download(&spec(), &mut server, &mut store, 150_000).is_none());
    let mut other = weights(true);
    *other.last_mut().unwrap() ^= 1;
    server.files.insert(format!("{HUB}{WEIGHTS}"), other.clone());
    let run = run(&spec(), &mut server, &mut store);
    assert_eq!((code(&run), run.restarts), ("ok", 1));
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, other);
}

#[test]
fn a_beginning_that_nobody_can_tell_from_another_is_not_continued() {
    let (mut server, mut store) = (unlisted(weights(true)), Store::new());
    server.etags = false;
    assert!(download(&spec(), &mut server, &mut store, 150_000).is_none());
    let mut other = weights(true);
    other[20_000] ^= 1;
    server.files.insert(format!("{HUB}{WEIGHTS}"), other.clone());
    assert_eq!(code(&run(&spec(), &mut server, &mut store)), "ok");
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, other);
}

#[test]
fn masks_that_were_made_before_a_tab_was_closed_are_fetched_where_they_are_wrong() {
    let (mut server, mut store) = (hub(weights(false)), Store::new());
    assert!(download(&spec(), &mut server, &mut store, 180_000).is_none());
    assert!(stored(&store, WEIGHTS).unwrap().bytes.len() > 190_000, "both masks are made");
    let run = run(&spec(), &mut server, &mut store);
    assert_eq!((code(&run), run.restarts), ("ok", 0));
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(false));
}

#[test]
fn a_stored_model_is_kept_checked_on_request_and_mended() {
    let (mut server, mut store) = (hub(weights(true)), Store::new());
    run(&spec(), &mut server, &mut store);
    server.log.clear();
    let again = run(&spec(), &mut server, &mut store);
    assert_eq!((code(&again), again.kept.len()), ("ok", 3));
    assert_eq!(server.log.len(), 1, "only the list of files is asked for: {:?}", server.log);
    assert!(again.end.unwrap().iter().all(|file| file.sha256.is_some() && file.size.is_some()));

    let verify = Spec { verify: true, ..spec() };
    assert_eq!(run(&verify, &mut server, &mut store).kept.len(), 3);
    let entry = store.iter_mut().find(|((_, name), _)| name == WEIGHTS).unwrap().1;
    entry.bytes[100_000] ^= 1;
    let mended = run(&verify, &mut server, &mut store);
    assert_eq!((code(&mended), mended.restarts, mended.kept.len()), ("ok", 1, 2));
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, weights(true));
}

#[test]
fn a_stored_folder_without_hashes_is_asked_whether_it_changed() {
    let (mut server, mut store) = (unlisted(weights(true)), Store::new());
    run(&spec(), &mut server, &mut store);
    let again = run(&spec(), &mut server, &mut store);
    assert_eq!((code(&again), again.kept.len()), ("ok", 3));
    assert_eq!(server.asked(WEIGHTS).last(), Some(&Some("bytes=0-0".into())), "only the headers are wanted");
    let mut other = weights(true);
    *other.last_mut().unwrap() ^= 1;
    server.files.insert(format!("{HUB}{WEIGHTS}"), other.clone());
    // Offline: what is stored is used.
    server = server.fault("", &vec![Fault::Unreachable; 5]);
    server.files.remove("nothing");
    let changed = run(&spec(), &mut server, &mut store);
    assert_eq!((code(&changed), changed.kept.len()), ("ok", 2));
    assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, other);
}

// --- Packed folders --------------------------------------------------------------------------------------------------

#[test]
fn parts_become_one_file_with_and_without_ranges() {
    let whole = weights(true);
    for faults in [
        vec![],
        vec![Fault::Cut(20_000)],
        vec![Fault::Cut(20_000), Fault::WholeFile],
        vec![Fault::WholeFile; 9],
    ] {
        let mut server = packed(&whole).fault("part-003", &faults);
        let mut store = Store::new();
        let run = run(&folder(), &mut server, &mut store);
        assert_eq!(code(&run), "ok", "{faults:?}");
        let entry = stored(&store, WEIGHTS).unwrap();
        assert!(entry.verified && entry.bytes == whole, "{faults:?}");
        if faults.len() == 2 {
            assert!(run.restarts == 1 && server.asked("part-002").len() == 2, "only the part is sent again");
        }
    }
}

#[test]
fn a_header_in_several_parts_is_read_again_with_them() {
    let whole = weights(true);
    for faults in [vec![Fault::Cut(50), Fault::WholeFile], vec![Fault::Cut(50); 4]] {
        let mut server = packed_by(&whole, 200).fault("part-002", &faults);
        server.chunk = 30;
        let mut store = Store::new();
        assert_eq!(code(&run(&folder(), &mut server, &mut store)), "ok", "{faults:?}");
        assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, whole);
    }
}

#[test]
fn parts_resume_and_a_lost_or_wrong_part_is_an_error() {
    let whole = weights(true);
    for budget in [60_000, 99_000, 140_000] {
        let (mut server, mut store) = (packed(&whole), Store::new());
        assert!(download(&folder(), &mut server, &mut store, budget).is_none());
        assert_eq!(code(&run(&folder(), &mut server, &mut store)), "ok");
        assert_eq!(stored(&store, WEIGHTS).unwrap().bytes, whole);
    }
    let mut server = packed(&whole);
    server.files.remove(&format!("{FOLDER}{WEIGHTS}.part-004"));
    assert_eq!(code(&run(&folder(), &mut server, &mut Store::new())), "net.not_found");
    let mut server = packed(&whole).fault("part-004", &[Fault::Flip(5)]);
    assert_eq!(code(&run(&folder(), &mut server, &mut Store::new())), "file.hash_mismatch");
    let mut server = packed(&whole);
    server.files.insert(format!("{FOLDER}microtome.json"), br#"{"format": "other"}"#.to_vec());
    assert_eq!(code(&run(&folder(), &mut server, &mut Store::new())), "file.manifest");
}

// --- All faults together ---------------------------------------------------------------------------------------------

/// Named errors that may end a download with faults.
const NAMED: [&str; 14] = [
    "net.truncated",
    "net.short",
    "net.stalled",
    "net.inconsistent",
    "net.server",
    "net.busy",
    "net.forbidden",
    "net.unreachable",
    "file.hash_mismatch",
    "file.not_json",
    "file.header",
    "file.layout",
    "file.not_safetensors",
    "model.config",
];

#[test]
fn two_hundred_random_schedules_end_with_the_right_bytes_or_a_named_error() {
    let (mut right, mut named) = (0, 0);
    for seed in 0..200_u64 {
        let dice = noise(seed + 1000, 400);
        let faults: Vec<Fault> = dice
            .chunks(4)
            .map(|d| {
                let size = usize::from(d[1]) * 256 + usize::from(d[2]);
                match d[0] % 30 {
                    0..=2 => Fault::Cut(size),
                    3 => Fault::Stall(size),
                    4 => Fault::Short(size),
                    5 | 6 => Fault::WholeFile,
                    7 => Fault::WrongRange,
                    8 => Fault::OtherTotal,
                    9 => Fault::OtherEtag,
                    10 => Fault::Status(503),
                    11 => Fault::Busy(1),
                    12 => Fault::Expired,
                    13 if d[3] > 128 => Fault::Flip(size),
                    14 => Fault::Hidden,
                    15 => Fault::Unreachable,
                    _ => Fault::None,
                }
            })
            .collect();
        let (whole, spec, mut server) = match seed % 3 {
            0 => (weights(true), folder(), packed(&weights(true))),
            1 => (weights(true), spec(), hub(weights(true))),
            _ => (weights(false), spec(), hub(weights(false))),
        };
        server = server.fault("", &faults);
        server.chunk = 1 + usize::from(dice[7]) * 97;
        let mut store = Store::new();
        // Some tabs are closed on the way.
        let budget = if dice[11].is_multiple_of(2) { usize::from(dice[13]) * 1000 } else { usize::MAX };
        let run = download(&spec, &mut server, &mut store, budget)
            .unwrap_or_else(|| self::run(&spec, &mut server, &mut store));
        let originals = [("config.json", config()), ("tokenizer.json", tokenizer()), (WEIGHTS, whole)];
        for ((_, name), entry) in &store {
            let original = &originals.iter().find(|(known, _)| known == name).unwrap().1;
            assert!(!entry.complete || entry.bytes == *original, "seed {seed}: a wrong {name} was accepted");
        }
        match &run.end {
            Ok(files) => {
                let expected = originals.iter().filter(|(name, _)| seed % 3 > 0 || *name != "tokenizer.json");
                assert_eq!(files.len(), expected.count(), "seed {seed}");
                assert!(
                    files.iter().all(|file| stored(&store, &file.name).is_some_and(|entry| entry.complete))
                );
                right += 1;
            }
            Err(error) => {
                assert!(NAMED.contains(&&*error.code), "seed {seed}: {} {error}", error.code);
                named += 1;
            }
        }
    }
    println!("{right} schedules ended with the right bytes, {named} with a named error");
    assert!(right > 40 && named > 10, "{right} {named}");
}

fn any_header() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        ".{0,40}".prop_map(Some),
        "bytes [0-9]{1,20}-[0-9]{1,20}/[0-9]{1,20}".prop_map(Some),
        (0..300_000_u64, 0..300_000_u64, 0..300_000_u64)
            .prop_map(|(a, b, c)| Some(format!("bytes {a}-{b}/{c}"))),
        any::<u64>().prop_map(|n| Some(n.to_string())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_headers_and_no_order_of_events_break_it(
        events in prop::collection::vec(
            (0..8_u8, 0..600_u16, any_header(), any_header(), any_header(), prop::collection::vec(any::<u8>(), 0..200), any::<u64>()),
            1..40,
        ),
    ) {
        let mut download = microtome::download::Download::new(&folder()).unwrap();
        for (kind, status, range, length, etag, bytes, have) in events {
            match kind {
                0 => download.opened(have, etag.as_deref(), status % 2 == 0),
                1 | 2 => {
                    let status = if kind == 1 { 200 + status % 7 } else { status };
                    let headers = Headers {
                        content_range: range, content_length: length, etag: etag.clone(), retry_after: etag.clone(),
                        x_linked_etag: etag.clone(), x_linked_size: etag, ..Headers::default()
                    };
                    download.response(&Response { status, headers, ..Response::default() });
                }
                3 => drop(download.bytes(&bytes)),
                4 => download.end(),
                5 => download.failed(FailureKind::Network, "x"),
                // Mostly the driver does what it is told to.
                _ => match download.step() {
                    Step::Open { .. } => download.opened(0, None, false),
                    Step::Get { .. } => download.response(&Response { status: 200, ..Response::default() }),
                    Step::Body => { download.bytes(b"{\"a\": 1}"); download.end(); }
                    Step::Close { verified, .. } => prop_assert!(!verified),
                    _ => {}
                },
            }
            let progress = download.progress();
            prop_assert!(progress.bytes.is_none_or(|all| progress.done <= all));
        }
    }

    #[test]
    fn an_address_reads_as_it_is_written_or_is_refused(text in "\\PC{0,40}|(hf:|\\./|https://)[a-zA-Z0-9@/._~ :%?#\\\\-]{0,40}") {
        use microtome::address::Address;
        match text.parse::<Address>() {
            Ok(address) => {
                let written = address.to_string();
                prop_assert_eq!(&written.parse::<Address>().unwrap(), &address);
                prop_assert!(!written.contains("..") && !written.contains('\\') && !written.contains('?') && !written.contains('#'));
                if let Address::Web(web) = &address {
                    let front = format!("https://{}/", web.host);
                    prop_assert!(!written.contains('@') && written.starts_with(&front), "{}", written);
                }
            }
            Err(error) => prop_assert!(error.code.starts_with("address.")),
        }
    }
}
