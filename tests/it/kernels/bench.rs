//! A tiny program with its weights, to be run on both engines and compared.

use crate::support::{config, random, random_weights, skip};
use microtome::backend::cpu::Cpu;
use microtome::backend::gpu::{Gpu, Options};
use microtome::backend::{Backend, Control, Output, Unattended};
use microtome::error::Result;
use microtome::hook::{Axis, Site};
use microtome::metric::Metric;
use microtome::model::{self, Limits, Readout, Run};
use microtome::plan::{Means, Plan};
use microtome::program::{Attn, AttnRow, Buf, Index, Op, Pick, Program, Rows, Segment, Then};
use microtome::sweep::{Case, Grid, Sweep, Write};
use microtome::weights::{Storage, Weight, Weights};
use std::sync::Arc;
use std::time::Instant;

pub fn gpu_with(test: &str, options: Options) -> Option<Gpu> {
    match pollster::block_on(Gpu::open_with(options)) {
        Ok(gpu) => Some(gpu),
        Err(error) => skip(test, &error),
    }
}

pub struct Bench {
    pub weights: Weights,
    pub program: Program,
    given: Vec<f32>,
}

/// A list of rows.
pub fn list(rows: impl IntoIterator<Item = usize>) -> Index {
    rows.into_iter().map(|row| row as u32).collect()
}

/// Rows of a buffer in an order without order: every row of it is as likely as any.
pub fn mixed(buf: Buf, rows: usize, of: usize) -> Rows {
    Rows { buf, pick: Pick::Rows(list((0..rows).map(|i| (i * 7 + 3) % of))) }
}

/// Attention of runs of these lengths with `heads` heads, all of which are computed, and the elements of their scores.
pub fn attn(lens: &[usize], heads: usize) -> (Arc<Attn>, usize) {
    let (mut attn, mut scores) = (Attn::default(), 0);
    for len in lens.iter().map(|len| *len as u32) {
        let first = attn.rows.len() as u32;
        let keys = attn.src_rows.len() as u32;
        attn.src_rows.extend(first..first + len);
        attn.rows.extend((0..len).map(|dest| AttnRow {
            q: first + dest,
            dest,
            len,
            keys,
            values: keys,
            score: scores + dest * len,
            score_stride: len * len,
            head: 0,
        }));
        scores += heads as u32 * len * len;
    }
    (Arc::new(attn), scores as usize)
}

impl Bench {
    /// `d_model` and the number of rows of W_E.
    pub fn new(d_model: usize, d_vocab: usize) -> Self {
        Self::sizes(d_model, 4, d_vocab)
    }

    pub fn sizes(d_model: usize, d_mlp: usize, d_vocab: usize) -> Self {
        Self::filled(random_weights(1, &config(1, 1, d_model, d_mlp, d_vocab, 131)))
    }

    pub fn heads(n_heads: usize, d_head: usize) -> Self {
        Self::filled(random_weights(1, &config(1, n_heads, n_heads * d_head, 4, 5, 131)))
    }

    /// For ops without weights.
    pub fn values() -> Self {
        Self::new(1, 1)
    }

    /// With random values for what processing would add.
    fn filled(mut weights: Weights) -> Self {
        for (seed, weight) in [(2, Weight::EmbedMean), (3, Weight::UnembedBias)] {
            weights.set(weight, random(seed, weights.cfg.d_vocab)).unwrap();
        }
        Self::of(weights)
    }

    /// An empty program.
    pub fn of(weights: Weights) -> Self {
        let program = Program {
            ops: Vec::new(),
            output_len: 0,
            buffers: Vec::new(),
            d_model: weights.cfg.d_model,
            d_vocab: weights.cfg.d_vocab,
            n_heads: weights.cfg.n_heads,
            eps: weights.cfg.eps,
        };
        Self { weights, program, given: Vec::new() }
    }

    /// Adds an op that leaves `len` elements in `buf`.
    pub fn op(&mut self, op: Op, buf: Buf, len: usize) {
        self.program.ops.push(op);
        self.grow(buf, len);
    }

    /// Puts values into a buffer by way of `Buf::Given`, which holds those of all loads.
    pub fn load(&mut self, buf: Buf, values: &[f32]) {
        let src = self.given.len();
        self.given.extend_from_slice(values);
        let given = Op::Given { out: Buf::Given, values: Arc::new(self.given.clone()) };
        match src {
            0 => self.program.ops.insert(0, given),
            _ => self.program.ops[0] = given,
        }
        self.grow(Buf::Given, self.given.len());
        let segments = vec![Segment::copy(0, src as u32, values.len() as u32)];
        self.op(Op::Edit { buf, from: Buf::Given, segments }, buf, values.len());
    }

    /// Random rows of `width`.
    pub fn random(&mut self, buf: Buf, seed: u64, rows: usize, width: usize) {
        self.load(buf, &random(seed, rows * width));
    }

    fn grow(&mut self, buf: Buf, len: usize) {
        match self.program.buffers.iter_mut().find(|(b, _)| *b == buf) {
            Some((_, size)) => *size = len.max(*size),
            None => self.program.buffers.push((buf, len)),
        }
    }

    /// Adds the whole buffer to the output.
    pub fn keep(&mut self, buf: Buf) {
        let (_, len) = *self.program.buffers.iter().find(|(b, _)| *b == buf).unwrap();
        self.program.ops.push(Op::Keep { buf, start: 0, len, at: self.program.output_len });
        self.program.output_len += len;
    }

    /// `out = x W_in + b`, some times over.
    pub fn linear(&mut self, x: Rows, then: Then, times: usize, [rows, k, n]: [usize; 3]) {
        let (w, b, out) = (super::W_IN, super::B_IN, Buf::Pre);
        for _ in 0..times {
            let op = Op::Linear { x: x.clone(), w, b, out, then: then.clone(), rows, k, n };
            self.op(op, out, rows * n);
        }
    }

    pub fn upload(&self, backend: &mut impl Backend) {
        self.upload_as(backend, Storage::F32);
    }

    /// Puts the weights on an engine that keeps them so.
    pub fn upload_as(&self, backend: &mut impl Backend, storage: Storage) {
        pollster::block_on(backend.upload(&self.weights, storage)).unwrap();
    }

    pub fn run_uploaded(&self, backend: &mut impl Backend) -> Result<Output> {
        pollster::block_on(backend.run(&self.program, &Unattended::default()))
    }

    pub fn run(&self, backend: &mut impl Backend) -> Result<Output> {
        self.upload(backend);
        self.run_uploaded(backend)
    }

    /// The same with the weights that an engine holds which keeps them so: matrices rounded to halves.
    pub fn kept_as(&self, storage: Storage) -> Bench {
        let mut weights = self.weights.clone();
        for (weight, data) in self.weights.iter() {
            if storage.of(weight) == Storage::F16 {
                let rounded = data.iter().map(|x| half::f16::from_f32(*x).to_f32()).collect::<Vec<_>>();
                weights.set(weight, rounded).unwrap();
            }
        }
        Bench { weights, program: self.program.clone(), given: self.given.clone() }
    }

    /// Runs on both engines, on the CPU with the weights as the GPU keeps them; differences are relative to values above 1. Returns what the GPU gave.
    pub fn compare(&self, gpu: &mut Gpu, name: &str, tolerance: f32) -> Vec<f32> {
        let storage = gpu.storage();
        let expected = self.kept_as(storage).run(&mut Cpu::new()).unwrap().data;
        self.upload_as(gpu, storage);
        let found = self.run_uploaded(gpu).unwrap().data;
        assert_eq!(found.len(), expected.len());
        let (mut worst, mut at) = (0.0f32, 0);
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let same = found == expected || (found.is_nan() && expected.is_nan());
            let difference = if same { 0.0 } else { (found - expected).abs() / expected.abs().max(1.0) };
            // NaN where a number was expected, or the reverse, is the worst there is.
            let difference = if difference.is_nan() { f32::INFINITY } else { difference };
            if difference > worst {
                (worst, at) = (difference, i);
            }
        }
        println!("{name}: worst difference {worst:.1e} of {} values", found.len());
        assert!(
            worst <= tolerance,
            "{name}: element {at} is {} on the GPU, {} on the CPU (tolerance {tolerance:e})\n{}",
            found[at],
            expected[at],
            self.program
        );
        found
    }
}

/// Logits in tiles that end at shards, their log-sum-exp, and logit differences.
pub fn unembedding(k: usize, d_vocab: usize, rows: usize, shard: usize) -> Bench {
    let mut bench = Bench::new(k, d_vocab);
    let token = |i: usize| (i * 31 % d_vocab) as u32;
    let (x, tile) = (Buf::UnembedIn, Buf::LogitTile);
    bench.random(x, 3, rows, k);
    let pairs = (0..rows + 2).map(|i| [token(3 * i + 1), token(7 * i + 2)]).collect();
    let index = list((0..rows + 2).map(|i| (5 * i + 1) % rows));
    bench.op(
        Op::LogitDiff { x, w: Weight::Unembed, index, out: Buf::LogitDiff, pairs, k },
        Buf::LogitDiff,
        rows + 2,
    );
    bench.keep(Buf::LogitDiff);
    let targets: Index = (0..rows).map(|i| token(5 * i + 3)).collect();
    let mut first = 0;
    while first < d_vocab {
        let n = 50.min(d_vocab - first).min(shard - first % shard);
        bench.op(Op::Unembed { x, w: Weight::Unembed, out: tile, rows, k, first, n }, tile, rows * n);
        let at = bench.program.output_len;
        bench.program.ops.push(Op::Keep { buf: tile, start: 0, len: rows * n, at });
        bench.program.output_len += rows * n;
        let (out, targets, reset) = (Buf::LogSumExp, targets.clone(), first == 0);
        bench.op(Op::LogSumExp { tile, out, targets, first, n, reset }, out, rows * 3);
        first += n;
    }
    bench.keep(Buf::LogSumExp);
    bench
}

/// The forward pass of a small model on runs of these lengths, everything read out.
pub fn forward(lens: &[usize], limits: Limits) -> Bench {
    let weights = random_weights(1, &config(2, 3, 24, 40, 53, 65));
    let readout = Readout { last_logits: true, logit_diff: Some([5, 6]), loss: true, hooks: Vec::new() };
    let runs: Vec<Run> = (lens.iter().enumerate())
        .map(|(run, len)| Run {
            tokens: (0..*len).map(|i| ((i * 7 + run * 11) % 53) as u32).collect(),
            readout: readout.clone(),
            ..Run::default()
        })
        .collect();
    let (program, _) = model::program(&weights.cfg, false, &runs, &Arc::default(), &limits).unwrap();
    let mut bench = Bench::filled(weights);
    bench.program = program;
    bench
}

/// `times` matrix products of 132 rows, 768 × 3072.
pub fn heavy(times: usize) -> Bench {
    let (rows, k, n) = (132, 768, 3072);
    let mut bench = Bench::sizes(k, n, 1);
    bench.random(Buf::Normalized, 1, rows, k);
    bench.linear(Rows::all(Buf::Normalized), Then::Store, times, [rows, k, n]);
    let out = Buf::Pre;
    bench.program.ops.push(Op::Keep { buf: out, start: 0, len: 4, at: 0 });
    bench.program.output_len = 4;
    bench
}

/// Cancels when the time has come.
pub struct CancelAfter(Instant, f64);

impl CancelAfter {
    pub fn ms(ms: f64) -> Self {
        Self(Instant::now(), ms)
    }
    pub fn elapsed_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

impl Control for CancelAfter {
    fn now_ms(&self) -> f64 {
        self.elapsed_ms()
    }
    fn progress(&self, done: u64, total: u64) {
        assert!(done <= total);
    }
    fn cancelled(&self) -> bool {
        self.elapsed_ms() > self.1
    }
    fn pause(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Prints the time of matrix products and of whole forward passes at GPT-2 small's sizes.
pub fn speed(backend: &mut impl Backend) {
    let timed = |backend: &mut _, bench: &Bench, label: &str| {
        bench.run_uploaded(backend).unwrap();
        let mut times = Vec::new();
        let mut dispatches = 0;
        for _ in 0..3 {
            let start = Instant::now();
            dispatches = bench.run_uploaded(backend).unwrap().dispatches;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let (s, flops) = (times[1], bench.program.work().flops as f64);
        println!("{label}: {:.1} ms, {:.2} GFLOP/s, {dispatches} dispatches", s * 1e3, flops / s / 1e9);
    };
    for (rows, k, n) in [
        (1, 768, 3072),
        (11, 768, 768),
        (11, 768, 3072),
        (11, 3072, 768),
        (132, 768, 3072),
        (132, 3072, 768),
        (1452, 768, 768),
    ] {
        let mut bench = Bench::sizes(k, n, 1);
        bench.random(Buf::Normalized, 1, rows, k);
        let times = (2000 / rows).clamp(1, 20);
        bench.linear(Rows::all(Buf::Normalized), Then::Store, times, [rows, k, n]);
        bench.upload(backend);
        timed(backend, &bench, &format!("linear {rows} × {k} × {n}, {times} times"));
    }
    let weights = random_weights(1, &config(12, 12, 768, 3072, 50_257, 1024));
    let mut bench = Bench::filled(weights);
    bench.upload(backend);
    for (label, runs, len) in [("forward", 1, 1), ("forward", 1, 11), ("forward", 1, 30), ("12 runs", 12, 11)]
    {
        let readout = Readout { last_logits: true, ..Readout::default() };
        let run = |i: usize| (0..len).map(|pos| ((pos * 7919 + i) % 50_257) as u32).collect();
        let runs: Vec<Run> =
            (0..runs).map(|i| Run { tokens: run(i), readout: readout.clone(), ..Run::default() }).collect();
        bench.program =
            model::program(&bench.weights.cfg, false, &runs, &Arc::default(), &backend.limits()).unwrap().0;
        timed(backend, &bench, &format!("{label}, {len} tokens"));
    }
    let case = Case { tokens: (0..11).collect(), sources: Vec::new(), metric: Metric::LogitDiff([1, 2]) };
    let grid = Grid::Sites { sites: vec![Site::Z], stacked: false, axes: vec![Axis::Layer, Axis::Head] };
    let sweep = Sweep { cases: vec![case], grid, write: Write::Zero };
    let (cfg, limits) = (bench.weights.cfg.clone(), backend.limits());
    let batch = Plan::new(&cfg, &limits, &sweep, Means::default()).unwrap().batch(0).unwrap();
    bench.program = model::program(&cfg, false, &batch.runs, &batch.given, &limits).unwrap().0;
    timed(backend, &bench, "144 ablations by logit difference, 11 tokens");
}
