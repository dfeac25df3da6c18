//! Kernels compiled for a device.

use super::device::Device;
use super::kernels::{self, Access, Kernel};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// One kernel, ready to run.
pub struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// Every kernel, compiled when the engine opens, so that a kernel that an adapter refuses is found then.
pub struct Pipelines(HashMap<&'static str, Pipeline>);

impl Pipelines {
    /// # Errors
    /// `gpu.validation` with the kernel's name and the compiler's message.
    pub async fn new(device: &Device) -> Result<Self> {
        let mut pipelines = HashMap::new();
        for kernel in kernels::ALL {
            let create = || Ok(Pipeline::new(&device.device, kernel));
            pipelines.insert(kernel.name, device.caught(kernel.name, create).await?);
        }
        Ok(Self(pipelines))
    }

    /// # Errors
    /// When it is not in the table of kernels.
    pub fn get(&self, kernel: &Kernel) -> Result<&Pipeline> {
        self.0
            .get(kernel.name)
            .ok_or_else(|| Error::internal(format!("kernel {} was not compiled", kernel.name)))
    }
}

impl Pipeline {
    fn new(device: &wgpu::Device, kernel: &'static Kernel) -> Self {
        let entry = |binding: usize, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
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
        let source = wgpu::ShaderSource::Wgsl(kernel.text().into());
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
