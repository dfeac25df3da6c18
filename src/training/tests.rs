use super::*;
use crate::address::Address;
use serde_json::json;

fn training(mut value: Value) -> Result<Training> {
    value["version"] = 1.into();
    value["kind"] = KIND.into();
    Training::from_value(value)
}

fn number() -> Value {
    json!({ "kind": "logit_diff", "prompts": [{ "prompt": [1], "correct": 1, "incorrect": 2 }] })
}

fn code(value: Value) -> String {
    training(value).expect_err("refused").code.into_owned()
}

#[test]
fn one_experiment_or_several_are_read_with_defaults_filled_in() {
    let one = training(json!({ "experiment": number() })).unwrap();
    assert_eq!((one.experiments.len(), &one.steps, &one.checkpoints), (1, &Steps::All, &Checkpoints::Own));
    let value = one.to_value().unwrap();
    assert_eq!(value["steps"], "all");
    assert_eq!(value["experiment"]["processing"], "transformer_lens");
    assert_eq!(Training::from_value(value).unwrap(), one);

    let mut raw = number();
    raw["processing"] = "transformer_lens".into();
    let two = training(json!({
        "experiments": [number(), raw], "processing": "none", "prepend_bos": false, "steps": [0, 5],
        "checkpoints": ["./a/", "./b/"],
    }))
    .unwrap();
    assert!(!two.experiments[0].processing.fold_ln && two.experiments[1].processing.fold_ln);
    assert!(!two.experiments[0].prepend_bos);
    assert_eq!(Training::from_value(two.to_value().unwrap()).unwrap(), two);
}

#[test]
fn what_is_no_training_is_refused_by_name() {
    for (expected, value) in [
        ("input.missing_field", json!({})),
        ("input.invalid", json!({ "experiment": number(), "experiments": [number()] })),
        ("input.invalid", json!({ "experiments": [] })),
        ("input.unknown_field", json!({ "experiment": number(), "step": 1 })),
        (
            "input.kind",
            json!({ "experiment": { "kind": "trace", "prompts": [[1]], "hooks": ["hook_embed"] } }),
        ),
        ("input.kind", json!({ "experiment": { "kind": "training", "experiment": number() } })),
        ("input.json", json!({ "experiment": 1 })),
        ("input.invalid", json!({ "experiment": number(), "steps": "some" })),
        ("input.invalid", json!({ "experiment": number(), "steps": [] })),
        ("input.invalid", json!({ "experiment": number(), "steps": [2, 1] })),
        ("input.invalid", json!({ "experiment": number(), "steps": [-1] })),
        ("input.invalid", json!({ "experiment": number(), "checkpoints": "hf:a/b" })),
        ("input.invalid", json!({ "experiment": number(), "checkpoints": [1] })),
        ("input.invalid", json!({ "experiment": number(), "checkpoints": [] })),
    ] {
        assert_eq!(code(value.clone()), expected, "{value}");
    }
    let error = training(json!({ "experiments": [number(), { "kind": "predict" }] })).expect_err("no prompt");
    assert!(error.message.contains("experiments[1]"), "{error}");
}

fn family(address: &str, steps: &[u64]) -> Family {
    Family::of_model(&address.parse::<Address>().unwrap(), steps.to_vec())
}

#[test]
fn a_family_names_its_checkpoints() {
    let own = family("./models/pronoun/@7", &[0, 7, 40]);
    let all = training(json!({ "experiment": number() })).unwrap();
    let addresses = |training: &Training, own: &Family| -> Vec<String> {
        training.wanted(own).unwrap().into_iter().map(|checkpoint| checkpoint.address).collect()
    };
    assert_eq!(addresses(&all, &own), ["./models/pronoun/@0", "./models/pronoun/@7", "./models/pronoun/@40"]);
    let some = training(json!({ "experiment": number(), "steps": [7] })).unwrap();
    assert_eq!(addresses(&some, &own), ["./models/pronoun/@7"]);
    let unknown = training(json!({ "experiment": number(), "steps": [8] })).unwrap();
    assert_eq!(unknown.wanted(&own).expect_err("no step 8").code, "checkpoint.unknown");
    assert_eq!(all.wanted(&family("./other/", &[])).expect_err("no family").code, "checkpoint.none");
    assert_eq!(
        all.wanted(&family("hf:openai-community/gpt2", &[])).expect_err("no family").code,
        "checkpoint.none"
    );

    let list = training(json!({ "experiment": number(), "checkpoints": ["hf:a/b@x", "./c/"] })).unwrap();
    assert_eq!(addresses(&list, &own), ["hf:a/b@x", "./c/"]);
    let template = json!({ "experiment": number(), "checkpoints": "./run/step-{step}/" });
    assert_eq!(training(template.clone()).unwrap().wanted(&own).expect_err("steps?").code, "input.invalid");
    let mut template = template;
    template["steps"] = json!([3, 9]);
    assert_eq!(addresses(&training(template).unwrap(), &own), ["./run/step-3/", "./run/step-9/"]);
}

#[test]
fn stanfords_steps_are_known() {
    let own = family("hf:stanford-crfm/alias-gpt2-small-x21@checkpoint-400", &[]);
    let steps = own.steps();
    assert_eq!(steps.len(), 609);
    assert_eq!(steps[..12], [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 150]);
    assert_eq!(steps.last(), Some(&400_000));
    assert_eq!(own.at(400).unwrap().address, "hf:stanford-crfm/alias-gpt2-small-x21@checkpoint-400");
    assert_eq!(own.step_of("hf:stanford-crfm/alias-gpt2-small-x21@checkpoint-400"), Some(400));
    assert_eq!(own.step_of("hf:stanford-crfm/alias-gpt2-small-x21"), None);
    assert_eq!(family("hf:stanford-crfm/durin-gpt2-medium-x343", &[]), Family::Unknown);
    assert_eq!(family("hf:other/alias-gpt2-small-x21", &[]), Family::Unknown);
}

#[test]
fn only_a_checkpoints_own_faults_are_skipped() {
    for code in [
        "file.missing",
        "file.hash_mismatch",
        "model.unsupported",
        "model.not_finite",
        "checkpoint.shape",
        "net.not_found",
        "address.consent",
        "input.not_single_token",
    ] {
        assert!(Skipped::of(&Error::input(code, "x")).is_some(), "{code}");
    }
    for code in ["run.cancelled", "run.memory", "gpu.lost", "engine.busy"] {
        assert!(Skipped::of(&Error::run(code, "x")).is_none(), "{code}");
    }
    assert!(Skipped::of(&Error::internal("x")).is_none());
}
