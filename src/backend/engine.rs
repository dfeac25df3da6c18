//! The choice between the engines.

use super::cpu::Cpu;
use super::gpu::{Gpu, Options, Recall};
use super::{Backend, Choice, Control, Output};
use crate::config::Config;
use crate::error::Result;
use crate::model::Limits;
use crate::outcome::Tables;
use crate::program::Program;
use crate::weights::{Room, Sink, Storage, Weight};

/// One of the two engines.
pub enum Engine {
    Cpu(Cpu),
    Gpu(Box<Gpu>),
}

/// An engine and why it was taken.
pub struct Opened {
    pub engine: Engine,
    pub reason: String,
}

impl Engine {
    /// Opens the engine asked for. `auto` takes the GPU unless it is missing or a software adapter, on which the CPU
    /// engine is several times faster.
    ///
    /// # Errors
    /// `gpu.missing` and the like when the GPU was asked for by name and cannot be had.
    pub async fn open(choice: Choice) -> Result<Opened> {
        Self::open_recalling(choice, Options::default(), &|_| None).await
    }

    /// [`Engine::open`] with more choices for a GPU, and with what is remembered of adapters: see
    /// [`Gpu::open_recalling`]. Whether a software adapter will do follows from `choice`.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_recalling(choice: Choice, gpu: Options, recall: Recall<'_>) -> Result<Opened> {
        let gpu_with = |allow_fallback| Gpu::open_recalling(Options { allow_fallback, ..gpu }, recall);
        let cpu = |reason: String| Opened { engine: Engine::Cpu(Cpu::new()), reason };
        let gpu =
            |gpu: Gpu, reason: &str| Opened { engine: Engine::Gpu(Box::new(gpu)), reason: reason.into() };
        match choice {
            Choice::Cpu => Ok(cpu("asked for".into())),
            Choice::Gpu => Ok(gpu(gpu_with(true).await?, "asked for")),
            Choice::Auto => Ok(match gpu_with(false).await {
                Ok(found) => gpu(found, "a GPU was found"),
                Err(error) => cpu(error.to_string()),
            }),
        }
    }

    /// `cpu` or `gpu`.
    pub fn name(&self) -> &'static str {
        match self {
            Engine::Cpu(_) => "cpu",
            Engine::Gpu(_) => "gpu",
        }
    }
}

impl Sink for Engine {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        match self {
            Engine::Cpu(cpu) => cpu.begin(cfg, weights, storage).await,
            Engine::Gpu(gpu) => gpu.begin(cfg, weights, storage).await,
        }
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        match self {
            Engine::Cpu(cpu) => cpu.write(weight, at, values).await,
            Engine::Gpu(gpu) => gpu.write(weight, at, values).await,
        }
    }
}

impl Backend for Engine {
    fn limits(&self) -> Limits {
        match self {
            Engine::Cpu(cpu) => cpu.limits(),
            Engine::Gpu(gpu) => gpu.limits(),
        }
    }

    fn adapter(&self) -> Option<String> {
        match self {
            Engine::Cpu(cpu) => cpu.adapter(),
            Engine::Gpu(gpu) => gpu.adapter(),
        }
    }

    fn held_bytes(&self) -> u64 {
        match self {
            Engine::Cpu(cpu) => cpu.held_bytes(),
            Engine::Gpu(gpu) => gpu.held_bytes(),
        }
    }

    fn room(&self) -> Option<Room> {
        match self {
            Engine::Cpu(cpu) => cpu.room(),
            Engine::Gpu(gpu) => gpu.room(),
        }
    }

    fn kernels(&self) -> Option<String> {
        match self {
            Engine::Cpu(cpu) => cpu.kernels(),
            Engine::Gpu(gpu) => gpu.kernels(),
        }
    }

    fn tables(&self) -> Option<Tables> {
        match self {
            Engine::Cpu(cpu) => cpu.tables(),
            Engine::Gpu(gpu) => gpu.tables(),
        }
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        match self {
            Engine::Cpu(cpu) => cpu.run(program, control).await,
            Engine::Gpu(gpu) => gpu.run(program, control).await,
        }
    }
}
