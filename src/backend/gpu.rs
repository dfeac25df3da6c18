//! The GPU engine: interprets a program with WGSL kernels through wgpu, natively (Vulkan, Metal, Direct3D) and in a
//! browser (WebGPU).
//!
//! program → [`steps`] (dispatches and copies, checked) → [`memory`] (buffers and bind groups) → a few submissions →
//! one read-back.

pub mod device;
mod held;
pub mod kernels;
mod memory;
mod pace;
pub mod params;
mod pipelines;
mod signal;
mod steps;
mod tune;
mod variants;

use super::{Backend, Control, Output, Pacer};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::outcome::Tables;
use crate::program::Program;
use crate::weights::{Sink, Storage, Weight};
use device::Device;
pub use device::Options;
use held::Kept;
use memory::Memory;
use pace::Pace;
use params::Params;
use pipelines::Pipelines;
use signal::Signal;
use std::collections::VecDeque;
use steps::{Machine, Slot, Step};
pub use variants::Variants;

/// The GPU engine with the weights that it holds.
pub struct Gpu {
    device: Device,
    pipelines: Pipelines,
    memory: Memory,
    pace: Pace,
    /// See [`Options::dispatch_cost`].
    dispatch_cost: Option<u64>,
    /// What was pinned or measured.
    variants: Option<Variants>,
    /// Sizes of the model that was uploaded.
    d_model: Option<usize>,
    /// How its matrices are kept.
    storage: Storage,
    /// Counts runs; the canary sings it.
    run: u32,
}

/// What is remembered of an adapter's name: what [`Backend::kernels`] said of it.
pub type Recall<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Work that was submitted and is not known to be done.
struct InFlight {
    done: Signal<()>,
    submission: wgpu::SubmissionIndex,
    cost: u64,
    submitted_ms: f64,
}

impl Gpu {
    /// Bytes of the largest activation buffer that a program is asked to keep to: far below what adapters allow, as a
    /// batch has about twenty of them.
    const ACTIVATION_BYTES: u64 = 64 << 20;

    /// Opens the fastest adapter and compiles every kernel. A software adapter is taken only with `allow_fallback`.
    ///
    /// # Errors
    /// `gpu.missing` when there is no such adapter, `gpu.validation` when it refuses a kernel.
    pub async fn open(allow_fallback: bool) -> Result<Self> {
        Self::open_with(Options { allow_fallback, ..Options::default() }).await
    }

    /// [`Gpu::open`] with more choices.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn open_with(options: Options) -> Result<Self> {
        Self::open_recalling(options, &|_| None).await
    }

    /// [`Gpu::open_with`], where `recall` is asked for the kernels that were measured on this adapter before: with the
    /// same kernels the same input gives the same bits. What is not a choice of kernels is measured again.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn open_recalling(options: Options, recall: Recall<'_>) -> Result<Self> {
        let device = Device::open(options).await?;
        let recalled = || recall(&device.name).and_then(|text| text.parse().ok());
        let variants = options.variants.or_else(recalled);
        let pipelines = Pipelines::new(&device, variants, options.storage).await?;
        let memory = Memory::new(&device);
        Ok(Self {
            device,
            pipelines,
            memory,
            pace: Pace::default(),
            dispatch_cost: options.dispatch_cost,
            variants,
            d_model: None,
            storage: options.storage,
            run: 0,
        })
    }

    /// Whether the adapter is software (SwiftShader, lavapipe, WARP): slower than the CPU engine.
    pub fn is_fallback(&self) -> bool {
        self.device.is_fallback
    }

    /// The kernels of matrix products that this engine takes: pinned, or measured by its first run.
    pub fn variants(&self) -> Option<Variants> {
        self.variants
    }

    /// How the matrices are kept that the kernels are ready for: those of the model that is here, if there is one.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Gives the device back. Later calls fail with `gpu.lost`.
    pub fn close(&self) {
        self.device.device.destroy();
    }

    /// Rows of W_E and W_U that go into one buffer and one binding.
    fn shard_rows(&self, d_model: usize) -> usize {
        let bytes = self.device.binding_bytes.min(self.device.buffer_bytes) as usize;
        let rows = bytes / (self.storage.bytes() * d_model);
        // A shard of halves ends with a whole word, so that what follows begins with one.
        let odd = self.storage == Storage::F16 && d_model % 2 == 1;
        (if odd { rows - rows % 2 } else { rows }).max(1)
    }
}

impl Sink for Gpu {
    async fn begin(&mut self, cfg: &Config, weights: &[Weight], storage: Storage) -> Result<()> {
        self.device.check()?;
        self.pipelines.take_up(&self.device, self.variants, storage).await?;
        (self.storage, self.d_model) = (storage, Some(cfg.d_model));
        let kept = Kept { storage, shard_rows: self.shard_rows(cfg.d_model) };
        self.memory.begin(&self.device, cfg, weights, kept).await
    }

    async fn write(&mut self, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        self.device.check()?;
        self.memory.weights_mut().write(&self.device, weight, at, values).await
    }
}

impl Backend for Gpu {
    fn held_bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// `unembed_rows` holds for the model that was uploaded; before, for the widest there can be.
    fn limits(&self) -> Limits {
        const WIDEST: usize = 8192;
        let elements = self.device.binding_bytes.min(Self::ACTIVATION_BYTES) as usize / 4;
        Limits {
            buffer_elements: elements,
            tile_elements: elements,
            unembed_rows: self.shard_rows(self.d_model.unwrap_or(WIDEST)),
        }
    }

    fn adapter(&self) -> Option<String> {
        Some(self.device.name.clone())
    }

    fn kernels(&self) -> Option<String> {
        self.variants.map(|variants| variants.to_string())
    }

    fn tables(&self) -> Option<Tables> {
        let pieces = self.memory.weights().pieces(Weight::Embed)?;
        Some(Tables { binding_bytes: self.device.binding_bytes, embedding_pieces: pieces })
    }

    async fn run(&mut self, program: &Program, control: &dyn Control) -> Result<Output> {
        self.device.check()?;
        let variants = match self.variants {
            Some(variants) => variants,
            None => tune::tune(&self.device, &mut self.pipelines, control).await?,
        };
        self.variants = Some(variants);
        let plane = self.memory.plane(program);
        let mut steps = steps::steps(
            program,
            &Machine {
                weights: &|weight| self.memory.weights().elements(weight),
                shard_rows: self.shard_rows(program.d_model),
                plane,
                variants,
                short_attention: self.device.short_attention,
                dispatch_cost: self.dispatch_cost.unwrap_or(self.pace.dispatch()),
            },
        )?;
        self.run = self.run.wrapping_add(1);
        steps.steps.push(canary(self.run));
        let kernels = steps.steps.iter().filter_map(Step::kernel);
        self.pipelines.compile(&self.device, kernels).await?;
        self.memory.prepare(&self.device, program, &steps).await?;
        let staging = self.memory.staging(&self.device, program.output_len).await?;

        let validation = self.device.device.push_error_scope(wgpu::ErrorFilter::Validation);
        self.submit(&steps.steps, &staging, program.output_len, Pacer::new(control, steps.cost()), control)
            .await?;
        if let Some(error) = validation.pop().await {
            return Err(Error::run("gpu.validation", error.to_string()));
        }

        let bytes = 4 * program.output_len;
        let read = |view: &[u8]| {
            (bytemuck::pod_collect_to_vec(&view[..bytes]), bytemuck::pod_read_unaligned(&view[bytes..][..4]))
        };
        let (data, canary): (Vec<f32>, u32) = self.device.read(&staging, bytes as u64 + 16, read).await?;
        if canary != self.run {
            return Err(device::lost("its last step never ran"));
        }
        Ok(Output { data, dispatches: steps.dispatches() as u64, readbacks: 1 })
    }
}

impl Gpu {
    /// Encodes the steps and submits them a piece at a time, with at most two pieces under way.
    async fn submit(
        &mut self,
        steps: &[Step],
        staging: &wgpu::Buffer,
        output_len: usize,
        mut pacer: Pacer<'_>,
        control: &dyn Control,
    ) -> Result<()> {
        let mut in_flight = VecDeque::new();
        let mut idle_since_ms = control.now_ms();
        let mut next = 0;
        while next < steps.len() {
            let budget = self.pace.submission();
            let mut encoder =
                self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = None;
            let mut cost = 0;
            while next < steps.len() && (cost == 0 || cost + steps[next].cost() <= budget) {
                cost += steps[next].cost();
                match &steps[next] {
                    Step::Dispatch { kernel, slots, groups, .. } => {
                        let pass = pass.get_or_insert_with(|| {
                            encoder
                                .begin_compute_pass(&wgpu::ComputePassDescriptor::default())
                                .forget_lifetime()
                        });
                        let what = (*kernel, slots.as_slice(), *groups);
                        self.memory.dispatch(&self.device, &self.pipelines, pass, next, what)?;
                    }
                    Step::Copy { buf, start, len, at } => {
                        pass = None; // A copy stands between passes.
                        let (buffer, offset) = self.memory.buffer(Slot::Act(*buf))?;
                        let (from, to) = (offset + 4 * *start as u64, 4 * *at as u64);
                        encoder.copy_buffer_to_buffer(buffer, from, staging, to, 4 * *len as u64);
                    }
                }
                next += 1;
            }
            drop(pass);
            if next == steps.len() {
                let (canary, _) = self.memory.buffer(Slot::Canary)?;
                encoder.copy_buffer_to_buffer(canary, 0, staging, 4 * output_len as u64, 16);
            }
            self.device.check()?;
            let submission = self.device.queue.submit([encoder.finish()]);
            let done = self.device.when_done();
            in_flight.push_back(InFlight { done, submission, cost, submitted_ms: control.now_ms() });

            // The last piece is awaited by the read-back; before it, one piece computes while the next is encoded.
            while next < steps.len() && in_flight.len() > 1 {
                let Some(piece) = in_flight.pop_front() else { break };
                self.device.wait(piece.done, Some(piece.submission)).await?;
                let now_ms = control.now_ms();
                self.pace.observe(piece.cost, now_ms - piece.submitted_ms.max(idle_since_ms));
                idle_since_ms = now_ms;
                pacer.advance(piece.cost).await?;
            }
        }
        Ok(())
    }
}

/// The step that proves that everything before it ran.
fn canary(run: u32) -> Step {
    let params = Params { list: run, ..Params::default() };
    Step::Dispatch { kernel: &kernels::CANARY, params, slots: vec![Slot::Canary], groups: [1, 1, 1], cost: 1 }
}
