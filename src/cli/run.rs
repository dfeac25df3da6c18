//! `microtome run EXPERIMENT.json --model DIR`: one experiment, its result as JSON on standard output.

use crate::backend::engine::Engine;
use crate::backend::{Choice, Unattended};
use crate::error::{Error, Result};
use crate::experiment::Experiment;
use crate::lab::{Lab, Model};
use crate::outcome::{Answer, Outcome};
use crate::training::{KIND, Training};
use crate::weights::ModelFiles;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[derive(clap::Args)]
pub struct Args {
    /// The experiment, a JSON file; `-` reads standard input.
    experiment: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Write the result here instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a trace's tensors here as PROMPT_INDEX/NAME and leave them out of the JSON.
    #[arg(long, value_name = "FILE.safetensors")]
    tensors: Option<PathBuf>,
}

/// The model and the engine, the same for every command that runs one.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Directory with config.json, weights and, for text prompts, a tokenizer. DIR/@1300 is the checkpoint of step
    /// 1,300 where its microtome.json names one.
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// The engine.
    #[arg(long, default_value = "auto", value_parser = ["auto", "gpu", "cpu"])]
    backend: String,
    /// What the engine keeps the weights as; arithmetic is in f32.
    #[arg(long, default_value = "f32", value_parser = ["f32", "f16"])]
    precision: String,
    /// Run a model of which some weights are no numbers, or whose embedding is all zero.
    #[arg(long)]
    pub(super) allow_not_finite: bool,
}

impl ModelArgs {
    /// Loads the model and opens the engine.
    ///
    /// # Errors
    /// `model.*`, `file.*`, `gpu.*`
    pub fn open(&self) -> Result<Lab<Engine>> {
        self.open_with(self.load()?)
    }

    fn load(&self) -> Result<Model> {
        pollster::block_on(Model::open(
            &ModelFiles::from_dir_at(&self.model)?,
            self.allow_not_finite,
            &mut |_, _| Ok(()),
        ))
    }

    /// Says what was let pass, and opens the engine.
    fn open_with(&self, model: Model) -> Result<Lab<Engine>> {
        model.notices().iter().for_each(|notice| eprintln!("{}", super::notice_line(notice)));
        let choice: Choice = self.backend.parse()?;
        let lab = pollster::block_on(Lab::open(Rc::new(model), choice))?;
        Ok(lab.with_storage(self.precision.parse()?))
    }
}

pub fn main(args: Args) -> Result<()> {
    let (place, value) = read_value(&args.experiment)?;
    let model = args.model.load()?;
    let mut json = if Training::is(&value) {
        let training = Training::from_value(value).map_err(|e| e.at(&place))?;
        training.check(&model)?;
        if args.tensors.is_some() {
            return Err(no_tensors(KIND));
        }
        serde_json::to_vec(&super::training::run(&training, &args.model, &mut args.model.open_with(model)?)?)
    } else {
        let experiment = Experiment::from_value(value).map_err(|e| e.at(&place))?;
        // Before an engine is opened: a driver may write to standard error, which then holds the one error alone.
        model.resolve(&experiment)?;
        let mut lab = args.model.open_with(model)?;
        let mut outcome = pollster::block_on(lab.run(&experiment, &Unattended::default()))?;
        if let Some(path) = &args.tensors {
            write_tensors(path, &mut outcome)?;
        }
        serde_json::to_vec(&outcome)
    }
    .map_err(|e| Error::internal(format!("the result: {e}")))?;
    json.push(b'\n');
    match &args.out {
        Some(path) => std::fs::write(path, json).map_err(|e| cannot_write(path, &e)),
        None => {
            std::io::stdout().write_all(&json).map_err(|e| cannot_write(Path::new("standard output"), &e))
        }
    }
}

/// The experiment as JSON, and what it came from.
fn read_value(path: &Path) -> Result<(String, Value)> {
    let cannot_read =
        |e: std::io::Error| Error::input("input.file", format!("{}: cannot be read: {e}", path.display()));
    let (mut text, mut place) = (String::new(), path.display().to_string());
    if path.as_os_str() == "-" {
        place = "standard input".into();
        std::io::stdin().read_to_string(&mut text).map_err(cannot_read)?;
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map_err(cannot_read)?;
    }
    let value = crate::experiment::parse(&text).map_err(|e| e.at(&place))?;
    Ok((place, value))
}

fn no_tensors(kind: &str) -> Error {
    Error::input("input.tensors", format!("--tensors goes with kind 'trace', found '{kind}'"))
}

/// Moves the tensors of a trace into a safetensors file.
fn write_tensors(path: &Path, outcome: &mut Outcome) -> Result<()> {
    let Answer::Trace { tensors } = &mut outcome.answer else {
        return Err(no_tensors(outcome.kind));
    };
    let taken: Vec<_> = tensors.iter_mut().map(std::mem::take).collect();
    let named = taken
        .iter()
        .enumerate()
        .flat_map(|(i, prompt)| prompt.iter().map(move |(name, tensor)| (format!("{i}/{name}"), tensor)));
    let views = named
        .map(|(name, tensor)| {
            let bytes = bytemuck::cast_slice(&tensor.data);
            TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map(|view| (name, view))
        })
        .collect::<std::result::Result<Vec<_>, _>>();
    let bytes = views.and_then(|views| safetensors::serialize(views, None));
    let bytes = bytes.map_err(|e| Error::internal(format!("the tensors: {e}")))?;
    std::fs::write(path, bytes).map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, e: &std::io::Error) -> Error {
    Error::run("run.write", format!("{}: cannot be written: {e}", path.display()))
}
