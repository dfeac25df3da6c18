//! Laws that hold for every model, prompt and edit, as property tests on both engines.

use crate::support::{Machine, machines, processed, random_model};
use microtome::hook::{Axis, HookName, Site};
use microtome::intervene::{Edit, Intervention, Place};
use microtome::metric::{Metric, log_sum_exp};
use microtome::model::{Readout, Run, RunOutput};
use microtome::processing::Processing;
use microtome::sweep::{Case as Question, Grid, Sweep, Target, Write};
use microtome::weights::{Part, Weight, Weights};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use std::sync::Arc;

/// A random model with two prompts of equal length and one of another.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    n_layers: usize,
    n_heads: usize,
    d_head: usize,
    len: usize,
    folded: bool,
    site: Site,
}

impl Case {
    fn weights(&self) -> Weights {
        let raw = random_model(self.seed, self.n_layers, self.n_heads, self.d_head);
        processed(if self.folded { Processing::TRANSFORMER_LENS } else { Processing::NONE }, &raw)
    }

    fn prompt(&self, which: u32, len: usize) -> Vec<u32> {
        (0..len as u32).map(|i| (self.seed as u32 ^ (i * 7 + which * 13)) % 29).collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let sites: Vec<Site> = Site::all().collect();
    (any::<u32>(), 1..4usize, 1..4usize, 1..9usize, 2..8usize, any::<bool>(), prop::sample::select(sites))
        .prop_map(|(seed, n_layers, n_heads, d_head, len, folded, site)| {
            // LayerNorm of one number is 0 / 0 but for epsilon: no model has d_model 1.
            let d_head = if n_heads * d_head < 2 { 2 } else { d_head };
            Case { seed: u64::from(seed), n_layers, n_heads, d_head, len, folded, site }
        })
}

/// Checks a law on random cases, on every engine there is.
fn law(name: &str, check: impl Fn(&mut Machine, &Case) -> Result<(), TestCaseError>) {
    for mut machine in machines(name) {
        let cell = std::cell::RefCell::new(&mut machine);
        let config = Cases { cases: 24, failure_persistence: None, ..Cases::default() };
        let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
        let mut runner = TestRunner::new_with_rng(config, rng);
        if let Err(error) = runner.run(&cases(), |case| check(&mut cell.borrow_mut(), &case)) {
            panic!("{name} on {}: {error}", cell.borrow().name);
        }
    }
}

fn keep(hooks: &[(Site, usize)]) -> Readout {
    Readout {
        hooks: hooks.iter().map(|(site, layer)| HookName { site: *site, layer: *layer }).collect(),
        ..Readout::default()
    }
}

fn close(a: &[f32], b: &[f32], tolerance: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        // Zeroing a LayerNorm scale divides by zero: both ways of running must then say NaN.
        let same = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= tolerance * (1.0 + b.abs());
        prop_assert!(same, "element {}: {} and {}", i, a, b);
    }
    Ok(())
}

/// One hook of one run.
fn tensor<'a>(data: &'a [f32], output: &RunOutput, slot: usize, len: usize) -> &'a [f32] {
    &data[output.hooks[slot]..][..len]
}

#[test]
fn no_edits_change_nothing_and_the_same_input_gives_the_same_bits() {
    law("no edits", |machine, case| {
        let weights = case.weights();
        let readout = Metric::LogitDiff([1, 2]).readout();
        let run = Run { tokens: case.prompt(0, case.len), readout, ..Run::default() };
        let again = Run { base: Some(0), ..run.clone() };
        let (data, outputs) = machine.run(&weights, &[run.clone(), again.clone()]);
        let values: Vec<u32> = outputs.iter().map(|o| data[o.logit_diff.unwrap()].to_bits()).collect();
        prop_assert_eq!(values[0], values[1]);
        let (second, _) = machine.run(&weights, &[run, again]);
        let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&data), bits(&second));
        Ok(())
    });
}

/// All cells of a site, ablated by zeroing or patched from `clean`.
fn sweep_of(case: &Case, axes: &[Axis], clean: Option<Vec<u32>>, metric: Metric) -> Sweep {
    let write = if clean.is_some() { Write::Copy } else { Write::Zero };
    let tokens = case.prompt(0, case.len);
    let cases = vec![Question { tokens, sources: clean.into_iter().collect(), metric }];
    Sweep { cases, grid: Grid::Sites { sites: vec![case.site], stacked: false, axes: axes.to_vec() }, write }
}

#[test]
fn patching_from_the_same_prompt_changes_nothing() {
    law("patch from itself", |machine, case| {
        let metric = Metric::LogitDiff([3, 4]);
        let readout = metric.readout();
        let base = Run { tokens: case.prompt(0, case.len), readout: readout.clone(), ..Run::default() };
        // The planner would leave these out: run them by hand.
        let place = Place::default();
        let hook = HookName { site: case.site, layer: 0 };
        let patch = Intervention { hook, place, edit: Edit::Patch { from: 1 } };
        let patched = Run { interventions: vec![patch], base: Some(0), ..base.clone() };
        let (data, outputs) = machine.run(&case.weights(), &[base.clone(), base, patched]);
        let value = |i: usize| data[outputs[i].logit_diff.unwrap()];
        close(&[value(2)], &[value(0)], 2e-5)?;
        let sweep = sweep_of(case, case.site.axes(), Some(case.prompt(0, case.len)), metric);
        let swept = machine.sweep(&case.weights(), &sweep);
        prop_assert!(swept.runs.is_empty());
        close(&swept.cells, &vec![swept.base[0]; swept.cells.len()], 0.0)
    });
}

#[test]
fn scaling_by_one_changes_nothing_and_scaling_is_multiplication() {
    law("scale", |machine, case| {
        let weights = case.weights();
        let hook = HookName { site: case.site, layer: 0 };
        let run = |by: Option<f32>| Run {
            tokens: case.prompt(0, case.len),
            interventions: by
                .map(|by| Intervention { hook, place: Place::default(), edit: Edit::Scale { by } })
                .into_iter()
                .collect(),
            readout: Readout { last_logits: true, ..keep(&[(case.site, 0)]) },
            ..Run::default()
        };
        // Alone, so that both go through the very same products.
        let mut bits = |by| {
            let (data, outputs) = machine.run(&weights, &[run(by)]);
            let len: usize = case.site.shape(&weights.cfg, case.len).iter().product();
            let logits = data[outputs[0].last_logits.unwrap()..][..weights.cfg.d_vocab].to_vec();
            (tensor(&data, &outputs[0], 0, len).to_vec(), logits)
        };
        let (plain, logits) = bits(None);
        let (same, same_logits) = bits(Some(1.0));
        prop_assert_eq!(&plain, &same);
        // An edited head input is multiplied head by head, in another order of additions.
        close(&same_logits, &logits, 2e-5)?;
        let (doubled, _) = bits(Some(-2.0));
        prop_assert_eq!(plain.iter().map(|x| x * -2.0).collect::<Vec<_>>(), doubled);
        Ok(())
    });
}

#[test]
fn zeroing_every_z_leaves_the_output_bias() {
    law("zero z", |machine, case| {
        let weights = case.weights();
        let layer = case.n_layers - 1;
        let hook = HookName { site: Site::Z, layer };
        let run = Run {
            tokens: case.prompt(0, case.len),
            interventions: vec![Intervention { hook, place: Place::default(), edit: Edit::Zero }],
            readout: keep(&[(Site::AttnOut, layer)]),
            ..Run::default()
        };
        let (data, outputs) = machine.run(&weights, &[run]);
        let b_o = weights.get(Weight::Block(layer, Part::BO)).unwrap();
        let len = case.len * b_o.len();
        let out = tensor(&data, &outputs[0], 0, len);
        prop_assert_eq!(out.to_vec(), b_o.repeat(case.len));
        Ok(())
    });
}

#[test]
fn the_residual_stream_adds_up_and_patterns_are_distributions() {
    law("sums", |machine, case| {
        let weights = case.weights();
        let layer = case.n_layers - 1;
        let sites =
            [Site::ResidMid, Site::MlpOut, Site::ResidPost, Site::ResidPre, Site::AttnOut, Site::Pattern];
        let run = Run {
            tokens: case.prompt(0, case.len),
            readout: keep(&sites.map(|site| (site, layer))),
            ..Run::default()
        };
        let (data, outputs) = machine.run(&weights, &[run]);
        let len = case.len * weights.cfg.d_model;
        let hook = |slot: usize| tensor(&data, &outputs[0], slot, len);
        let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        prop_assert_eq!(sum(hook(0), hook(1)), hook(2));
        prop_assert_eq!(sum(hook(3), hook(4)), hook(0));
        let pattern = tensor(&data, &outputs[0], 5, case.n_heads * case.len * case.len);
        for (i, row) in pattern.chunks_exact(case.len).enumerate() {
            let dest = i % case.len;
            prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(row[dest + 1..].iter().all(|weight| *weight == 0.0));
        }
        Ok(())
    });
}

#[test]
fn a_batch_equals_its_runs_one_by_one() {
    law("batch", |machine, case| {
        let weights = case.weights();
        let readout = Readout { last_logits: true, loss: true, ..keep(&[(case.site, 0)]) };
        let run =
            |which, len| Run { tokens: case.prompt(which, len), readout: readout.clone(), ..Run::default() };
        let runs = [run(0, case.len), run(1, case.len + 3), run(2, 2)];
        let (together, outputs) = machine.run(&weights, &runs);
        for (run, output) in runs.iter().zip(&outputs) {
            let (alone, own) = machine.run(&weights, std::slice::from_ref(run));
            let vocab = weights.cfg.d_vocab;
            let logits = |data: &[f32], o: &RunOutput| data[o.last_logits.unwrap()..][..vocab].to_vec();
            close(&logits(&together, output), &logits(&alone, &own[0]), 2e-5)?;
            let len: usize = case.site.shape(&weights.cfg, run.tokens.len()).iter().product();
            close(tensor(&together, output, 0, len), tensor(&alone, &own[0], 0, len), 1e-4)?;
        }
        Ok(())
    });
}

#[test]
fn a_planned_sweep_equals_run_by_run() {
    law("sweep", |machine, case| {
        let weights = case.weights();
        for clean in [None, Some(case.prompt(1, case.len))] {
            for metric in [Metric::LogitDiff([5, 6]), Metric::Loss] {
                let sweep = sweep_of(case, case.site.axes(), clean.clone(), metric);
                // The same cells, each alone with what it reads, and from the first layer on.
                for (_, value, runs, run) in machine.sweep(&weights, &sweep).runs {
                    let bases = runs.iter().filter(|run| run.interventions.is_empty());
                    let bases = bases.map(|run| Run { base: None, ..run.clone() });
                    let runs: Vec<Run> = bases.chain([Run { base: None, ..run }]).collect();
                    let (data, outputs) = machine.run(&weights, &runs);
                    let alone = metric.value(&data, outputs.last().unwrap()).unwrap() as f32;
                    close(&[value], &[alone], 2e-5)?;
                }
            }
        }
        Ok(())
    });
}

/// Small numbers that follow from a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn maybe(&mut self, n: usize) -> Option<usize> {
        (self.below(3) > 0).then(|| self.below(n))
    }

    /// Up to three edits of different hooks of a run of `len` tokens; runs 0 and 1 may be copied from.
    fn interventions(&mut self, case: &Case, weights: &Weights, given: usize) -> Vec<Intervention> {
        // LayerNorm's input and the copies of it that bypass it cannot be edited together.
        let bypass = [Site::AttnIn, Site::QInput, Site::KInput, Site::VInput];
        let sites: Vec<Site> = Site::all().filter(|site| !bypass.contains(site)).collect();
        let mut interventions: Vec<Intervention> = Vec::new();
        for _ in 0..=self.below(3) {
            let site = sites[self.below(sites.len())];
            let layer = if site.has_layer() { self.below(case.n_layers) } else { 0 };
            let hook = HookName { site, layer };
            let mut place = Place::default();
            for axis in site.axes() {
                let size = if *axis == Axis::Head { case.n_heads } else { case.len };
                if let Some(index) = self.maybe(size) {
                    place = place.with(*axis, index);
                }
            }
            let edit = match self.below(4) {
                0 => Edit::Zero,
                1 => Edit::Scale { by: 0.5 },
                2 if site.len(&weights.cfg, case.len) <= given => Edit::Given { at: 0, per_pos: true },
                _ => Edit::Patch { from: self.below(2) },
            };
            if interventions.iter().all(|other| other.hook != hook) {
                interventions.push(Intervention { hook, place, edit });
            }
        }
        interventions
    }
}

#[test]
fn random_edits_give_the_same_from_a_base_and_from_the_start() {
    law("forks", |machine, case| {
        let (weights, mut draws) = (case.weights(), Draws(case.seed));
        let given: Arc<Vec<f32>> = Arc::new((0..400).map(|i| (i as f32 * 0.7).sin()).collect());
        let readouts = [Metric::LogitDiff([5, 6]), Metric::Loss, Metric::LogitDiff([1, 20])];
        let prompt = |which, metric: Metric, base| {
            let tokens = case.prompt(which, case.len);
            Run { tokens, base, readout: metric.readout(), ..Run::default() }
        };
        let mut runs = vec![prompt(0, readouts[0], None), prompt(1, readouts[0], Some(0))];
        let mut alone = vec![prompt(0, readouts[0], None), prompt(1, readouts[0], None)];
        for i in 0..9 {
            let interventions = draws.interventions(case, &weights, given.len());
            let run = Run { interventions, ..prompt(0, readouts[i % 3], Some(0)) };
            alone.push(Run { base: None, ..run.clone() });
            runs.push(run);
        }
        let (together, outputs) = machine.run_given(&weights, &runs, &given);
        for (i, run) in alone.iter().enumerate().skip(2) {
            let metric = readouts[(i - 2) % 3];
            let (data, own) =
                machine.run_given(&weights, &[alone[0].clone(), alone[1].clone(), run.clone()], &given);
            let (value, expected) = (
                metric.value(&together, &outputs[i]).unwrap() as f32,
                metric.value(&data, &own[2]).unwrap() as f32,
            );
            // LayerNorm without its scale blows small differences up.
            let tolerance = 1e-4 * (1.0 + expected.abs());
            let close = |value: f32| {
                value == expected
                    || value.is_nan() && expected.is_nan()
                    || (value - expected).abs() <= tolerance
            };
            if close(value) {
                continue;
            }
            // Which of the others is in its way?
            let beside = (2..runs.len()).filter(|j| *j != i).find(|j| {
                let pair = [&runs[0], &runs[1], &runs[*j], &runs[i]].map(Run::clone);
                let (data, outputs) = machine.run_given(&weights, &pair, &given);
                !close(metric.value(&data, &outputs[3]).unwrap() as f32)
            });
            let beside = beside.map(|j| &runs[j].interventions);
            prop_assert!(false, "{value}, not {expected}: {run:?} beside {beside:?}");
        }
        Ok(())
    });
}

#[test]
fn random_sweeps_equal_their_runs_one_by_one() {
    law("random sweeps", |machine, case| {
        let (weights, mut draws) = (case.weights(), Draws(case.seed));
        let metric = if draws.below(2) == 0 { Metric::Loss } else { Metric::LogitDiff([3, 4]) };
        let write = if draws.below(2) == 0 { Write::Zero } else { Write::Copy };
        let question = |which: u32, sources: usize| Question {
            tokens: case.prompt(which, case.len),
            sources: (0..sources as u32).map(|i| case.prompt(which + i + 1, case.len)).collect(),
            metric,
        };
        let sources = |draws: &mut Draws| if write == Write::Copy { 1 + draws.below(2) } else { 0 };
        let cases =
            (0..1 + draws.below(3) as u32).map(|which| question(which, sources(&mut draws))).collect();
        let set = |draws: &mut Draws| -> Vec<Target> {
            let drawn = draws.interventions(case, &weights, 0);
            drawn
                .into_iter()
                .map(|i| Target {
                    site: i.hook.site,
                    layer: i.hook.site.has_layer().then_some(i.hook.layer),
                    place: i.place,
                })
                .collect()
        };
        let sweep = Sweep { cases, grid: Grid::Sets((0..4).map(|_| set(&mut draws)).collect()), write };
        let swept = machine.sweep(&weights, &sweep);
        for (_, value, runs, run) in swept.runs {
            let bases = runs.iter().filter(|run| run.interventions.is_empty());
            let bases = bases.map(|run| Run { base: None, ..run.clone() });
            let runs: Vec<Run> = bases.chain([Run { base: None, ..run.clone() }]).collect();
            let (data, outputs) = machine.run(&weights, &runs);
            let alone = metric.value(&data, outputs.last().unwrap()).unwrap() as f32;
            let same = value == alone || value.is_nan() && alone.is_nan();
            prop_assert!(
                same || (value - alone).abs() <= 1e-4 * (1.0 + alone.abs()),
                "{value}, not {alone}: {run:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn patching_the_whole_first_residual_stream_recovers_everything() {
    law("recover", |machine, case| {
        let case = &Case { site: Site::ResidPre, ..case.clone() };
        let metric = Metric::LogitDiff([7, 8]);
        let sweep = sweep_of(case, &[Axis::Layer], Some(case.prompt(1, case.len)), metric);
        let swept = machine.sweep(&case.weights(), &sweep);
        let clean = Run { tokens: case.prompt(1, case.len), readout: metric.readout(), ..Run::default() };
        let (data, outputs) = machine.run(&case.weights(), &[clean]);
        close(&swept.cells[..1], &[data[outputs[0].logit_diff.unwrap()]], 2e-5)
    });
}

#[test]
fn later_tokens_do_not_reach_back() {
    law("causal", |machine, case| {
        let weights = case.weights();
        let layer = case.n_layers - 1;
        let mut other = case.prompt(0, case.len);
        *other.last_mut().unwrap() = (other[case.len - 1] + 1) % 29;
        let run = |tokens| Run { tokens, readout: keep(&[(Site::ResidPost, layer)]), ..Run::default() };
        let (data, outputs) = machine.run(&weights, &[run(case.prompt(0, case.len)), run(other)]);
        let len = (case.len - 1) * weights.cfg.d_model;
        close(tensor(&data, &outputs[0], 0, len), tensor(&data, &outputs[1], 0, len), 1e-6)
    });
}

#[test]
fn processing_does_not_change_what_is_predicted() {
    law("processing", |machine, case| {
        let raw = random_model(case.seed, case.n_layers, case.n_heads, case.d_head);
        let readout = Readout { last_logits: true, ..Readout::default() };
        let run = Run { tokens: case.prompt(0, case.len), readout, ..Run::default() };
        let refactor = Processing { refactor_factored_attn_matrices: true, ..Processing::TRANSFORMER_LENS };
        let mut log_probs = |processing: Processing| {
            let (logits, _) = machine.run(&processed(processing, &raw), std::slice::from_ref(&run));
            let total = log_sum_exp(&logits) as f32;
            logits.iter().map(|logit| logit - total).collect::<Vec<_>>()
        };
        let reference = log_probs(Processing::NONE);
        close(&log_probs(Processing::TRANSFORMER_LENS), &reference, 1e-4)?;
        close(&log_probs(refactor), &reference, 1e-4)
    });
}
