//! The browser module: the only file that knows JavaScript. It converts and delegates; `www/worker.js` is its only
//! caller, and the public API is `www/microtome.js`.

mod bench;
mod download;
mod json;
mod source;
#[cfg(feature = "threads")]
mod threads;
mod training;

use crate::backend::engine::{Engine as Backend, Opened};
use crate::backend::gpu::Options as GpuOptions;
use crate::backend::gpu::device::DEFAULT_BINDING_BYTES;
use crate::backend::{Backend as _, Control};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, Prompt};
use crate::figure::{Figure, SweepResult};
use crate::lab::{Lab, Model};
use crate::outcome::{Answer, EngineInfo, Outcome, Tensor, build};
use crate::processing::Processing;
use crate::published::verify;
use crate::training::Family;
use crate::weights::{MemoryPlan, ModelFiles, Storage};
use js_sys::{Array, Float32Array, Function, Object, Promise, Reflect};
use serde::{Deserialize, Serialize};
use source::Blobs;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::WorkerGlobalScope;

/// Shows a panic's message and place in the console before the module stops.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// A model on an engine.
#[wasm_bindgen]
pub struct Engine {
    /// What figures and tokens are of: the open model, or the checkpoint that was gone to.
    model: RefCell<Rc<Model>>,
    /// The checkpoints of the open model.
    family: Family,
    info: EngineInfo,
    /// `None` while an experiment runs.
    lab: RefCell<Option<Lab<Backend>>>,
}

/// `OpenOptions` of `www/engine.d.ts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Options {
    precision: Storage,
    allow_not_finite: bool,
}

/// Bytes of the module's memory, which never shrinks.
#[wasm_bindgen(js_name = heapBytes)]
pub fn heap_bytes() -> f64 {
    const PAGE: f64 = 65_536.0;
    core::arch::wasm32::memory_size(0) as f64 * PAGE
}

/// An engine that is ready for a model.
#[wasm_bindgen]
pub struct Prepared(Opened);

#[wasm_bindgen]
impl Prepared {
    /// The engine that was taken: `cpu` or `gpu`.
    pub fn backend(&self) -> String {
        self.0.engine.name().into()
    }

    /// What a model would need of memory here, from the bytes of its `config.json` (`MemoryPlan` of
    /// `www/microtome.d.ts`). Throws `model.too_large` for one that does not fit.
    pub fn plan(&self, config: &[u8], precision: &str) -> std::result::Result<JsValue, JsValue> {
        let plan = || {
            let plan = MemoryPlan::new(&Config::from_json(config)?, precision.parse()?, self.0.engine.room());
            plan.check()?;
            to_js(&plan)
        };
        plan().map_err(|e| error_to_js(&e))
    }
}

#[wasm_bindgen]
impl Engine {
    /// Opens an engine and makes its kernels ready, which may take as long as a model's files are on their way.
    /// `remembered` is `Remembered` of `www/engine.d.ts`; the kernels are those for weights of `precision`. A GPU keeps to
    /// WebGPU's default limits where `default_limits` says so.
    pub async fn prepare(
        backend: String,
        remembered: JsValue,
        precision: Option<String>,
        default_limits: Option<bool>,
    ) -> std::result::Result<Prepared, JsValue> {
        // What a page has stored may have been written by anybody; without it the kernels are measured.
        let remembered = json(&remembered).unwrap_or_default();
        let recall = |adapter: &str| {
            let entry = remembered.get(adapter)?;
            (entry.get("build")?.as_str()? == build())
                .then(|| entry.get("kernels")?.as_str().map(Into::into))?
        };
        let opened = async {
            let storage = precision.map_or(Ok(Storage::F32), |precision| precision.parse())?;
            let binding_bytes = default_limits.unwrap_or_default().then_some(DEFAULT_BINDING_BYTES);
            let gpu = GpuOptions { storage, binding_bytes, ..GpuOptions::default() };
            Backend::open_recalling(backend.parse()?, gpu, &recall).await
        };
        opened.await.map(Prepared).map_err(|e| error_to_js(&e))
    }

    /// Opens a model whose files the page has, and puts its weights on the engine (`www/engine.d.ts`).
    pub async fn open(
        files: JsValue,
        prepared: Prepared,
        options: JsValue,
        on_phase: Function,
        is_cancelled: Function,
    ) -> std::result::Result<Engine, JsValue> {
        let control = JsControl::new(on_phase, None, is_cancelled);
        Self::open_model(&files, prepared.0, &options, control).await.map_err(|e| error_to_js(&e))
    }

    /// `{model, engine, notices}`: the first two as in every result, without counted work; `Notice[]` of
    /// `www/microtome.d.ts`.
    pub fn info(&self) -> std::result::Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct Info<'a> {
            model: crate::outcome::ModelInfo,
            engine: &'a EngineInfo,
            notices: Vec<crate::lab::Notice>,
        }
        let model = self.model();
        let notices = model.notices();
        to_js(&Info { model: model.info(), engine: &self.info, notices }).map_err(|e| error_to_js(&e))
    }

    /// Runs an experiment; the result is the contract's, tensors as `Float32Array`. `on_partial` gets what is done of a
    /// sweep: its result so far, NaN where a cell is not done.
    pub async fn run(
        &self,
        experiment: JsValue,
        on_progress: Function,
        on_partial: Function,
        is_cancelled: Function,
    ) -> std::result::Result<JsValue, JsValue> {
        let control = JsControl::new(on_progress, Some(on_partial), is_cancelled);
        self.run_experiment(&experiment, control).await.map_err(|e| error_to_js(&e))
    }

    /// `{heap_bytes, engine_bytes}`: the module's memory, which never shrinks, and what the engine holds, on the GPU or as
    /// a part of that memory. Refused while an experiment runs.
    pub fn memory(&self) -> std::result::Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct Memory {
            heap_bytes: f64,
            engine_bytes: u64,
        }
        let memory = || match &*self.lab.borrow() {
            Some(lab) => to_js(&Memory { heap_bytes: heap_bytes(), engine_bytes: lab.held_bytes() }),
            None => Err(busy()),
        };
        memory().map_err(|e| error_to_js(&e))
    }

    /// Every figure that the notebook published for GPT-2 small beside the computed one (`PublishedCheck[]`).
    pub async fn verify(
        &self,
        on_progress: Function,
        is_cancelled: Function,
    ) -> std::result::Result<JsValue, JsValue> {
        let control = JsControl::new(on_progress, None, is_cancelled);
        let checks = async {
            let mut lab = self.lab.borrow_mut().take().ok_or_else(busy)?;
            let checks = verify(&mut lab, &control).await;
            self.lab.replace(Some(lab));
            to_js(&checks?)
        };
        checks.await.map_err(|e| error_to_js(&e))
    }

    /// What an experiment would cost; runs nothing. Refused while an experiment runs.
    pub fn estimate(&self, experiment: JsValue) -> std::result::Result<JsValue, JsValue> {
        let estimate = || -> Result<JsValue> {
            let experiment = Experiment::from_value(json(&experiment)?)?;
            match &*self.lab.borrow() {
                Some(lab) => to_js(&lab.estimate(&experiment)?),
                None => Err(busy()),
            }
        };
        estimate().map_err(|e| error_to_js(&e))
    }

    /// The heatmap of the result of an ablation, a patch or a detection, else `null`.
    pub fn figure(&self, result: JsValue) -> std::result::Result<JsValue, JsValue> {
        let figure = || -> Result<JsValue> {
            let result = json(&result)?;
            let Some(experiment) = result.get("experiment") else { return Ok(JsValue::NULL) };
            let experiment = Experiment::from_value(experiment.clone())?;
            let Ok(sweep) = serde_json::from_value::<SweepResult>(result) else { return Ok(JsValue::NULL) };
            to_js(&Figure::heatmap(&self.model(), &experiment, &sweep))
        };
        figure().map_err(|e| error_to_js(&e))
    }

    /// `[{id, text}]`
    pub fn tokenize(&self, text: String, prepend_bos: bool) -> std::result::Result<JsValue, JsValue> {
        let model = self.model();
        let tokens = model.tokens(&Prompt::Text(text), prepend_bos);
        let tokens = tokens.map(|ids| ids.iter().map(|id| model.text(*id)).collect::<Vec<_>>());
        tokens.and_then(|tokens| to_js(&tokens)).map_err(|e| error_to_js(&e))
    }
}

impl Engine {
    async fn open_model(
        files: &JsValue,
        Opened { engine, reason }: Opened,
        options: &JsValue,
        control: JsControl,
    ) -> Result<Engine> {
        let options = self::options(options)?;
        let family = family(files)?;
        let address = field(files, "address").as_string().unwrap_or_default();
        let files = model_files(files)?;
        // A tag on the Hub may say the step as a folder's address does.
        let files = ModelFiles { step: files.step.or_else(|| family.step_of(&address)), ..files };
        let phase = |phase: &str| control.on_progress.bind1(&JsValue::NULL, &phase.into()).unchecked_into();
        let verify: Function = phase("verify");
        let mut hashed = |done: u64, total: u64| {
            // A listener that throws must not stop the opening; it is the worker's own code.
            _ = verify.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
            if control.cancelled() { Err(Error::cancelled()) } else { Ok(()) }
        };
        let model = Rc::new(Model::open(&files, options.allow_not_finite, &mut hashed).await?);
        let name = engine.name();
        let on_progress: Function = phase(if name == "gpu" { "upload" } else { "convert" });
        let mut lab = Lab::new(Rc::clone(&model), engine, name, reason).with_storage(options.precision);
        lab.prepare(Processing::default(), &JsControl { on_progress, ..control }).await?;
        let model = RefCell::new(model);
        Ok(Engine { model, family, info: lab.engine_info(), lab: RefCell::new(Some(lab)) })
    }

    fn model(&self) -> Rc<Model> {
        Rc::clone(&self.model.borrow())
    }

    async fn run_experiment(&self, experiment: &JsValue, control: JsControl) -> Result<JsValue> {
        let experiment = Experiment::from_value(json(experiment)?)?;
        // The lab is taken out while it works, so that a second call is refused rather than mixed up with the first.
        let taken = self.lab.borrow_mut().take();
        let mut lab = taken.ok_or_else(busy)?;
        let result = lab.run(&experiment, &control).await;
        self.lab.replace(Some(lab));
        outcome_to_js(result?)
    }
}

fn options(options: &JsValue) -> Result<Options> {
    serde_json::from_value(json(options)?).map_err(|e| Error::input("input.invalid", format!("options: {e}")))
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// From `ModelFiles` of `www/engine.d.ts`.
fn model_files(files: &JsValue) -> Result<ModelFiles> {
    let step = field(files, "step").as_f64().map(|step| step as u64);
    let name = field(files, "name").as_string().unwrap_or_default();
    Ok(ModelFiles { name, source: Rc::new(Blobs::new(&field(files, "files"))?), step })
}

/// The checkpoints that belong to a model, by its address and what its folder says.
fn family(files: &JsValue) -> Result<Family> {
    let Some(address) = field(files, "address").as_string() else { return Ok(Family::Unknown) };
    let steps = field(files, "steps").dyn_into::<Array>().unwrap_or_default();
    let steps = steps.iter().filter_map(|step| step.as_f64()).map(|step| step as u64).collect();
    Ok(Family::of_model(&address.parse()?, steps))
}

fn busy() -> Error {
    Error::run("engine.busy", "another experiment is running")
}

/// The worker that this module runs in, and its callbacks.
struct JsControl {
    worker: WorkerGlobalScope,
    on_progress: Function,
    /// `None` where nobody listens.
    on_partial: Option<Function>,
    is_cancelled: Function,
}

impl JsControl {
    fn new(on_progress: Function, on_partial: Option<Function>, is_cancelled: Function) -> Self {
        Self { worker: js_sys::global().unchecked_into(), on_progress, on_partial, is_cancelled }
    }
}

impl Control for JsControl {
    fn now_ms(&self) -> f64 {
        self.worker.performance().map_or(0.0, |clock| clock.now())
    }

    fn progress(&self, done: u64, total: u64) {
        // A listener that throws must not stop the experiment; it is the worker's own code.
        let _ = self.on_progress.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
    }

    fn partial(&self, answer: &Answer) {
        // As above; an answer that cannot be converted is one that the listener does without.
        if let (Some(on_partial), Ok(answer)) = (&self.on_partial, to_js(answer)) {
            let _ = on_partial.call1(&JsValue::NULL, &answer);
        }
    }

    fn cancelled(&self) -> bool {
        self.is_cancelled.call0(&JsValue::NULL).is_ok_and(|answer| answer.is_truthy())
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        // A timer, not a microtask: messages to the worker are delivered between tasks.
        let turn = Promise::new(&mut |resolve, reject| {
            // Without a timer the pause is over at once, and a cancel is heard later.
            if self.worker.set_timeout_with_callback(&resolve).is_err() {
                let _ = reject.call0(&JsValue::NULL);
            }
        });
        Box::pin(async { _ = JsFuture::from(turn).await })
    }
}

/// A JavaScript value as JSON, the way it would travel in a file.
fn json(value: &JsValue) -> Result<serde_json::Value> {
    let text = js_sys::JSON::stringify(value).ok().and_then(|text| text.as_string());
    let text = text.ok_or_else(|| Error::input("input.json", "the experiment is not a JSON value"))?;
    serde_json::from_str(&json::well_formed(text))
        .map_err(|e| Error::input("input.json", format!("the experiment is not JSON: {e}")))
}

fn to_js(value: &impl Serialize) -> Result<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| Error::internal(format!("a result could not be converted: {e}")))
}

fn outcome_to_js(mut outcome: Outcome) -> Result<JsValue> {
    let tensors = match &mut outcome.answer {
        Answer::Trace { tensors } => Some(std::mem::take(tensors)),
        _ => None,
    };
    let value = to_js(&outcome)?;
    if let Some(tensors) = tensors {
        let prompts: Array = tensors.iter().map(tensors_to_js).collect::<Result<Array>>()?;
        set(&value, "tensors", &prompts)?;
    }
    Ok(value)
}

fn tensors_to_js(tensors: &BTreeMap<String, Tensor>) -> Result<JsValue> {
    let object = Object::new();
    for (name, tensor) in tensors {
        let entry = Object::new();
        set(&entry, "shape", &to_js(&tensor.shape)?)?;
        set(&entry, "data", &Float32Array::from(tensor.data.as_slice()))?;
        set(&object, name, &entry)?;
    }
    Ok(object.into())
}

fn set(object: &JsValue, name: &str, value: &JsValue) -> Result<()> {
    let set = Reflect::set(object, &name.into(), value);
    set.map(|_| ()).map_err(|_| Error::internal(format!("'{name}' of a result could not be set")))
}

/// `{code, message, action?}`
fn error_to_js(error: &Error) -> JsValue {
    let object = Object::new();
    let action = error.action.as_ref().map(|action| ("action", action.as_str()));
    let fields =
        [("code", error.code.as_ref()), ("message", error.message.as_str())].into_iter().chain(action);
    for (name, text) in fields {
        // Setting a field of a fresh object cannot fail.
        let _ = Reflect::set(&object, &name.into(), &text.into());
    }
    object.into()
}
