//! Counts of dispatches: exact, and within what is promised for GPU adapters.

use super::{Machine, Steps, steps};
use crate::backend::gpu::variants::Variants;
use crate::config::Config;
use crate::hook::{Axis, Site};
use crate::metric::Metric;
use crate::model::{self, Limits, Run};
use crate::plan::{Means, Plan};
use crate::program::Program;
use crate::sweep::{Case, Grid, Sweep, Write};
use std::sync::Arc;

const LIMITS: Limits =
    Limits { buffer_elements: 16 << 20, tile_elements: 16 << 20, unembed_rows: usize::MAX };

fn gpt2_small() -> Config {
    let json = br#"{"n_layer":12,"n_head":12,"n_embd":768,"n_positions":1024,"vocab_size":50257}"#;
    Config::from_json(json).unwrap()
}

/// The steps of an adapter so fast that no op is cut.
fn uncut(cfg: &Config, program: &Program) -> Steps {
    let machine = Machine {
        weights: &|weight| Ok(weight.shape(cfg).iter().product()),
        shard_rows: cfg.d_vocab,
        plane: 16 << 20,
        variants: Variants::untuned(false),
        short_attention: false,
        dispatch_cost: u64::MAX,
    };
    steps(program, &machine).unwrap()
}

/// Dispatches of a run, with the canary that the engine adds.
fn dispatches(cfg: &Config, program: &Program) -> usize {
    uncut(cfg, program).dispatches() + 1
}

#[test]
fn a_forward_pass_keeps_to_the_promised_dispatches() {
    let cfg = gpt2_small();
    for metric in [Metric::LogitDiff([1, 2]), Metric::Loss] {
        let run = Run { tokens: (0..11).collect(), readout: metric.readout(), ..Run::default() };
        for folded in [true, false] {
            let (program, _) =
                model::program(&cfg, folded, std::slice::from_ref(&run), &Arc::default(), &LIMITS).unwrap();
            let found = dispatches(&cfg, &program);
            println!("forward, {metric:?}: {found} dispatches");
            assert!(found <= 90, "{found} dispatches\n{program}");
        }
    }
}

#[test]
fn a_sweep_keeps_to_the_promised_dispatches() {
    let cfg = gpt2_small();
    for (site, axes, write) in [
        (Site::Z, [Axis::Layer, Axis::Head], Write::Zero),
        (Site::ResidPre, [Axis::Layer, Axis::Pos], Write::Copy),
    ] {
        for metric in [Metric::LogitDiff([1, 2]), Metric::Loss] {
            let sources = if write == Write::Copy { vec![(1..12).collect()] } else { Vec::new() };
            let case = Case { tokens: (0..11).collect(), sources, metric };
            let grid = Grid::Sites { sites: vec![site], stacked: false, axes: axes.to_vec() };
            let sweep = Sweep { cases: vec![case], grid, write: write.clone() };
            let plan = Plan::new(&cfg, &LIMITS, &sweep, Means::default()).unwrap();
            assert_eq!(plan.len(), 1, "{site}");
            let batch = plan.batch(0).unwrap();
            let (program, _) = model::program(&cfg, true, &batch.runs, &batch.given, &LIMITS).unwrap();
            let found = dispatches(&cfg, &program);
            println!("{site} over {} runs, {metric:?}: {found} dispatches", batch.runs.len());
            assert!(found <= 126, "{found} dispatches\n{program}");
        }
    }
}

#[test]
fn a_list_that_ops_share_is_uploaded_once() {
    let cfg = gpt2_small();
    let run = Run { tokens: (0..11).collect(), readout: Metric::Loss.readout(), ..Run::default() };
    let (program, _) = model::program(&cfg, true, &[run], &Arc::default(), &LIMITS).unwrap();
    let index = uncut(&cfg, &program).index.len();
    // Eight words a row and a list of keys for each layer, and some lists besides.
    assert!(index <= 12 * (11 * 8 + 11) + 200, "{index} words");
}
