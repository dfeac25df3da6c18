//! Kernels compiled for a device.

use super::device::Device;
use super::kernels::{self, Access, Kernel};
use super::variants::Variants;
use crate::error::{Error, Result};
use crate::weights::Storage;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One kernel, ready to run.
pub struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// Kernels by name, for the storage of the weights that they read. Those that any run may take are compiled when the engine opens, so that one that an adapter refuses
/// is found then; of the variants of matrix products only those that the adapter chooses from.
pub struct Pipelines {
    compiled: HashMap<(&'static str, Storage), Pipeline>,
    /// In use.
    storage: Storage,
}

impl Pipelines {
    /// # Errors
    /// As [`Pipelines::compile`].
    pub async fn new(device: &Device, pinned: Option<Variants>, storage: Storage) -> Result<Self> {
        let mut pipelines = Self { compiled: HashMap::new(), storage };
        pipelines.take_up(device, pinned, storage).await?;
        Ok(pipelines)
    }

    /// From now on weights are read from this storage.
    ///
    /// # Errors
    /// As [`Pipelines::compile`].
    pub async fn take_up(
        &mut self,
        device: &Device,
        pinned: Option<Variants>,
        storage: Storage,
    ) -> Result<()> {
        self.storage = storage;
        let left_out = Variants::left_out(device.is_fallback, pinned);
        let wanted = kernels::ALL.iter().copied().filter(|kernel| !left_out.contains(&kernel.name));
        self.compile(device, wanted).await
    }

    /// Compiles those that are not yet.
    ///
    /// # Errors
    /// `gpu.validation` with the kernel's name and the compiler's message.
    pub async fn compile(
        &mut self,
        device: &Device,
        kernels: impl Iterator<Item = &'static Kernel>,
    ) -> Result<()> {
        for kernel in kernels {
            let storage = kernel.reads(self.storage);
            if let Entry::Vacant(free) = self.compiled.entry((kernel.name, storage)) {
                let create = || Ok(Pipeline::new(&device.device, kernel, storage));
                free.insert(device.caught(kernel.name, create).await?);
            }
        }
        Ok(())
    }

    /// # Errors
    /// When it is not in the table of kernels.
    pub fn get(&self, kernel: &Kernel) -> Result<&Pipeline> {
        self.compiled
            .get(&(kernel.name, kernel.reads(self.storage)))
            .ok_or_else(|| Error::internal(format!("kernel {} was not compiled", kernel.name)))
    }
}

impl Pipeline {
    fn new(device: &wgpu::Device, kernel: &'static Kernel, storage: Storage) -> Self {
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let text = kernel.text(storage);
        let storage = kernel.bindings().into_iter().enumerate().map(|(i, access)| {
            entry(i + 1, wgpu::BufferBindingType::Storage { read_only: access == Access::Read }, false)
        });
        let entries: Vec<_> =
            [entry(0, wgpu::BufferBindingType::Uniform, true)].into_iter().chain(storage).collect();
        let label = Some(kernel.name);
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        Self { pipeline, layout }
    }
}
