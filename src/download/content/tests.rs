//! Files in any cut, and what may be there instead of them.

use super::*;

fn weights(data: usize) -> Vec<u8> {
    let json = format!(r#"{{"a":{{"dtype":"U8","shape":[{data}],"data_offsets":[0,{data}]}}}}"#);
    let mut file = (json.len() as u64).to_le_bytes().to_vec();
    file.extend(json.into_bytes());
    file.extend(vec![7; data]);
    file
}

#[test]
fn weights_are_read_in_any_cut_with_and_without_a_known_length() {
    let file = weights(100);
    for size in [1, 7, 8, 39, 40, 41, 1000] {
        for total in [None, Some(file.len() as u64)] {
            let mut content = Content::new(Kind::Weights);
            file.chunks(size).for_each(|chunk| content.take(chunk, total).unwrap());
            assert_eq!(content.end(), Some(file.len() as u64), "{size} {total:?}");
            content.finish().unwrap();
        }
    }
}

#[test]
fn what_is_there_instead_is_named_with_its_first_bytes() {
    for (kind, bytes, code, words) in [
        (
            Kind::Weights,
            "<!doctype html><html><head><title>Not found",
            "file.not_safetensors",
            "<!doctype html>",
        ),
        (
            Kind::Weights,
            "version https://git-lfs.github.com/spec/v1\noid",
            "file.not_safetensors",
            "git-LFS pointer",
        ),
        (
            Kind::Weights,
            r#"{"error":"Repository not found"}"#,
            "file.not_safetensors",
            "Repository not found",
        ),
        (Kind::Torch, "<html><body>Sign in</body></html>          ", "file.not_torch", "web page: '<html>"),
        (Kind::Json { cap: 100 }, "\n <!doctype html><html>", "file.not_json", "web page"),
        (Kind::Json { cap: 100 }, "[1]", "file.not_json", "'[1]'"),
        (Kind::Json { cap: 100 }, r#"{"a": [1, "#, "net.short", "EOF"),
        (Kind::Json { cap: 4 }, r#"{"a": 1}"#, "file.too_large", "at most 4"),
        (Kind::Text { cap: 100 }, "<!doctype html><html>", "file.not_text", "web page"),
        (
            Kind::Text { cap: 100 },
            "version https://git-lfs.github.com/spec/v1\noid",
            "file.not_text",
            "pointer",
        ),
    ] {
        for size in [3, 1000] {
            let mut content = Content::new(kind);
            let taken = bytes.as_bytes().chunks(size).try_for_each(|chunk| content.take(chunk, None));
            let error = taken.and_then(|()| content.finish()).expect_err(bytes);
            assert_eq!(error.code, code, "{bytes}: {error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
}

#[test]
fn a_header_that_lies_about_its_length_allocates_nothing() {
    let mut content = Content::new(Kind::Weights);
    let mut bytes = (20_000_000_u64).to_le_bytes().to_vec();
    bytes.extend([b'{'; 100]);
    content.take(&bytes, None).unwrap();
    assert!(content.kept.capacity() < 1000);
    let error = content.finish().expect_err("cut");
    assert_eq!(error.code, "net.short");
}
