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

/// An ablation or patch with these fields beside the ones that every one needs.
fn sweep(kind: &str, fields: &str) -> Result<Experiment> {
    Experiment::from_json(&format!(r#"{{"version":1,"kind":"{kind}",{fields}}}"#))
}

/// The fields that are needed beside a prompt and places.
const REST: &str = r#""edit":{"kind":"zero"},"metric":{"kind":"loss"}"#;

#[test]
fn every_form_of_a_sweep_reads_back() {
    let tokens = r#""metric":{"kind":"logit_diff","correct":" a","incorrect":2}"#;
    let site = r#""site":"z","axes":["layer","head"]"#;
    for (kind, fields) in [
        ("ablate", format!(r#""prompt":"a",{site},{REST}"#)),
        ("ablate", format!(r#""prompts":[{{"prompt":"a"}},{{"prompt":[1,2]}}],{site},{REST}"#)),
        ("ablate", format!(r#""prompt":"a","sites":["q","pattern"],"axes":["layer","pos"],{REST}"#)),
        (
            "ablate",
            format!(
                r#""prompt":"a","sets":[[{{"site":"z","layer":1,"head":0}},{{"site":"pattern","dest":1,"src":0}}],[{{"site":"mlp_out","pos":2}}]],{REST}"#
            ),
        ),
        (
            "ablate",
            format!(
                r#""prompt":"a",{site},{tokens},"edit":{{"kind":"mean","prompts":["b",[1]],"over":"prompts"}}"#
            ),
        ),
        ("ablate", format!(r#""prompt":"a",{site},{tokens},"edit":{{"kind":"resample","prompts":["b"]}}"#)),
        (
            "ablate",
            format!(
                r#""prompts":[{{"prompt":"a","correct":1,"incorrect":2}}],{site},"edit":{{"kind":"zero"}},"metric":{{"kind":"logit_diff"}}"#
            ),
        ),
        ("patch", format!(r#""clean":"a","corrupted":"b",{site},{tokens}"#)),
        (
            "patch",
            format!(
                r#""pairs":[{{"clean":"a","corrupted":[1],"correct":3}}],"sites":["z","q"],"axes":["layer"],{tokens}"#
            ),
        ),
    ] {
        let experiment = sweep(kind, &fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        let written = experiment.to_value().unwrap();
        let given: Value = serde_json::from_str(&format!("{{{fields}}}")).unwrap();
        for (name, value) in given.as_object().unwrap() {
            if name != "metric" {
                assert_eq!(&written[name], value, "{fields}");
            }
        }
        assert_eq!(Experiment::from_value(written).unwrap(), experiment, "{fields}");
    }
}

#[test]
fn defaults_of_sweeps_are_filled_in() {
    let mean = r#""prompt":"a","site":"z","axes":[],"edit":{"kind":"mean","prompts":["b"]},"metric":{"kind":"loss"}"#;
    assert_eq!(sweep("ablate", mean).unwrap().to_value().unwrap()["edit"]["over"], "tokens");
    let patch = r#""clean":"a","corrupted":"b","site":"z","axes":[],"metric":{"kind":"loss"}"#;
    assert_eq!(sweep("patch", patch).unwrap().to_value().unwrap()["metric"]["normalize"], false);
}

#[test]
fn fields_that_exclude_each_other_are_named() {
    let (site, prompt) = (r#""site":"z","axes":["layer"]"#, r#""prompt":"a""#);
    let logits = r#""metric":{"kind":"logit_diff"}"#;
    let sets = r#""sets":[[{"site":"z"}]]"#;
    for (kind, fields, code, words) in [
        ("ablate", format!("{site},{REST}"), "input.missing_field", "'prompt' or 'prompts'"),
        (
            "ablate",
            format!(r#"{prompt},"prompts":[{{"prompt":"a"}}],{site},{REST}"#),
            "input.invalid",
            "'prompt' and 'prompts' exclude each other",
        ),
        (
            "ablate",
            format!(r#"{prompt},"axes":[],{REST}"#),
            "input.missing_field",
            "'site' or 'sites' or 'sets'",
        ),
        (
            "ablate",
            format!(r#"{prompt},{site},"sites":["q"],{REST}"#),
            "input.invalid",
            "'site' and 'sites' exclude each other",
        ),
        ("ablate", format!(r#"{prompt},{site},{sets},{REST}"#), "input.invalid", "'site' and 'sets'"),
        ("ablate", format!(r#"{prompt},"axes":["layer"],{sets},{REST}"#), "input.invalid", "'axes'"),
        ("ablate", format!(r#"{prompt},"site":"z",{REST}"#), "input.missing_field", "axes"),
        ("ablate", format!(r#"{prompt},"sites":["z"],{REST}"#), "input.missing_field", "axes"),
        (
            "ablate",
            format!(r#"{prompt},"sets":[[{{"site":"z","at":1}}]],{REST}"#),
            "input.unknown_field",
            "sets[0][0]",
        ),
        (
            "ablate",
            format!(r#"{prompt},{site},"edit":{{"kind":"mean"}},"metric":{{"kind":"loss"}}"#),
            "input.missing_field",
            "prompts",
        ),
        (
            "ablate",
            format!(r#"{prompt},{site},"edit":{{"kind":"zero"}},{logits}"#),
            "input.missing_field",
            "'correct' of metric",
        ),
        (
            "ablate",
            format!(
                r#""prompts":[{{"prompt":"a","correct":1,"incorrect":2}},{{"prompt":"b","correct":1}}],{site},"edit":{{"kind":"zero"}},{logits}"#
            ),
            "input.missing_field",
            "'incorrect' of metric, and of prompts[1]",
        ),
        (
            "ablate",
            format!(r#""prompts":[{{"prompt":"a","correct":1}}],{site},{REST}"#),
            "input.invalid",
            "prompts[0]: 'correct' and 'incorrect' belong to",
        ),
        (
            "patch",
            format!(r#"{site},"metric":{{"kind":"loss"}}"#),
            "input.missing_field",
            "'clean' and 'corrupted' or 'pairs'",
        ),
        (
            "patch",
            format!(r#""clean":"a",{site},"metric":{{"kind":"loss"}}"#),
            "input.missing_field",
            "'corrupted'",
        ),
        (
            "patch",
            format!(r#""corrupted":"a",{site},"metric":{{"kind":"loss"}}"#),
            "input.missing_field",
            "'clean'",
        ),
        (
            "patch",
            format!(r#""corrupted":"a","pairs":[],{site},"metric":{{"kind":"loss"}}"#),
            "input.invalid",
            "'clean' and 'corrupted' and 'pairs' exclude each other",
        ),
        (
            "patch",
            format!(r#""clean":"a","corrupted":"b",{sets},"axes":[],"metric":{{"kind":"loss"}}"#),
            "input.unknown_field",
            "sets",
        ),
        (
            "patch",
            format!(
                r#""pairs":[{{"clean":"a","corrupted":"b","prompt":"c"}}],{site},"metric":{{"kind":"loss"}}"#
            ),
            "input.unknown_field",
            "pairs[0]",
        ),
    ] {
        let error = sweep(kind, &fields).unwrap_err();
        assert_eq!(error.code, code, "{fields}: {error}");
        assert!(error.message.contains(words), "{fields}: {error}");
    }
}
