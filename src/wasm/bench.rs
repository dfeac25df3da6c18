//! The benchmark's door to the browser; `www/bench_worker.js` is its only caller.

use super::{JsControl, error_to_js, json, to_js};
use crate::bench::{self, Case, Event, Order, Shape};
use crate::error::{Error, Result};
use js_sys::Function;
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// What is to be timed; `BenchOptions` in `www/engine.d.ts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    shape: String,
    seed: u64,
    backend: String,
    /// Of the CPU engine in this build.
    threads: usize,
    tokens: Vec<usize>,
    /// Names of cases; all where it is empty.
    only: Vec<String>,
    repeat: Option<NonZeroUsize>,
}

/// Makes a random model, opens an engine and times every case on it. `on_event` hears what begins and what is done,
/// `on_progress` how far the run under way is, `on_partial` what is done of it.
#[wasm_bindgen]
pub async fn bench(
    options: JsValue,
    on_event: Function,
    on_progress: Function,
    on_partial: Function,
    is_cancelled: Function,
) -> std::result::Result<JsValue, JsValue> {
    let control = JsControl::new(on_progress, Some(on_partial), is_cancelled);
    run(&options, &on_event, &control).await.map_err(|error| error_to_js(&error))
}

async fn run(options: &JsValue, on_event: &Function, control: &JsControl) -> Result<JsValue> {
    let options: Options = serde_json::from_value(json(options)?)
        .map_err(|e| Error::input("input.invalid", format!("benchmark: {e}")))?;
    let shape: Shape = options.shape.parse()?;
    let choice = options.backend.parse()?;
    let cases = Case::some(&shape.config(), &options.tokens, &options.only)?;
    let model = Rc::new(bench::model(shape, options.seed));
    let mut say = |event: Event<'_>| {
        // A listener that throws must not spoil the times; it is the worker's own code.
        _ = to_js(&event).map(|event| on_event.call1(&JsValue::NULL, &event));
    };
    let threads = (choice == crate::backend::Choice::Cpu).then_some(options.threads);
    let order = Order { choice, threads, cases: &cases, repeat: options.repeat };
    to_js(&bench::run(&model, &order, control, &mut say).await?)
}
