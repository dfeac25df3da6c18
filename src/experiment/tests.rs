//! Reading and writing experiments.

use super::*;

#[test]
fn defaults_are_filled_in() {
    let e = Experiment::from_json(r#"{"version":1,"kind":"predict","prompt":"Mary"}"#).unwrap();
    let value = e.to_value().unwrap();
    assert_eq!(value["top_k"], 10);
    assert_eq!(value["prepend_bos"], true);
    assert_eq!(value["processing"], "transformer_lens");
    assert_eq!(Experiment::from_value(value).unwrap(), e);
}

#[test]
fn errors_name_the_place() {
    let cases = [
        (r#"[]"#, "input.json", "object"),
        (r#"{"kind":"predict"}"#, "input.version", "version"),
        (r#"{"version":2,"kind":"predict"}"#, "input.version", "2"),
        (r#"{"version":1,"kind":"dream"}"#, "input.kind", "dream"),
        (r#"{"version":1,"kind":"predict"}"#, "input.missing_field", "prompt"),
        (r#"{"version":1,"kind":"predict","prompt":"a","promt":"b"}"#, "input.unknown_field", "promt"),
        (r#"{"version":1,"kind":"predict","prompt":1.5}"#, "input.invalid", "prompt: expected a prompt"),
        (r#"{"version":1,"kind":"predict","prompt":[-1]}"#, "input.invalid", "prompt: expected a prompt"),
        (
            r#"{"version":1,"kind":"logit_diff","prompts":[{"prompt":"a","correct":" b","incorrect":" c","x":1}]}"#,
            "input.unknown_field",
            "prompts[0]",
        ),
        (
            r#"{"version":1,"kind":"ablate","prompt":"a","site":"v","edit":{"kind":"zero","by":2},"axes":["layer"],"metric":{"kind":"loss"}}"#,
            "input.unknown_field",
            "by",
        ),
        (
            r#"{"version":1,"kind":"ablate","prompt":"a","site":"w","edit":{"kind":"zero"},"axes":["layer"],"metric":{"kind":"loss"}}"#,
            "input.invalid",
            "unknown site 'w'",
        ),
        (
            r#"{"version":1,"kind":"ablate","prompt":"a","site":"v","edit":{"kind":"zero"},"axes":["layer"],"metric":{"kind":"loss","normalize":true}}"#,
            "input.unknown_field",
            "normalize",
        ),
        (
            r#"{"version":1,"kind":"predict","prompt":"a","processing":{"fold":true}}"#,
            "input.unknown_field",
            "fold",
        ),
    ];
    for (json, code, word) in cases {
        let e = Experiment::from_json(json).unwrap_err();
        assert_eq!(e.code, code, "{json}: {e}");
        assert!(e.message.contains(word), "{json}: {e}");
    }
}
