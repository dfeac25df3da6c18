//! `microtome train`: train the default model and write it as a model directory.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::train::{Settings, Trainer};

#[derive(clap::Args)]
pub struct Args {
    /// Folder for config.json, model.safetensors, tokenizer.json and the checkpoints; made where it is absent.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the text, the vocabulary and the first weights.
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// Optimiser steps.
    #[arg(long, default_value_t = Settings::default().steps)]
    steps: usize,
    /// Rows of a batch.
    #[arg(long, default_value_t = Settings::default().batch)]
    batch: usize,
    /// Tokens of a row; every fourth batch has rows of --n-ctx tokens instead.
    #[arg(long, default_value_t = Settings::default().len)]
    len: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = Settings::default().learning_rate)]
    learning_rate: f64,
    /// Share of rows that are random tokens, repeated.
    #[arg(long, default_value_t = Settings::default().repeats)]
    repeats: f64,
    #[arg(long, default_value_t = Settings::default().n_layers)]
    n_layers: usize,
    #[arg(long, default_value_t = Settings::default().n_heads)]
    n_heads: usize,
    #[arg(long, default_value_t = Settings::default().d_model)]
    d_model: usize,
    #[arg(long, default_value_t = Settings::default().d_mlp)]
    d_mlp: usize,
    #[arg(long, default_value_t = Settings::default().d_vocab)]
    d_vocab: usize,
    #[arg(long, default_value_t = Settings::default().n_ctx)]
    n_ctx: usize,
    /// Steps after which the weights are kept as checkpoints, beside the last; 0 is before the first. `none` keeps none.
    #[arg(long, value_delimiter = ',', default_values_t = Settings::default().checkpoints.iter().map(usize::to_string))]
    checkpoints: Vec<String>,
    /// Steps between two lines of the log.
    #[arg(long, default_value_t = 100)]
    log_every: usize,
}

impl Args {
    fn settings(&self) -> Result<Settings> {
        let step = |text: &String| {
            let wrong =
                || format!("--checkpoints: '{text}' is not a step, expected a list such as 0,100,1000");
            text.parse().map_err(|_| Error::input("train.settings", wrong()))
        };
        let kept = self.checkpoints.iter().filter(|text| *text != "none").map(step);
        Ok(Settings {
            checkpoints: kept.collect::<Result<_>>()?,
            seed: self.seed,
            steps: self.steps,
            batch: self.batch,
            len: self.len,
            learning_rate: self.learning_rate,
            repeats: self.repeats,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            d_model: self.d_model,
            d_mlp: self.d_mlp,
            d_vocab: self.d_vocab,
            n_ctx: self.n_ctx,
            ..Settings::default()
        })
    }
}

/// Trains, prints a line every so many steps, and writes the model and its checkpoints at the end.
///
/// # Errors
/// `train.settings` before anything is trained; `train.diverged`; `train.write`.
pub fn main(args: Args) -> Result<()> {
    // A folder that cannot be written should not be found out after an hour.
    std::fs::create_dir_all(&args.out).map_err(|source| {
        Error::input("train.write", format!("{}: cannot be made: {source}", args.out.display()))
    })?;
    let mut trainer = Trainer::new(args.settings()?)?;
    let cfg = &trainer.params.cfg;
    println!("{} parameters, vocabulary {}, {:?}", cfg.n_params(), cfg.d_vocab, trainer.settings);
    let start = Instant::now();
    let (mut loss, mut since) = (0.0_f64, 0);
    while !trainer.finished() {
        loss += f64::from(trainer.step()?);
        since += 1;
        if trainer.steps_taken().is_multiple_of(args.log_every.max(1)) || trainer.finished() {
            let scores = trainer.evaluate()?;
            let (step, seconds) = (trainer.steps_taken(), start.elapsed().as_secs());
            println!("step {step}  {seconds} s  loss {:.4}  {scores}", loss / f64::from(since));
            std::io::stdout().flush().ok();
            (loss, since) = (0.0, 0);
        }
    }
    trainer.save(&args.out)?;
    println!("wrote {}", args.out.display());
    for (step, scores) in trainer.evaluate_as_written(&args.out)? {
        println!("as written: step {step}  {scores}");
    }
    Ok(())
}
