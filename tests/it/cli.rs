//! The command line from outside: statuses, streams, files.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/models/gelu-new");

fn microtome(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs an experiment from standard input on the CPU engine.
fn run(experiment: &str, more: &[&str]) -> Output {
    microtome(&[&["run", "-", "--model", MODEL, "--backend", "cpu"], more].concat(), experiment)
}

/// Asserts status 2, an empty standard output and one line on standard error that holds `words`.
fn refused(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "'{word}' in: {error}");
    }
}

#[test]
fn a_result_is_json_on_standard_output() {
    let output = run(r#"{"version":1,"kind":"predict","prompt":[1,2,3],"top_k":3}"#, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["version"], 1);
    assert_eq!(result["kind"], "predict");
    assert_eq!(result["top"].as_array().unwrap().len(), 3);
    assert_eq!(result["experiment"]["prepend_bos"], true);
    assert_eq!(result["engine"]["backend"], "cpu");
    assert_eq!(result["model"]["name"], "gelu-new");
    for counted in ["flops", "dispatches", "weight_bytes_read"] {
        assert!(result["engine"][counted].as_u64().unwrap() > 0, "{counted}");
    }
    assert_eq!(result["engine"]["readbacks"], 0);
}

#[test]
fn a_sweep_names_its_axes() {
    let sets = r#"{"version":1,"kind":"ablate","prompts":[{"prompt":[1,2,3]},{"prompt":[4,5]}],
        "sets":[[{"site":"z","layer":0,"head":1},{"site":"mlp_out"}],[{"site":"attn_out","layer":2}]],
        "edit":{"kind":"zero"},"metric":{"kind":"loss"}}"#;
    let every = r#"{"version":1,"kind":"patch","clean":[1,2,3],"corrupted":[1,5,3],"sites":["resid_pre","mlp_out"],
        "axes":["pos","layer"],"metric":{"kind":"loss"}}"#;
    for (experiment, axes, shape) in
        [(sets, vec!["set"], vec![2]), (every, vec!["site", "pos", "layer"], vec![2, 3, 3])]
    {
        let output = run(experiment, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(result["axes"], serde_json::json!(axes));
        assert_eq!(result["shape"], serde_json::json!(shape));
        assert_eq!(result["values"].as_array().unwrap().len(), shape.iter().product::<usize>());
    }
}

#[test]
fn head_detectors_are_run_with_their_defaults_filled_in() {
    let detect =
        r#"{"version":1,"kind":"detect","prompt":[1,2,1,2],"pattern":"induction_head","heads":[[0,0]]}"#;
    let output = run(detect, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["kind"], &result["experiment"]["pattern"]), (&"detect".into(), &"induction".into()));
    assert_eq!(result["axes"], serde_json::json!(["layer", "head"]));
    let values = result["values"].as_array().unwrap();
    assert!(values[0].is_f64() && values[1..].iter().all(serde_json::Value::is_null), "{values:?}");
}

#[test]
fn bad_input_ends_with_status_2_and_one_error() {
    refused(&run("{", &[]), &["JSON"]);
    refused(
        &run(r#"{"version":1,"kind":"predict","prompt":[1],"promt":2}"#, &[]),
        &["promt", "standard input"],
    );
    refused(&run(r#"{"version":1,"kind":"predict","prompt":[99999]}"#, &[]), &["99999", "vocabulary"]);
    refused(&run(r#"{"version":1,"kind":"predict","prompt":[]}"#, &[]), &["0 tokens"]);
    refused(
        &run(r#"{"version":1,"kind":"trace","prompts":[[1]],"hooks":["blocks.99.hook_mlp_out"]}"#, &[]),
        &["hooks[0]", "99"],
    );
    let patch = r#"{"version":1,"kind":"patch","clean":[1,2],"corrupted":[1,2,3],"site":"z","axes":["layer"],
        "metric":{"kind":"loss","normalize":true}}"#;
    refused(&run(patch, &[]), &["2 tokens", "3", "|"]);
    let both = r#"{"version":1,"kind":"ablate","prompt":[1,2],"prompts":[{"prompt":[1,2]}],"site":"z","axes":["layer"],
        "edit":{"kind":"zero"},"metric":{"kind":"loss"}}"#;
    refused(&run(both, &[]), &["'prompt' and 'prompts' exclude each other", "standard input"]);
    let set = r#"{"version":1,"kind":"ablate","prompt":[1,2],"sets":[[{"site":"z","layer":0},{"site":"z","layer":99}]],
        "edit":{"kind":"zero"},"metric":{"kind":"loss"}}"#;
    refused(&run(set, &[]), &["sets[0][1]", "layer 99"]);
    refused(&microtome(&["run", "/nowhere.json", "--model", MODEL], ""), &["/nowhere.json"]);
    refused(
        &microtome(&["run", "-", "--model", "/nowhere"], r#"{"version":1,"kind":"predict","prompt":[1]}"#),
        &["/nowhere"],
    );
}

#[test]
fn a_wrong_option_is_bad_input() {
    let output = microtome(&["run", "-", "--model", MODEL, "--backend", "tpu"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn tensors_go_to_their_own_file_and_keep_what_json_cannot() {
    let folder = std::env::temp_dir().join(format!("microtome-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (tensors, out) = (folder.join("t.safetensors"), folder.join("out.json"));
    let hook = "blocks.0.attn.hook_attn_scores";
    let trace = format!(r#"{{"version":1,"kind":"trace","prompts":[[1,2,3],[4]],"hooks":["{hook}"]}}"#);

    let inline: serde_json::Value = serde_json::from_slice(&run(&trace, &[]).stdout).unwrap();
    assert!(inline["tensors"][0][hook]["data"][1].is_null());

    let paths = [tensors.to_str().unwrap(), out.to_str().unwrap()];
    let output = run(&trace, &["--tensors", paths[0], "--out", paths[1]]);
    assert!(output.status.success() && output.stdout.is_empty());
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(written["tensors"], serde_json::json!([{}, {}]));
    let bytes = std::fs::read(&tensors).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let first = file.tensor(&format!("0/{hook}")).unwrap();
    let heads = inline["tensors"][0][hook]["shape"][0].as_u64().unwrap() as usize;
    assert_eq!(first.shape(), [heads, 3, 3]);
    assert_eq!(f32::from_le_bytes(first.data()[4..8].try_into().unwrap()), f32::NEG_INFINITY);
    assert_eq!(file.tensor(&format!("1/{hook}")).unwrap().shape(), [heads, 1, 1]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn verify_ends_with_status_1_on_other_weights() {
    let output = microtome(&["verify", "--model", MODEL, "--backend", "cpu"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("DIFFERS"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("published figures differ"));
}

#[test]
fn a_tokenizer_that_cannot_be_used_is_said_on_standard_error() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-tokenizer");
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(std::path::Path::new(MODEL).join(name), dir.join(name)).unwrap();
    }
    std::fs::write(dir.join("tokenizer.json"), r#"{"model": {"type": "Unigram"}}"#).unwrap();
    let run = |prompt: &str| {
        let experiment = format!(r#"{{"version":1,"kind":"predict","prompt":{prompt}}}"#);
        microtome(&["run", "-", "--backend", "cpu", "--model", dir.to_str().unwrap()], &experiment)
    };
    let output = run("[1,2]");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(
        error.starts_with("notice: The tokenizer cannot be used") && error.contains("'Unigram'"),
        "{error}"
    );
    assert!(error.ends_with("[model.tokenizer]\n") && error.lines().count() == 1, "{error}");
    assert!(!output.stdout.is_empty());
    refused(&run(r#""a text""#), &["input.no_tokenizer", "'Unigram'"]);
    std::fs::remove_dir_all(&dir).unwrap();
}
