//! The boundary between the model and the machines it runs on: limits, weights in pieces, a program, what it kept. A
//! backend knows ops and buffers; it knows nothing of experiments, prompts or hooks.

pub mod cpu;
pub mod engine;
pub mod gpu;

use crate::error::{Error, Result};
use crate::model::Limits;
use crate::outcome::{Answer, Tables};
use crate::program::Program;
use crate::weights::{Room, Sink};
use std::future::Future;
use std::pin::Pin;

/// An interpreter of programs with the weights that it was given.
pub trait Backend: Sink {
    /// Limits that a program must keep to.
    fn limits(&self) -> Limits;

    /// The adapter's name, for people; `None` for the CPU.
    fn adapter(&self) -> Option<String>;

    /// The kernels that the adapter was found to be fastest with, as [`gpu::Variants`] writes them; `None` before they
    /// were measured, and on the CPU, where there is no choice.
    fn kernels(&self) -> Option<String> {
        None
    }

    /// How the largest tables of the model that is here were cut; `None` without a model, and on the CPU, which cuts none.
    fn tables(&self) -> Option<Tables> {
        None
    }

    /// Bytes of weights and of buffers for activations that are held at the moment, on whichever machine has them.
    fn held_bytes(&self) -> u64;

    /// How much memory there is for a model; `None` where nobody can tell.
    fn room(&self) -> Option<Room> {
        None
    }

    /// Executes every op in order and returns what [`crate::program::Op::Keep`] kept. Same build, adapter and input:
    /// the same bits.
    ///
    /// # Errors
    /// `run.cancelled` when the control says so; `gpu.lost` and the like when the machine fails.
    fn run(&mut self, program: &Program, control: &dyn Control) -> impl Future<Output = Result<Output>>;
}

/// Which engine is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The GPU unless it is missing or a software adapter.
    #[default]
    Auto,
    Gpu,
    Cpu,
}

impl std::str::FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Choice::Auto),
            "gpu" => Ok(Choice::Gpu),
            "cpu" => Ok(Choice::Cpu),
            other => {
                Err(Error::input("input.backend", format!("backend is '{other}', expected auto, gpu or cpu")))
            }
        }
    }
}

/// What a run brings back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// `[program.output_len]`
    pub data: Vec<f32>,
    /// Compute dispatches (GPU) or ops executed (CPU).
    pub dispatches: u64,
    /// Transfers from the GPU; 0 on the CPU.
    pub readbacks: u64,
}

/// The caller's side of a long run: progress, cancel, and the event loop in a browser.
pub trait Control {
    /// A monotonic clock in milliseconds.
    fn now_ms(&self) -> f64;
    /// Called as the run advances, in operations (`flops`) done of all.
    fn progress(&self, done: u64, total: u64);
    /// Called as cells of a sweep are done, with the answer so far: NaN where a cell is not done.
    fn partial(&self, _answer: &Answer) {}
    /// Asked between pieces of work of at most about 50 ms.
    fn cancelled(&self) -> bool;
    /// Lets the event loop run once; at once ready where there is none.
    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// Calls a [`Control`] at a steady pace while work is done.
pub struct Pacer<'a> {
    control: &'a dyn Control,
    last_pause_ms: f64,
    done: u64,
    total: u64,
}

impl<'a> Pacer<'a> {
    /// How long work may go on before the event loop gets its turn.
    const PAUSE_AFTER_MS: f64 = 50.0;

    pub fn new(control: &'a dyn Control, total: u64) -> Self {
        Self { control, last_pause_ms: control.now_ms(), done: 0, total }
    }

    /// Adds finished work; pauses, reports and looks for a cancel when it is time.
    ///
    /// # Errors
    /// `run.cancelled`
    pub async fn advance(&mut self, work: u64) -> Result<()> {
        self.reached(self.done + work, self.total).await
    }

    /// The same where the work is counted elsewhere.
    ///
    /// # Errors
    /// `run.cancelled`
    pub async fn reached(&mut self, done: u64, total: u64) -> Result<()> {
        (self.done, self.total) = (done, total);
        if self.control.now_ms() - self.last_pause_ms < Self::PAUSE_AFTER_MS {
            return Ok(());
        }
        self.control.progress(done.min(total), total);
        self.control.pause().await;
        self.last_pause_ms = self.control.now_ms();
        if self.control.cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }
}

/// A control that never cancels and reports to nobody.
#[cfg(not(target_arch = "wasm32"))]
pub struct Unattended(std::time::Instant);

#[cfg(not(target_arch = "wasm32"))]
impl Default for Unattended {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Control for Unattended {
    fn now_ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
    fn progress(&self, _done: u64, _total: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}
