//! The tokenizer against Hugging Face's, on `tests/golden/tokens`, and against hostile files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic too")]

use microtome::lab::Model;
use microtome::tokens::{CAP_FILE, CAP_TEXT, Tokenizer, TokenizerFiles};
use microtome::weights::ModelFiles;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const TOKENIZER: &[u8] = include_bytes!("../golden/tokens/tokenizer.json");
const VOCAB: &[u8] = include_bytes!("../golden/tokens/vocab.json");
const MERGES: &[u8] = include_bytes!("../golden/tokens/merges.txt");
const CASES: &[u8] = include_bytes!("../golden/tokens/cases.json");

fn from_json(json: &[u8]) -> microtome::Result<Tokenizer> {
    let files = TokenizerFiles { tokenizer_json: Some(json.to_vec()), ..Default::default() };
    Ok(Tokenizer::new(&files)?.expect("a tokenizer"))
}

fn from_pair(vocab: &[u8], merges: &[u8]) -> microtome::Result<Tokenizer> {
    let (vocab, merges) = (Some(vocab.to_vec()), Some(merges.to_vec()));
    Ok(Tokenizer::new(&TokenizerFiles { tokenizer_json: None, vocab, merges })?.expect("a tokenizer"))
}

fn golden() -> Tokenizer {
    from_json(TOKENIZER).unwrap()
}

/// The golden tokenizer with one thing changed.
fn changed(change: impl FnOnce(&mut Value)) -> microtome::Result<Tokenizer> {
    let mut file: Value = serde_json::from_slice(TOKENIZER).unwrap();
    change(&mut file);
    from_json(&serde_json::to_vec(&file).unwrap())
}

fn cases() -> Vec<(String, Vec<u32>)> {
    let file: Value = serde_json::from_slice(CASES).unwrap();
    let cases: Vec<(String, Vec<u32>)> = serde_json::from_value(file["cases"].clone()).unwrap();
    assert!(cases.len() > 2000, "{} cases", cases.len());
    cases
}

#[test]
fn every_text_encodes_as_hugging_faces_does() {
    let tokenizer = golden();
    for (text, ids) in cases() {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text:?}");
    }
}

#[test]
fn long_runs_encode_as_hugging_faces_do() {
    let file: Value = serde_json::from_slice(CASES).unwrap();
    let tokenizer = golden();
    for run in file["runs"].as_array().unwrap() {
        let times = run["times"].as_u64().unwrap() as usize;
        let text = run["unit"].as_str().unwrap().repeat(times) + run["end"].as_str().unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        assert_eq!(ids.len() as u64, run["n"].as_u64().unwrap(), "{run}");
        let joined = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let digest = Sha256::digest(joined.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, run["sha256"].as_str().unwrap(), "{run}");
    }
}

#[test]
fn vocab_and_merges_give_the_same_tokens() {
    let pair = from_pair(VOCAB, MERGES).unwrap();
    let mut compared = 0;
    for (text, ids) in cases().iter().filter(|(text, _)| !text.contains("<sep>")) {
        assert_eq!(pair.encode(text).unwrap(), *ids, "{text:?}");
        compared += 1;
    }
    assert!(compared > 1500, "{compared} texts without <sep>");
    assert_eq!(pair.bos(), golden().bos());
}

#[test]
fn merges_written_as_strings_give_the_same_tokens() {
    let legacy = changed(|file| {
        let merges = file["model"]["merges"].as_array_mut().unwrap();
        for merge in merges {
            *merge = json!(format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()));
        }
    })
    .unwrap();
    for (text, ids) in cases().iter().take(500) {
        assert_eq!(legacy.encode(text).unwrap(), *ids, "{text:?}");
    }
}

#[test]
fn a_byte_level_in_a_sequence_is_a_byte_level() {
    let nested = changed(|file| {
        let inner = file["pre_tokenizer"].clone();
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [inner]});
    })
    .unwrap();
    assert_eq!(nested.encode("Katherine is").unwrap(), golden().encode("Katherine is").unwrap());
}

#[test]
fn the_pieces_put_together_are_the_text() {
    let tokenizer = golden();
    // '‡' is E2 80 A1; the vocabulary has E2 80 as one token, from quotes and apostrophes.
    let shown: Vec<_> = tokenizer.encode("‡").unwrap().iter().map(|id| tokenizer.text(*id)).collect();
    assert_eq!(shown, ["\\xE2\\x80", "\\xA1"]);
    assert_eq!(tokenizer.text(tokenizer.single("’").unwrap()), "’");
    for text in ["Katherine is a great friend", "a <|endoftext|> b<sep>c", "\0\t\n", "back\\slash"] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids.iter().map(|id| tokenizer.text(*id)).collect::<String>(), text);
    }
    assert_eq!(tokenizer.text(999_999), "<unused 999999>");
}

#[test]
fn end_of_text_is_one_token_and_the_bos() {
    let tokenizer = golden();
    let bos = tokenizer.bos().unwrap();
    assert_eq!(tokenizer.encode("<|endoftext|>").unwrap(), [bos]);
    assert_eq!(tokenizer.text(bos), "<|endoftext|>");
    assert_eq!(tokenizer.vocab_size(), 1 + tokenizer.single("<sep>").unwrap() as usize);
}

#[test]
fn not_a_single_token_shows_the_pieces() {
    let tokenizer = golden();
    assert_eq!(tokenizer.single(" is").unwrap(), tokenizer.encode(" is").unwrap()[0]);
    let e = tokenizer.single(" is\n").unwrap_err();
    assert_eq!(e.code, "input.not_single_token");
    assert_eq!(e.message, "' is\\n' is 2 tokens, expected exactly one: ' is' | '\\n'");
    assert!(tokenizer.single("").unwrap_err().message.contains("empty"));
    let long = tokenizer.single(&"a b".repeat(900)).unwrap_err().message;
    assert!(long.len() < 200 && long.contains('…'), "{long}");
}

#[test]
fn a_text_beyond_the_cap_is_refused_and_one_at_the_cap_is_not() {
    let tokenizer = golden();
    let e = tokenizer.encode(&"é".repeat(CAP_TEXT + 1)).unwrap_err();
    assert_eq!(e.code, "input.too_long");
    assert!(e.message.contains("20001") && e.message.contains("20000"), "{e}");
    assert!(!tokenizer.encode(&"é".repeat(CAP_TEXT)).unwrap().is_empty());
}

#[test]
fn a_text_with_a_byte_that_the_vocabulary_lacks_is_refused() {
    let small = json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}});
    let tokenizer = from_json(&serde_json::to_vec(&small).unwrap()).unwrap();
    assert_eq!(tokenizer.encode("abba").unwrap(), [0, 1, 1, 0]);
    assert_eq!(tokenizer.encode("abc").unwrap_err().code, "input.not_encodable");
    assert_eq!(tokenizer.bos(), None);
}

#[test]
fn no_files_are_no_tokenizer() {
    assert!(Tokenizer::new(&TokenizerFiles::default()).unwrap().is_none());
}

#[test]
fn another_kind_of_tokenizer_is_refused_in_words() {
    let split =
        json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false});
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
    type Change = Box<dyn Fn(&mut Value)>;
    let set = |at: &'static str, value: Value| -> Change {
        Box::new(move |file| *file.pointer_mut(at).unwrap() = value.clone())
    };
    for (change, word) in [
        (set("/model/type", json!("Unigram")), "Unigram"),
        (set("/pre_tokenizer", split.clone()), "Split"),
        (set("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": [split, byte_level]})), "Split"),
        (set("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": []})), "expected 'ByteLevel'"),
        (set("/normalizer", json!({"type": "NFC"})), "normalizer"),
        (set("/model/dropout", json!(0.1)), "dropout"),
        (set("/model/byte_fallback", json!(true)), "byte_fallback"),
        (set("/model/continuing_subword_prefix", json!("##")), "prefix"),
    ] {
        let e = changed(change).err().expect(word);
        assert_eq!(e.code, "tokenizer.unsupported", "{e}");
        assert!(e.message.contains(word), "{e}");
    }
}

#[test]
fn hostile_files_are_refused_with_their_place() {
    let deep = format!("{{\"model\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let big = vec![b' '; CAP_FILE as usize + 1];
    for (file, word) in [
        (&b"<!DOCTYPE html>"[..], "line 1"),
        (b"{}", "model"),
        (b"\xFF\xFE", "UTF-8"),
        (deep.as_bytes(), "tokenizer.json"),
        (&big, "10000001 bytes"),
    ] {
        let e = from_json(file).err().expect(word);
        assert_eq!(e.code, "tokenizer.file");
        assert!(e.message.contains(word) && e.message.starts_with("tokenizer.json: "), "{e}");
    }
    let model = |vocab: Value, merges: Value| {
        changed(|file| {
            file["added_tokens"] = json!([]);
            file["model"]["vocab"] = vocab;
            file["model"]["merges"] = merges;
        })
    };
    for (vocab, merges, word) in [
        (json!({"a": 0}), json!([["a", "z"]]), "'z' is not in the vocabulary"),
        // The tokenizers crate indexes out of bounds on this one.
        (json!({"a": 0, "b": 1}), json!([["a", "b"]]), "'ab' is not in the vocabulary"),
        (json!({"a": 0, "b": 0}), json!([]), "two tokens"),
        (json!({"a": 4_000_000_000u32}), json!([]), "4000000000"),
        (json!({"a": -1}), json!([]), "-1"),
        (json!({"a": 0}), json!(["aa"]), "one space"),
    ] {
        let e = model(vocab, merges).err().expect(word);
        assert_eq!(e.code, "tokenizer.file");
        assert!(e.message.contains(word), "{e}");
    }
    let e = changed(|file| file["added_tokens"][1]["id"] = json!(7)).err().unwrap();
    assert!(e.message.contains("'<sep>' says id 7"), "{e}");
}

/// What would cost much if it were believed: a search built anew for each added token, lists within lists.
#[test]
fn a_hostile_file_is_refused_at_once() {
    let start = std::time::Instant::now();
    let added = |id: usize, content: String| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let first = golden().vocab_size();
    let many = changed(|file| {
        let tokens = file["added_tokens"].as_array_mut().unwrap();
        tokens.extend((0..50_000).map(|i| added(first + i, format!("<{i}>"))));
    })
    .unwrap();
    assert_eq!(many.vocab_size(), first + 50_000);
    assert_eq!(many.encode("<49999>").unwrap(), [first as u32 + 49_999]);
    let nested = |open: &str, close: &str| {
        let inner = open.repeat(50_000) + &close.repeat(50_000);
        format!("{{\"pre_tokenizer\":{inner},\"model\":{{\"type\":\"BPE\",\"vocab\":{{}},\"merges\":[]}}}}")
    };
    for file in [
        nested("{\"type\":\"Sequence\",\"pretokenizers\":[", "]}"),
        nested("[", "]"),
        nested("{\"a\":", "}").replace("pre_tokenizer", "normalizer"),
    ] {
        let e = from_json(file.as_bytes()).err().unwrap();
        assert!(e.code == "tokenizer.file" && e.message.starts_with("tokenizer.json: "), "{e}");
        assert!(e.message.len() < 300, "{e}");
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let tokenizer = golden();
    let rows = tokenizer.vocab_size() - 1;
    // `<sep>` is an added token, the last; everything before it needs its row.
    tokenizer.check_rows(rows).unwrap();
    let e = tokenizer.check_rows(rows - 1).unwrap_err();
    assert_eq!(e.code, "model.unsupported");
    assert!(
        e.message.contains(&format!("up to {}, expected below the model's {}", rows - 1, rows - 1)),
        "{e}"
    );
    // A whole model: five rows, and a tokenizer of some hundred.
    let files = [
        ("config.json".into(), crate::files::config(true)),
        ("model.safetensors".into(), crate::files::bytes_of(&crate::files::stored(Dtype::F32))),
    ];
    let open = |files: &[(String, Vec<u8>)]| {
        let files = ModelFiles::in_memory("tiny", files.to_vec());
        pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))).map(drop)
    };
    open(&files).unwrap();
    let [config, weights] = files;
    let e = open(&[config, weights, ("tokenizer.json".into(), TOKENIZER.to_vec())]).unwrap_err();
    assert!(e.code == "model.unsupported" && e.message.contains("the model's 5 (vocab_size)"), "{e}");
}

/// A prompt is never cut without a word: not at the characters that are encoded, not at the model's positions.
#[test]
fn a_prompt_that_is_too_long_is_an_error() {
    let model = crate::support::golden_model("www/models/pronoun");
    let n_ctx = model.cfg().n_ctx;
    let predict = |prompt: Value| {
        let experiment = json!({"version": 1, "kind": "predict", "prompt": prompt});
        let experiment = microtome::experiment::Experiment::from_value(experiment).unwrap();
        model.resolve(&experiment).map(|question| question.prompts().remove(0).0)
    };
    let word = " she";
    assert_eq!(model.tokenizer.as_ref().unwrap().encode(&word.repeat(7)).unwrap().len(), 7);
    assert_eq!(predict(json!(word.repeat(n_ctx - 1))).unwrap().len(), n_ctx);
    let e = predict(json!(word.repeat(n_ctx))).unwrap_err();
    assert_eq!(e.code, "input.length");
    assert!(e.message.contains(&format!("{} tokens, expected 1 to {n_ctx} (n_ctx)", n_ctx + 1)), "{e}");
    let e = predict(json!(vec![0; n_ctx + 1])).unwrap_err();
    assert!(e.code == "input.length" && e.message.contains("(n_ctx)"), "{e}");
    let e = predict(json!("a".repeat(CAP_TEXT + 1))).unwrap_err();
    assert_eq!(e.code, "input.too_long");
    assert!(e.message.contains("20001 characters, expected at most 20000"), "{e}");
    let e = predict(json!("a".repeat(10_000_000))).unwrap_err();
    assert!(e.code == "input.too_long" && e.message.len() < 200, "{e}");
    // The empty text is BOS alone.
    assert_eq!(predict(json!("")).unwrap(), [model.tokenizer.as_ref().unwrap().bos().unwrap()]);
}

/// Control characters, right-to-left marks and joined emoji are tokens like any others, that put together are the text.
/// A lone surrogate, which no text in UTF-8 can hold, is an error of the JSON that has it.
#[test]
fn a_prompt_of_odd_characters_is_tokens_and_a_lone_surrogate_is_named() {
    let model = crate::support::golden_model("www/models/pronoun");
    let tokenizer = model.tokenizer.as_ref().unwrap();
    for text in [
        "\0",
        "a\0b\u{1f}\x7f",
        "\u{202e}abc\u{202c}",
        "שלום عربي",
        "👩‍👩‍👧",
        "\u{fffd}",
        "\u{10ffff}",
        "\r\n\t ",
    ] {
        let escaped = serde_json::to_string(text).unwrap();
        let experiment =
            format!(r#"{{"version":1,"kind":"predict","prompt":{escaped},"prepend_bos":false}}"#);
        let experiment = microtome::experiment::Experiment::from_json(&experiment).unwrap();
        let ids = model.resolve(&experiment).unwrap().prompts().remove(0).0;
        // A byte that is no whole character is shown as `\xE2`.
        let shown: String = ids.iter().map(|id| tokenizer.text(*id)).collect();
        assert_eq!(unescaped(&shown), text.as_bytes(), "{text:?}: {shown:?}");
    }
    for lone in [r#""\ud800""#, r#""a\udc00b""#] {
        let experiment = format!(r#"{{"version":1,"kind":"predict","prompt":{lone}}}"#);
        let e = microtome::experiment::Experiment::from_json(&experiment).unwrap_err();
        assert!(e.code == "input.json" && e.message.contains("hex escape"), "{e}");
    }
}

/// The bytes of tokens as they are shown.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend(before.bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend(rest.bytes());
    bytes
}

#[test]
fn one_of_vocab_and_merges_is_not_enough() {
    let files = TokenizerFiles { vocab: Some(VOCAB.to_vec()), ..Default::default() };
    let e = Tokenizer::new(&files).err().unwrap();
    assert!(e.message.contains("merges.txt: absent"), "{e}");
    let files = TokenizerFiles { merges: Some(MERGES.to_vec()), ..Default::default() };
    assert!(Tokenizer::new(&files).err().unwrap().message.contains("vocab.json: absent"));
    let e = from_pair(VOCAB, b"#version: 0.2\na b c\n").err().unwrap();
    assert!(e.message.contains("line or merge 2"), "{e}");
}

/// A tokenizer that is there but cannot be used takes nothing from token ids: the model opens with a notice, and a text
/// is refused with the reason.
#[test]
fn a_tokenizer_that_cannot_be_used_leaves_a_model_for_token_ids() {
    let pair =
        |vocab: &[u8], merges: &[u8]| vec![("vocab.json", vocab.to_vec()), ("merges.txt", merges.to_vec())];
    let json = |text: &str| vec![("tokenizer.json", text.as_bytes().to_vec())];
    for (tokenizer, word) in [
        (json(r#"{"model": {"type": "Unigram", "vocab": []}}"#), "model.type is 'Unigram', expected 'BPE'"),
        (json(r#"{"model": {"type": "WordPiece", "vocab": {}}}"#), "'WordPiece'"),
        (json("{"), "tokenizer.json: EOF"),
        (json(&" ".repeat(CAP_FILE as usize + 1)), "10000001 bytes, expected at most 10000000"),
        (vec![("vocab.json", b"{\"a\": 0}".to_vec())], "merges.txt: absent, expected beside vocab.json"),
        (vec![("merges.txt", b"a b\n".to_vec())], "vocab.json: absent, expected beside merges.txt"),
        (pair(b"{\"a\": 0}", b"a b\n"), "'b' is not in the vocabulary"),
        (pair(b"{\"a\": 0}", b"a b c\n"), "line or merge 1 is 'a b c'"),
        (pair(b"[]", b""), "vocab.json: "),
    ] {
        let files = [
            ("config.json", crate::files::config(true)),
            ("model.safetensors", crate::files::bytes_of(&crate::files::stored(Dtype::F32))),
        ];
        let files = files.into_iter().chain(tokenizer).map(|(name, bytes)| (name.to_owned(), bytes));
        let files = ModelFiles::in_memory("tiny", files);
        let model = pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))).expect(word);
        assert!(!model.info().has_tokenizer);
        let notices = model.notices();
        assert_eq!(
            notices.iter().map(|notice| notice.code).collect::<Vec<_>>(),
            ["model.tokenizer"],
            "{word}"
        );
        assert!(notices[0].message.contains(word), "'{word}' in: {}", notices[0].message);
        let predict = |prompt: Value, answer: Value| {
            let experiment =
                json!({"version": 1, "kind": "predict", "prompt": prompt, "answer": answer, "top_k": 1});
            model.resolve(&microtome::experiment::Experiment::from_value(experiment).unwrap())
        };
        predict(json!([1, 2]), json!(3)).unwrap();
        for (prompt, answer, what) in
            [(json!("a"), json!(3), "a prompt"), (json!([1]), json!("b"), "a token ('b')")]
        {
            let e = predict(prompt, answer).unwrap_err();
            assert_eq!(e.code, "input.no_tokenizer");
            let start = format!("this model's tokenizer cannot be used, so {what} cannot be a text: ");
            assert!(e.message.starts_with(&start) && e.message.contains(word), "{e}");
        }
    }
}
