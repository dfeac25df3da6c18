//! Trains a tiny model for a few steps.

use microtome::lab::Model;
use microtome::train::{Settings, Trainer};
use microtome::weights::{ModelFiles, Weight, Weights};
use std::path::Path;

fn tiny() -> Settings {
    Settings {
        steps: 12,
        batch: 4,
        len: 24,
        warm_up: 4,
        learning_rate: 1e-2,
        n_layers: 1,
        n_heads: 2,
        d_model: 16,
        d_mlp: 32,
        d_vocab: 1800,
        n_ctx: 48,
        checkpoints: vec![0, 1, 8],
        ..Settings::default()
    }
}

fn losses(settings: Settings) -> Vec<f32> {
    let mut trainer = Trainer::new(settings).unwrap();
    let mut losses = Vec::new();
    while !trainer.finished() {
        losses.push(trainer.step().unwrap());
    }
    losses
}

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_losses() {
    let first = losses(tiny());
    let uniform = (1800.0_f32).ln();
    assert!((first[0] - uniform).abs() < 0.6, "an untrained model guesses: {} against {uniform}", first[0]);
    assert!(first[11] < first[0] - 0.5, "{first:?}");
    let bits = |losses: &[f32]| losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&first), bits(&losses(tiny())));
    assert_ne!(bits(&first), bits(&losses(Settings { seed: 1, ..tiny() })));
}

#[test]
fn the_written_folder_holds_the_trained_weights() {
    let mut trainer = Trainer::new(tiny()).unwrap();
    trainer.step().unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trained");
    trainer.save(&dir).unwrap();

    let files = ModelFiles::from_dir(&dir).unwrap();
    let model = pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))).unwrap();
    let read = pollster::block_on(Weights::read(&*model.raw)).unwrap();
    let cfg = &trainer.params.cfg;
    assert_eq!(model.cfg(), cfg);
    let trained = trainer.params.weights().unwrap();
    for weight in Weight::stored(cfg) {
        let expected: Vec<f32> =
            trained.get(weight).unwrap().iter().map(|v| half::f16::from_f32(*v).to_f32()).collect();
        assert_eq!(**read.get(weight).unwrap(), expected, "{weight}");
    }
    let prompt = "Mary is a great friend, isn’t";
    let ids = trainer.tokenizer.encode(prompt, false).unwrap();
    let tokenizer = model.tokenizer.unwrap();
    assert_eq!(tokenizer.encode(prompt).unwrap(), ids.get_ids());
    assert_eq!(tokenizer.bos(), cfg.bos_token_id);
}

#[test]
fn checkpoints_are_read_as_they_were_kept() {
    let mut trainer = Trainer::new(tiny()).unwrap();
    let mut kept = vec![trainer.params.weights().unwrap()];
    while !trainer.finished() {
        trainer.step().unwrap();
        kept.push(trainer.params.weights().unwrap());
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints");
    trainer.save(&dir).unwrap();
    let whole = dir.join("model.safetensors").metadata().unwrap().len();
    let last = kept.last().unwrap();
    for step in [0, 1, 8] {
        let stored = dir.join(format!("step-{step}.safetensors")).metadata().unwrap().len();
        assert!(stored < whole * 2 / 3, "a difference of {stored} bytes beside {whole}");
        let files = ModelFiles::from_dir_at(&dir.join(format!("@{step}"))).unwrap();
        let model = pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))).unwrap();
        assert_eq!((model.step, model.cfg()), (Some(step), &trainer.params.cfg));
        let read = pollster::block_on(Weights::read(&*model.raw)).unwrap();
        let expected = &kept[step as usize];
        for weight in Weight::stored(&trainer.params.cfg) {
            let [values, expected, last] = [&read, expected, last].map(|w| w.get(weight).unwrap());
            // A row's integers are steps of its largest difference / 127; the model itself is rounded to f16.
            let most = expected.iter().zip(&**last).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
            for (value, expected) in values.iter().zip(&**expected) {
                let tolerance = most / 250.0 + expected.abs() / 1000.0 + 1e-6;
                assert!((value - expected).abs() <= tolerance, "{weight}: {value} for {expected}");
            }
        }
    }
    // The last is the model itself.
    let files = ModelFiles::from_dir_at(&dir.join("@12")).unwrap();
    let model = pollster::block_on(Model::open(&files, false, &mut |_, _| Ok(()))).unwrap();
    assert_eq!(model.step, Some(12));
    let error = ModelFiles::from_dir_at(&dir.join("@5")).err().unwrap();
    assert_eq!(error.code, "checkpoint.unknown");
    assert!(error.message.contains("0, 1, 8, 12"), "{error}");

    // A difference that belongs to other weights is not added to these.
    let other = dir.join("step-1.safetensors");
    std::fs::copy(dir.join("step-0.safetensors"), &other).unwrap();
    assert_eq!(ModelFiles::from_dir_at(&dir.join("@1")).err().unwrap().code, "file.hash_mismatch");
    std::fs::remove_file(&other).unwrap();
    assert_eq!(ModelFiles::from_dir_at(&dir.join("@1")).err().unwrap().code, "file.missing");
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for (settings, word) in [
        (Settings { steps: 0, ..tiny() }, "steps"),
        (Settings { n_ctx: 8, ..tiny() }, "n_ctx"),
        (Settings { d_vocab: 10, ..tiny() }, "d_vocab"),
        (Settings { n_heads: 3, ..tiny() }, "n_head"),
        (Settings { repeats: 1.5, ..tiny() }, "repeats"),
        (Settings { checkpoints: vec![8, 1], ..tiny() }, "checkpoints"),
    ] {
        let error = Trainer::new(settings).err().unwrap();
        assert!(error.message.contains(word), "{error}");
    }
}
