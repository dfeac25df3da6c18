//! The checkpoints that ship, and experiments over checkpoints by the command line.

use microtome::train::corpus::notebook_questions;
use microtome::train::rng::Rng;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PRONOUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www/models/pronoun");

/// Runs an experiment on the CPU engine: the result, or standard error.
fn run(model: &str, experiment: &Value) -> Result<Value, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .args(["run", "-", "--backend", "cpu", "--model", model])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(experiment.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(error) }
}

fn over_training(experiments: Value) -> Value {
    json!({ "version": 1, "kind": "training", "experiments": experiments })
}

fn number() -> Value {
    json!({ "kind": "logit_diff",
        "prompts": [{ "prompt": "Mary is a great friend, isn’t", "correct": " she", "incorrect": " he" }] })
}

/// Four copies of random tokens behind BOS.
fn repeated() -> Vec<Vec<u32>> {
    let mut rng = Rng::new(5);
    let mut row = || {
        let random: Vec<u32> = (0..30).map(|_| 1 + rng.below(2047) as u32).collect();
        [&[0], random.repeat(4).as_slice()].concat()
    };
    (0..4).map(|_| row()).collect()
}

#[test]
fn the_shipped_training_shows_its_circuits_form() {
    let prompts: Vec<Value> = notebook_questions()
        .iter()
        .map(|q| json!({ "prompt": q.prompt, "correct": q.correct, "incorrect": q.incorrect }))
        .collect();
    let detect = json!({ "kind": "detect", "prompts": repeated(), "pattern": "induction",
        "exclude_bos": true, "exclude_current_token": true });
    let experiment = over_training(json!([{ "kind": "logit_diff", "prompts": prompts }, detect]));
    let result = run(PRONOUN, &experiment).unwrap();
    let checkpoints = result["checkpoints"].as_array().unwrap();
    assert!(checkpoints.len() >= 10, "{} checkpoints", checkpoints.len());
    let curve: Vec<(u64, f64, f64)> = checkpoints
        .iter()
        .map(|checkpoint| {
            let [pronoun, induction] = [&checkpoint["answers"][0], &checkpoint["answers"][1]];
            let scores = induction["values"].as_array().unwrap().iter().filter_map(Value::as_f64);
            let best = scores.fold(f64::MIN, f64::max);
            (checkpoint["step"].as_u64().unwrap(), pronoun["mean"].as_f64().unwrap(), best)
        })
        .collect();
    println!("step, mean logit difference of the notebook's 25 prompts, best induction score: {curve:?}");
    let (first, last) = (curve[0], curve[curve.len() - 1]);
    assert_eq!((first.0, last.0), (0, 4000));
    assert!(first.1.abs() < 0.3 && last.1 >= 3.0, "logit difference from {} to {}", first.1, last.1);
    assert!(first.2 < 0.1 && last.2 > 0.5, "induction from {} to {}", first.2, last.2);
    // Bytes of all together.
    let folder = std::fs::read_dir(PRONOUN).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(folder.sum::<u64>() < 16_000_000);
}

/// A copy of the shipped folder, whose manifest and files a test may spoil.
fn family(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("families").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    for entry in std::fs::read_dir(PRONOUN).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    dir
}

fn codes(result: &Value) -> Vec<(u64, Option<String>)> {
    let checkpoints = result["checkpoints"].as_array().unwrap();
    let code = |c: &Value| c["error"]["code"].as_str().map(str::to_owned);
    checkpoints.iter().map(|c| (c["step"].as_u64().unwrap(), code(c))).collect()
}

#[test]
fn a_missing_or_damaged_checkpoint_is_skipped_and_the_rest_goes_on() {
    let dir = family("damaged");
    std::fs::remove_file(dir.join("step-50.safetensors")).unwrap();
    let damaged = dir.join("step-300.safetensors");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let result = run(dir.to_str().unwrap(), &over_training(json!([number()]))).unwrap();
    for (step, code) in codes(&result) {
        let expected = match step {
            50 => Some("file.missing"),
            300 => Some("file.hash_mismatch"),
            _ => None,
        };
        assert_eq!(code.as_deref(), expected, "step {step}");
    }
    let whole = run(PRONOUN, &over_training(json!([number()]))).unwrap();
    let at = |result: &Value, i: usize| result["checkpoints"][i]["answers"].clone();
    assert_eq!(at(&result, 12), at(&whole, 12));
    assert_eq!(at(&result, 2), at(&whole, 2));
    assert_ne!(at(&whole, 2), at(&whole, 12));
}

#[test]
fn other_folders_are_asked_by_a_list_or_a_template_and_one_of_another_shape_is_skipped() {
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/models/relu");
    let mut experiment = over_training(json!([{ "kind": "predict", "prompt": [1, 2, 3], "top_k": 1 }]));
    experiment["checkpoints"] = json!([PRONOUN, other, "/nowhere/", format!("{PRONOUN}/@400")]);
    let result = run(PRONOUN, &experiment).unwrap();
    let expected =
        [(0, None), (1, Some("checkpoint.shape".into())), (2, Some("file.missing".into())), (3, None)];
    assert_eq!(codes(&result), expected);
    let shape = result["checkpoints"][1]["error"]["message"].as_str().unwrap();
    assert!(shape.contains("3 layers") && shape.contains("expected 4 layers"), "{shape}");

    let mut template = over_training(json!([number()]));
    template["checkpoints"] = format!("{PRONOUN}/@{{step}}").into();
    template["steps"] = json!([0, 7, 400]);
    let result = run(other, &over_training(json!([number()]))).expect_err("a model without checkpoints");
    assert!(result.contains("without a tokenizer") || result.contains("no tokenizer"), "{result}");
    let result = run(PRONOUN, &template).unwrap();
    assert_eq!(codes(&result), [(0, None), (7, Some("checkpoint.unknown".into())), (400, None)]);
    let one = run(&format!("{PRONOUN}/@400"), &{
        let mut one = number();
        one["version"] = 1.into();
        one
    })
    .unwrap();
    assert_eq!(one["model"]["step"], 400);
    assert_eq!(one["mean"], result["checkpoints"][2]["answers"][0]["mean"]);
}

#[test]
fn what_is_wrong_with_the_question_is_said_before_any_checkpoint_is_read() {
    for (experiment, word) in [
        (over_training(json!([{ "kind": "predict", "prompt": [9999] }])), "input.token"),
        (json!({ "version": 1, "kind": "training" }), "input.missing_field"),
        (
            json!({ "version": 1, "kind": "training", "experiment": number(), "steps": [1] }),
            "checkpoint.unknown",
        ),
    ] {
        let error = run(PRONOUN, &experiment).expect_err("refused");
        assert!(error.contains(word) && error.trim_end().lines().count() == 1, "{word} in: {error}");
    }
}
