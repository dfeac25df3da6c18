//! What an address is, and what it must not be.

use super::*;

fn code(text: &str) -> String {
    text.parse::<Address>().expect_err(text).code.into_owned()
}

#[test]
fn each_kind_reads_and_writes_itself() {
    for text in [
        "hf:openai-community/gpt2",
        "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e",
        "hf:stanford-crfm/alias-gpt2-small-x21@checkpoint-400",
        "hf:stanford-crfm/caprica-gpt2-small-x81@refs/pr/1",
        "hf:NeelNanda/GELU_1L512W_C4_Code",
        "./",
        "./models/pronoun/",
        "./models/pronoun/@1300",
        "./@0",
        "https://example.org/pronoun/@4000",
        "./modèles/gpt2 petit/",
        "https://example.org/",
        "https://example.org:8443/models/gpt2/",
        "local",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    assert_eq!("./models/pronoun".parse::<Address>().unwrap().to_string(), "./models/pronoun/");
    assert_eq!("https://Example.org".parse::<Address>().unwrap().to_string(), "https://example.org/");
    let pinned = "hf:a/b@v1".parse::<Address>().unwrap();
    assert_eq!(pinned.source(), "hf:a/b");
    let step = "./m/@7/".parse::<Address>().unwrap();
    assert_eq!((step.source(), step.step()), ("./m/".into(), Some(7)));
}

#[test]
fn every_other_scheme_is_refused() {
    for text in [
        "",
        " ",
        "gpt2",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:,x",
        "blob:https://a/b",
        "file:///etc/passwd",
        "http://example.org/",
        "http://127.0.0.1/",
        "//evil.example/",
        "/models/",
        "../models/",
        "models/pronoun/",
        "HF:a/b",
        " hf:a/b",
        "Local",
        "local ",
        "https:/example.org/",
        "https:example.org",
        "ftp://a/",
        "\u{202e}hf:a/b",
        "__proto__",
        "wss://a/",
        "view-source:https://a/",
        ".\\models\\",
    ] {
        assert_eq!(code(text), "address.scheme", "{text:?}");
    }
}

#[test]
fn hostile_parts_are_refused_by_name() {
    for (expected, texts) in [
        (
            "address.repo",
            &[
                "hf:",
                "hf:gpt2",
                "hf:a/",
                "hf:/b",
                "hf:a/b/c",
                "hf:../b",
                "hf:a/..",
                "hf:a/.b",
                "hf:a/b.",
                "hf:-a/b",
                "hf:a/b--c",
                "hf:a/b.git",
                "hf:a/b?x=1",
                "hf:a/b#x",
                "hf:a/b%2f..",
                "hf:a\\b/c",
                "hf:a/b c",
                "hf:a/b\n",
                "hf:a/b<img onerror=x>",
                "hf:ä/b",
                "hf:a/b\0",
            ][..],
        ),
        (
            "address.revision",
            &[
                "hf:a/b@",
                "hf:a/b@..",
                "hf:a/b@a/../b",
                "hf:a/b@/x",
                "hf:a/b@x/",
                "hf:a/b@a//b",
                "hf:a/b@x?y",
                "hf:a/b@x#y",
                "hf:a/b@x%2e",
                "hf:a/b@x@y",
                "hf:a/b@.hidden",
                "hf:a/b@a/.b",
            ],
        ),
        (
            "address.folder",
            &[
                "./../x/",
                "./a/../../x/",
                "./a//b/",
                ".//evil.example/",
                "./.git/",
                "./a/./b/",
                "./a?x",
                "./a#x",
                "./%2e%2e/x/",
                "./a\\..\\b/",
                "./a:b/",
                "./<script>/",
                "./a\u{202e}b/",
                "./a\0/",
                "./a/ /",
                "./a/@",
                "./a/@x",
                "./a/@-1",
                "./a/@01",
                "./a/@1/b/",
                "./a@1/",
                "./a/@9999999999999999",
                "https://example.org/a?b=c",
                "https://example.org/a/../b/",
                "https://example.org//b/",
                "https://example.org/a#b",
                "https://example.org/a@b/",
            ],
        ),
        (
            "address.host",
            &[
                "https://",
                "https:///x/",
                "https://user@example.org/",
                "https://user:password@example.org/",
                "https://a:b/",
                "https://a:0/",
                "https://a:70000/",
                "https://a:/",
                "https://a:+1/",
                "https://[::1]/",
                "https://exa mple.org/",
                "https://a..b/",
                "https://-a.org/",
                "https://a%2eorg/",
                "https://а.org/",
                "https://a\\b/",
                "https://evil.example\\@huggingface.co/",
                "https://a?x",
                "https://.org/",
            ],
        ),
    ] {
        for text in texts {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }
    assert_eq!(code(&format!("./{}/", "a".repeat(CAP_ADDRESS))), "address.too_long");
    assert_eq!(code(&format!("hf:{}/b", "a".repeat(97))), "address.repo");
}

#[test]
fn a_message_shows_no_character_that_acts_on_its_surroundings() {
    let error = "x\u{202e}\u{200b}\n\x1b[31m".parse::<Address>().expect_err("refused");
    assert!(
        error.message.chars().all(|c| c == '\u{fffd}' || c == ' ' || c.is_ascii_graphic()),
        "{}",
        error.message
    );
}

#[test]
fn urls_are_escaped_and_their_origins_told_apart() {
    assert_eq!(escape("refs/pr/1"), "refs%2Fpr%2F1");
    assert_eq!(escape("gpt2 é"), "gpt2%20%C3%A9");
    assert_eq!(origin("https://A.org:1/x?y").as_deref(), Some("https://a.org:1"));
    assert_eq!(origin("https://a@b/x").as_deref(), Some("https://b"));
    assert_eq!(origin("about:blank"), None);
}
