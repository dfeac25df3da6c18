//! What lies on the GPU: weights, the arena of activation buffers, a run's tables, and the bind groups over them.

use super::device::{Device, out_of_memory};
use super::held::{Held, Kept, Place};
use super::kernels::Kernel;
use super::params::Params;
use super::pipelines::{Pipeline, Pipelines};
use super::steps::{self, QKV, Slot, Step, Steps};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::program::{Buf, Program};
use crate::weights::Weight;
use std::collections::HashMap;

/// Part of a buffer that a kernel binds.
#[derive(Clone, Copy)]
struct Bound<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    /// `None` is all of it.
    bytes: Option<u64>,
}

/// The buffers of an engine. They outlive a run and grow when a larger batch comes.
pub struct Memory {
    weights: Held,
    /// All but q, k and v, which are planes of one buffer.
    arena: HashMap<Buf, wgpu::Buffer>,
    qkv: Option<wgpu::Buffer>,
    /// Elements from one plane of it to the next. Never falls, so that bind groups stay good.
    plane: usize,
    index: Option<wgpu::Buffer>,
    params: Option<wgpu::Buffer>,
    canary: wgpu::Buffer,
    nothing: wgpu::Buffer,
    bind_groups: HashMap<(&'static str, Vec<Slot>), wgpu::BindGroup>,
}

pub const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);
const UNIFORM: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::COPY_DST);

impl Memory {
    pub fn new(device: &Device) -> Self {
        Self {
            weights: Held::default(),
            arena: HashMap::new(),
            qkv: None,
            plane: 0,
            index: None,
            params: None,
            canary: buffer(device, "canary", 16, STORAGE),
            nothing: buffer(device, "nothing", 16, STORAGE),
            bind_groups: HashMap::new(),
        }
    }

    /// Makes room for the weights of a model; those that were there are dropped.
    ///
    /// # Errors
    /// As [`Held::begin`].
    pub async fn begin(
        &mut self,
        device: &Device,
        cfg: &Config,
        weights: &[Weight],
        kept: Kept,
    ) -> Result<()> {
        self.bind_groups.clear();
        self.weights.begin(device, cfg, weights, kept).await
    }

    pub fn weights(&self) -> &Held {
        &self.weights
    }

    pub fn weights_mut(&mut self) -> &mut Held {
        &mut self.weights
    }

    /// Elements between the planes of q, k and v for this program.
    pub fn plane(&mut self, program: &Program) -> usize {
        let qkv = program.buffers.iter().filter(|(buf, _)| QKV.contains(buf));
        self.plane = self.plane.max(steps::plane(qkv.map(|(_, len)| *len).max().unwrap_or(0)));
        self.plane
    }

    /// Bytes of all buffers that outlive a run.
    pub fn bytes(&self) -> u64 {
        let tables = [&self.qkv, &self.index, &self.params].into_iter().flatten();
        self.weights.bytes() + self.arena.values().chain(tables).map(wgpu::Buffer::size).sum::<u64>()
    }

    /// Makes room for a program and writes its tables.
    ///
    /// # Errors
    /// `gpu.out_of_memory`, `gpu.too_large`.
    pub async fn prepare(&mut self, device: &Device, program: &Program, steps: &Steps) -> Result<()> {
        let mut params = vec![0u8; steps.steps.len().max(1) * Params::STRIDE];
        for (step, bytes) in steps.steps.iter().zip(params.chunks_exact_mut(Params::STRIDE)) {
            if let Step::Dispatch { params, .. } = step {
                bytes[..size_of::<Params>()].copy_from_slice(bytemuck::bytes_of(params));
            }
        }
        let qkv_bytes = 3 * 4 * self.plane as u64;
        let index: &[u8] = bytemuck::cast_slice(&steps.index);
        device
            .caught("activations", || {
                let mut grown = false;
                for (buf, len) in program.buffers.iter().filter(|(buf, _)| !QKV.contains(buf)) {
                    let slot = self.arena.remove(buf);
                    let (buffer, new) = grow(device, slot, &format!("{buf:?}"), 4 * *len as u64, STORAGE)?;
                    self.arena.insert(*buf, buffer);
                    grown |= new;
                }
                let (qkv, new) = grow(device, self.qkv.take(), "q, k and v", qkv_bytes, STORAGE)?;
                self.qkv = Some(qkv);
                grown |= new;
                for (buf, values) in &steps.given {
                    if let Some(buffer) = self.arena.get(buf) {
                        device.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
                    }
                }
                for (slot, label, bytes, usage) in [
                    (&mut self.index, "index", index, STORAGE),
                    (&mut self.params, "params", &params, UNIFORM),
                ] {
                    let (buffer, new) = grow(device, slot.take(), label, bytes.len() as u64, usage)?;
                    device.queue.write_buffer(&buffer, 0, bytes);
                    *slot = Some(buffer);
                    grown |= new;
                }
                if grown {
                    self.bind_groups.clear();
                }
                Ok(())
            })
            .await
    }

    /// A buffer to be mapped at the end of a run, for `elements` of output and the canary after them.
    ///
    /// # Errors
    /// `gpu.out_of_memory`, `gpu.too_large`.
    pub async fn staging(&self, device: &Device, elements: usize) -> Result<wgpu::Buffer> {
        let bytes = 4 * elements as u64 + 16;
        if bytes > device.buffer_bytes {
            return Err(too_large("the output", bytes, device.buffer_bytes));
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        device.caught("output", || Ok(buffer(device, "output", bytes, usage))).await
    }

    /// Adds a dispatch to a pass.
    ///
    /// # Errors
    /// When a slot holds nothing, which [`Memory::prepare`] rules out.
    pub fn dispatch(
        &mut self,
        device: &Device,
        pipelines: &Pipelines,
        pass: &mut wgpu::ComputePass,
        number: usize,
        (kernel, slots, groups): (&'static Kernel, &[Slot], [u32; 3]),
    ) -> Result<()> {
        let Pipeline { pipeline, layout } = pipelines.get(kernel)?;
        let key = (kernel.name, slots.to_vec());
        if !self.bind_groups.contains_key(&key) {
            let group = self.bind_group(device, kernel.name, layout, slots)?;
            self.bind_groups.insert(key.clone(), group);
        }
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.bind_groups[&key], &[(number * Params::STRIDE) as u32]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        Ok(())
    }

    fn bind_group(
        &self,
        device: &Device,
        label: &str,
        layout: &wgpu::BindGroupLayout,
        slots: &[Slot],
    ) -> Result<wgpu::BindGroup> {
        let params = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.params.as_ref().ok_or_else(|| Error::internal("no parameters"))?,
            offset: 0,
            size: wgpu::BufferSize::new(size_of::<Params>() as u64),
        });
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: params }];
        for (i, slot) in slots.iter().enumerate() {
            let Bound { buffer, offset, bytes } = self.bound(*slot)?;
            let size = bytes.and_then(wgpu::BufferSize::new);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource });
        }
        let label = Some(label);
        Ok(device.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries }))
    }

    /// Where a slot lies: a buffer and the byte at which it begins.
    ///
    /// # Errors
    /// When the slot holds nothing.
    pub fn buffer(&self, slot: Slot) -> Result<(&wgpu::Buffer, u64)> {
        self.bound(slot).map(|bound| (bound.buffer, bound.offset))
    }

    fn bound(&self, slot: Slot) -> Result<Bound<'_>> {
        let whole = |buffer| Bound { buffer, offset: 0, bytes: None };
        let part = |buffer, plane: usize, bytes: usize| Bound {
            buffer,
            offset: (plane * bytes) as u64,
            bytes: Some(bytes as u64),
        };
        let found = match slot {
            Slot::Act(buf) => match QKV.iter().position(|plane| *plane == buf) {
                Some(plane) => self.qkv.as_ref().map(|qkv| part(qkv, plane, 4 * self.plane)),
                None => self.arena.get(&buf).map(whole),
            },
            Slot::Weight(weight, shard) => match self.weights.place(weight, shard) {
                Some(Place { buffer, plane: Some((plane, bytes)) }) => Some(part(buffer, plane, bytes)),
                Some(Place { buffer, plane: None }) => Some(whole(buffer)),
                None => None,
            },
            Slot::Qkv => self.qkv.as_ref().map(whole),
            Slot::QkvWeights(layer) => self.weights.planes(layer, false).map(whole),
            Slot::QkvBiases(layer) => self.weights.planes(layer, true).map(whole),
            Slot::Index => self.index.as_ref().map(whole),
            Slot::Canary => Some(whole(&self.canary)),
            Slot::Nothing => Some(whole(&self.nothing)),
        };
        found.ok_or_else(|| Error::internal(format!("{slot:?} is not on the GPU")))
    }
}

/// The buffer itself where it is large enough, else a new one; and whether it is new.
fn grow(
    device: &Device,
    old: Option<wgpu::Buffer>,
    label: &str,
    bytes: u64,
    usage: wgpu::BufferUsages,
) -> Result<(wgpu::Buffer, bool)> {
    if let Some(old) = old.filter(|old| old.size() >= bytes) {
        return Ok((old, false));
    }
    let limit =
        if usage.contains(wgpu::BufferUsages::STORAGE) { device.binding_bytes } else { device.buffer_bytes };
    if bytes > limit {
        return Err(too_large(label, bytes, limit));
    }
    Ok((buffer(device, label, bytes, usage), true))
}

/// Rounded up to whole vectors, so that a kernel may read it four at a time.
pub fn buffer(device: &Device, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.max(1).next_multiple_of(16),
        usage,
        mapped_at_creation: false,
    })
}

pub fn too_large(what: impl std::fmt::Display, bytes: u64, limit: u64) -> Error {
    let mut error = out_of_memory(format!("{what} needs {bytes} bytes; this adapter allows {limit}"));
    error.code = "gpu.too_large".into();
    error
}
