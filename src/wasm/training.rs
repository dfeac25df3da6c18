//! Checkpoints of a training in the browser: `www/training_run.js` brings their files, one after another, and is the only
//! caller.

use super::{Engine, JsControl, Options, busy, error_to_js, json, model_files, to_js};
use crate::error::{Error, Result};
use crate::lab::Model;
use crate::outcome::EngineInfo;
use crate::processing::Processing;
use crate::training::{Asked, Checkpoint, Found, Skipped, Training, TrainingOutcome};
use js_sys::Function;
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

type Js<T> = std::result::Result<T, JsValue>;

/// An experiment over checkpoints under way.
#[wasm_bindgen]
pub struct TrainingRun {
    training: Training,
    wanted: Vec<Checkpoint>,
    /// What became of the checkpoints so far, and the work that they took.
    done: RefCell<(Vec<Asked>, EngineInfo)>,
}

#[wasm_bindgen]
impl Engine {
    /// The steps of the open model's family; empty where it has none.
    pub fn family(&self) -> Vec<f64> {
        self.family.steps().into_iter().map(|step| step as f64).collect()
    }

    /// The address of one of them.
    #[wasm_bindgen(js_name = checkpointAt)]
    pub fn checkpoint_at(&self, step: f64) -> Option<String> {
        let step = step as u64;
        self.family
            .steps()
            .contains(&step)
            .then(|| self.family.at(step).map(|checkpoint| checkpoint.address))?
    }

    /// Reads an experiment over checkpoints, and checks its questions against the open model.
    pub fn training(&self, experiment: JsValue) -> Js<TrainingRun> {
        let begin = || -> Result<TrainingRun> {
            let training = Training::from_value(json(&experiment)?)?;
            training.check(&self.model())?;
            let wanted = training.wanted(&self.family)?;
            Ok(TrainingRun { training, wanted, done: RefCell::new((Vec::new(), self.info.clone())) })
        };
        begin().map_err(|e| error_to_js(&e))
    }

    /// Asks everything of the next checkpoint, whose files are at hand. One that cannot be used is skipped; what stops all of
    /// them is thrown. Afterwards the lab has its own model again.
    #[wasm_bindgen(js_name = askCheckpoint)]
    pub async fn ask_checkpoint(
        &self,
        run: &TrainingRun,
        files: JsValue,
        options: JsValue,
        on_progress: Function,
        is_cancelled: Function,
    ) -> Js<()> {
        let control = JsControl::new(on_progress, None, is_cancelled);
        let asked = async {
            let mut lab = self.lab.borrow_mut().take().ok_or_else(busy)?;
            let own = Rc::clone(&lab.model);
            let answers = async {
                let model = open(&files, &options, &control).await?;
                let mut info = EngineInfo::default();
                let answers = run.training.run_on(&mut lab, model, &control, &mut info).await;
                run.done.borrow_mut().1.add(&info);
                answers
            };
            let answers = answers.await;
            let back = lab.replace(own);
            self.lab.replace(Some(lab));
            back?;
            match answers {
                Ok(answers) => run.add(Found::Answers(answers)),
                Err(error) => run.skip_for(&error),
            }
        };
        asked.await.map_err(|e| error_to_js(&e))
    }

    /// Puts a checkpoint in the place of the open model.
    #[wasm_bindgen(js_name = goTo)]
    pub async fn go_to(
        &self,
        files: JsValue,
        options: JsValue,
        on_progress: Function,
        is_cancelled: Function,
    ) -> Js<JsValue> {
        let control = JsControl::new(on_progress, None, is_cancelled);
        let went = async {
            let mut lab = self.lab.borrow_mut().take().ok_or_else(busy)?;
            let own = Rc::clone(&lab.model);
            let change = async {
                lab.replace(open(&files, &options, &control).await?)?;
                lab.prepare(Processing::default(), &control).await
            };
            let changed = change.await;
            match &changed {
                Ok(()) => _ = self.model.replace(Rc::clone(&lab.model)),
                Err(_) => lab.replace(own)?,
            }
            self.lab.replace(Some(lab));
            changed
        };
        went.await.map_err(|e| error_to_js(&e))?;
        self.info()
    }
}

/// The model of a checkpoint.
async fn open(files: &JsValue, options: &JsValue, control: &JsControl) -> Result<Rc<Model>> {
    let options: Options = super::options(options)?;
    let mut hashed =
        |_, _| if crate::backend::Control::cancelled(control) { Err(Error::cancelled()) } else { Ok(()) };
    Model::open(&model_files(files)?, options.allow_not_finite, &mut hashed).await.map(Rc::new)
}

#[wasm_bindgen]
impl TrainingRun {
    /// `{step, address}[]`
    pub fn wanted(&self) -> Js<JsValue> {
        to_js(&self.wanted).map_err(|e| error_to_js(&e))
    }

    /// Skips the next checkpoint, whose files could not be brought.
    pub fn skip(&self, code: String, message: String) -> Js<()> {
        self.skip_for(&Error::input(code, message)).map_err(|e| error_to_js(&e))
    }

    /// What is done: `{checkpoints}`.
    pub fn partial(&self) -> Js<JsValue> {
        #[derive(Serialize)]
        struct Partial<'a> {
            kind: &'a str,
            checkpoints: &'a [Asked],
        }
        let done = self.done.borrow();
        to_js(&Partial { kind: crate::training::KIND, checkpoints: &done.0 }).map_err(|e| error_to_js(&e))
    }

    /// The result.
    pub fn finish(self, engine: &Engine) -> Js<JsValue> {
        let finish = || {
            let (checkpoints, info) = self.done.into_inner();
            to_js(&TrainingOutcome {
                version: crate::experiment::VERSION,
                kind: crate::training::KIND,
                checkpoints,
                experiment: self.training.to_value()?,
                model: engine.model().info(),
                engine: info,
            })
        };
        finish().map_err(|e| error_to_js(&e))
    }
}

impl TrainingRun {
    fn add(&self, found: Found) -> Result<()> {
        let done = &mut self.done.borrow_mut().0;
        let next = self.wanted.get(done.len());
        let step = next.ok_or_else(|| Error::internal("more checkpoints than were wanted"))?.step;
        done.push(Asked { step, found });
        Ok(())
    }

    fn skip_for(&self, error: &Error) -> Result<()> {
        match Skipped::of(error) {
            Some(skipped) => self.add(Found::Skipped(skipped)),
            None => Err(error.clone()),
        }
    }
}
