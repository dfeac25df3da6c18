//! A room at its worst moment: 30 laptops open the page at once, over TLS on the loopback interface. Prints what it measured;
//! `cargo test --release --test it room_load -- --nocapture` shows it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::room::{Served, agent, get, hex};

const CLIENTS: usize = 30;
/// Bytes of a part: a download that broke off goes on in the middle.
const PART: usize = 512 * 1024;
/// What the page fetches of the default model.
const MODEL: [&str; 4] = ["microtome.json", "config.json", "tokenizer.json", "model.safetensors"];
/// Of GPT-2 small, without the masks, which are made and not fetched.
const GPT2_SMALL: f64 = 497_759_232.0;

/// What every client must get.
struct Expected {
    /// How many files there are besides models.
    files: usize,
    /// Hashes of the page's files.
    shell: BTreeMap<String, String>,
    /// Lengths and hashes of the model's.
    model: BTreeMap<String, (usize, String)>,
}

/// The engine's files, of the build that every browser can run.
const ENGINE: [&str; 2] = ["pkg/microtome.js", "pkg/microtome_bg.wasm"];

/// Past the test harness' capture: that nobody loaded an engine must be seen.
#[expect(clippy::explicit_write, reason = "eprintln! would be captured")]
fn skip_engine() {
    writeln!(
        std::io::stderr(),
        "SKIP room_load, the engine: www/pkg is not built; `cargo run --release -- build` makes it"
    )
    .unwrap();
}

#[test]
fn thirty_laptops_load_the_page_and_its_model_at_once() {
    let www = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("www");
    let room = Served::open("load", &www, &[]);
    let expected = expected(&room, &www);
    let engine = ENGINE.iter().all(|name| expected.shell.contains_key(*name));
    if !engine {
        let built = ENGINE.iter().any(|name| www.join(name).exists());
        assert!(!built, "the engine is built, and the worker's list has it not: a laptop would not keep it");
        skip_engine();
    }

    let (ready, began) = (Barrier::new(CLIENTS), Instant::now());
    let mut clients: Vec<(Duration, u64)> = std::thread::scope(|scope| {
        let client = || {
            // An agent of its own: connections and TLS sessions of its own.
            let agent = agent(&room.certificate);
            ready.wait();
            one_laptop(&agent, &room.https, &expected)
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a laptop got everything")).collect()
    });
    let seconds = began.elapsed().as_secs_f64();

    clients.sort();
    let (median, slowest) = (clients[CLIENTS / 2].0.as_secs_f64(), clients[CLIENTS - 1].0.as_secs_f64());
    // Some come before the best copies are made and get the quick ones.
    let all: u64 = clients.iter().map(|(_, bytes)| bytes).sum();
    let each = all / CLIENTS as u64;
    let megabytes = |bytes: f64| bytes / 1e6;
    // The server counts what it has handed to its sockets: that is no less than what has come out of them.
    let counted: serde_json::Value = serde_json::from_slice(&room.get("join.json", &[]).2).unwrap();
    assert!(counted["bytes"].as_u64().unwrap() >= all, "{counted}");
    // Each file is compressed quickly and well, once, and not once a client.
    let (made, files) = (room.copies.made(), expected.files);
    assert!((1..=2 * files).contains(&made), "{made} copies of {files} files were made");

    println!(
        "{CLIENTS} laptops × {:.2} MB ({}) = {:.0} MB in {seconds:.2} s over TLS on loopback: {:.0} MB/s; \
         a laptop took {median:.2} s (median), {slowest:.2} s (slowest)",
        megabytes(each as f64),
        if engine {
            "page, engine, default model"
        } else {
            "page and default model; the engine is not built"
        },
        megabytes(all as f64),
        megabytes(all as f64) / seconds,
    );
    for (network, bits) in [("100 Mbit/s, a usual room's Wi-Fi", 100e6), ("1 Gbit/s, a cable", 1e9)] {
        let wait = |bytes: f64| bytes * 8.0 * CLIENTS as f64 / bits;
        println!(
            "at {network}: {:.0} s for all; with GPT-2 small ({:.0} MB each) {:.0} minutes",
            wait(each as f64),
            megabytes(GPT2_SMALL),
            wait(each as f64 + GPT2_SMALL) / 60.0,
        );
    }
}

/// The page's files from the service worker's own list.
fn expected(room: &Served, www: &Path) -> Expected {
    let worker = String::from_utf8(room.get("sw.js", &[]).2).unwrap();
    let json = worker.split_once("const SHELL = ").unwrap().1.split_once(";\n").unwrap().0;
    let list: serde_json::Value = serde_json::from_str(json).unwrap();
    let of = |part: &str| list[part].as_object().unwrap().clone().into_iter();
    let engine = of("later").filter(|(name, _)| ENGINE.contains(&name.as_str()));
    let shell = of("core").chain(engine).map(|(name, hash)| (name, hash.as_str().unwrap().to_owned()));
    let model = MODEL.map(|name| {
        let bytes = std::fs::read(www.join("models/pronoun").join(name)).unwrap();
        (format!("models/pronoun/{name}"), (bytes.len(), hex(&bytes)))
    });
    let files = of("core").chain(of("later")).count();
    Expected { files, shell: shell.collect(), model: model.into() }
}

/// Everything that a first visit fetches, one after another; how long it took, and the bytes of the bodies.
fn one_laptop(agent: &ureq::Agent, base: &str, expected: &Expected) -> (Duration, u64) {
    let began = Instant::now();
    let mut bytes = 0;
    for (name, hash) in &expected.shell {
        let (status, response, body) =
            get(agent, &format!("{base}{name}"), &[("Accept-Encoding", "gzip, br")]);
        bytes += body.len() as u64;
        let file = match response.headers().contains_key("content-encoding") {
            true => {
                let mut file = Vec::new();
                brotli::Decompressor::new(&body[..], 1 << 16).read_to_end(&mut file).unwrap();
                file
            }
            false => body,
        };
        assert_eq!((status, &hex(&file)), (200, hash), "{name}");
    }
    for (name, (size, hash)) in &expected.model {
        let mut whole = Vec::new();
        while whole.len() < *size {
            let range = format!("bytes={}-{}", whole.len(), (whole.len() + PART).min(*size) - 1);
            let (status, response, part) = get(agent, &format!("{base}{name}"), &[("Range", &range)]);
            assert_eq!(status, 206, "{name} {range}");
            let said = response.headers().get("content-range").and_then(|value| value.to_str().ok()).unwrap();
            assert_eq!(said, format!("{}/{size}", range.replace('=', " ")), "{name}");
            whole.extend(part);
        }
        assert_eq!(&hex(&whole), hash, "{name}");
        bytes += whole.len() as u64;
    }
    (began.elapsed(), bytes)
}
