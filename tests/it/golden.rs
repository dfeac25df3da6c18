//! Every golden file (tests/golden/README.md) on both engines: what TransformerLens gave, to the tolerances below.
//!
//! The worst difference per quantity goes to standard error, past the test harness's capture: a passing run shows how
//! close it was. A trace stops at the first hook of a prompt that disagrees, since all after it follow.

mod compare;
mod file;

use crate::support::{golden_model, gpu};
use compare::Report;
use file::{Case, Golden};
use microtome::Result;
use microtome::backend::cpu::Cpu;
use microtome::backend::{Backend, Control, Output, Unattended};
use microtome::config::Config;
use microtome::experiment::Experiment;
use microtome::lab::Lab;
use microtome::model::Limits;
use microtome::outcome::PrecisionEffect;
use microtome::outcome::{Answer, Outcome};
use microtome::program::Program;
use microtome::weights::{Room, Sink, Storage, Weight};
use serde_json::{Value, json};
use std::io::Write;
use std::rc::Rc;

/// Against the oracle, both in f32 with sums in another order: log-probs, metrics and patterns absolute, other
/// tensors relative to their RMS.
const CPU_TOLERANCE: f64 = 1e-4;
const GPU_TOLERANCE: f64 = 1e-3;

#[test]
fn cpu_engine() {
    check("cpu", CPU_TOLERANCE, &mut Cpu::new());
}

#[test]
fn gpu_engine() {
    if let Some(mut gpu) = gpu("golden::gpu_engine") {
        check("gpu", GPU_TOLERANCE, &mut *gpu);
    }
}

/// What a result says of f16 weights is what they do to the shipped model, against the oracle in f32.
#[test]
fn halves_change_what_every_result_says() {
    let said = PrecisionEffect::of(Storage::F16).expect("halves have an effect");
    let mut report = Report::new(f64::INFINITY);
    let (mut cpu, mut cases) = (Cpu::new(), 0);
    for name in Golden::files().iter().filter(|name| name.starts_with(&format!("{}.", said.model))) {
        let golden = Golden::load(name);
        let mut lab = open("cpu", &golden, &mut cpu).with_storage(Storage::F16);
        for case in &golden.cases {
            let outcome = run(&mut lab, &case.experiment).expect(&case.name);
            assert_eq!(outcome.engine.precision, Storage::F16);
            assert_eq!(outcome.engine.precision_effect, Some(said));
            report.outcome(&golden, case, &outcome);
            cases += 1;
        }
        all_logits(&golden, &mut lab, &mut report);
    }
    let found = ["log_prob", "logit_diff"].map(|quantity| report.worst(quantity));
    println!("{cases} cases, f16: {found:?}\n{}", report.table());
    for (found, said) in found.into_iter().zip([said.log_prob, said.logit_diff]) {
        assert!(found <= said && found > 0.5 * said, "{found}, said to be at most {said}");
    }
}

/// Positions and vectors stay as they are: what is not worth halving is not rounded.
#[test]
fn halves_are_of_matrices_alone() {
    const HOOKS: [&str; 2] = ["hook_embed", "hook_pos_embed"];
    let golden = Golden::load("relu.transformer_lens.json");
    let mut trace = golden.trace().expect("a trace").experiment.clone();
    trace["hooks"] = json!(HOOKS);
    let [wide, halves] = [Storage::F32, Storage::F16].map(|storage| {
        let mut cpu = Cpu::new();
        let mut lab = open("cpu", &golden, &mut cpu).with_storage(storage);
        match run(&mut lab, &trace).expect("a trace").answer {
            Answer::Trace { tensors } => HOOKS.map(|hook| tensors[0][hook].data.clone()),
            other => unreachable!("{other:?}"),
        }
    });
    assert!(wide[0] != halves[0] && wide[1] == halves[1]);
}

/// A comparison that cannot fail proves nothing: every number of one golden file is changed by twice the tolerance, one
/// after the other, and each change must be seen.
#[test]
fn every_changed_number_is_seen() {
    let (golden, detectors) = (Golden::load("relu.transformer_lens.json"), Golden::load("relu.detect.json"));
    let mut cpu = Cpu::new();
    let mut lab = open("cpu", &golden, &mut cpu);
    for golden in [&golden, &detectors] {
        let mut changed = 0;
        for case in &golden.cases {
            let outcome = run(&mut lab, &case.experiment).expect(&case.name);
            for edited in changes(case) {
                let mut report = Report::new(CPU_TOLERANCE);
                report.outcome(golden, &edited, &outcome);
                assert!(!report.failures.is_empty(), "{}: a change went unseen", case.name);
                changed += 1;
            }
        }
        assert!(changed > 400, "{}: only {changed} numbers were changed", golden.name);
    }

    let trace = golden.trace().expect("a trace");
    let outcome = run(&mut lab, &trace.experiment).expect("trace");
    let names: Vec<String> =
        golden.tensors.keys().filter(|name| !name.ends_with("/logits")).cloned().collect();
    for name in names {
        let (len, masked) =
            (golden.tensors[&name].1.len(), golden.tensors[&name].1.iter().position(|x| !x.is_finite()));
        for at in [0, len / 2, len - 1].into_iter().chain(masked) {
            let mut golden = Golden::load("relu.transformer_lens.json");
            let data = &mut golden.tensors.get_mut(&name).expect("a name of this file").1;
            let rms = compare::rms(data) as f32;
            data[at] =
                if data[at].is_finite() { data[at] + rms.max(1.0) * 3.0 * CPU_TOLERANCE as f32 } else { 0.0 };
            let mut report = Report::new(CPU_TOLERANCE);
            report.outcome(&golden, golden.trace().expect("a trace"), &outcome);
            let hook = name.split_once('/').expect("PROMPT/HOOK").1;
            assert!(report.failures.iter().any(|f| f.contains(hook)), "{name}[{at}]: a change went unseen");
        }
    }
}

/// Every function of transformer_lens.patching, by its site and axes, for one pair of prompts and for several, under
/// both named processings of every random model.
#[test]
fn every_patching_function_has_its_cases() {
    let mut functions = Vec::new();
    for site in ["resid_pre", "resid_mid", "attn_out", "mlp_out"] {
        functions.push((json!(site), json!(["layer", "pos"])));
    }
    for site in ["z", "q", "k", "v"] {
        functions.push((json!(site), json!(["layer", "pos", "head"])));
        functions.push((json!(site), json!(["layer", "head"])));
    }
    for axes in
        [json!(["layer", "head"]), json!(["layer", "head", "dest"]), json!(["layer", "head", "dest", "src"])]
    {
        functions.push((json!("pattern"), axes));
    }
    let heads = json!(["z", "q", "k", "v", "pattern"]);
    functions.push((heads.clone(), json!(["layer", "head"])));
    functions.push((heads, json!(["layer", "pos", "head"])));
    functions.push((json!(["resid_pre", "attn_out", "mlp_out"]), json!(["layer", "pos"])));

    for name in Golden::files().iter().filter(|name| !name.starts_with("pronoun")) {
        if !name.contains(".none.") && !name.contains(".transformer_lens.") {
            continue;
        }
        let golden = Golden::load(name);
        let asked = |pairs: bool, site: &Value, axes: &Value| {
            golden.cases.iter().map(|case| &case.experiment).any(|e| {
                let field = if site.is_array() { "sites" } else { "site" };
                e["kind"] == "patch"
                    && e["pairs"].is_array() == pairs
                    && e[field] == *site
                    && e["axes"] == *axes
            })
        };
        for (site, axes) in &functions {
            for pairs in [false, true] {
                assert!(asked(pairs, site, axes), "{name}: no patch of {site} over {axes}, pairs: {pairs}");
            }
        }
    }
}

/// Every pattern by every measure, with everything excluded, of one and of several prompts, an own pattern and chosen
/// heads: of every model.
#[test]
fn every_detector_has_its_cases() {
    let mut files = 0;
    for name in Golden::files().iter().filter(|name| name.ends_with(".detect.json")) {
        files += 1;
        let golden = Golden::load(name);
        let any = |what: &dyn Fn(&Value) -> bool| golden.cases.iter().any(|case| what(&case.experiment));
        for pattern in ["previous_token", "duplicate_token", "induction"] {
            let of =
                |e: &Value| e["pattern"].as_str().is_some_and(|p| p.trim_end_matches("_head") == pattern);
            for measure in ["mul", "abs"] {
                for excluded in 0..4 {
                    let [bos, current] = [excluded & 1 != 0, excluded & 2 != 0];
                    let asked = |e: &Value| {
                        of(e)
                            && e["measure"].as_str().unwrap_or("mul") == measure
                            && e["exclude_bos"].as_bool().unwrap_or(false) == bos
                            && e["exclude_current_token"].as_bool().unwrap_or(false) == current
                    };
                    assert!(any(&asked), "{name}: no {pattern} by {measure}, excluded: {bos}, {current}");
                }
            }
            assert!(any(&|e| of(e) && e["prompts"].is_array()), "{name}: no {pattern} of several prompts");
        }
        for measure in ["mul", "abs"] {
            assert!(any(&|e| e["pattern"].is_array() && e["measure"] == measure), "{name}: no own pattern");
        }
        assert!(any(&|e| e["heads"].is_array()) && any(&|e| e["patterns"].is_array()), "{name}");
    }
    assert!(files >= 6, "tests/golden holds only {files} files of head detectors");
}

/// The case with one number changed, for every number in it.
fn changes(case: &Case) -> Vec<Case> {
    fn numbers(value: &Value, path: String, out: &mut Vec<String>) {
        match value {
            Value::Number(_) => out.push(path),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, v)| numbers(v, format!("{path}/{i}"), out))
            }
            Value::Object(fields) => fields.iter().for_each(|(k, v)| numbers(v, format!("{path}/{k}"), out)),
            _ => {}
        }
    }
    let mut paths = Vec::new();
    numbers(&case.expected, String::new(), &mut paths);
    let edited = |path: String| {
        let mut case = case.clone();
        let number = case.expected.pointer_mut(&path).expect("a path of this value");
        *number = match number.as_u64() {
            Some(n) => json!(n + 1),
            None => {
                let x = number.as_f64().expect("a number");
                json!(x * (1.0 + 3.0 * CPU_TOLERANCE) + (3.0 * CPU_TOLERANCE).copysign(x))
            }
        };
        case
    };
    paths.into_iter().map(edited).collect()
}

/// Runs every golden file on an engine and reports all that disagrees.
fn check<B: Backend>(engine: &'static str, tolerance: f64, backend: &mut B) {
    let mut report = Report::new(tolerance);
    let files = Golden::files();
    assert!(files.len() >= 20, "tests/golden holds only {} golden files", files.len());
    let mut cases = 0;
    for name in &files {
        let golden = Golden::load(name);
        let mut lab = open(engine, &golden, backend);
        report.equal(name, "weights", &json!(lab.model.sha256), &json!(golden.weights_sha256));
        cases += golden.cases.len();
        for case in &golden.cases {
            match run(&mut lab, &case.experiment) {
                Ok(outcome) => report.outcome(&golden, case, &outcome),
                Err(error) => report.failures.push(format!("{name}: {}: {error}", case.name)),
            }
        }
        all_logits(&golden, &mut lab, &mut report);
    }
    // Not eprintln!: the harness would swallow it.
    let mut out = std::io::stderr().lock();
    let table = report.table();
    writeln!(
        out,
        "golden: {engine} engine, {} files, {cases} cases, tolerance {tolerance:.0e}\n{table}",
        files.len()
    )
    .expect("standard error");
    // The hooks first: where an engine went wrong says more than what came of it.
    report.failures.sort_by_key(|failure| !failure.contains(": trace: "));
    assert!(
        report.failures.is_empty(),
        "{} disagreements with TransformerLens in {cases} cases:\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
}

/// Every logit of the last position, of every prompt of the trace, raw and as log-probabilities.
fn all_logits<B: Backend>(golden: &Golden, lab: &mut Lab<B>, report: &mut Report) {
    let Some(Case { experiment: trace, .. }) = golden.trace() else { return };
    let prompts = trace["prompts"].as_array().expect("a trace has prompts").clone();
    for (i, prompt) in prompts.into_iter().enumerate() {
        let (shape, logits) = &golden.tensors[&format!("{i}/logits")];
        let d_vocab = shape[1];
        let experiment = json!({
            "version": 1, "kind": "predict", "processing": trace["processing"], "prompt": prompt, "top_k": d_vocab,
        });
        let place = format!("{}: logits of prompt {i}", golden.name);
        match run(lab, &experiment) {
            Ok(Outcome { answer: Answer::Predict { top, .. }, .. }) => {
                let last = &logits[logits.len() - d_vocab..];
                report.logits(&place, &top, last);
            }
            other => report.failures.push(format!("{place}: {other:?}")),
        }
    }
}

fn open<'a, B: Backend>(engine: &'static str, golden: &Golden, backend: &'a mut B) -> Lab<Lent<'a, B>> {
    Lab::new(Rc::new(golden_model(&golden.model)), Lent(backend), engine, "test")
}

fn run<B: Backend>(lab: &mut Lab<B>, experiment: &Value) -> Result<Outcome> {
    let experiment = Experiment::from_value(experiment.clone())?;
    pollster::block_on(lab.run(&experiment, &Unattended::default()))
}

/// One engine for all models, one after the other: opening a GPU compiles every kernel.
struct Lent<'a, B>(&'a mut B);

impl<B: Backend> Sink for Lent<'_, B> {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        self.0.begin(cfg, weights, storage).await
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        self.0.write(weight, at, values).await
    }
}

impl<B: Backend> Backend for Lent<'_, B> {
    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn adapter(&self) -> Option<String> {
        self.0.adapter()
    }

    fn held_bytes(&self) -> u64 {
        self.0.held_bytes()
    }

    fn room(&self) -> Option<Room> {
        self.0.room()
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        self.0.run(program, control).await
    }
}
