//! The run behind a cell: a prediction or a trace whose run is edited says what the sweep's cell says.

use crate::support::golden_model;
use microtome::Result;
use microtome::backend::Unattended;
use microtome::backend::cpu::Cpu;
use microtome::experiment::Experiment;
use microtome::lab::Lab;
use microtome::outcome::{Answer, Ranked, Tensor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

const MARY: &str = "Mary is a great friend, isn’t";
const JOHN: &str = "John is a great friend, isn’t";

fn lab() -> Lab<Cpu> {
    Lab::new(Rc::new(golden_model("www/models/pronoun")), Cpu::new(), "cpu", "test")
}

/// Runs an experiment with these fields beside `version`, and checks that its estimate counts the same work.
fn run(lab: &mut Lab<Cpu>, mut experiment: Value) -> Result<Answer> {
    experiment["version"] = 1.into();
    let experiment = Experiment::from_value(experiment)?;
    let outcome = pollster::block_on(lab.run(&experiment, &Unattended::default()))?;
    assert_eq!(lab.estimate(&experiment)?.flops, outcome.engine.flops);
    Ok(outcome.answer)
}

fn values(lab: &mut Lab<Cpu>, experiment: Value) -> Vec<f64> {
    match run(lab, experiment).unwrap() {
        Answer::Ablate { values, .. } | Answer::Patch { values, .. } => values,
        other => panic!("{other:?}"),
    }
}

/// `[logit difference, loss]` of a prediction whose run is edited.
fn predicted(lab: &mut Lab<Cpu>, prompt: &str, edited: Value) -> [f64; 2] {
    let experiment =
        json!({ "kind": "predict", "prompt": prompt, "answers": [" she", " he"], "edited": edited });
    match run(lab, experiment).unwrap() {
        Answer::Predict { answers, loss, .. } => {
            let logit = |Ranked { logit, .. }: &Ranked| *logit;
            [logit(&answers[0]) - logit(&answers[1]), loss.unwrap()]
        }
        other => panic!("{other:?}"),
    }
}

fn patterns(lab: &mut Lab<Cpu>, edited: Option<Value>) -> BTreeMap<String, Tensor> {
    let hooks: Vec<String> =
        (0..lab.model.cfg().n_layers).map(|l| format!("blocks.{l}.attn.hook_pattern")).collect();
    let mut experiment = json!({ "kind": "trace", "prompts": [MARY], "hooks": hooks });
    if let Some(edited) = edited {
        experiment["edited"] = edited;
    }
    match run(lab, experiment).unwrap() {
        Answer::Trace { mut tensors } => tensors.remove(0),
        other => panic!("{other:?}"),
    }
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-4, "{a} and {b}");
}

#[test]
fn an_edited_prediction_has_the_metric_of_the_ablation_s_cell() {
    let mut lab = lab();
    let heads = lab.model.cfg().n_heads;
    let references = json!(["John is a great friend, isn’t", "Tom is an amazing person, isn’t"]);
    for edit in [
        json!({ "kind": "zero" }),
        json!({ "kind": "mean", "prompts": references }),
        json!({ "kind": "mean", "prompts": [JOHN], "over": "prompts" }),
        json!({ "kind": "resample", "prompts": [JOHN] }),
    ] {
        for (metric, which) in [
            (json!({ "kind": "logit_diff", "correct": " she", "incorrect": " he" }), 0),
            (json!({ "kind": "loss" }), 1),
        ] {
            for site in ["z", "v"] {
                let cells = values(
                    &mut lab,
                    json!({ "kind": "ablate", "prompt": MARY, "site": site, "axes": ["layer", "head"], "edit": edit, "metric": metric }),
                );
                let spread = cells.iter().fold(0.0f64, |most, cell| most.max((cell - cells[0]).abs()));
                assert!(spread > 1e-3, "{site} {edit}: the cells say nothing apart: {cells:?}");
                for (cell, value) in cells.iter().enumerate() {
                    let places = json!([{ "site": site, "layer": cell / heads, "head": cell % heads }]);
                    close(
                        predicted(&mut lab, MARY, json!({ "places": places, "edit": edit }))[which],
                        *value,
                    );
                }
            }
        }
    }
}

#[test]
fn an_edited_prediction_has_the_metric_of_the_patch_s_cell() {
    let mut lab = lab();
    let clean = json!({ "kind": "resample", "prompts": [MARY] });
    let metric = json!({ "kind": "logit_diff", "correct": " she", "incorrect": " he" });
    for (site, axis) in [("resid_pre", "pos"), ("mlp_out", "pos"), ("z", "head"), ("pattern", "dest")] {
        let cells = values(
            &mut lab,
            json!({ "kind": "patch", "clean": MARY, "corrupted": JOHN, "site": site, "axes": ["layer", axis], "metric": metric }),
        );
        let across = cells.len() / lab.model.cfg().n_layers;
        for (cell, value) in cells.iter().enumerate() {
            let places = json!([{ "site": site, "layer": cell / across, axis: cell % across }]);
            close(predicted(&mut lab, JOHN, json!({ "places": places, "edit": clean }))[0], *value);
        }
    }
}

#[test]
fn places_of_a_list_are_edited_together() {
    let mut lab = lab();
    let places = json!([{ "site": "z", "layer": 0, "head": 1 }, { "site": "mlp_out", "pos": 2 }]);
    let metric = json!({ "kind": "loss" });
    let cell = values(
        &mut lab,
        json!({ "kind": "ablate", "prompt": MARY, "sets": [places], "edit": { "kind": "zero" }, "metric": metric }),
    );
    close(predicted(&mut lab, MARY, json!({ "places": places, "edit": { "kind": "zero" } }))[1], cell[0]);
}

#[test]
fn a_trace_shows_the_edit_and_what_follows_from_it() {
    let mut lab = lab();
    let cfg = lab.model.cfg().clone();
    let before = patterns(&mut lab, None);
    let edited =
        json!({ "places": [{ "site": "pattern", "layer": 1, "head": 2 }], "edit": { "kind": "zero" } });
    let after = patterns(&mut lab, Some(edited));
    let hook = |layer: usize| format!("blocks.{layer}.attn.hook_pattern");
    let square = before[&hook(1)].shape[1..].iter().product::<usize>();
    assert_eq!(before[&hook(0)], after[&hook(0)]);
    for head in 0..cfg.n_heads {
        let of =
            |tensors: &BTreeMap<String, Tensor>| tensors[&hook(1)].data[head * square..][..square].to_vec();
        if head == 2 {
            assert!(of(&after).iter().all(|p| *p == 0.0));
        } else {
            assert_eq!(of(&before), of(&after), "head {head}");
        }
    }
    let last = hook(cfg.n_layers - 1);
    let moved = before[&last].data.iter().zip(&after[&last].data).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) > 1e-4, "nothing changed behind the edit");
}

#[test]
fn an_edit_that_cannot_matter_leaves_the_run_as_it_is() {
    let mut lab = lab();
    let places = json!([{ "site": "resid_pre", "layer": 0 }]);
    let [own, _] = predicted(
        &mut lab,
        MARY,
        json!({ "places": places, "edit": { "kind": "resample", "prompts": [MARY] } }),
    );
    let plain =
        run(&mut lab, json!({ "kind": "predict", "prompt": MARY, "answers": [" she", " he"] })).unwrap();
    let Answer::Predict { answers, .. } = plain else { panic!("{plain:?}") };
    close(own, answers[0].logit - answers[1].logit);
}

#[test]
fn what_is_wrong_with_an_edit_is_named() {
    let mut lab = lab();
    let head = json!([{ "site": "z", "layer": 0, "head": 0 }]);
    for (places, edit, code, word) in [
        (json!([]), json!({ "kind": "zero" }), "input.invalid", "edited.places: is empty"),
        (json!([{ "site": "z", "layer": 99 }]), json!({ "kind": "zero" }), "input.place", "edited.places[0]"),
        (json!([{ "site": "z", "row": 1 }]), json!({ "kind": "zero" }), "input.unknown_field", "row"),
        (
            head.clone(),
            json!({ "kind": "resample", "prompts": [JOHN, JOHN] }),
            "input.invalid",
            "edited.edit.prompts: found 2",
        ),
        (
            head.clone(),
            json!({ "kind": "resample", "prompts": ["John"] }),
            "input.lengths_differ",
            "edited.edit.prompts[0]",
        ),
        (
            json!([{ "site": "pattern" }]),
            json!({ "kind": "mean", "prompts": [JOHN] }),
            "input.edit",
            "edited.edit: 'pattern'",
        ),
    ] {
        let edited = json!({ "places": places, "edit": edit });
        let error =
            run(&mut lab, json!({ "kind": "predict", "prompt": MARY, "edited": edited })).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(word), "{error}");
    }
    let answers = json!({ "kind": "predict", "prompt": MARY, "answers": [" she", " shehe"] });
    let error = run(&mut lab, answers).unwrap_err();
    assert!(error.message.contains("answers[1]"), "{error}");
}
