//! A tiny program with its weights, to be run on both engines and compared.

use crate::support::{config, random_weights, skip};
use microtome::backend::cpu::Cpu;
use microtome::backend::gpu::{Gpu, Options};
use microtome::backend::{Backend, Control, Output, Unattended};
use microtome::config::Config;
use microtome::error::Result;
use microtome::model::{self, Limits, Readout, Run};
use microtome::program::{Buf, Op, Program, Row};
use microtome::weights::{Weight, Weights};
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
    values: Vec<f32>,
}

impl Bench {
    /// `d_model` and the number of rows of W_E, which the program's input comes from.
    pub fn new(d_model: usize, d_vocab: usize) -> Self {
        Self::sizes(d_model, 4, d_vocab)
    }

    pub fn sizes(d_model: usize, d_mlp: usize, d_vocab: usize) -> Self {
        Self::of(random_weights(1, &config(1, 1, d_model, d_mlp, d_vocab, 131)))
    }

    /// With `d_model` 1, so that [`Bench::load`] can put any number of values into any buffer.
    pub fn values() -> Self {
        Self::new(1, 1)
    }

    fn of(weights: Weights) -> Self {
        let program = Program {
            tokens: Vec::new(),
            rows: Vec::new(),
            ops: Vec::new(),
            output_len: 0,
            buffers: Vec::new(),
            d_model: weights.cfg.d_model,
            d_vocab: weights.cfg.d_vocab,
            eps: weights.cfg.eps,
        };
        Self { weights, program, values: Vec::new() }
    }

    /// Tokens `0..n`.
    pub fn tokens(mut self, n: usize) -> Self {
        self.program.tokens = (0..n as u32).collect();
        self
    }

    /// The table of rows of runs of these lengths, with the scores of one head; [`Bench::scores`] makes room for more.
    pub fn runs(mut self, lens: &[usize]) -> Self {
        for len in lens.iter().map(|len| *len as u32) {
            let first_row = self.program.rows.len() as u32;
            self.program.rows.extend((0..len).map(|pos| Row { pos, len, first_row, first_score: 0 }));
        }
        self.scores(1);
        self
    }

    /// Lays out `[head, dest, src]` blocks and returns how many elements they take.
    pub fn scores(&mut self, heads: usize) -> usize {
        let mut end = 0;
        let rows = &mut self.program.rows;
        for i in 0..rows.len() {
            rows[i].first_score = if rows[i].pos == 0 { end } else { rows[i - 1].first_score };
            if rows[i].pos == 0 {
                end += heads as u32 * rows[i].len.pow(2);
            }
        }
        end as usize
    }

    /// Adds an op that leaves `len` elements in `buf`.
    pub fn op(&mut self, op: Op, buf: Buf, len: usize) {
        self.program.ops.push(op);
        match self.program.buffers.iter_mut().find(|(b, _)| *b == buf) {
            Some((_, size)) => *size = len.max(*size),
            None => self.program.buffers.push((buf, len)),
        }
    }

    /// Puts values into a buffer by way of W_E, whose rows are single numbers here.
    pub fn load(&mut self, buf: Buf, values: &[f32]) {
        assert_eq!(self.program.d_model, 1);
        let first = self.values.len() as u32;
        self.values.extend_from_slice(values);
        let all = self.values.len();
        let cfg = Config { d_vocab: all, ..self.weights.cfg.clone() };
        self.weights = random_weights(1, &cfg);
        self.weights.set(Weight::Embed, self.values.clone()).unwrap();
        self.program.d_vocab = all;
        self.program.tokens = (0..all as u32).collect();
        self.op(Op::Embed { out: Buf::Embed, rows: all }, Buf::Embed, all);
        let index = (first..all as u32).collect();
        self.op(Op::GatherRows { x: Buf::Embed, index, out: buf, width: 1 }, buf, values.len());
    }

    /// Adds the whole buffer to the output.
    pub fn keep(&mut self, buf: Buf) {
        let (_, len) = *self.program.buffers.iter().find(|(b, _)| *b == buf).unwrap();
        self.program.ops.push(Op::Keep { buf, start: 0, len, at: self.program.output_len });
        self.program.output_len += len;
    }

    pub fn upload(&self, backend: &mut impl Backend) {
        pollster::block_on(backend.upload(&self.weights)).unwrap();
    }

    pub fn run_uploaded(&self, backend: &mut impl Backend) -> Result<Output> {
        pollster::block_on(backend.run(&self.program, &Unattended::default()))
    }

    pub fn run(&self, backend: &mut impl Backend) -> Result<Output> {
        self.upload(backend);
        self.run_uploaded(backend)
    }

    /// Runs on both engines; differences are relative to values above 1. Returns what the GPU gave.
    pub fn compare(&self, gpu: &mut Gpu, name: &str, tolerance: f32) -> Vec<f32> {
        let expected = self.run(&mut Cpu::new()).unwrap().data;
        let found = self.run(gpu).unwrap().data;
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
    bench.program.tokens = (0..rows).map(token).collect();
    let (x, tile) = (Buf::UnembedIn, Buf::LogitTile);
    bench.op(Op::Embed { out: x, rows }, x, rows * k);
    let pairs = (0..rows).map(|i| [token(3 * i + 1), token(7 * i + 2)]).collect();
    bench.op(Op::LogitDiff { x, out: Buf::LogitDiff, pairs, k }, Buf::LogitDiff, rows);
    bench.keep(Buf::LogitDiff);
    let targets: Vec<u32> = (0..rows).map(|i| token(5 * i + 3)).collect();
    let mut first = 0;
    while first < d_vocab {
        let n = 50.min(d_vocab - first).min(shard - first % shard);
        bench.op(Op::Unembed { x, out: tile, rows, k, first, n }, tile, rows * n);
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
    let (program, _) = model::program(&weights.cfg, false, &runs, &limits).unwrap();
    let mut bench = Bench::of(weights);
    bench.program = program;
    bench
}

/// `times` matrix products of 132 rows, 768 × 3072.
pub fn heavy(times: usize) -> Bench {
    let (rows, k, n) = (132, 768, 3072);
    let mut bench = Bench::sizes(k, n, rows).tokens(rows);
    let (x, w, b, out) = (Buf::Embed, super::W_IN, super::B_IN, Buf::Pre);
    bench.op(Op::Embed { out: x, rows }, x, rows * k);
    (0..times).for_each(|_| bench.op(Op::Linear { x, w, b, out, rows, k, n }, out, rows * n));
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
        let mut bench = Bench::sizes(k, n, rows).tokens(rows);
        let (x, w, b, out) = (Buf::Embed, super::W_IN, super::B_IN, Buf::Pre);
        bench.op(Op::Embed { out: x, rows }, x, rows * k);
        let times = (2000 / rows).clamp(1, 20);
        (0..times).for_each(|_| bench.op(Op::Linear { x, w, b, out, rows, k, n }, out, rows * n));
        bench.upload(backend);
        timed(backend, &bench, &format!("linear {rows} × {k} × {n}, {times} times"));
    }
    let weights = random_weights(1, &config(12, 12, 768, 3072, 50_257, 1024));
    let mut bench = Bench::of(weights);
    bench.upload(backend);
    for (label, runs, len) in [("forward", 1, 1), ("forward", 1, 11), ("forward", 1, 30), ("12 runs", 12, 11)]
    {
        let readout = Readout { last_logits: true, ..Readout::default() };
        let run = |i: usize| (0..len).map(|pos| ((pos * 7919 + i) % 50_257) as u32).collect();
        let runs: Vec<Run> =
            (0..runs).map(|i| Run { tokens: run(i), readout: readout.clone(), ..Run::default() }).collect();
        bench.program = model::program(&bench.weights.cfg, false, &runs, &backend.limits()).unwrap().0;
        timed(backend, &bench, &format!("{label}, {len} tokens"));
    }
}
