//! `microtome bench`: how fast each engine answers, on a random model of GPT-2 small's shape that is made here.

use crate::backend::{Choice, Unattended};
use crate::bench::{self, Case, Event, Order, Report, Shape};
use crate::error::{Error, Result};
use crate::outcome::build;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[derive(clap::Args)]
pub struct Args {
    /// The engine.
    #[arg(long, default_value = "all", value_parser = ["all", "gpu", "cpu"])]
    backend: String,
    /// The sizes of the random model.
    #[arg(long, default_value = "gpt2-small", value_parser = Shape::NAMES)]
    shape: String,
    /// Where its weights begin.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Lengths of the prompts.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = Case::LENGTHS)]
    tokens: Vec<usize>,
    /// Only these cases.
    #[arg(long, value_name = "CASE,…", value_delimiter = ',', value_parser = Case::NAMES.map(|(name, _)| name))]
    only: Vec<String>,
    /// Timed runs of every case, after one to warm up [default: 5 of a forward pass, 3 of a sweep]
    #[arg(long, value_name = "N")]
    repeat: Option<NonZeroUsize>,
    /// Write everything measured here as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prints a table; the CPU engine uses as many threads as the machine has, or RAYON_NUM_THREADS.
///
/// # Errors
/// `input.*`; `gpu.*` where the GPU was asked for by name and cannot be had; `run.write`.
pub fn main(args: Args) -> Result<()> {
    let shape: Shape = args.shape.parse()?;
    let cases = Case::some(&shape.config(), &args.tokens, &args.only)?;
    let model = Rc::new(bench::model(shape, args.seed));
    let file = args.json.map(|path| create(&path).map(|file| (path, file))).transpose()?;
    let mut report = Report { build: build(), shape: shape.name(), seed: args.seed, engines: Vec::new() };
    let (name, all) = (args.backend.as_str(), args.backend == "all");
    for choice in [Choice::Cpu, Choice::Gpu] {
        if !all && name.parse::<Choice>()? != choice {
            continue;
        }
        let engine = if choice == Choice::Cpu { "cpu" } else { "gpu" };
        let mut say = |event: Event<'_>| {
            if let Event::Begin { title, tokens, .. } = event {
                eprintln!("{engine}: {title}{}", tokens.map_or(String::new(), |n| format!(", {n} tokens")));
            }
        };
        let threads = (choice == Choice::Cpu).then(candle_core::utils::get_num_threads);
        let order = Order { choice, threads, cases: &cases, repeat: args.repeat };
        match pollster::block_on(bench::run(&model, &order, &Unattended::default(), &mut say)) {
            Ok(engine) => report.engines.push(engine),
            // Not asked for by name: said, and no error.
            Err(error) if all && error.code == "gpu.missing" => eprintln!("{engine}: {error}"),
            Err(error) => return Err(error),
        }
    }
    print!("{report}");
    file.map_or(Ok(()), |(path, file)| {
        serde_json::to_writer_pretty(file, &report).map_err(|e| cannot_write(&path, &e))
    })
}

/// Before anything is measured: minutes of work must not end in a wrong path.
fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, e: &dyn std::fmt::Display) -> Error {
    Error::run("run.write", format!("{}: cannot be written: {e}", path.display()))
}
