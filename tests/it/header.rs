//! Safetensors headers from hostile hands: each fault of the list by itself, then mutations of a valid file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

use crate::files::{bytes_of, config, stored};
use crate::support::weights;
use microtome::weights::ModelFiles;
use microtome::weights::header::{CAP_DIMS, CAP_HEADER, CAP_NAME, CAP_TENSORS, Header};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use safetensors::tensor::Dtype;
use serde_json::json;

/// A file of this JSON and `data` bytes of data.
fn file(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn read(bytes: &[u8]) -> microtome::Result<Header> {
    Header::read(bytes, bytes.len() as u64)
}

/// Asserts the code, that the message holds all `words`, and that it came within 50 ms.
fn refused(bytes: &[u8], code: &str, words: &[&str]) {
    let timed = |_| {
        let start = std::time::Instant::now();
        let e = read(bytes).expect_err(code);
        (start.elapsed(), e)
    };
    // The quickest of three: other tests run beside this one.
    let (took, e) = (0..3).map(timed).min_by_key(|(took, _)| *took).unwrap();
    assert_eq!(e.code, code, "{e}");
    for word in words {
        assert!(e.message.contains(word), "expected '{word}' in: {e}");
    }
    assert!(e.message.len() < 600, "{e}");
    assert!(took.as_millis() < 50, "{took:?} for: {e}");
}

#[test]
fn a_header_is_refused_before_its_numbers_are_used() {
    let n = |n: u64| n.to_le_bytes();
    refused(&[], "file.header", &["0 bytes", "at least 8"]);
    refused(&[1, 2, 3], "file.header", &["3 bytes"]);
    refused(&n(0), "file.header", &["header of 0 bytes"]);
    refused(&n(1), "file.header", &["header of 1 bytes", "expected 1 to 0"]);
    refused(&n(u64::MAX), "file.header", &["18446744073709551615"]);
    let e = Header::len_from(n(CAP_HEADER + 1), u64::MAX).unwrap_err();
    assert!(e.code == "file.header" && e.message.contains("25000001"), "{e}");
    assert_eq!(Header::len_from(n(CAP_HEADER), u64::MAX).unwrap(), CAP_HEADER);
    let e = Header::read(&file("{}", 0)[..9], 10).unwrap_err();
    assert!(e.message.contains("2 bytes, found 1"), "{e}");
}

#[test]
fn a_header_that_is_not_a_json_object_is_refused() {
    let mut not_utf8 = file("{}", 0);
    not_utf8[8] = 0xFF;
    refused(&not_utf8, "file.header", &["UTF-8"]);
    refused(&file("{\"a\":", 0), "file.header", &["not JSON"]);
    refused(&file("{} x", 0), "file.header", &["not JSON"]);
    refused(&file("[]", 0), "file.header", &["'[]'"]);
    let deep = "[".repeat(100_000);
    refused(&file(&deep, 0), "file.header", &["expected '{'"]);
    refused(&file(&format!("{{\"a\":{deep}"), 0), "file.header", &["not JSON"]);
    let closed = format!("{{\"a\":{deep}{}}}", "]".repeat(100_000));
    refused(&file(&closed, 0), "file.layout", &["tensor 'a'"]);
    let nested = format!("{{\"a\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    refused(&file(&nested, 0), "file.layout", &["tensor 'a'", "unknown field `a`"]);
}

#[test]
fn what_is_not_safetensors_is_named() {
    let page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>";
    refused(page, "file.not_safetensors", &["found text: '<!DOCTYPE html> <html><head><title>Sign '"]);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n";
    refused(pointer, "file.not_safetensors", &["git-LFS pointer", "version https://git-lfs"]);
    refused(b"PK\x03\x04\x00\x00\x08\x08\x00\x00", "file.not_safetensors", &["pytorch_model.bin"]);
}

#[test]
fn tensors_must_be_what_the_format_allows() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
    };
    let a = "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}";
    let b = "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}";
    read(&file(&format!("{{{a},{b}}}"), 8)).unwrap();
    read(&file(&format!("{{{b},{a}}}   "), 8)).unwrap();
    read(&file(&format!("{{\"__metadata__\":{{\"format\":\"pt\"}},{a}}}"), 4)).unwrap();
    let long = "n".repeat(1_000_000);
    let two_31 = 1u64 << 31;
    let dims = "1,".repeat(CAP_DIMS) + "1";
    let late = b.replace("[4,8]", "[8,12]");
    let over = b.replace("[4,8]", "[2,6]");
    for (json, data, words) in [
        (format!("{{{a},{a}}}"), 4, &["'a'", "twice"][..]),
        (format!("{{\"__metadata__\":{{}},\"__metadata__\":{{}},{a}}}"), 4, &["__metadata__", "twice"]),
        (format!("{{\"__metadata__\":{{\"x\":1}},{a}}}"), 4, &["__metadata__", "string"]),
        (format!("{{\"__metadata__\":[],{a}}}"), 4, &["__metadata__"]),
        (
            a.replace("\"shape\"", "\"extra\":0,\"shape\"").replace("\"a\"", "{\"a\"") + "}",
            4,
            &["'a'", "extra"],
        ),
        (tensor("F32", "[1],\"shape\":[1]", "[0,4]"), 4, &["'a'", "duplicate field `shape`"]),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}".into(), 4, &["'a'", "data_offsets"]),
        (tensor("I64", "[1]", "[0,8]"), 8, &["'a'", "I64", "BF16"]),
        (tensor("F8_E4M3", "[1]", "[0,1]"), 1, &["'a'", "F8_E4M3"]),
        (tensor("F4", "[2]", "[0,1]"), 1, &["'a'", "F4"]),
        (tensor("F32", "[2]", "[0,4]"), 4, &["'a'", "[2] of F32 is 8 bytes", "[0, 4]"]),
        (tensor("F32", "[1]", "[4,0]"), 4, &["'a'", "[4, 0]"]),
        (tensor("F32", "[1]", "[0,4,8]"), 4, &["'a'"]),
        (tensor("F32", "[1]", "[0]"), 4, &["'a'"]),
        (tensor("F32", "[-1]", "[0,4]"), 4, &["'a'", "-1"]),
        (tensor("F32", "[1.0]", "[0,4]"), 4, &["'a'"]),
        (tensor("F32", &format!("[{two_31},{two_31}]"), "[0,0]"), 0, &["'a'", "beyond 2^64"]),
        (tensor("F32", "[4611686018427387904]", "[0,0]"), 0, &["'a'", "beyond 2^64"]),
        (tensor("F32", &format!("[{dims}]"), "[0,4]"), 4, &["'a'", "at most 4"]),
        (tensor("U8", "[5000000000]", "[0,5000000000]"), 4, &["'a'", "beyond the 4 bytes"]),
        (format!("{{{a},{late}}}"), 12, &["'b'", "hole", "byte 4", "found 8"]),
        (format!("{{{a},{over}}}"), 6, &["'b'", "overlaps", "byte 4", "found 2"]),
        (format!("{{{}}}", late.replace("\"b\"", "\"a\"")), 12, &["'a'", "hole", "byte 0"]),
        (format!("{{{a}}}"), 3, &["'a'", "beyond the 3 bytes"]),
        (format!("{{{a}}}"), 5, &["byte 4", "found 5"]),
        ("{}".into(), 1, &["byte 0", "found 1"]),
        (format!("{{\"{long}\":1}}"), 0, &["1000000 bytes", "256"]),
    ] {
        refused(&file(&json, data), "file.layout", words);
    }
}

#[test]
fn counts_are_capped() {
    let tensors = |n: usize| {
        let one = |i| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        format!("{{{}}}", (0..n).map(one).collect::<Vec<_>>().join(","))
    };
    assert_eq!(read(&file(&tensors(CAP_TENSORS), 0)).unwrap().tensors.len(), CAP_TENSORS);
    refused(&file(&tensors(CAP_TENSORS + 1), 0), "file.layout", &["more than 4096 tensors"]);
    let name = |n: usize| {
        format!("{{\"{}\":{{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}}}", "é".repeat(n))
    };
    read(&file(&name(CAP_NAME / 2), 4)).unwrap();
    refused(&file(&name(CAP_NAME / 2 + 1), 4), "file.layout", &["258 bytes"]);
    // A million dimensions cost no more than five.
    let dims = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}1],\"data_offsets\":[0,4]}}}}",
        "1,".repeat(1_000_000)
    );
    refused(&file(&dims, 4), "file.layout", &["'a'", "at most 4"]);
}

/// Offsets are 64 bits everywhere, also where a `usize` has 32: the header is all that is in memory.
#[test]
fn offsets_beyond_4_gib_are_kept() {
    const SIX_GB: u64 = 6_000_000_000;
    let json = format!(
        "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{SIX_GB}],\"data_offsets\":[0,{SIX_GB}]}},\
          \"b\":{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[{SIX_GB},{}]}}}}",
        SIX_GB + 8
    );
    let bytes = file(&json, 0);
    let len = bytes.len() as u64 + SIX_GB + 8;
    let header = Header::read(&bytes, len).unwrap();
    assert_eq!((header.tensors["b"].start, header.tensors["b"].end), (SIX_GB, SIX_GB + 8));
    is_sound(&header, len);
    // What 32 bits would make of the same file: 1,705,032,704 bytes of data.
    let e = Header::read(&bytes, len & 0xFFFF_FFFF).unwrap_err();
    assert!(e.code == "file.layout" && e.message.contains("beyond the 1705032712 bytes"), "{e}");
    let e = Header::read(&bytes, len + 1).unwrap_err();
    assert!(e.code == "file.layout" && e.message.contains("found 6000000009 bytes"), "{e}");
}

#[test]
fn a_million_tensors_are_refused_by_their_header_or_their_number() {
    let one = |i: usize| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let json = |n: usize| format!("{{{}}}", (0..n).map(one).collect::<Vec<_>>().join(","));
    let million = file(&json(1_000_000), 0);
    assert!(million.len() as u64 > 2 * CAP_HEADER, "{}", million.len());
    refused(&million, "file.header", &["expected at most 25000000"]);
    refused(&file(&json(100_000), 0), "file.layout", &["more than 4096 tensors"]);
}

/// What a header that was read must hold, whatever its bytes were.
fn is_sound(header: &Header, file_len: u64) {
    let mut ends: Vec<_> = header.tensors.values().map(|t| (t.start, t.end)).collect();
    ends.sort_unstable();
    let covered = ends.iter().fold(0, |covered, (start, end)| {
        assert!(*start == covered && end >= start);
        *end
    });
    assert_eq!(header.data_start + covered, file_len);
    for tensor in header.tensors.values() {
        let n: u64 = tensor.shape.iter().product();
        assert_eq!(tensor.end - tensor.start, n * tensor.dtype.size());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..Default::default()
    })]

    /// Bytes changed, cut out or put in anywhere: no panic, and what is accepted tiles its file.
    #[test]
    fn a_mutated_file_never_panics_and_never_succeeds_wrongly(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let mut bytes = bytes_of(&stored(Dtype::F16));
        let valid = read(&bytes).unwrap();
        let header = valid.data_start as usize;
        for (at, byte, kind) in &edits {
            let at = at.index(header);
            match kind {
                0 => bytes[at] = *byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, *byte),
            }
        }
        if let Ok(header) = read(&bytes) {
            is_sound(&header, bytes.len() as u64);
        }
        let files = [("config.json".into(), config(true)), ("model.safetensors".into(), bytes)];
        let _ = weights(&ModelFiles::in_memory("m", files));
    }

    /// One number of the JSON changed: every such header differs from its file, and is refused.
    #[test]
    fn a_changed_number_is_refused(pick in any::<prop::sample::Index>(), by in 1u64..1_000_000, up in any::<bool>()) {
        let bytes = bytes_of(&stored(Dtype::F32));
        let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
        let mut numbers: Vec<&mut serde_json::Value> = Vec::new();
        for tensor in json.as_object_mut().unwrap().values_mut() {
            for (field, value) in tensor.as_object_mut().unwrap() {
                if field != "dtype" {
                    numbers.extend(value.as_array_mut().unwrap());
                }
            }
        }
        let at = pick.index(numbers.len());
        let old = numbers[at].as_u64().unwrap();
        *numbers[at] = json!(if up { old + by } else { old.wrapping_sub(by) });
        let mut changed = file(&json.to_string(), 0);
        changed.extend_from_slice(&bytes[8 + n..]);
        prop_assert_eq!(read(&changed).unwrap_err().code, "file.layout");
    }
}
