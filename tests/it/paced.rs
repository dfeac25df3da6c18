//! Progress and cancel of experiments of many quick batches.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use crate::support::golden_model;
use microtome::backend::Control;
use microtome::backend::cpu::Cpu;
use microtome::experiment::Experiment;
use microtome::lab::Lab;
use serde_json::json;

/// A clock that goes on a little whenever somebody looks at it: no batch is as long as what a batch may take before it reports.
#[derive(Default)]
struct Watched {
    now_ms: Cell<f64>,
    parts: RefCell<Vec<f64>>,
    /// When somebody cancels.
    until_ms: f64,
}

impl Control for Watched {
    fn now_ms(&self) -> f64 {
        self.now_ms.set(self.now_ms.get() + 0.1);
        self.now_ms.get()
    }
    fn progress(&self, done: u64, total: u64) {
        self.parts.borrow_mut().push(done as f64 / total as f64);
    }
    fn cancelled(&self) -> bool {
        self.now_ms.get() > self.until_ms
    }
    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn a_sweep_of_many_quick_batches_says_how_far_it_is_and_hears_a_cancel() {
    let mut lab = Lab::new(Rc::new(golden_model("www/models/pronoun")), Cpu::new(), "cpu", "test");
    let prompts = ["Mary is a great friend, isn’t she"; 12];
    let references = ["John is a great friend, isn’t he"; 40];
    let experiment = Experiment::from_value(json!({
        "version": 1, "kind": "ablate", "prompts": prompts.iter().map(|prompt| json!({ "prompt": prompt })).collect::<Vec<_>>(),
        "site": "v", "edit": { "kind": "resample", "prompts": references.to_vec() }, "axes": ["layer", "head"], "metric": { "kind": "loss" }
    }))
    .unwrap();
    let whole = Watched { until_ms: f64::INFINITY, ..Watched::default() };
    pollster::block_on(lab.run(&experiment, &whole)).unwrap();
    let parts = whole.parts.into_inner();
    assert!(parts.len() > 5, "{parts:?}");
    assert!(parts.is_sorted() && parts.iter().all(|part| (0.0..=1.0).contains(part)), "{parts:?}");

    let cancelled = Watched { until_ms: whole.now_ms.get() / 2.0, ..Watched::default() };
    let error = pollster::block_on(lab.run(&experiment, &cancelled)).unwrap_err();
    assert_eq!(error.code, "run.cancelled");
    // A twentieth of a second, and what one batch takes.
    let late = cancelled.now_ms.get() - cancelled.until_ms;
    assert!(late < 100.0, "{late} ms late");
}
