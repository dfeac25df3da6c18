//! Matrices of weights as halves: each kernel that reads them against its CPU twin on the same weights rounded, and
//! whole models.

use super::bench::{self, Bench, gpu_with, list};
use crate::support::{golden_model, processed};
use microtome::backend::Backend;
use microtome::backend::cpu::Cpu;
use microtome::backend::gpu::{Gpu, Options, Variants};
use microtome::hook::{HookName, Site};
use microtome::model::{self, Readout, Run};
use microtome::processing::Processing;
use microtome::program::{Buf, Op};
use microtome::weights::{Part, Storage, Weight, Weights};
use std::sync::Arc;

fn options(variant: &str) -> Options {
    let variants = Some([variant; 3].join("/").parse::<Variants>().unwrap());
    Options { allow_fallback: true, storage: Storage::F16, variants, ..Options::default() }
}

#[test]
fn every_kernel_that_reads_matrices_reads_halves() {
    for name in ["linear_1x8", "linear_8x8", "linear_12x16", "linear_16x16", "linear_few", "linear_shared"] {
        let Some(mut gpu) = gpu_with("halves", options(name)) else { return };
        for (k, n) in super::IN_FOURS {
            for rows in [1, 5, 33] {
                super::compare_linear(&mut gpu, name, k, n, rows);
            }
        }
        super::projections(&mut gpu, name);
        for (k, d_vocab, rows) in [(20, 67, 1), (64, 260, 5), (768, 65, 33)] {
            bench::unembedding(k, d_vocab, rows, usize::MAX).compare(&mut gpu, name, 3e-6);
        }
        let forward = bench::forward(&[11, 3, 40], gpu.limits());
        same_bits_as_rounded(&mut gpu, name, &forward);
    }
}

/// An odd width, where rows begin with the second half of a word.
#[test]
fn halves_of_any_size() {
    let Some(mut gpu) = gpu_with("halves", options("linear_8x8")) else { return };
    for (k, n) in [(1, 1), (3, 5), (4, 3), (131, 65)] {
        for rows in [1, 9] {
            super::compare_linear(&mut gpu, "halves", k, n, rows);
        }
    }
    for rows in [1, 9] {
        bench::unembedding(37, 131, rows, usize::MAX).compare(&mut gpu, "halves", 3e-6);
    }
    super::embeds(&mut gpu);
    super::heads(&mut gpu);
}

/// The arithmetic is the same whatever the weights are kept in, so that rounding them is all that halves do.
fn same_bits_as_rounded(gpu: &mut Gpu, name: &str, bench: &Bench) -> Vec<f32> {
    let run = |gpu: &mut Gpu, storage| {
        bench.upload_as(gpu, storage);
        bench.run_uploaded(gpu).unwrap().data
    };
    let halves = run(gpu, Storage::F16);
    let rounded = bench.kept_as(Storage::F16);
    assert!(rounded.run(gpu).unwrap().data == halves, "{name}: not the bits of rounded weights");
    // The shipped model's raw weights are halves already.
    let exact = rounded.weights.iter().zip(bench.weights.iter()).all(|((_, a), (_, b))| a == b);
    assert_eq!(run(gpu, Storage::F32) == halves, exact, "{name}: what rounding changes");
    assert!(run(gpu, Storage::F16) == halves, "{name}: other bits after the other storage");
    halves
}

/// Twice as many rows fit a binding; a shard of an odd width ends with a whole word.
#[test]
fn split_tables_of_halves() {
    for (k, fitting) in [(20, 13), (37, 12)] {
        let (d_vocab, binding_bytes) = (67, Some(13 * 2 * k as u64));
        let options = Options { binding_bytes, ..options("linear_8x8") };
        let Some(mut gpu) = gpu_with("split_tables_of_halves", options) else { return };
        // Activations must fit the binding as well.
        for rows in [1, 5] {
            let mut bench = bench::unembedding(k, d_vocab, rows, fitting);
            let tokens = list((0..rows).map(|i| (i * 31 + 12) % d_vocab));
            bench.op(Op::Embed { tokens, pos: None, out: Buf::Embed }, Buf::Embed, rows * k);
            bench.keep(Buf::Embed);
            bench.weights.remove(Weight::PosEmbed);
            for part in Part::ALL {
                bench.weights.remove(Weight::Block(0, part));
            }
            bench.compare(&mut gpu, "split_tables_of_halves", 3e-6);
            assert_eq!(gpu.limits().unembed_rows, fitting);
        }
    }
}

/// Weights come in pieces; a pair is never cut, and what is no half is refused by name.
#[test]
fn pieces_of_halves() {
    use microtome::weights::Sink;
    let Some(mut gpu) = gpu_with("pieces_of_halves", options("linear_8x8")) else { return };
    let bench = bench::forward(&[3], gpu.limits());
    bench.upload_as(&mut gpu, Storage::F16);
    let whole = bench.run_uploaded(&mut gpu).unwrap().data;
    let names: Vec<Weight> = bench.weights.iter().map(|(weight, _)| weight).collect();
    let piece = |gpu: &mut Gpu, weight, at, values: &[f32]| pollster::block_on(gpu.write(weight, at, values));
    for size in [2, 34, 1000] {
        pollster::block_on(gpu.begin(&bench.weights.cfg, &names, Storage::F16)).unwrap();
        for (weight, data) in bench.weights.iter() {
            for (i, values) in data.chunks(size).enumerate() {
                piece(&mut gpu, weight, i * size, values).unwrap();
            }
        }
        assert!(bench.run_uploaded(&mut gpu).unwrap().data == whole, "pieces of {size}");
    }
    let w_in = Weight::Block(0, Part::WIn);
    for (at, values, code) in [
        (1, [1.0; 2].as_slice(), "internal"),
        (0, &[1.0; 3], "internal"),
        (0, &[1.0, 1e5], "model.f16_range"),
    ] {
        assert_eq!(piece(&mut gpu, w_in, at, values).unwrap_err().code, code, "{values:?} at {at}");
    }
    // Vectors stay f32.
    piece(&mut gpu, Weight::Block(0, Part::BIn), 1, &[1e5]).unwrap();
}

/// A model as it is shipped, processed, with everything that a hook shows.
#[test]
fn a_model_of_halves_is_the_model_rounded() {
    let Some(mut gpu) = gpu_with("a_model_of_halves", options("linear_8x8")) else { return };
    for folder in ["tests/golden/models/gelu-new", "www/models/pronoun"] {
        let raw = pollster::block_on(Weights::read(&*golden_model(folder).raw)).unwrap();
        for processing in [Processing::TRANSFORMER_LENS, Processing::NONE] {
            let weights = processed(processing, &raw);
            let cfg = weights.cfg.clone();
            let last = cfg.n_layers - 1;
            let hooks = [(Site::Embed, 0), (Site::PosEmbed, 0), (Site::Result, 0), (Site::ResidPost, last)];
            let hooks = hooks.map(|(site, layer)| HookName { site, layer }).to_vec();
            let seen = Readout { last_logits: true, logit_diff: Some([5, 6]), loss: true, hooks };
            let plain = Readout { hooks: Vec::new(), ..seen.clone() };
            let tokens: Vec<u32> = (0..11).map(|i| (i * 7 + 3) % cfg.d_vocab as u32).collect();
            let run = |readout| Run { tokens: tokens.clone(), readout, ..Run::default() };
            let mut bench = Bench::of(weights);
            for readout in [seen, plain] {
                let folded = bench.weights.ln_folded();
                let runs = [run(readout)];
                let limits = gpu.limits();
                bench.program = model::program(&cfg, folded, &runs, &Arc::default(), &limits).unwrap().0;
                let halves = same_bits_as_rounded(&mut gpu, folder, &bench);
                let cpu = bench.kept_as(Storage::F16).run(&mut Cpu::new()).unwrap().data;
                let worst = halves.iter().zip(&cpu).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
                let worst = worst.fold(0.0, f32::max);
                println!("{folder}: halves on the GPU against rounded weights on the CPU: {worst:.1e}");
                assert!(worst < 1e-4, "{folder}: {worst:e}");
            }
        }
    }
}
