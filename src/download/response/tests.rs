//! What is made of answers, one by one.

use super::*;

fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let headers = serde_json::from_value(serde_json::Value::Object(headers)).unwrap();
    Response { status, headers, ..Response::default() }
}

#[test]
fn a_part_is_taken_only_where_it_fits() {
    let asked = Asked { range: Some((10, None)), len: Some(100), validator: Some("a".into()) };
    let judge = |headers: &[(&str, &str)]| judge(&asked, &answer(206, headers));
    let fits = Verdict::Take(Body { from: 10, to: Some(100), perhaps: None, len: Some(100) });
    assert_eq!(judge(&[("content-range", "bytes 10-99/100"), ("etag", "W/\"a\"")]), fits);
    assert_eq!(judge(&[("content-range", "bytes 10-99/*")]), fits);
    // Hidden headers: the length is known from elsewhere.
    assert_eq!(judge(&[]), fits);
    assert_eq!(judge(&[("content-length", "90")]), fits);
    for headers in [
        &[("content-range", "bytes 11-99/100")][..],
        &[("content-range", "bytes 9-99/100")],
        &[("content-range", "bytes 10-99/101")],
        &[("content-range", "bytes 10-100/100")],
        &[("content-range", "bytes 10-9/100")],
        &[("content-range", "bytes */100")],
        &[("content-range", "bytes 10-99/99999999999999999999")],
        &[("content-range", "items 10-99/100")],
        &[("content-range", "bytes -10-99/100")],
        &[("content-range", "bytes 10-99/100"), ("etag", "\"b\"")],
        &[("content-range", "bytes 10-99/100"), ("content-encoding", "gzip")],
        &[("content-length", "91")],
    ] {
        assert!(matches!(judge(headers), Verdict::Inconsistent(_)), "{headers:?}");
    }
}

#[test]
fn a_status_decides_what_happens_next() {
    let asked = Asked::default();
    for (status, expected) in [
        (404, Verdict::Absent),
        (401, Verdict::Forbidden),
        (403, Verdict::Forbidden),
        (429, Verdict::Busy(None)),
        (500, Verdict::Again),
        (502, Verdict::Again),
        (503, Verdict::Again),
        (0, Verdict::Refused),
        (302, Verdict::Refused),
        (400, Verdict::Refused),
    ] {
        assert_eq!(judge(&asked, &answer(status, &[])), expected, "{status}");
    }
    assert_eq!(judge(&asked, &answer(429, &[("retry-after", "7")])), Verdict::Busy(Some(7)));
    assert_eq!(judge(&asked, &answer(429, &[("retry-after", "-7")])), Verdict::Busy(None));
    let expired = Response { redirected: true, ..answer(403, &[]) };
    assert_eq!(judge(&asked, &expired), Verdict::Expired);
}

#[test]
fn the_length_of_a_compressed_body_is_not_the_files() {
    let whole = |headers: &[(&str, &str)]| match judge(&Asked::default(), &answer(200, headers)) {
        Verdict::Take(body) => body.perhaps,
        other => panic!("{other:?}"),
    };
    assert_eq!(whole(&[("content-length", "10")]), Some(10));
    assert_eq!(whole(&[("content-length", "10"), ("content-encoding", "gzip")]), None);
    assert_eq!(whole(&[("content-length", "1e3")]), None);
}

#[test]
fn only_expected_hosts_answer_for_another() {
    let hub = "https://huggingface.co/a/b/resolve/main/x";
    for (rule, asked, landed, allowed) in [
        (Redirects::Hub, hub, "https://cas-bridge.xethub.hf.co/x?Expires=1", true),
        (Redirects::Hub, hub, "https://cdn-lfs.huggingface.co/x", true),
        (Redirects::Hub, hub, "http://cas-bridge.xethub.hf.co/x", false),
        (Redirects::Hub, hub, "https://evil-hf.co/x", false),
        (Redirects::Hub, hub, "https://hf.co.evil.example/x", false),
        (Redirects::Hub, hub, "https://evil.example/huggingface.co", false),
        (Redirects::Hub, hub, "https://huggingface.co@evil.example/", false),
        (Redirects::Mirror, "https://mirror.example/x", "https://cdn.example/x", true),
        (Redirects::Mirror, "https://mirror.example/x", "http://cdn.example/x", false),
        (Redirects::Mirror, "http://127.0.0.1:1/x", "http://127.0.0.1:2/x", true),
        (Redirects::Mirror, "http://127.0.0.1:1/x", "http://example.org/x", false),
        (Redirects::SameOrigin, "https://a.org/x", "https://a.org/y", true),
        (Redirects::SameOrigin, "https://a.org/x", "https://b.org/x", false),
        (Redirects::SameOrigin, "https://a.org/x", "", true),
    ] {
        assert_eq!(rule.allow(asked, landed), allowed, "{landed}");
    }
}
