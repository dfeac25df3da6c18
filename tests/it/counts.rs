//! The counted work of planned sweeps: exact, and within what the design promises for GPT-2 small. Nothing runs here: a
//! plan and its programs are values.

use microtome::backend::Unattended;
use microtome::backend::cpu::Cpu;
use microtome::config::Config;
use microtome::experiment::Experiment;
use microtome::hook::{Axis, HookName, Site};
use microtome::lab::Lab;
use microtome::metric::Metric;
use microtome::model::{self, Limits, Readout, Run};
use microtome::plan::{Means, Plan};
use microtome::program::{Op, Work};
use microtome::sweep::{Case, Grid, Sweep, Write};
use std::sync::Arc;

const LIMITS: Limits =
    Limits { buffer_elements: 64 << 20, tile_elements: 16 << 20, unembed_rows: usize::MAX };

fn config(n_layer: usize, n_head: usize, d_model: usize, d_vocab: usize) -> Config {
    let json = format!(
        r#"{{"n_layer":{n_layer},"n_head":{n_head},"n_embd":{d_model},"n_positions":1024,"vocab_size":{d_vocab}}}"#
    );
    Config::from_json(json.as_bytes()).unwrap()
}

fn gpt2_small() -> Config {
    config(12, 12, 768, 50_257)
}

fn small() -> Config {
    config(3, 2, 8, 29)
}

/// Tokens of a prompt, and of one that shares the first `shared` of them and no later one.
fn prompts(len: usize, shared: usize) -> [Vec<u32>; 2] {
    [0, 1].map(|which| (0..len).map(|i| (2 * i + if i < shared { 0 } else { which }) as u32 % 29).collect())
}

fn sweep(site: Site, axes: &[Axis], metric: Metric, [tokens, clean]: [Vec<u32>; 2], write: Write) -> Sweep {
    let sources = if write == Write::Copy { vec![clean] } else { Vec::new() };
    let grid = Grid::Sites { sites: vec![site], stacked: false, axes: axes.to_vec() };
    Sweep { cases: vec![Case { tokens, sources, metric }], grid, write }
}

fn ablation(metric: Metric, len: usize) -> Sweep {
    sweep(Site::Z, &[Axis::Layer, Axis::Head], metric, prompts(len, len), Write::Zero)
}

fn patching(len: usize, shared: usize) -> Sweep {
    let metric = Metric::LogitDiff([1, 2]);
    sweep(Site::ResidPre, &[Axis::Layer, Axis::Pos], metric, prompts(len, shared), Write::Copy)
}

/// The programs of a sweep: their work, the bytes of the largest one's buffers, and how many there are.
fn counted(cfg: &Config, sweep: &Sweep) -> (Work, usize, usize) {
    let plan = Plan::new(cfg, &LIMITS, sweep, Means::default()).unwrap();
    let (mut work, mut bytes) = (Work::default(), 0);
    for index in 0..plan.len() {
        let batch = plan.batch(index).unwrap();
        let (program, _) = model::program(cfg, true, &batch.runs, &batch.given, &LIMITS).unwrap();
        work += program.work();
        bytes = bytes.max(program.bytes());
    }
    (work, bytes, plan.len())
}

/// Operations of one row in one layer: C of the closed forms.
fn row(d: u64) -> u64 {
    24 * d * d
}

/// Operations of attention for the queries of positions `from..len`.
fn attention(d: u64, from: u64, len: u64) -> u64 {
    (from..len).map(|dest| 4 * d * (dest + 1)).sum()
}

/// The last attention of a sweep that reads one position.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Last {
    /// Keys and values of all rows.
    Keys,
    /// Its heads look at the normalised rows, so that nothing is computed of those that are only looked at.
    Rows,
}

impl Last {
    /// A run of which `n` rows differ, at its last position: from the rows to z. `n` is 0 where all that it looks at are
    /// other runs' rows.
    fn z(self, cfg: &Config, n: u64, len: u64) -> u64 {
        let (d, heads) = (cfg.d_model as u64, cfg.n_heads as u64);
        let query = if n > 0 { 2 * d * d } else { 0 };
        match self {
            Last::Keys => query + n * 4 * d * d + 4 * d * len,
            // W_K on the query, W_V on what the heads found.
            Last::Rows => 2 * query + 4 * heads * d * len + 2 * d * d,
        }
    }
}

/// Operations from z to the end of a layer.
fn from_z(d: u64) -> u64 {
    18 * d * d
}

/// An unedited run that shares its first `shared` positions with another, read at its last position.
fn base(cfg: &Config, len: u64, shared: u64, last: Last) -> u64 {
    let (d, l, n) = (cfg.d_model as u64, cfg.n_layers as u64, len - shared);
    (l - 1) * (n * row(d) + attention(d, shared, len)) + last.z(cfg, n, len) + from_z(d) + 4 * d
}

fn ablations_by_logit_difference(cfg: &Config, len: u64, z: Last) -> u64 {
    let (d, heads, last) = (cfg.d_model as u64, cfg.n_heads as u64, cfg.n_layers as u64 - 1);
    let before = |l: u64| {
        let between = (last - 1 - l) * (len * row(d) + attention(d, 0, len));
        len * from_z(d) + between + z.z(cfg, len, len) + from_z(d)
    };
    let cells = heads * ((0..last).map(before).sum::<u64>() + from_z(d)) + heads * (last + 1) * 4 * d;
    cells + base(cfg, len, 0, z)
}

fn ablations_by_loss(cfg: &Config, len: u64) -> u64 {
    let (d, heads, layers) = (cfg.d_model as u64, cfg.n_heads as u64, cfg.n_layers as u64);
    let (rows, unembed) = (len - 1, 2 * d * cfg.d_vocab as u64);
    let layer = rows * row(d) + attention(d, 0, rows);
    let cell = |l: u64| rows * from_z(d) + (layers - 1 - l) * layer;
    let cells = heads * (0..layers).map(cell).sum::<u64>() + heads * layers * rows * unembed;
    cells + layers * layer + rows * unembed
}

fn patches_of_resid_pre(cfg: &Config, len: u64, shared: u64, z: Last) -> u64 {
    let (d, last) = (cfg.d_model as u64, cfg.n_layers as u64 - 1);
    let cell = |l: u64, pos: u64| {
        // Behind the first position that differs the stream is the clean run's: nothing is computed for it.
        let first = if pos == shared { pos + 1 } else { pos };
        let n = len - first;
        if n == 0 {
            return 0;
        }
        if l == last {
            // At the last layer a patched position is read by the last query.
            return z.z(cfg, 0, len) + from_z(d);
        }
        let attention = attention(d, first, len);
        let between = (last - 1 - l) * (n * row(d) + attention);
        n * from_z(d) + attention + between + z.z(cfg, n, len) + from_z(d)
    };
    let cells = (0..=last).flat_map(|l| (shared..len).map(move |pos| (l, pos)));
    let cells = cells.map(|(l, pos)| cell(l, pos) + 4 * d).sum::<u64>();
    cells + base(cfg, len, 0, z) + base(cfg, len, shared, z)
}

#[test]
fn ablations_of_z_by_logit_difference_cost_what_the_closed_form_says() {
    for (cfg, len) in [(small(), 5), (small(), 1), (gpt2_small(), 11)] {
        let (work, _, batches) = counted(&cfg, &ablation(Metric::LogitDiff([1, 2]), len));
        let [rows, keys] =
            [Last::Rows, Last::Keys].map(|z| ablations_by_logit_difference(&cfg, len as u64, z));
        assert_eq!((work.flops, batches), (rows.min(keys), 1));
        assert_eq!(rows < keys, len > 1, "the one or the other");
    }
}

#[test]
fn ablations_of_z_by_loss_never_compute_the_last_position() {
    for (cfg, len) in [(small(), 5), (gpt2_small(), 11)] {
        let (work, _, _) = counted(&cfg, &ablation(Metric::Loss, len));
        assert_eq!(work.flops, ablations_by_loss(&cfg, len as u64));
    }
}

#[test]
fn patches_of_resid_pre_cost_what_the_closed_form_says() {
    for (cfg, len, shared) in
        [(small(), 6, 0), (small(), 6, 2), (small(), 6, 5), (gpt2_small(), 11, 0), (gpt2_small(), 11, 5)]
    {
        let (work, _, _) = counted(&cfg, &patching(len, shared));
        let [rows, keys] =
            [Last::Rows, Last::Keys].map(|z| patches_of_resid_pre(&cfg, len as u64, shared as u64, z));
        assert_eq!(work.flops, rows.min(keys), "{shared} shared");
    }
}

#[test]
fn cells_that_cannot_differ_are_not_run() {
    let cfg = small();
    let plan = |sweep: &Sweep| {
        let plan = Plan::new(&cfg, &LIMITS, sweep, Means::default()).unwrap();
        (plan.same.len(), (0..plan.len()).map(|i| plan.batch(i).unwrap().runs.len()).sum::<usize>())
    };
    // Three positions of five are shared, in three layers.
    assert_eq!(plan(&patching(5, 3)), (9, 2 + 6));
    let pattern = |write| {
        let axes = [Axis::Layer, Axis::Head, Axis::Dest, Axis::Src];
        sweep(Site::Pattern, &axes, Metric::LogitDiff([1, 2]), prompts(5, 3), write)
    };
    // A query sees itself and what came before; in the last layer only the last query is read.
    assert_eq!(plan(&pattern(Write::Zero)).1, 1 + 2 * 2 * 15 + 2 * 5);
    // Queries 3 and 4 see a difference.
    assert_eq!(plan(&pattern(Write::Copy)).1, 2 + 2 * 2 * (4 + 5) + 2 * 5);
}

#[test]
fn gpt2_small_keeps_to_the_promised_counts() {
    let cfg = gpt2_small();
    let most = |what: &str, sweep: &Sweep, gflop: f64, gigabytes: f64| {
        let (work, bytes, batches) = counted(&cfg, sweep);
        let (flops, read) = (work.flops as f64 / 1e9, work.weight_bytes_read as f64 / 1e9);
        println!(
            "{what}: {flops:.2} GFLOP, {read:.3} GB of weights, {:.0} MB of activations",
            bytes as f64 / 1e6
        );
        assert!(flops <= gflop, "{what}: {flops} GFLOP, at most {gflop}");
        assert!(read <= gigabytes, "{what}: {read} GB of weights, at most {gigabytes}");
        assert_eq!(batches, 1, "{what}");
    };
    most("144 ablations, logit difference", &ablation(Metric::LogitDiff([1, 2]), 11), 128.0, 0.5);
    most("144 ablations, loss", &ablation(Metric::Loss, 11), 249.0, 0.5);
    most("132 patches", &patching(11, 0), 66.0, 0.5);
    most("132 patches, 5 tokens shared", &patching(11, 5), 22.0, 0.5);
    let mut name = patching(11, 5);
    let case = &mut name.cases[0];
    case.sources[0][6..].copy_from_slice(&case.tokens[6..]);
    most("132 patches, one token differs", &name, 22.0, 0.5);
}

#[test]
fn a_batch_of_25_prompts_keeps_to_the_memory_that_is_promised() {
    let cfg = gpt2_small();
    let prompt = |which: u32| (0..30).map(|i| (i * 7 + which * 13) % 50_257).collect();
    let case = |which| Case { tokens: prompt(which), sources: Vec::new(), metric: Metric::LogitDiff([1, 2]) };
    let sweep = Sweep { cases: (0..25).map(case).collect(), ..ablation(Metric::Loss, 11) };
    let (work, bytes, batches) = counted(&cfg, &sweep);
    println!(
        "25 x 144: {:.0} GFLOP, {batches} batches of at most {} MB",
        work.flops as f64 / 1e9,
        bytes / 1_000_000
    );
    assert!(bytes <= 256 << 20, "{bytes} bytes of activations");
}

#[test]
fn prompts_share_the_work_of_their_common_beginning() {
    let cfg = small();
    let count = |prompts: &[Vec<u32>]| {
        let readout = Metric::LogitDiff([1, 2]).readout();
        let prompts = prompts.iter().map(|tokens| (tokens.clone(), readout.clone())).collect();
        let batches = microtome::plan::prompts(&cfg, &LIMITS, prompts);
        let build =
            |runs: &[Run]| model::program(&cfg, true, runs, &Arc::default(), &LIMITS).unwrap().0.work().flops;
        batches.iter().map(|batch| build(&batch.runs)).sum::<u64>()
    };
    let [a, b] = prompts(6, 4);
    // One prompt alone keeps to fewer ops.
    assert_eq!(count(std::slice::from_ref(&a)), base(&cfg, 6, 0, Last::Keys));
    let rows = |shared| base(&cfg, 6, shared, Last::Rows);
    assert_eq!(count(&[a.clone(), b]), rows(0) + rows(4));
    // The same prompt again costs its two columns of the unembedding.
    assert_eq!(count(&[a.clone(), a]), rows(0) + 4 * cfg.d_model as u64);
}

#[test]
fn ops_run_together_where_nobody_looks() {
    let cfg = gpt2_small();
    let run =
        Run { tokens: (0..11).collect(), readout: Metric::LogitDiff([1, 2]).readout(), ..Run::default() };
    let (program, _) = model::program(&cfg, true, &[run], &Arc::default(), &LIMITS).unwrap();
    // Per layer LayerNorm, q k v, attention, output, LayerNorm, MLP in, MLP out; the last has its queries apart.
    let ops = program.ops.iter().filter(|op| !matches!(op, Op::Keep { .. })).count();
    assert_eq!(ops, 1 + 7 * 12 + 1 + 2);
}

#[test]
fn nothing_is_computed_behind_the_last_pattern_that_is_asked_for() {
    let (cfg, len) = (small(), 5u64);
    let d = cfg.d_model as u64;
    let scores = |layer| {
        let hooks = vec![HookName { site: Site::Pattern, layer }];
        let readout = Readout { hooks, ..Readout::default() };
        let run = Run { tokens: prompts(5, 5)[0].clone(), readout, ..Run::default() };
        model::program(&cfg, true, &[run], &Arc::default(), &LIMITS).unwrap().0.work().flops
    };
    for layer in 0..cfg.n_layers {
        // Queries, keys and values, then the scores, which are half of attention.
        let last = len * 6 * d * d + attention(d, 0, len) / 2;
        let before = layer as u64 * (len * row(d) + attention(d, 0, len));
        assert_eq!(scores(layer), before + last, "layer {layer}");
    }
}

#[test]
fn an_estimate_is_what_the_run_then_counts() {
    let model = std::rc::Rc::new(crate::support::golden_model("www/models/pronoun"));
    let mut lab = Lab::new(model, Cpu::new(), "cpu", "test");
    let metric = r#""metric":{"kind":"logit_diff","correct":5,"incorrect":6}"#;
    for (fields, cells) in [
        (r#""kind":"predict","prompt":[1,2,3]"#.to_string(), 1),
        (r#""kind":"trace","prompts":[[1,2,3],[4]],"hooks":["blocks.0.attn.hook_z"]"#.to_string(), 2),
        (
            r#""kind":"detect","prompts":[[1,2,3],[4,5]],"patterns":["induction","previous_token"]"#
                .to_string(),
            64,
        ),
        (
            format!(
                r#""kind":"ablate","prompt":[1,2,3],"site":"z","axes":["layer","head"],"edit":{{"kind":"zero"}},{metric}"#
            ),
            32,
        ),
        (
            format!(
                r#""kind":"ablate","prompt":[1,2,3],"site":"v","axes":["layer"],"edit":{{"kind":"mean","prompts":[[7,8],[9]]}},{metric}"#
            ),
            4,
        ),
        (
            format!(
                r#""kind":"patch","clean":[1,2,3],"corrupted":[1,4,3],"site":"resid_pre","axes":["layer","pos"],{metric}"#
            ),
            12,
        ),
    ] {
        let experiment = Experiment::from_json(&format!(r#"{{"version":1,{fields}}}"#)).unwrap();
        let estimate = lab.estimate(&experiment).unwrap();
        let control = Unattended::default();
        let counted = pollster::block_on(lab.run(&experiment, &control)).unwrap().engine;
        assert_eq!(
            (estimate.cells, estimate.flops, estimate.weight_bytes_read),
            (cells, counted.flops, counted.weight_bytes_read),
            "{fields}"
        );
        assert!(estimate.memory_bytes > 0 && estimate.runs > 0);
    }
}
