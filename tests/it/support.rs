//! What several modules of tests share: the engines, seeded numbers, random models.

use microtome::backend::cpu::Cpu;
use microtome::backend::gpu::Gpu;
use microtome::backend::{Backend, Output, Unattended};
use microtome::config::{ActFn, Config};
use microtome::error::Result;
use microtome::lab::Model;
use microtome::model::{self, Run, RunOutput};
use microtome::plan::{Answer, Item, Means, Plan};
use microtome::processing::Processing;
use microtome::sweep::Sweep;
use microtome::weights::{Checkpoint, ModelFiles, Part, Storage, Weight, Weights};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The engine that the tests share: compiling its kernels takes a while. `None`, said aloud, without an adapter.
pub fn gpu(test: &str) -> Option<MutexGuard<'static, Gpu>> {
    static SHARED: OnceLock<Result<Mutex<Gpu>>> = OnceLock::new();
    match SHARED.get_or_init(|| pollster::block_on(Gpu::open(true)).map(Mutex::new)) {
        Ok(gpu) => Some(gpu.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(error) => skip(test, error),
    }
}

/// Writes past the test harness' capture: a skip must be seen. `MICROTOME_GPU=required` makes it a failure.
#[expect(clippy::explicit_write, reason = "eprintln! would be captured")]
pub fn skip<T>(test: &str, error: &microtome::Error) -> Option<T> {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    assert!(std::env::var("MICROTOME_GPU").as_deref() != Ok("required"), "{test}: {error}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    writeln!(std::io::stderr(), "SKIP {test}: {error} ({count} skipped)").unwrap();
    None
}

/// Seeded numbers, about uniform in -1.7..1.7 so that their variance is 1.
pub fn random(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 3.46
    };
    (0..len).map(|_| next()).collect()
}

/// GPT-2's switches with these sizes.
pub fn config(
    n_layers: usize,
    n_heads: usize,
    d_model: usize,
    d_mlp: usize,
    d_vocab: usize,
    n_ctx: usize,
) -> Config {
    Config {
        n_layers,
        n_heads,
        d_model,
        d_head: d_model / n_heads,
        d_mlp,
        d_vocab,
        n_ctx,
        act_fn: ActFn::GeluNew,
        eps: 1e-5,
        scale_attn_by_inverse_layer_idx: false,
        scale_attn_weights: true,
        tie_word_embeddings: false,
        bos_token_id: None,
    }
}

/// Random weights of the scale at which activations stay near 1; LayerNorm's gains lie around 1.
pub fn random_weights(seed: u64, cfg: &Config) -> Weights {
    let mut weights = Weights::new(cfg.clone());
    for (i, weight) in Weight::stored(cfg).enumerate() {
        let shape = weight.shape(cfg);
        let (middle, spread) = match (weight, shape.as_slice()) {
            (Weight::LnFinalW | Weight::Block(_, Part::Ln1W | Part::Ln2W), _) => (1.0, 0.2),
            (Weight::Unembed, [_, k]) | (Weight::Block(..), [k, _]) => (0.0, 1.0 / (*k as f32).sqrt()),
            _ => (0.0, 1.0),
        };
        let mut data = random(seed.wrapping_mul(1000) + i as u64, shape.iter().product());
        data.iter_mut().for_each(|x| *x = *x * spread + middle);
        weights.set(weight, data).unwrap();
    }
    weights
}

/// Processed weights, in memory.
pub fn processed(processing: Processing, raw: &Weights) -> Weights {
    let mut weights = Weights::new(raw.cfg.clone());
    pollster::block_on(processing.apply(raw, Storage::F32, &mut weights)).unwrap();
    weights
}

/// A random model of 29 tokens and 16 positions.
pub fn random_model(seed: u64, n_layers: usize, n_heads: usize, d_head: usize) -> Weights {
    let d_model = n_heads * d_head;
    let mut cfg = config(n_layers, n_heads, d_model, 3 * d_model + 1, 29, 16);
    cfg.scale_attn_by_inverse_layer_idx = seed.is_multiple_of(2);
    random_weights(seed, &cfg)
}

/// An engine under test.
pub struct Machine {
    pub name: &'static str,
    engine: Engine,
}

enum Engine {
    Cpu(Cpu),
    Gpu(MutexGuard<'static, Gpu>),
}

/// Every engine there is on this machine.
pub fn machines(test: &str) -> Vec<Machine> {
    let gpu = gpu(test).map(|gpu| Machine { name: "gpu", engine: Engine::Gpu(gpu) });
    [Machine { name: "cpu", engine: Engine::Cpu(Cpu::new()) }].into_iter().chain(gpu).collect()
}

impl Machine {
    /// Runs one batch.
    pub fn run(&mut self, weights: &Weights, runs: &[Run]) -> (Vec<f32>, Vec<RunOutput>) {
        self.run_given(weights, runs, &Arc::default())
    }

    /// Runs one batch whose edits write values that are given.
    pub fn run_given(
        &mut self,
        weights: &Weights,
        runs: &[Run],
        given: &Arc<Vec<f32>>,
    ) -> (Vec<f32>, Vec<RunOutput>) {
        match &mut self.engine {
            Engine::Cpu(cpu) => run(cpu, weights, runs, given),
            Engine::Gpu(gpu) => run(&mut **gpu, weights, runs, given),
        }
        .unwrap()
    }

    /// Runs a sweep: its cells, the base's metric of every case, and the batches that it was planned as.
    pub fn sweep(&mut self, weights: &Weights, sweep: &Sweep) -> Swept {
        let limits = match &self.engine {
            Engine::Cpu(cpu) => cpu.limits(),
            Engine::Gpu(gpu) => gpu.limits(),
        };
        let plan = Plan::new(&weights.cfg, &limits, sweep, Means::default()).unwrap();
        let cells = sweep.cells(&weights.cfg).unwrap();
        let mut swept =
            Swept { cells: vec![0.0; cells], base: vec![f32::NAN; sweep.cases.len()], runs: Vec::new() };
        let weight =
            |item: Item| 1.0 / (sweep.cases.len() * sweep.cases[item.case].sources.len().max(1)) as f32;
        for batch in (0..plan.len()).map(|i| plan.batch(i).unwrap()) {
            let (data, outputs) = self.run(weights, &batch.runs);
            for ((answer, output), run) in batch.answers.iter().zip(&outputs).zip(&batch.runs) {
                let value = |case: usize| sweep.cases[case].metric.value(&data, output).unwrap() as f32;
                match answer {
                    Answer::Cell(item) => {
                        swept.cells[item.cell] += value(item.case) * weight(*item);
                        swept.runs.push((*item, value(item.case), batch.runs.clone(), run.clone()));
                    }
                    Answer::Base { case } => swept.base[*case] = value(*case),
                    Answer::Source { .. } | Answer::Prompt(_) => {}
                }
            }
        }
        for item in &plan.same {
            swept.cells[item.cell] += swept.base[item.case] * weight(*item);
        }
        swept
    }
}

/// A sweep's results and runs.
pub struct Swept {
    pub cells: Vec<f32>,
    pub base: Vec<f32>,
    /// Every cell that was run: its metric, its batch, itself.
    pub runs: Vec<(Item, f32, Vec<Run>, Run)>,
}

fn run<B: Backend>(
    backend: &mut B,
    weights: &Weights,
    runs: &[Run],
    given: &Arc<Vec<f32>>,
) -> Result<(Vec<f32>, Vec<RunOutput>)> {
    pollster::block_on(async {
        backend.upload(weights, Storage::F32).await?;
        let (program, outputs) =
            model::program(&weights.cfg, weights.ln_folded(), runs, given, &backend.limits())?;
        let Output { data, .. } = backend.run(&program, &Unattended::default()).await?;
        Ok((data, outputs))
    })
}

/// Everything that a model's files hold, and their hash.
pub fn weights(files: &ModelFiles) -> Result<(Weights, String)> {
    pollster::block_on(async {
        let checkpoint = Checkpoint::open(files, false).await?;
        Ok((Weights::read(&checkpoint).await?, checkpoint.sha256(&mut |_, _| Ok(())).await?))
    })
}

/// A model of this repository, by its folder.
pub fn golden_model(folder: impl AsRef<std::path::Path>) -> Model {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let model = ModelFiles::from_dir(&folder)
        .and_then(|files| pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))));
    model.unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}
