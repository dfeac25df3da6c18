//! Head detection from its JSON to its scores: what is refused, and that passes and lists change no number. The numbers
//! themselves are TransformerLens' (tests/golden/*.detect.json).

use crate::support::golden_model;
use microtome::Result;
use microtome::backend::cpu::Cpu;
use microtome::backend::{Backend, Control, Output, Unattended};
use microtome::config::Config;
use microtome::experiment::Experiment;
use microtome::lab::{Lab, Model};
use microtome::model::Limits;
use microtome::outcome::{Answer, Outcome};
use microtome::program::Program;
use microtome::weights::{Sink, Storage, Weight};
use serde_json::{Value, json};
use std::rc::Rc;

/// A detection with these fields beside version and kind.
fn detection(fields: &Value) -> Result<Experiment> {
    let mut experiment = json!({"version": 1, "kind": "detect"});
    experiment.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Experiment::from_value(experiment)
}

/// 3 layers of 4 heads, at most 24 tokens of 300.
fn model() -> Model {
    golden_model("tests/golden/models/gelu-new")
}

#[test]
fn every_form_reads_back_with_its_defaults() {
    for (fields, filled_in) in [
        (
            json!({"prompt": "a", "pattern": "induction_head"}),
            json!({"pattern": "induction", "measure": "mul", "exclude_bos": false, "exclude_current_token": false}),
        ),
        (
            json!({"prompts": ["a", [1, 2]], "patterns": ["previous_token_head", "duplicate_token_head", "induction",
                [[1.0, 0.0], [0.5, -2.5]]], "measure": "abs", "exclude_bos": true, "heads": [[0, 1]]}),
            json!({"patterns": ["previous_token", "duplicate_token", "induction", [[1.0, 0.0], [0.5, -2.5]]],
                "prompts": ["a", [1, 2]], "measure": "abs", "exclude_bos": true, "exclude_current_token": false,
                "heads": [[0, 1]]}),
        ),
    ] {
        let experiment = detection(&fields).unwrap();
        let written = experiment.to_value().unwrap();
        for (name, value) in filled_in.as_object().unwrap() {
            assert_eq!(&written[name], value, "{name} of {fields}");
        }
        assert_eq!(written["heads"].is_null(), fields["heads"].is_null());
        assert_eq!(Experiment::from_value(written).unwrap(), experiment, "{fields}");
    }
}

#[test]
fn what_is_wrong_is_named_before_anything_runs() {
    let model = model();
    let own = |rows: Value| json!({"prompt": [1, 2], "pattern": rows});
    for (fields, code, words) in [
        (json!({"pattern": "induction"}), "input.missing_field", "'prompt' or 'prompts'"),
        (
            json!({"prompt": [1], "prompts": [[1]], "pattern": "induction"}),
            "input.invalid",
            "'prompt' and 'prompts'",
        ),
        (json!({"prompt": [1, 2]}), "input.missing_field", "'pattern' or 'patterns'"),
        (
            json!({"prompt": [1], "pattern": "induction", "patterns": []}),
            "input.invalid",
            "'pattern' and 'patterns'",
        ),
        (json!({"prompt": [1, 2], "pattern": "induction", "head": [0, 0]}), "input.unknown_field", "'head'"),
        (
            json!({"prompt": [1, 2], "pattern": "copying"}),
            "input.invalid",
            "pattern: unknown pattern 'copying'",
        ),
        (
            json!({"prompt": [1, 2], "patterns": ["induction", 3]}),
            "input.invalid",
            "patterns[1]: expected a pattern",
        ),
        (
            json!({"prompt": [1, 2], "pattern": "induction", "measure": "sub"}),
            "input.invalid",
            "measure: unknown variant 'sub', expected 'mul' or 'abs'",
        ),
        (
            json!({"prompt": [1, 2], "pattern": "induction", "heads": [[0, -1]]}),
            "input.invalid",
            "heads[0][1]",
        ),
        (
            json!({"prompt": [1, 2], "pattern": "induction", "heads": [[0, 1, 2]]}),
            "input.invalid",
            "heads[0]",
        ),
        (json!({"prompts": [], "pattern": "induction"}), "input.invalid", "prompts: is empty"),
        (json!({"prompt": [1, 2], "patterns": []}), "input.invalid", "patterns: is empty"),
        (json!({"prompt": [1, 2], "pattern": "induction", "heads": []}), "input.invalid", "heads: is empty"),
        (json!({"prompt": [], "pattern": "induction"}), "input.length", "0 tokens"),
        (json!({"prompt": [1], "pattern": "induction"}), "input.length", "at least two tokens, found one"),
        (
            json!({"prompts": [[1, 2], [1]], "pattern": "induction"}),
            "input.length",
            "prompts[1]: a head detector",
        ),
        (json!({"prompt": vec![1; 25], "pattern": "induction"}), "input.length", "25 tokens"),
        (json!({"prompt": [1, 300], "pattern": "induction"}), "input.token", "300"),
        (
            json!({"prompt": [1, 2], "pattern": "induction", "heads": [[0, 0], [3, 0]]}),
            "input.place",
            "heads[1]: layer 3, head 0 of a model with 3 layers of 4 heads",
        ),
        (json!({"prompt": [1, 2], "pattern": "induction", "heads": [[0, 4]]}), "input.place", "heads[0]"),
        (own(json!([[1, 1], [1, 0]])), "input.pattern", "pattern: for the prompt: row 0, column 1: 1"),
        (own(json!([[1, 0, 0], [1, 0, 0]])), "input.pattern", "row 0 has 3 numbers, expected 2"),
        (own(json!([[1]])), "input.pattern", "1 rows, expected 2"),
        (own(json!([])), "input.pattern", "0 rows, expected 2"),
        (own(json!([[1, 0], [1e39, 0]])), "input.pattern", "row 1, column 0"),
        (own(json!([[1, 0], [null, 0]])), "input.invalid", "pattern: expected a pattern"),
        (
            json!({"prompts": [[1, 2], [1, 2, 3]], "patterns": ["induction", [[1, 0], [0, 0]]]}),
            "input.pattern",
            "patterns[1]: for prompts[1]: 2 rows, expected 3",
        ),
    ] {
        let error = detection(&fields).and_then(|experiment| model.resolve(&experiment)).unwrap_err();
        assert_eq!(error.code, code, "{fields}: {error}");
        assert!(error.message.contains(words), "{fields}: {error}");
    }
}

/// The CPU engine with room for few elements at a time; counts the programs that it is given.
struct Cramped {
    cpu: Cpu,
    elements: usize,
    programs: Rc<std::cell::Cell<usize>>,
}

impl Sink for Cramped {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        self.cpu.begin(cfg, weights, storage).await
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        self.cpu.write(weight, at, values).await
    }
}

impl Backend for Cramped {
    fn limits(&self) -> Limits {
        Limits { buffer_elements: self.elements, ..self.cpu.limits() }
    }

    fn adapter(&self) -> Option<String> {
        None
    }

    fn held_bytes(&self) -> u64 {
        self.cpu.held_bytes()
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        assert!(program.output_len <= self.elements, "{} elements come back", program.output_len);
        self.programs.set(self.programs.get() + 1);
        self.cpu.run(program, control).await
    }
}

fn run<B: Backend>(lab: &mut Lab<B>, fields: &Value) -> Outcome {
    pollster::block_on(lab.run(&detection(fields).unwrap(), &Unattended::default())).unwrap()
}

fn values(outcome: &Outcome) -> Vec<Option<f64>> {
    match &outcome.answer {
        Answer::Detect { shape, values, .. } => {
            assert_eq!(values.len(), shape.iter().product::<usize>());
            values.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// As many passes as there must be give what one pass gives.
#[test]
fn little_room_changes_no_score() {
    let fields = json!({"prompts": [[5, 9, 7, 5, 9, 7, 5], [1, 2, 1, 2]], "patterns": ["previous_token", "induction"]});
    let whole = run(&mut Lab::new(Rc::new(model()), Cpu::new(), "cpu", "test"), &fields);
    // A layer's patterns are 4 × 7 × 7 elements of the longer prompt: 196, and 64 of the shorter.
    for (elements, programs) in [(100_000, 1), (1000, 1), (700, 2), (400, 3), (196, 4)] {
        let counted = Rc::default();
        let backend = Cramped { cpu: Cpu::new(), elements, programs: Rc::clone(&counted) };
        let mut lab = Lab::new(Rc::new(model()), backend, "cpu", "test");
        let found = run(&mut lab, &fields);
        assert_eq!(counted.get(), programs, "{elements} elements");
        for (found, whole) in values(&found).into_iter().zip(values(&whole)) {
            assert!((found.unwrap() - whole.unwrap()).abs() < 1e-6, "{elements} elements");
        }
        let estimate = lab.estimate(&detection(&fields).unwrap()).unwrap();
        assert_eq!((estimate.cells, estimate.flops), (24, found.engine.flops), "{elements} elements");
    }
}

/// Patterns and prompts together give what each gives by itself.
#[test]
fn lists_are_their_entries_one_by_one() {
    let mut lab = Lab::new(Rc::new(model()), Cpu::new(), "cpu", "test");
    let (prompts, patterns) = ([json!([5, 9, 7, 5, 9]), json!([1, 1])], ["duplicate_token", "induction"]);
    let together =
        values(&run(&mut lab, &json!({"prompts": prompts, "patterns": patterns, "measure": "abs"})));
    for (pattern, together) in patterns.iter().zip(together.chunks(12)) {
        let mut alone = |prompt: &Value| {
            values(&run(&mut lab, &json!({"prompt": prompt, "pattern": pattern, "measure": "abs"})))
        };
        let [first, second] = [alone(&prompts[0]), alone(&prompts[1])];
        for (i, together) in together.iter().enumerate() {
            let mean = (first[i].unwrap() + second[i].unwrap()) / 2.0;
            assert!((mean - together.unwrap()).abs() < 1e-6, "{pattern}, head {i}");
        }
    }
}

/// A head that is not asked for has no value, and what only it would need is not computed.
#[test]
fn only_the_layers_of_the_heads_are_computed() {
    let mut lab = Lab::new(Rc::new(model()), Cpu::new(), "cpu", "test");
    let mut all = json!({"prompt": [5, 9, 7, 5, 9], "pattern": "induction"});
    let every = run(&mut lab, &all);
    all["heads"] = json!([[1, 2], [0, 3]]);
    let some = run(&mut lab, &all);
    for (i, (some, every)) in values(&some).into_iter().zip(values(&every)).enumerate() {
        assert_eq!(some, if i == 3 || i == 6 { every } else { None }, "head {i}");
    }
    assert!(
        some.engine.flops < every.engine.flops * 2 / 3,
        "{} of {}",
        some.engine.flops,
        every.engine.flops
    );
}
