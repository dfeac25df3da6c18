//! What the model card of the shipped model claims, through the lab.

use crate::support::golden_model;
use microtome::Result;
use microtome::backend::Unattended;
use microtome::backend::cpu::Cpu;
use microtome::experiment::Experiment;
use microtome::lab::Lab;
use microtome::outcome::Answer;
use microtome::train::corpus::{
    Question, held_out_object_questions, held_out_tag_questions, notebook_questions, thing_questions,
};
use microtome::train::rng::Rng;
use microtome::train::words::{THINGS, people};
use serde_json::{Value, json};
use std::rc::Rc;

fn lab() -> Lab<Cpu> {
    Lab::new(Rc::new(golden_model("www/models/pronoun")), Cpu::new(), "cpu", "test")
}

fn run(lab: &mut Lab<Cpu>, experiment: Value) -> Answer {
    let answer = |lab: &mut Lab<Cpu>| -> Result<Answer> {
        let experiment = Experiment::from_value(experiment)?;
        Ok(pollster::block_on(lab.run(&experiment, &Unattended::default()))?.answer)
    };
    answer(lab).unwrap()
}

fn logit_diffs(lab: &mut Lab<Cpu>, questions: &[Question]) -> (Vec<f64>, f64) {
    let prompts: Vec<Value> = questions
        .iter()
        .map(|q| json!({ "prompt": q.prompt, "correct": q.correct, "incorrect": q.incorrect }))
        .collect();
    match run(lab, json!({ "version": 1, "kind": "logit_diff", "prompts": prompts })) {
        Answer::LogitDiff { values, mean } => (values, mean),
        other => panic!("{other:?}"),
    }
}

/// Share of questions whose right answer is ahead of the other.
fn accuracy(lab: &mut Lab<Cpu>, questions: &[Question]) -> f64 {
    let (values, _) = logit_diffs(lab, questions);
    values.iter().filter(|value| **value > 0.0).count() as f64 / values.len() as f64
}

#[test]
fn all_25_prompts_of_the_notebook_are_answered_and_none_is_saturated() {
    let (values, mean) = logit_diffs(&mut lab(), &notebook_questions());
    assert_eq!(values.len(), 25);
    assert!(values.iter().all(|value| *value > 0.0), "{values:?}");
    assert!((3.0..8.0).contains(&mean), "mean {mean}");
}

#[test]
fn things_are_called_it() {
    let mut lab = lab();
    let questions = thing_questions();
    assert_eq!(questions[0].prompt, "Matrix is a great movie, isn’t");
    for question in &questions {
        match run(&mut lab, json!({ "version": 1, "kind": "predict", "prompt": question.prompt, "top_k": 1 }))
        {
            Answer::Predict { top, .. } => {
                assert_eq!(top[0].token.text.as_deref(), Some(" it"), "{}", question.prompt);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn held_out_prompts_are_answered() {
    let mut lab = lab();
    // Another seed than that of the figures in the log, so that these are other prompts.
    let mut rng = Rng::new(99);
    let tags = accuracy(&mut lab, &held_out_tag_questions(&mut rng, 500));
    let objects = accuracy(&mut lab, &held_out_object_questions(&mut rng, 500));
    println!("held-out tag questions {tags}, indirect objects {objects}");
    assert!(tags >= 0.95, "tag questions: {tags}");
    assert!(objects >= 0.95, "indirect objects: {objects}");
}

#[test]
fn a_head_does_induction() {
    let mut lab = lab();
    let cfg = lab.model.cfg().clone();
    let (period, rows) = (50, 4);
    let len = 1 + 2 * period;
    let bos = lab.model.tokenizer.as_ref().unwrap().bos().unwrap();
    let mut rng = Rng::new(99);
    let prompts: Vec<Vec<u32>> = (0..rows)
        .map(|_| {
            let random: Vec<u32> = (0..period).map(|_| 1 + rng.below(cfg.d_vocab - 1) as u32).collect();
            [&[bos], random.as_slice(), random.as_slice()].concat()
        })
        .collect();
    let hooks: Vec<String> = (0..cfg.n_layers).map(|l| format!("blocks.{l}.attn.hook_pattern")).collect();
    let Answer::Trace { tensors } =
        run(&mut lab, json!({ "version": 1, "kind": "trace", "prompts": prompts, "hooks": hooks }))
    else {
        panic!("not a trace")
    };
    let mut best = 0.0_f32;
    for hook in &hooks {
        for head in 0..cfg.n_heads {
            let score = |row: usize| -> f32 {
                let pattern = &tensors[row][hook].data[head * len * len..][..len * len]; // [dest, src]
                let second_copy = period + 1..len;
                second_copy.map(|dest| pattern[dest * len + dest + 1 - period]).sum::<f32>() / period as f32
            };
            best = best.max((0..rows).map(score).sum::<f32>() / rows as f32);
        }
    }
    println!("best induction score {best}");
    assert!(best >= 0.5, "{best}");
}

#[test]
fn prompts_that_differ_in_a_name_are_equally_long() {
    let lab = lab();
    let tokenizer = lab.model.tokenizer.as_ref().unwrap();
    let things = THINGS.iter().flat_map(|things| things.names.iter().copied());
    for name in people().chain(things) {
        for text in [name.to_string(), format!(" {name}")] {
            assert_eq!(tokenizer.encode(&text).unwrap().len(), 1, "{text:?}");
        }
    }
    for question in notebook_questions() {
        assert_eq!(tokenizer.encode(&question.prompt).unwrap().len(), 9, "{}", question.prompt);
    }
}
