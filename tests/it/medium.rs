//! GPT-2 medium's shape in halves, on both engines: weights that nobody stored, made as they are read.

use crate::support::{config, gpu};
use microtome::backend::cpu::Cpu;
use microtome::backend::{Backend, Unattended};
use microtome::config::Config;
use microtome::model::{self, Readout, Run};
use microtome::processing::Processing;
use microtome::weights::{MemoryPlan, Part, Raw, Storage, Weight, as_rows};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

/// Seeded weights of any shape, none of them in memory.
struct Made(Config);

impl Raw for Made {
    fn cfg(&self) -> &Config {
        &self.0
    }

    fn rows(
        &self,
        parts: &[Weight],
        rows: Range<usize>,
    ) -> Pin<Box<dyn Future<Output = microtome::Result<Vec<f32>>> + '_>> {
        let [_, n] = as_rows(parts[0], &self.0);
        let gain = matches!(parts[0], Weight::LnFinalW | Weight::Block(_, Part::Ln1W | Part::Ln2W));
        let middle = if gain { 1.0 } else { 0.0 };
        // By place, so that pieces of any size give the same weights: a hash (Steele, Lea and Flood's mix) of 24 bits.
        let width = n * parts.len();
        let seed =
            format!("{}", parts[0]).bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
        let value = |i: usize| {
            let mut x = (i as u64).wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            middle + 0.07 * ((x >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
        };
        let values = (rows.start * width..rows.end * width).map(value).collect();
        Box::pin(std::future::ready(Ok(values)))
    }
}

#[test]
fn gpt2_medium_in_halves_runs_on_both_engines() {
    let cfg = Config { tie_word_embeddings: true, ..config(24, 16, 1024, 4096, 50_257, 1024) };
    let made = Made(cfg.clone());
    let plan = MemoryPlan::new(&cfg, Storage::F16, None);
    let run = Run {
        tokens: vec![50_256, 15_496, 11],
        readout: Readout { last_logits: true, ..Readout::default() },
        ..Run::default()
    };
    let mut cpu = Cpu::new();
    let expected = forward(&mut cpu, &made, &run);
    let held = cpu.held_bytes();
    assert!(held >= plan.weights_bytes * 98 / 100 && held <= plan.peak_bytes, "{held} bytes, {plan:?}");
    drop(cpu);
    let Some(mut gpu) = gpu("gpt2_medium_in_halves_runs_on_both_engines") else { return };
    let found = forward(&mut *gpu, &made, &run);
    assert!(gpu.held_bytes() <= plan.peak_bytes, "{} bytes, {plan:?}", gpu.held_bytes());
    let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("GPT-2 medium, f16: {} MB on the CPU, engines within {worst:.1e}", held / 1_000_000);
    assert!(worst < 1e-3, "{worst}");
    // What the other tests share is small again.
    let small = Made(config(1, 1, 4, 4, 5, 8));
    pollster::block_on(Processing::NONE.apply(&small, Storage::F32, &mut *gpu)).unwrap();
}

fn forward<B: Backend>(engine: &mut B, made: &Made, run: &Run) -> Vec<f32> {
    pollster::block_on(async {
        let processed = Processing::TRANSFORMER_LENS.apply(made, Storage::F16, engine).await?;
        let runs = std::slice::from_ref(run);
        let (program, _) =
            model::program(&made.0, processed.ln_folded, runs, &Arc::default(), &engine.limits())?;
        let mut logits = engine.run(&program, &Unattended::default()).await?.data;
        processed.center_logits(&mut logits);
        Ok::<_, microtome::Error>(logits)
    })
    .unwrap()
}
