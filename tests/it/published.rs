//! `verify` must fail on weights that are not GPT-2's: a check that always agrees proves nothing.

use crate::support::golden_model;
use microtome::backend::Unattended;
use microtome::backend::cpu::Cpu;
use microtome::lab::Lab;
use microtome::published::{Check, verify};
use std::rc::Rc;

fn checks(model: &str) -> Vec<Check> {
    let mut lab = Lab::new(Rc::new(golden_model(model)), Cpu::new(), "cpu", "test");
    pollster::block_on(verify(&mut lab, &Unattended::default())).unwrap()
}

#[test]
fn the_published_figures_differ_on_other_weights() {
    let checks = checks("www/models/pronoun");
    let differ = checks.iter().filter(|check| !check.agrees).count();
    // 2,048 tokens and another training: at most a sign of an ablation may agree by chance.
    assert!(differ > checks.len() * 3 / 4, "{differ} of {} differ", checks.len());
    for name in ["mean logit difference", "clean logit difference", "b_U of \" he\""] {
        let check = checks.iter().find(|check| check.name == name);
        assert!(check.is_some_and(|check| !check.agrees), "{name}: {check:?}");
    }
}

#[test]
fn a_model_that_cannot_express_the_prompts_fails_the_checks_too() {
    // It has no tokenizer, so no prompt has tokens.
    let checks = checks("tests/golden/models/relu");
    assert!(checks.len() >= 8 && checks.iter().all(|check| !check.agrees), "{checks:?}");
}
