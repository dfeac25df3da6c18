//! What lies on the GPU: weights, the arena of activation buffers, a run's tables, and the bind groups over them.

use super::device::{Device, out_of_memory};
use super::kernels::Kernel;
use super::params::Params;
use super::pipelines::{Pipeline, Pipelines};
use super::steps::{Slot, Step, Steps};
use crate::error::{Error, Result};
use crate::program::{Buf, Program};
use crate::weights::{Weight, Weights};
use std::collections::HashMap;
use std::sync::Arc;

/// A weight in its shards.
struct Table {
    shards: Vec<wgpu::Buffer>,
    elements: usize,
}

/// The buffers of an engine. They outlive a run and grow when a larger batch comes.
pub struct Memory {
    weights: HashMap<Weight, Arc<Table>>,
    arena: HashMap<Buf, wgpu::Buffer>,
    rows: Option<wgpu::Buffer>,
    index: Option<wgpu::Buffer>,
    params: Option<wgpu::Buffer>,
    canary: wgpu::Buffer,
    nothing: wgpu::Buffer,
    bind_groups: HashMap<(&'static str, Vec<Slot>), wgpu::BindGroup>,
}

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);
const UNIFORM: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::COPY_DST);

/// Bytes that `write_buffer` takes at a time, which is what an upload costs beside the weights themselves.
const UPLOAD_BYTES: usize = 8 << 20;

impl Memory {
    pub fn new(device: &Device) -> Self {
        Self {
            weights: HashMap::new(),
            arena: HashMap::new(),
            rows: None,
            index: None,
            params: None,
            canary: buffer(device, "canary", 16, STORAGE),
            nothing: buffer(device, "nothing", 16, STORAGE),
            bind_groups: HashMap::new(),
        }
    }

    /// Elements of a weight.
    ///
    /// # Errors
    /// When it was not uploaded.
    pub fn weight_elements(&self, weight: Weight) -> Result<usize> {
        match self.weights.get(&weight) {
            Some(table) => Ok(table.elements),
            None => Err(Error::internal(format!("weight {weight} was not uploaded"))),
        }
    }

    /// Takes the weights, each in shards of at most `shard_rows` rows of `d_model` elements; tensors that share their
    /// data share their buffers.
    ///
    /// # Errors
    /// `gpu.out_of_memory`; `gpu.too_large` when something other than W_E and W_U exceeds a binding.
    pub async fn upload(&mut self, device: &Device, weights: &Weights, shard_rows: usize) -> Result<()> {
        self.weights.clear();
        self.bind_groups.clear();
        let mut shared: HashMap<*const Vec<f32>, Arc<Table>> = HashMap::new();
        for (weight, data) in weights.iter() {
            let table = match shared.get(&Arc::as_ptr(data)) {
                Some(table) => table.clone(),
                #[allow(
                    clippy::arc_with_non_send_sync,
                    reason = "wgpu's buffers are Send and Sync natively only"
                )]
                None => Arc::new(upload(device, weight, data, shard_rows * weights.cfg.d_model).await?),
            };
            shared.insert(Arc::as_ptr(data), table.clone());
            self.weights.insert(weight, table);
        }
        Ok(())
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
        let rows: &[u8] = bytemuck::cast_slice(&program.rows);
        let index: &[u8] = bytemuck::cast_slice(&steps.index);
        device
            .caught("activations", || {
                let mut grown = false;
                for (buf, len) in &program.buffers {
                    let slot = self.arena.remove(buf);
                    let (buffer, new) = grow(device, slot, &format!("{buf:?}"), 4 * *len as u64, STORAGE)?;
                    self.arena.insert(*buf, buffer);
                    grown |= new;
                }
                for (slot, label, bytes, usage) in [
                    (&mut self.rows, "rows", rows, STORAGE),
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
            let resource = self.buffer(*slot)?.as_entire_binding();
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource });
        }
        let label = Some(label);
        Ok(device.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries }))
    }

    /// # Errors
    /// When the slot holds nothing.
    pub fn buffer(&self, slot: Slot) -> Result<&wgpu::Buffer> {
        let found = match slot {
            Slot::Act(buf) => self.arena.get(&buf),
            Slot::Weight(weight, shard) => {
                self.weights.get(&weight).and_then(|table| table.shards.get(shard))
            }
            Slot::Rows => self.rows.as_ref(),
            Slot::Index => self.index.as_ref(),
            Slot::Canary => Some(&self.canary),
            Slot::Nothing => Some(&self.nothing),
        };
        found.ok_or_else(|| Error::internal(format!("{slot:?} is not on the GPU")))
    }
}

/// Uploads one weight. Waits now and then, so that the driver can let go of what it has copied.
async fn upload(device: &Device, weight: Weight, data: &[f32], shard_elements: usize) -> Result<Table> {
    let mut shards = Vec::new();
    for part in data.chunks(shard_elements) {
        let bytes: &[u8] = bytemuck::cast_slice(part);
        if bytes.len() as u64 > device.binding_bytes {
            return Err(too_large(weight, bytes.len() as u64, device.binding_bytes));
        }
        let place = weight.to_string();
        let shard = device.caught(&place, || Ok(buffer(device, &place, bytes.len() as u64, STORAGE))).await?;
        for (i, piece) in bytes.chunks(UPLOAD_BYTES).enumerate() {
            device.queue.write_buffer(&shard, (i * UPLOAD_BYTES) as u64, piece);
            if piece.len() == UPLOAD_BYTES {
                let submission = device.queue.submit([]);
                device.wait(device.when_done(), Some(submission)).await?;
            }
        }
        shards.push(shard);
    }
    if shards.len() > 1 && !matches!(weight, Weight::Embed | Weight::Unembed) {
        return Err(too_large(weight, 4 * data.len() as u64, 4 * shard_elements as u64));
    }
    Ok(Table { shards, elements: data.len() })
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
fn buffer(device: &Device, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: bytes.max(1).next_multiple_of(16),
        usage,
        mapped_at_creation: false,
    })
}

fn too_large(what: impl std::fmt::Display, bytes: u64, limit: u64) -> Error {
    let mut error = out_of_memory(format!("{what} needs {bytes} bytes; this adapter allows {limit}"));
    error.code = "gpu.too_large".into();
    error
}
