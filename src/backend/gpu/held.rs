//! The weights on the GPU: tables cut into shards where a binding is too small for them, planes side by side, matrices as
//! f32 or as halves.

use super::device::Device;
use super::memory::{STORAGE, buffer, too_large};
use super::steps;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::weights::{Part, Storage, Weight, storage};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How the matrices of a model are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub storage: Storage,
    /// Most rows of W_E and W_U in one shard.
    pub shard_rows: usize,
}

/// A weight in its shards.
struct Table {
    shards: Vec<wgpu::Buffer>,
    shard_elements: usize,
    elements: usize,
}

/// Weights of one shape in one buffer, so that one binding covers them: W_Q, W_K and W_V of a layer, or their biases.
struct Planes {
    buffer: wgpu::Buffer,
    /// Elements of each; 0 where it is missing.
    elements: [usize; 3],
    /// Elements from one to the next.
    plane: usize,
}

/// Where a shard of a weight lies: all of a buffer, or a plane of it with the bytes of each.
pub struct Place<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub plane: Option<(usize, usize)>,
}

/// Bytes that are written before the driver gets time to let go of its copies: what an upload costs beside the weights.
const UPLOAD_BYTES: usize = 8 << 20;

/// The weights of one model.
#[derive(Default)]
pub struct Held {
    storage: Storage,
    tables: HashMap<Weight, Table>,
    /// By layer and by whether they are biases.
    planes: HashMap<(usize, bool), Planes>,
    /// Bytes written since the driver last had time to let go of its copies.
    unflushed: usize,
}

impl Held {
    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        let shards = self.tables.values().flat_map(|table| &table.shards);
        shards.chain(self.planes.values().map(|planes| &planes.buffer)).map(wgpu::Buffer::size).sum()
    }

    /// Elements of a weight.
    ///
    /// # Errors
    /// When it was not uploaded.
    pub fn elements(&self, weight: Weight) -> Result<usize> {
        let found = match plane_of(weight) {
            Some((key, plane)) => self.planes.get(&key).map(|planes| planes.elements[plane]),
            None => self.tables.get(&weight).map(|table| table.elements),
        };
        let missing = || Error::internal(format!("weight {weight} was not uploaded"));
        found.filter(|elements| *elements > 0).ok_or_else(missing)
    }

    /// Buffers that a table is cut into; `None` where it was not uploaded.
    pub fn pieces(&self, weight: Weight) -> Option<usize> {
        self.tables.get(&weight).map(|table| table.shards.len())
    }

    /// `None` where there is no such shard.
    pub fn place(&self, weight: Weight, shard: usize) -> Option<Place<'_>> {
        match plane_of(weight) {
            Some((key, plane)) => self.planes.get(&key).map(|planes| {
                let bytes = self.storage.of(weight).bytes() * planes.plane;
                Place { buffer: &planes.buffer, plane: Some((plane, bytes)) }
            }),
            None => {
                let shard = self.tables.get(&weight).and_then(|table| table.shards.get(shard));
                shard.map(|buffer| Place { buffer, plane: None })
            }
        }
    }

    /// All planes of a layer.
    pub fn planes(&self, layer: usize, biases: bool) -> Option<&wgpu::Buffer> {
        self.planes.get(&(layer, biases)).map(|planes| &planes.buffer)
    }

    /// Makes room for weights; only W_E and W_U are cut into shards.
    ///
    /// # Errors
    /// `gpu.out_of_memory`; `gpu.too_large` when something other than W_E and W_U exceeds a binding.
    pub async fn begin(
        &mut self,
        device: &Device,
        cfg: &Config,
        weights: &[Weight],
        kept: Kept,
    ) -> Result<()> {
        *self = Self { storage: kept.storage, ..Self::default() };
        for weight in weights {
            let elements: usize = weight.shape(cfg).iter().product();
            let bytes = kept.storage.of(*weight).bytes();
            let Some((key, plane)) = plane_of(*weight) else {
                let sharded = matches!(weight, Weight::Embed | Weight::Unembed);
                let shard_elements = if sharded { kept.shard_rows * cfg.d_model } else { elements }.max(1);
                let mut shards = Vec::new();
                for start in (0..elements).step_by(shard_elements) {
                    let len = shard_elements.min(elements - start);
                    shards.push(weight_buffer(device, *weight, bytes * len).await?);
                }
                self.tables.insert(*weight, Table { shards, shard_elements, elements });
                continue;
            };
            let stride = steps::plane(elements);
            let planes = match self.planes.entry(key) {
                Entry::Occupied(found) => found.into_mut(),
                Entry::Vacant(free) => {
                    let buffer = weight_buffer(device, *weight, 3 * bytes * stride).await?;
                    free.insert(Planes { buffer, elements: [0; 3], plane: stride })
                }
            };
            if stride != planes.plane {
                return Err(Error::internal(format!("{weight} has not the shape of its neighbours")));
            }
            planes.elements[plane] = elements;
        }
        Ok(())
    }

    /// Writes elements of a weight from `at` on. Halves are written two at a time: `at` is even, and only the last piece
    /// of a weight may have an odd number of them.
    ///
    /// # Errors
    /// When they are outside it or cut a pair; `model.f16_range`; those of the device.
    pub async fn write(&mut self, device: &Device, weight: Weight, at: usize, values: &[f32]) -> Result<()> {
        let elements = self.elements(weight)?;
        if at + values.len() > elements {
            return Err(Error::internal(format!("{weight} has {elements} elements, found more")));
        }
        let kept = self.storage.of(weight);
        let cut = at % 2 == 1 || (at + values.len() < elements && values.len() % 2 == 1);
        if kept == Storage::F16 && cut {
            return Err(Error::internal(format!("{weight}: a piece at {at} of {} elements", values.len())));
        }
        let shard_elements = self.tables.get(&weight).map_or(elements, |table| table.shard_elements);
        let (mut at, mut values) = (at, values);
        while !values.is_empty() {
            let (shard, within) = (at / shard_elements, at % shard_elements);
            let (here, rest) = values.split_at(values.len().min(shard_elements - within));
            let place = self.place(weight, shard);
            let Place { buffer, plane } =
                place.ok_or_else(|| Error::internal(format!("no room for {weight}")))?;
            let start = plane.map_or(0, |(plane, bytes)| plane * bytes) + kept.bytes() * within;
            match kept {
                Storage::F32 => device.queue.write_buffer(buffer, start as u64, bytemuck::cast_slice(here)),
                Storage::F16 => {
                    let mut halves = vec![0u16; here.len().next_multiple_of(2)];
                    storage::narrow(weight, here, &mut halves)?;
                    device.queue.write_buffer(buffer, start as u64, bytemuck::cast_slice(&halves));
                }
            }
            self.unflushed += kept.bytes() * here.len();
            (at, values) = (at + here.len(), rest);
        }
        // Now and then, so that the driver can let go of what it has copied.
        if self.unflushed >= UPLOAD_BYTES {
            self.unflushed = 0;
            let submission = device.queue.submit([]);
            device.wait(device.when_done(), Some(submission)).await?;
        }
        Ok(())
    }
}

async fn weight_buffer(device: &Device, weight: Weight, bytes: usize) -> Result<wgpu::Buffer> {
    let bytes = bytes as u64;
    if bytes > device.binding_bytes {
        return Err(too_large(weight, bytes, device.binding_bytes));
    }
    let label = weight.to_string();
    device.caught(&label, || Ok(buffer(device, &label, bytes, STORAGE))).await
}

/// Layer and kind of the planes that a weight is one of, and which.
fn plane_of(weight: Weight) -> Option<((usize, bool), usize)> {
    let Weight::Block(layer, part) = weight else { return None };
    let (bias, plane) = match part {
        Part::WQ => (false, 0),
        Part::WK => (false, 1),
        Part::WV => (false, 2),
        Part::BQ => (true, 0),
        Part::BK => (true, 1),
        Part::BV => (true, 2),
        _ => return None,
    };
    Some(((layer, bias), plane))
}
