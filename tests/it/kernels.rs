//! Every kernel against its CPU twin: a tiny program with the one op, run on both engines, over awkward sizes.
//! Random input is seeded. Without an adapter each test says `SKIP` on standard error and counts itself.

mod bench;

use crate::support::{gpu, random};
use bench::{Bench, gpu_with};
use microtome::backend::Backend;
use microtome::backend::cpu::Cpu;
use microtome::backend::gpu::{Gpu, Options};
use microtome::config::ActFn;
use microtome::program::{Buf, Op, Segment};
use microtome::weights::{Part, Weight};

const SIZES: [usize; 6] = [1, 3, 63, 64, 65, 131];
const W_IN: Weight = Weight::Block(0, Part::WIn);
const B_IN: Weight = Weight::Block(0, Part::BIn);

#[test]
fn embed_and_pos_embed() {
    let Some(mut gpu) = gpu("embed") else { return };
    for d_model in SIZES {
        // Rows of different runs: positions start anew.
        let mut bench = Bench::new(d_model, 40).runs(&[1, 7, 3, 11]);
        bench.program.tokens =
            vec![39, 0, 1, 39, 7, 7, 8, 30, 31, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 38];
        bench.op(Op::Embed { out: Buf::Embed, rows: 22 }, Buf::Embed, 22 * d_model);
        bench.keep(Buf::Embed);
        bench.op(Op::PosEmbed { out: Buf::PosEmbed, rows: 22 }, Buf::PosEmbed, 22 * d_model);
        bench.keep(Buf::PosEmbed);
        bench.compare(&mut gpu, "embed", 0.0);
    }
}

#[test]
fn add() {
    let Some(mut gpu) = gpu("add") else { return };
    for len in SIZES {
        let mut bench = Bench::values();
        bench.load(Buf::Resid, &random(1, len));
        bench.load(Buf::AttnOut, &random(2, len));
        bench.op(Op::Add { a: Buf::Resid, b: Buf::AttnOut, out: Buf::ResidMid, len }, Buf::ResidMid, len);
        bench.keep(Buf::ResidMid);
        bench.compare(&mut gpu, "add", 0.0);
    }
}

#[test]
fn ln_scale_and_ln_normalize() {
    let Some(mut gpu) = gpu("ln_scale") else { return };
    for width in [2, 3, 63, 64, 65, 131, 768] {
        for rows in [1, 5] {
            let mut bench = Bench::new(width, rows).tokens(rows);
            let (x, scale, out) = (Buf::Embed, Buf::Scale, Buf::Normalized);
            bench.op(Op::Embed { out: x, rows }, x, rows * width);
            bench.op(Op::LnScale { x, out: scale, rows }, scale, rows);
            bench.keep(scale);
            let ln = (Weight::Block(0, Part::Ln1W), Weight::Block(0, Part::Ln1B));
            for affine in [None, Some(ln)] {
                bench.op(Op::LnNormalize { x, scale, affine, out, rows }, out, rows * width);
                bench.keep(out);
            }
            bench.compare(&mut gpu, "ln", 2e-6);
        }
    }
}

const IN_FOURS: [(usize, usize); 6] = [(4, 4), (20, 36), (64, 128), (64, 132), (128, 260), (768, 64)];

fn compare_linear(gpu: &mut Gpu, name: &str, k: usize, n: usize, rows: usize) {
    let mut bench = Bench::sizes(k, n, rows).tokens(rows);
    bench.op(Op::Embed { out: Buf::Embed, rows }, Buf::Embed, rows * k);
    let op = Op::Linear { x: Buf::Embed, w: W_IN, b: B_IN, out: Buf::Pre, rows, k, n };
    bench.op(op, Buf::Pre, rows * n);
    bench.keep(Buf::Pre);
    bench.compare(gpu, name, 4e-6);
}

#[test]
fn linear_and_linear_any() {
    let Some(mut gpu) = gpu("linear") else { return };
    for (k, n) in IN_FOURS.into_iter().chain([(1, 1), (3, 4), (4, 3), (20, 37), (131, 65)]) {
        for rows in [1, 3, 8, 9, 31, 32, 33, 65, 131] {
            compare_linear(&mut gpu, "linear", k, n, rows);
        }
    }
}

#[test]
fn linear_few() {
    let options = Options { allow_fallback: true, few_rows: Some(32), ..Options::default() };
    let Some(mut gpu) = gpu_with("linear_few", options) else { return };
    for (k, n) in IN_FOURS {
        for rows in [1, 3, 4, 5, 31, 32] {
            compare_linear(&mut gpu, "linear_few", k, n, rows);
        }
    }
    bench::forward(&[11, 3], gpu.limits()).compare(&mut gpu, "linear_few", 1e-5);
}

#[test]
fn head_linear_head_result_sum_heads_repeat_heads() {
    let Some(mut gpu) = gpu("head_linear") else { return };
    for (heads, d_head) in [(1, 1), (3, 5), (2, 64), (13, 5), (4, 16)] {
        for rows in [1, 3, 65] {
            let d = heads * d_head;
            let mut bench = Bench::new(d, rows).tokens(rows);
            let block = |part| Weight::Block(0, part);
            bench.op(Op::Embed { out: Buf::Z, rows }, Buf::Z, rows * d);
            let op = Op::RepeatHeads { x: Buf::Z, out: Buf::QInput, rows, heads, width: d };
            bench.op(op, Buf::QInput, rows * heads * d);
            bench.keep(Buf::QInput);
            // Make the heads' inputs differ.
            let segments = vec![Segment::zero((heads * d - d) as u32, d as u32)];
            bench.program.ops.push(Op::Edit { buf: Buf::QInput, segments });
            let (x, w, b) = (Buf::QInput, block(Part::WQ), block(Part::BQ));
            bench.op(Op::HeadLinear { x, w, b, out: Buf::Q, rows, heads, k: d, n: d_head }, Buf::Q, rows * d);
            bench.keep(Buf::Q);
            let (z, w, out) = (Buf::Z, block(Part::WO), Buf::Result);
            bench.op(Op::HeadResult { z, w, out, rows, heads, k: d_head, n: d }, out, rows * heads * d);
            bench.keep(Buf::Result);
            let (x, b, out) = (Buf::Result, block(Part::BO), Buf::AttnOut);
            bench.op(Op::SumHeads { x, b, out, rows, heads, width: d }, out, rows * d);
            bench.keep(Buf::AttnOut);
            bench.compare(&mut gpu, "head_linear", 2e-6);
        }
    }
}

const RAGGED: [&[usize]; 5] = [&[1], &[11], &[1, 3, 2], &[64, 1, 65], &[131, 63]];

#[test]
fn attn_scores_pattern_and_z() {
    let Some(mut gpu) = gpu("attn_scores") else { return };
    for lens in RAGGED {
        for (heads, d_head) in [(1, 1), (3, 5), (2, 64)] {
            let mut bench = Bench::values().runs(lens);
            let (rows, scores) = (bench.program.rows.len(), bench.scores(heads));
            let len = rows * heads * d_head;
            for (seed, buf) in [(1, Buf::Q), (2, Buf::K), (3, Buf::V)] {
                bench.load(buf, &random(seed, len));
            }
            let (q, k, out, scale) = (Buf::Q, Buf::K, Buf::AttnScores, 0.37);
            bench.op(Op::AttnScores { q, k, out, rows, heads, d_head, scale }, out, scores);
            bench.keep(out);
            bench.op(Op::Pattern { scores: out, out: Buf::Pattern, rows, heads }, Buf::Pattern, scores);
            bench.keep(Buf::Pattern);
            for causal in [true, false] {
                let (pattern, v, out) = (Buf::Pattern, Buf::V, Buf::Z);
                bench.op(Op::Z { pattern, v, out, rows, heads, d_head, causal }, Buf::Z, len);
                bench.keep(Buf::Z);
            }
            let kept = bench.compare(&mut gpu, "attn_scores", 2e-6);
            let future = kept[..scores].iter().filter(|x| **x == f32::NEG_INFINITY).count();
            let expected: usize = lens.iter().map(|len| heads * len * (len - 1) / 2).sum();
            assert_eq!(future, expected, "scores of the future are -inf");
        }
    }
}

/// A pattern that was edited may look at the future, which a causal z does not read.
#[test]
fn z_of_an_edited_pattern() {
    let Some(mut gpu) = gpu("z") else { return };
    for (heads, d_head) in [(3, 5), (3, 8)] {
        let mut bench = Bench::values().runs(&[7, 2]);
        let (rows, scores) = (bench.program.rows.len(), bench.scores(heads));
        let len = rows * heads * d_head;
        let (pattern, v, out) = (Buf::Pattern, Buf::V, Buf::Z);
        bench.load(pattern, &random(7, scores));
        bench.load(v, &random(8, len));
        for causal in [true, false] {
            bench.op(Op::Z { pattern, v, out, rows, heads, d_head, causal }, out, len);
            bench.keep(out);
        }
        let kept = bench.compare(&mut gpu, "z", 2e-6);
        assert_ne!(kept[..len], kept[len..], "the future makes a difference");
    }
}

#[test]
fn pattern_of_edited_scores() {
    let Some(mut gpu) = gpu("pattern") else { return };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    // One run of 5, one head: each row of scores is a case.
    #[rustfmt::skip]
    let scores = [
        -inf, -inf, -inf, -inf, -inf,   // nothing to look at: 0 everywhere
        1.0, 2.0, 3.0, -1.0, 0.5,       // the future was edited in
        nan, 1.0, 2.0, 3.0, 4.0,        // NaN: 0 everywhere
        inf, 1.0, 2.0, 3.0, -inf,       // +inf: 0 everywhere
        -3e38, 3e38, -1e30, 87.0, -inf, // far apart, without overflow
    ];
    let mut bench = Bench::values().runs(&[5]);
    bench.load(Buf::AttnScores, &scores);
    bench.op(Op::Pattern { scores: Buf::AttnScores, out: Buf::Pattern, rows: 5, heads: 1 }, Buf::Pattern, 25);
    bench.keep(Buf::Pattern);
    let pattern = bench.compare(&mut gpu, "pattern", 1e-6);
    for row in [0, 2, 3] {
        assert_eq!(pattern[5 * row..5 * row + 5], [0.0; 5], "row {row}");
    }
    assert!((pattern[5..10].iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(pattern[20..], [0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn activation() {
    let Some(mut gpu) = gpu("activation") else { return };
    let mut values = random(4, 131);
    // gelu_new's tanh overflows on some adapters above 43; erf changes sign at 0.
    values.extend((-200..=200).map(|i| i as f32 * 0.5));
    values.extend([0.0, -0.0, 1e-20, -1e-20, 1e-4, 3e4, -3e4]);
    for act in [ActFn::GeluNew, ActFn::Gelu, ActFn::Relu] {
        let mut bench = Bench::values();
        bench.load(Buf::Pre, &values);
        bench.op(
            Op::Activation { x: Buf::Pre, out: Buf::Post, act, len: values.len() },
            Buf::Post,
            values.len(),
        );
        bench.keep(Buf::Post);
        bench.compare(&mut gpu, &format!("activation {act:?}"), 1e-6);
    }
}

#[test]
fn edit() {
    let Some(mut gpu) = gpu("edit") else { return };
    let segment = |dst, src, len| Segment { dst, src, len, scale: 1.0 };
    let mut bench = Bench::values();
    bench.load(Buf::Resid, &random(5, 5000));
    let segments = vec![
        segment(0, Segment::ZERO, 1),
        segment(4999, 1, 1),
        segment(100, 2000, 900),
        segment(1001, Segment::ZERO, 64),
        segment(1100, 2100, 65),
        segment(4990, 4990, 3), // from itself: changes nothing
        segment(3000, 2000, 0), // empty
        Segment { scale: -2.5, ..segment(4000, 4000, 70) },
        Segment { scale: 0.5, ..segment(4100, 2000, 3) },
    ];
    bench.program.ops.push(Op::Edit { buf: Buf::Resid, segments });
    bench.keep(Buf::Resid);
    // Where two segments write the same place the later wins.
    let segments = vec![segment(10, Segment::ZERO, 50), segment(20, 2000, 10), segment(25, Segment::ZERO, 2)];
    bench.program.ops.push(Op::Edit { buf: Buf::Resid, segments });
    bench.keep(Buf::Resid);
    bench.compare(&mut gpu, "edit", 0.0);

    // Infinities are copied as they are.
    let mut bench = Bench::values();
    bench.load(Buf::AttnScores, &[1.0, f32::NEG_INFINITY, 3.0, 4.0]);
    let segments = vec![segment(2, 0, 2), segment(0, Segment::ZERO, 1)];
    let read_and_written = bench.program.ops.len();
    bench.program.ops.push(Op::Edit { buf: Buf::AttnScores, segments });
    bench.keep(Buf::AttnScores);
    let error = bench.run(&mut *gpu).unwrap_err();
    assert!(error.message.contains("another one writes"), "{error}");
    bench.program.ops[read_and_written] = Op::Edit { buf: Buf::AttnScores, segments: vec![segment(2, 0, 2)] };
    assert_eq!(bench.compare(&mut gpu, "edit", 0.0), [1.0, f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY]);
}

#[test]
fn gather_rows() {
    let Some(mut gpu) = gpu("gather_rows") else { return };
    for width in SIZES {
        let mut bench = Bench::new(width, 9).tokens(9);
        bench.op(Op::Embed { out: Buf::Resid, rows: 9 }, Buf::Resid, 9 * width);
        let (x, index, out) = (Buf::Resid, vec![8, 0, 8, 3], Buf::FinalResid);
        bench.op(Op::GatherRows { x, index, out, width }, out, 4 * width);
        bench.keep(out);
        bench.compare(&mut gpu, "gather_rows", 0.0);
    }
}

#[test]
fn unembed_logit_diff_and_log_sum_exp() {
    let Some(mut gpu) = gpu("unembed") else { return };
    for (k, d_vocab) in [(4, 3), (20, 67), (37, 131), (64, 260), (768, 65)] {
        for rows in [1, 9, 33] {
            bench::unembedding(k, d_vocab, rows, usize::MAX).compare(&mut gpu, "unembed", 3e-6);
        }
    }
}

/// Logits so large that their exponentials overflow, in tiles narrower and wider than a workgroup.
#[test]
fn log_sum_exp_of_large_logits() {
    let Some(mut gpu) = gpu("log_sum_exp") else { return };
    let (tile, out, targets) = (Buf::LogitTile, Buf::LogSumExp, vec![0, 66, 299]);
    let mut bench = Bench::values();
    for (first, n) in [(0, 3), (3, 64), (67, 233)] {
        let logits: Vec<f32> = random(first as u64, 3 * n).iter().map(|x| x * 300.0).collect();
        bench.load(tile, &logits);
        let (targets, reset) = (targets.clone(), first == 0);
        bench.op(Op::LogSumExp { tile, out, targets, first, n, reset }, out, 9);
    }
    bench.keep(out);
    bench.compare(&mut gpu, "log_sum_exp", 2e-6);
}

/// A slow adapter gets an op in many pieces, which must not change a bit.
#[test]
fn cuts_change_nothing() {
    let options = Options { allow_fallback: true, dispatch_cost: Some(1), ..Options::default() };
    let Some(mut cut) = gpu_with("cuts_change_nothing", options) else { return };
    let Some(mut whole) = gpu("cuts_change_nothing") else { return };
    let bench = bench::forward(&[11, 3, 40], whole.limits());
    let (pieces, once) = (bench.run(&mut cut).unwrap(), bench.run(&mut *whole).unwrap());
    assert_eq!(pieces.data, once.data);
    compare_linear(&mut cut, "cuts_change_nothing", 20, 37, 9);
    bench::unembedding(37, 131, 33, usize::MAX).compare(&mut cut, "cuts_change_nothing", 3e-6);
    assert!(pieces.dispatches > 20 * once.dispatches, "{} and {}", pieces.dispatches, once.dispatches);
}

/// Tables larger than a binding: W_E, W_U and logit differences across shards.
#[test]
fn split_tables() {
    let (k, d_vocab) = (20, 67);
    // 13 rows of W_E and W_U fit, so there are six shards and the last is short.
    let binding_bytes = Some(13 * 4 * k as u64);
    let Some(mut gpu) =
        gpu_with("split_tables", Options { allow_fallback: true, binding_bytes, ..Options::default() })
    else {
        return;
    };
    for rows in [1, 9] {
        let mut bench = bench::unembedding(k, d_vocab, rows, 13);
        // Weights other than the two tables must fit.
        bench.weights.remove(Weight::PosEmbed);
        for part in Part::ALL {
            bench.weights.remove(Weight::Block(0, part));
        }
        let split = bench.compare(&mut gpu, "split_tables", 3e-6);
        assert_eq!(gpu.limits().unembed_rows, 13);
        if let Some(mut whole) = self::gpu("split_tables") {
            assert_eq!(split, bench.run(&mut *whole).unwrap().data, "a split changes no bit");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let Some(mut gpu) = gpu("the_same_input_gives_the_same_bits") else { return };
    let bench = bench::forward(&[11, 3, 64], gpu.limits());
    let first = bench.run(&mut *gpu).unwrap();
    let second = bench.run(&mut *gpu).unwrap();
    let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&first.data), bits(&second.data));
    assert_eq!((first.readbacks, second.readbacks), (1, 1));
}

#[test]
fn a_forward_pass() {
    let Some(mut gpu) = gpu("a_forward_pass") else { return };
    for lens in [&[1][..], &[11], &[3, 1, 7, 20], &[65, 64]] {
        bench::forward(lens, gpu.limits()).compare(&mut gpu, "a_forward_pass", 1e-5);
    }
}

#[test]
fn what_lies_outside_a_buffer_is_refused() {
    let Some(mut gpu) = gpu("what_lies_outside_a_buffer_is_refused") else { return };
    let whole = || {
        let mut bench = Bench::values();
        bench.load(Buf::Resid, &random(6, 8));
        bench.keep(Buf::Resid);
        bench
    };
    let zero = |dst, len| vec![Segment::zero(dst, len)];
    let x = Buf::Resid;
    let cases = [
        (Op::GatherRows { x, index: vec![2], out: Buf::FinalResid, width: 4 }, "GatherRows"),
        (Op::Edit { buf: x, segments: zero(5, 4) }, "Edit"),
        (Op::Add { a: x, b: x, out: Buf::FinalResid, len: 9 }, "Add"),
        (Op::Add { a: x, b: x, out: x, len: 8 }, "both read and written"),
        (Op::Activation { x, out: Buf::Post, act: ActFn::Relu, len: 8 }, "Post"),
        (Op::Keep { buf: x, start: 0, len: 9, at: 0 }, "Keep"),
        (Op::Keep { buf: x, start: 0, len: 8, at: 1 }, "output"),
        (Op::LogitDiff { x, out: Buf::FinalResid, pairs: vec![[0, 8]], k: 1 }, "vocabulary"),
        (Op::Linear { x, w: W_IN, b: B_IN, out: Buf::FinalResid, rows: 1, k: 2, n: 3 }, "W_in"),
    ];
    for (op, word) in cases {
        let mut bench = whole();
        bench.program.buffers.push((Buf::FinalResid, 4));
        bench.program.ops.push(op);
        let error = bench.run(&mut *gpu).unwrap_err();
        assert!(error.message.contains(word), "{word}: {error}");
    }
    let mut bench = whole();
    bench.program.tokens[3] = 8;
    assert!(bench.run(&mut *gpu).unwrap_err().message.contains("vocabulary"));
    // The engine is as good as before.
    whole().compare(&mut gpu, "add", 0.0);
}

/// A lost device answers as if all were well; the engine must not.
#[test]
fn a_lost_device_is_an_error() {
    let Some(mut gpu) =
        gpu_with("a_lost_device_is_an_error", Options { allow_fallback: true, ..Options::default() })
    else {
        return;
    };
    let bench = bench::forward(&[3], gpu.limits());
    bench.compare(&mut gpu, "a_lost_device_is_an_error", 1e-5);
    gpu.close();
    let error = bench.run_uploaded(&mut gpu).unwrap_err();
    assert_eq!(error.code, "gpu.lost", "{error}");
}

#[test]
fn a_software_adapter_is_not_taken_unasked() {
    let Some(gpu) = gpu("a_software_adapter_is_not_taken_unasked") else { return };
    match pollster::block_on(Gpu::open(false)) {
        Ok(found) => assert!(!found.is_fallback()),
        Err(error) => {
            assert!(gpu.is_fallback(), "{error}");
            assert_eq!(error.code, "gpu.missing");
            assert!(error.message.contains("software"), "{error}");
        }
    }
}

#[test]
fn a_cancel_is_heard() {
    let Some(mut gpu) = gpu("a_cancel_is_heard") else { return };
    // Some seconds of work on a software adapter.
    let bench = bench::heavy(if gpu.is_fallback() { 40 } else { 4000 });
    bench.upload(&mut *gpu);
    let control = bench::CancelAfter::ms(150.0);
    let error = pollster::block_on(gpu.run(&bench.program, &control)).unwrap_err();
    assert_eq!(error.code, "run.cancelled");
    let late = control.elapsed_ms() - 150.0;
    println!("cancelled {late:.0} ms after it was asked for");
    assert!(late < 1500.0, "cancelled {late:.0} ms after it was asked for");
    // What is left of it disturbs nobody.
    bench::forward(&[3], gpu.limits()).compare(&mut gpu, "a_cancel_is_heard", 1e-5);
}

/// Prints what a forward pass of GPT-2 small's shape takes; run with `--ignored --nocapture`.
#[test]
#[ignore = "half a gigabyte of random weights and some seconds: a measurement"]
fn speed() {
    let Some(mut gpu) = gpu("speed") else { return };
    println!("{}", gpu.adapter().unwrap());
    bench::speed(&mut *gpu);
    println!("cpu engine");
    bench::speed(&mut Cpu::new());
}
