//! Timing: a case on a lab, and the best matrix product of an engine to hold it against.

use super::report::{EngineReport, Row};
use super::{Case, RandomWeights};
use crate::backend::engine::{Engine, Opened};
use crate::backend::{Backend, Choice, Control};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::lab::{Lab, Model};
use crate::outcome::EngineInfo;
use crate::processing::Processing;
use crate::program::{Buf, Op, Program, Rows, Then};
use crate::weights::{Part, Storage, Weight};
use serde::Serialize;
use serde_json::json;
use std::num::NonZeroUsize;
use std::rc::Rc;

/// What is to be timed on which engine.
pub struct Order<'a> {
    pub choice: Choice,
    /// Threads of the CPU engine, for the report.
    pub threads: Option<usize>,
    pub cases: &'a [Case],
    /// Timed runs of every case; otherwise 5 of a forward pass and 3 of a sweep.
    pub repeat: Option<NonZeroUsize>,
}

/// How far a benchmark is.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event<'a> {
    /// Part `done` of `total` begins.
    Begin { done: usize, total: usize, title: &'a str, tokens: Option<usize> },
    /// Matrix products alone were timed.
    Matmul { rate: &'a MatmulRate },
    /// A case was timed.
    Row { row: &'a Row },
}

/// Opens an engine and times matrix products and every case on it.
///
/// # Errors
/// As [`Engine::open`] and [`Lab::run`].
pub async fn run(
    model: &Rc<Model>,
    order: &Order<'_>,
    control: &dyn Control,
    say: &mut dyn FnMut(Event<'_>),
) -> Result<EngineReport> {
    let total = order.cases.len() + 1;
    let Opened { mut engine, reason } = Engine::open(order.choice).await?;
    let backend = engine.name();
    say(Event::Begin { done: 0, total, title: "matrix products", tokens: None });
    let matmul = matmul_rate(&mut engine, model.cfg(), control).await?;
    say(Event::Matmul { rate: &matmul });
    let mut lab = Lab::new(Rc::clone(model), engine, backend, reason);
    let prepare_ms = prepare(&mut lab, control).await?;
    let mut rows = Vec::new();
    for (i, case) in order.cases.iter().enumerate() {
        say(Event::Begin { done: i + 1, total, title: case.title, tokens: Some(case.tokens) });
        let repeats = order.repeat.map_or(if case.sweep { 3 } else { 5 }, NonZeroUsize::get);
        let row = measure(&mut lab, case, repeats, &matmul, control).await?;
        say(Event::Row { row: &row });
        rows.push(row);
    }
    let EngineInfo { adapter, build, .. } = lab.engine_info();
    Ok(EngineReport { backend, adapter, build, threads: order.threads, prepare_ms, matmul, rows })
}

/// Draws the weights and puts them on the engine; returns the milliseconds that took.
///
/// # Errors
/// As [`Lab::run`].
pub async fn prepare<B: Backend>(lab: &mut Lab<B>, control: &dyn Control) -> Result<f64> {
    // The one experiment that runs no operation.
    let experiment = json!({"version": 1, "kind": "unembed_bias", "processing": "none", "tokens": [0]});
    Ok(lab.run(&Experiment::from_value(experiment)?, control).await?.engine.milliseconds)
}

/// Runs a case once to warm up and then `repeats` times.
///
/// # Errors
/// As [`Lab::run`].
pub async fn measure<B: Backend>(
    lab: &mut Lab<B>,
    case: &Case,
    repeats: usize,
    best: &MatmulRate,
    control: &dyn Control,
) -> Result<Row> {
    lab.run(&case.experiment, control).await?;
    let (mut times, mut counted) = (Vec::new(), EngineInfo::default());
    for _ in 0..repeats.max(1) {
        counted = lab.run(&case.experiment, control).await?.engine;
        times.push(counted.milliseconds);
    }
    Ok(Row::new(case, times, &counted, best))
}

/// The best rate of matrix products alone, through the same engine as everything else.
#[derive(Clone, Debug, Serialize)]
pub struct MatmulRate {
    /// Of the quickest product.
    pub gflops: f64,
    pub products: Vec<Product>,
}

/// Matrix products one after the other, `[rows, k] · [k, n]`, and where it says so back again.
#[derive(Clone, Debug, Serialize)]
pub struct Product {
    pub rows: usize,
    pub k: usize,
    pub n: usize,
    /// Each product is followed by `[rows, n] · [n, k]`, as in an MLP.
    pub and_back: bool,
    /// Of one product, or one there and back.
    pub milliseconds: f64,
    pub gflops: f64,
}

/// Rows of the products: 144 runs of 11 tokens, the widest layer of an ablation.
const ROWS: usize = 1584;
/// Products are repeated until they take this long together, so that submitting and reading back do not count.
const LONG_ENOUGH_MS: f64 = 200.0;
const MOST_PRODUCTS: usize = 64;
const REPEATS: usize = 3;

/// Times the products of the model's matrices on an engine. Leaves the weights of one layer there.
///
/// # Errors
/// As [`Processing::apply`] and [`Backend::run`].
pub async fn matmul_rate<B: Backend>(
    backend: &mut B,
    cfg: &Config,
    control: &dyn Control,
) -> Result<MatmulRate> {
    // One layer and few tokens: only its matrices are multiplied with.
    let cfg = Config { n_layers: 1, d_vocab: 64.min(cfg.d_vocab), ..cfg.clone() };
    let weights = RandomWeights { cfg: cfg.clone(), seed: 0 };
    Processing::NONE.apply(&weights, Storage::F32, backend).await?;
    let (d, m) = (cfg.d_model, cfg.d_mlp);
    let mut products = Vec::new();
    for (w, b, n, and_back) in
        [(Part::WQ, Part::BQ, d, false), (Part::WIn, Part::BIn, m, false), (Part::WIn, Part::BIn, m, true)]
    {
        let there = Linear { x: Buf::Resid, w, b, out: Buf::Pre, k: d, n };
        let back = Linear { x: Buf::Pre, w: Part::WOut, b: Part::BOut, out: Buf::MlpOut, k: n, n: d };
        let steps = if and_back { vec![there, back] } else { vec![there] };
        let milliseconds = best_time(backend, &cfg, &steps, control).await?;
        // In 64 bits: a browser's usize has 32.
        let flops: u64 = steps.iter().map(|step| 2 * (ROWS * step.k) as u64 * step.n as u64).sum();
        let gflops = flops as f64 / milliseconds / 1e6;
        products.push(Product { rows: ROWS, k: d, n, and_back, milliseconds, gflops });
    }
    let gflops = products.iter().map(|product| product.gflops).fold(0.0, f64::max);
    Ok(MatmulRate { gflops, products })
}

/// One [`Op::Linear`] to come.
struct Linear {
    x: Buf,
    w: Part,
    b: Part,
    out: Buf,
    k: usize,
    n: usize,
}

/// Milliseconds of the steps, once each.
async fn best_time<B: Backend>(
    backend: &mut B,
    cfg: &Config,
    steps: &[Linear],
    control: &dyn Control,
) -> Result<f64> {
    let mut times = 1;
    // The first run compiles and tunes.
    time(backend, &program(cfg, steps, times), control).await?;
    let mut milliseconds = time(backend, &program(cfg, steps, times), control).await?;
    while milliseconds < LONG_ENOUGH_MS && times < MOST_PRODUCTS {
        times = (2 * times).min(MOST_PRODUCTS);
        milliseconds = time(backend, &program(cfg, steps, times), control).await?;
    }
    for _ in 1..REPEATS {
        milliseconds = milliseconds.min(time(backend, &program(cfg, steps, times), control).await?);
    }
    Ok(milliseconds / times as f64)
}

async fn time<B: Backend>(backend: &mut B, program: &Program, control: &dyn Control) -> Result<f64> {
    let start = control.now_ms();
    let output = backend.run(program, control).await?;
    if output.data.iter().all(|x| x.is_finite()) {
        // A clock may be coarse: never zero.
        return Ok((control.now_ms() - start).max(1e-3));
    }
    Err(Error::internal(format!("a matrix product gave {:?}", output.data)))
}

/// Embeddings, then the steps `times` over.
fn program(cfg: &Config, steps: &[Linear], times: usize) -> Program {
    let tokens = (0..ROWS).map(|i| (i % cfg.d_vocab) as u32).collect();
    let mut ops = vec![Op::Embed { tokens, pos: None, out: Buf::Resid }];
    let linear = |step: &Linear| Op::Linear {
        x: Rows::all(step.x),
        w: Weight::Block(0, step.w),
        b: Weight::Block(0, step.b),
        out: step.out,
        then: Then::Store,
        rows: ROWS,
        k: step.k,
        n: step.n,
    };
    ops.extend((0..times).flat_map(|_| steps.iter().map(linear)));
    let mut buffers = vec![(Buf::Resid, ROWS * cfg.d_model)];
    buffers.extend(steps.iter().map(|step| (step.out, ROWS * step.n)));
    buffers.sort_by_key(|(buf, _)| *buf);
    let last = steps.last().map_or(Buf::Resid, |step| step.out);
    ops.push(Op::Keep { buf: last, start: 0, len: 1, at: 0 });
    Program {
        ops,
        output_len: 1,
        buffers,
        d_model: cfg.d_model,
        d_vocab: cfg.d_vocab,
        n_heads: cfg.n_heads,
        eps: cfg.eps,
    }
}
