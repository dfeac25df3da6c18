//! `microtome run` over the checkpoints of a training: one after another, each dropped before the next.

use super::fetch;
use super::run::ModelArgs;
use crate::backend::Unattended;
use crate::backend::engine::Engine;
use crate::error::Result;
use crate::experiment::VERSION;
use crate::lab::{Lab, Model};
use crate::training::{Asked, Family, Found, KIND, Skipped, Training, TrainingOutcome};
use crate::weights::ModelFiles;
use crate::weights::folder::{family_and_step, manifest};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Asks every checkpoint; what is skipped is also said on standard error.
///
/// # Errors
/// `input.*`, `checkpoint.*` before any checkpoint is read; what stops all of them.
pub fn run(training: &Training, args: &ModelArgs, lab: &mut Lab<Engine>) -> Result<TrainingOutcome> {
    let wanted = training.wanted(&family(&args.model)?)?;
    let mut info = lab.engine_info();
    let own = lab.model.info();
    let mut checkpoints = Vec::with_capacity(wanted.len());
    for checkpoint in &wanted {
        let mut answers = || {
            let folder = Files::of(&checkpoint.address)?;
            let files = ModelFiles::from_dir_at(&folder.dir)?;
            // The step in an address is the folder's own; that of a list's entry is only its place there.
            let files = ModelFiles { step: files.step.or(Some(checkpoint.step)), ..files };
            pollster::block_on(async {
                let model = Model::open(&files, args.allow_not_finite, &mut |_, _| Ok(())).await?;
                training.run_on(lab, Rc::new(model), &Unattended::default(), &mut info).await
            })
        };
        let found = match answers() {
            Ok(answers) => Found::Answers(answers),
            Err(error) => {
                let skipped = Skipped::of(&error).ok_or_else(|| error.clone())?;
                eprintln!("step {} is skipped: {error}", checkpoint.step);
                Found::Skipped(skipped)
            }
        };
        checkpoints.push(Asked { step: checkpoint.step, found });
    }
    let experiment = training.to_value()?;
    Ok(TrainingOutcome { version: VERSION, kind: KIND, checkpoints, experiment, model: own, engine: info })
}

/// The checkpoints that a model's folder names.
fn family(dir: &Path) -> Result<Family> {
    let (dir, _) = family_and_step(dir);
    let steps =
        manifest(dir)?.map(|manifest| manifest.checkpoints.iter().map(|c| c.step).collect::<Vec<_>>());
    let template = dir.to_str().map(|dir| format!("{}/@{{step}}", dir.trim_end_matches('/')));
    Ok(match (steps, template) {
        (Some(steps), Some(template)) if !steps.is_empty() => {
            Family::Template { template, steps: Some(steps) }
        }
        _ => Family::Unknown,
    })
}

/// A checkpoint's folder: on this machine, or downloaded for as long as it is looked at.
struct Files {
    dir: PathBuf,
    passing: bool,
}

impl Files {
    fn of(address: &str) -> Result<Self> {
        if !(address.starts_with("hf:") || address.starts_with("https://")) {
            return Ok(Self { dir: address.into(), passing: false });
        }
        let unique = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
        let name = format!("microtome-{}-{unique}", std::process::id());
        let files = Self { dir: std::env::temp_dir().join(name), passing: true };
        fetch::bring(address, &files.dir)?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.passing
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            eprintln!("{}: cannot be removed: {error}", self.dir.display());
        }
    }
}
