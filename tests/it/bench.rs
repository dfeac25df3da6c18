//! The benchmark measures what it says, on the tiny shape. Times are never asserted.

use microtome::backend::Unattended;
use microtome::backend::cpu::Cpu;
use microtome::bench::{self, Case, Shape};
use microtome::lab::Lab;
use microtome::weights::{Part, Weight, Weights};
use serde_json::Value;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

#[test]
fn weights_are_seeded_and_look_like_gpt2s() {
    let models = [1, 1, 2].map(|seed| bench::model(Shape::Tiny, seed));
    let weights = models.map(|model| pollster::block_on(Weights::read(&*model.raw)).unwrap());
    let data = |model: usize, weight| Arc::clone(weights[model].get(weight).unwrap());
    assert_eq!(data(0, Weight::Embed), data(1, Weight::Embed));
    assert_ne!(data(0, Weight::Embed), data(2, Weight::Embed));
    assert_ne!(data(0, Weight::Block(0, Part::WQ)), data(0, Weight::Block(0, Part::WK)));
    assert!(weights[0].get(Weight::Unembed).is_err(), "the unembedding is the embedding");

    // They are drawn anew by every reading, also by one that begins in the middle.
    let model = bench::model(Shape::Tiny, 1);
    let parts = [Part::WQ, Part::WK, Part::WV].map(|part| Weight::Block(1, part));
    let rows = |rows| pollster::block_on(model.raw.rows(&parts, rows)).unwrap();
    let n = 3 * model.cfg().d_model;
    assert_eq!(rows(5..8), rows(0..16)[5 * n..8 * n]);
    assert_eq!(rows(5..6)[n / 3..2 * n / 3], data(0, parts[1])[5 * n / 3..6 * n / 3]);

    let statistics = |weight| {
        let data = data(0, weight);
        let n = data.len() as f32;
        let mean = data.iter().sum::<f32>() / n;
        (mean, (data.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt())
    };
    let (mean, deviation) = statistics(Weight::Block(1, Part::WIn));
    assert!(mean.abs() < 2e-3 && (deviation - 0.02).abs() < 2e-3, "{mean} {deviation}");
    let (mean, deviation) = statistics(Weight::LnFinalW);
    assert!((mean - 1.0).abs() < 0.02 && deviation < 0.03, "{mean} {deviation}");
    assert_eq!(Shape::Gpt2Small.config().n_params(), 124_439_808);
}

#[test]
fn prompts_share_what_the_case_says() {
    let cases = Case::all(&Shape::Gpt2Small.config(), &[11, 30]).unwrap();
    assert_eq!(cases.len(), 2 * Case::NAMES.len());
    for case in &cases {
        let experiment = case.experiment.to_value().unwrap();
        if experiment["kind"] != "patch" {
            continue;
        }
        let [clean, corrupted] =
            ["clean", "corrupted"].map(|name| experiment[name].as_array().unwrap().clone());
        assert_eq!((clean.len(), corrupted.len()), (case.tokens, case.tokens));
        let same = clean.iter().zip(&corrupted).take_while(|(a, b)| a == b).count();
        assert_eq!(same, if case.case == "patch_shared" { 5 } else { 0 });
    }
    for lengths in [[5], [1025]] {
        assert_eq!(Case::all(&Shape::Gpt2Small.config(), &lengths).unwrap_err().code, "input.tokens");
    }
}

/// The counts of a row are those of the experiment itself, and the rates follow from them.
#[test]
fn a_row_holds_the_counted_work() {
    let control = Unattended::default();
    let model = Rc::new(bench::model(Shape::Tiny, 7));
    let mut cpu = Cpu::new();
    let best = pollster::block_on(bench::matmul_rate(&mut cpu, model.cfg(), &control)).unwrap();
    let products: Vec<f64> = best.products.iter().map(|product| product.gflops).collect();
    assert!(best.products.len() > 1 && products.contains(&best.gflops));
    assert!(products.iter().all(|rate| *rate > 0.0 && *rate <= best.gflops));

    let mut lab = Lab::new(Rc::clone(&model), cpu, "cpu", "test");
    assert!(pollster::block_on(bench::prepare(&mut lab, &control)).unwrap() >= 0.0);
    for case in Case::all(model.cfg(), &[11]).unwrap() {
        let row = pollster::block_on(bench::measure(&mut lab, &case, 4, &best, &control)).unwrap();
        let engine = pollster::block_on(lab.run(&case.experiment, &control)).unwrap().engine;
        let counts = (engine.flops, engine.dispatches, engine.readbacks, engine.weight_bytes_read);
        assert_eq!(
            counts,
            (row.flops, row.dispatches, row.readbacks, row.weight_bytes_read),
            "{}",
            case.case
        );
        assert_eq!(row.repeats, 4);
        assert!(row.min_ms <= row.median_ms);
        assert!((row.gflops * row.median_ms * 1e6 - row.flops as f64).abs() < 1e-6 * row.flops as f64);
        assert!((row.share * best.gflops - row.gflops).abs() < 1e-9 * row.gflops);
    }
}

#[test]
fn the_command_prints_a_table_and_writes_json() {
    let file = std::env::temp_dir().join(format!("microtome-bench-{}.json", std::process::id()));
    let run = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_microtome"))
            .args(["bench", "--shape", "tiny", "--backend", "cpu"])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()))
    };
    let (status, [table, error]) = run(&["--repeat", "2", "--json", file.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{error}");
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!((json["shape"].as_str(), json["seed"].as_u64()), (Some("tiny"), Some(0)));
    let [engine] = json["engines"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(engine["backend"], "cpu");
    assert!(engine["threads"].as_u64().unwrap() > 0 && engine["matmul"]["gflops"].as_f64().unwrap() > 0.0);
    let rows = engine["rows"].as_array().unwrap();
    let found: Vec<_> =
        rows.iter().map(|row| (row["case"].as_str().unwrap(), row["tokens"].as_u64().unwrap())).collect();
    let expected: Vec<_> =
        [11, 30].into_iter().flat_map(|tokens| Case::NAMES.map(|(name, _)| (name, tokens))).collect();
    assert_eq!(found, expected);
    for row in rows {
        for count in ["flops", "dispatches", "weight_bytes_read"] {
            assert!(row[count].as_u64().unwrap() > 0, "{count} of {row}");
        }
        assert_eq!((row["readbacks"].as_u64(), row["repeats"].as_u64()), (Some(0), Some(2)));
    }
    for (_, title) in Case::NAMES {
        assert_eq!(table.matches(title).count(), 2, "{title} in {table}");
    }

    let (status, [table, _]) = run(&["--only", "forward,patch", "--tokens", "6", "--repeat", "1"]);
    assert_eq!((status, table.lines().count()), (Some(0), 6), "{table}");
    for (wrong, word) in
        [(["--only", "forwards"], "forwards"), (["--tokens", "33"], "33"), (["--repeat", "0"], "0")]
    {
        let (status, [table, error]) = run(&wrong);
        assert_eq!((status, table.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(word), "{error}");
    }
}
