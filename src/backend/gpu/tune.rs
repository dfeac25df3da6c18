//! Measures, once per engine, which kernels of matrix products are fastest on this adapter: a few milliseconds each.

use super::device::Device;
use super::kernels::Kernel;
use super::params::Params;
use super::pipelines::Pipelines;
use super::variants::Variants;
use crate::backend::Control;
use crate::error::Result;

/// Width and height of the matrix: GPT-2 small's.
const SIZE: usize = 768;
/// Clocks of browsers are coarse: work is repeated until it takes this long.
const LONG_ENOUGH_MS: f64 = 4.0;
const MOST_REPEATS: usize = 256;

/// # Errors
/// `gpu.lost` and the like when the device fails.
pub async fn tune(device: &Device, pipelines: &mut Pipelines, control: &dyn Control) -> Result<Variants> {
    let mut chosen = Variants::untuned(device.is_fallback);
    let slots = [&mut chosen.few, &mut chosen.skinny, &mut chosen.tile];
    for (class, slot) in Variants::CLASSES.iter().zip(slots) {
        let candidates = if device.is_fallback { class.software } else { class.hardware };
        if candidates.len() < 2 {
            continue;
        }
        pipelines.compile(device, candidates.iter().copied()).await?;
        let mut best = f64::INFINITY;
        for kernel in candidates {
            let ms = milliseconds(device, pipelines, kernel, class.rows, control).await?;
            if ms < best {
                (best, *slot) = (ms, kernel);
            }
        }
    }
    Ok(chosen)
}

/// Time of one product of `rows` rows.
async fn milliseconds(
    device: &Device,
    pipelines: &Pipelines,
    kernel: &'static Kernel,
    rows: usize,
    control: &dyn Control,
) -> Result<f64> {
    let bench = device.caught("tuning", || Bench::new(device, pipelines, kernel, rows)).await?;
    bench.milliseconds(device, 1, control).await?; // The first touches the memory, and may compile.
    let mut repeats = 1;
    loop {
        let first = bench.milliseconds(device, repeats, control).await?;
        if first < LONG_ENOUGH_MS && repeats < MOST_REPEATS {
            repeats *= 2;
            continue;
        }
        let again = bench.milliseconds(device, repeats, control).await?;
        return Ok(first.min(again) / repeats as f64);
    }
}

/// A product of zeros by zeros, which takes as long as any.
struct Bench {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    groups: [u32; 3],
}

impl Bench {
    fn new(device: &Device, pipelines: &Pipelines, kernel: &'static Kernel, rows: usize) -> Result<Self> {
        let pipeline = pipelines.get(kernel)?;
        let buffer = |elements: usize, usage| {
            device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("tuning"),
                size: 4 * elements as u64,
                usage,
                mapped_at_creation: false,
            })
        };
        let none = Params::NONE;
        let (size, end_row) = (SIZE as u32, rows as u32);
        let params = Params {
            end_row,
            end_col: size,
            k: size,
            n: size,
            x_list: none,
            add_list: none,
            ..Params::default()
        };
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let uniform = buffer(Params::STRIDE / 4, uniform);
        device.queue.write_buffer(&uniform, 0, bytemuck::bytes_of(&params));
        // In the order of the bindings: index, x, w, b, residual, out.
        let elements = [4, rows * SIZE, SIZE * SIZE, SIZE, 4, rows * SIZE];
        let storage = elements.map(|elements| buffer(elements, wgpu::BufferUsages::STORAGE));
        let first = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &uniform,
            offset: 0,
            size: wgpu::BufferSize::new(size_of::<Params>() as u64),
        });
        let resources = std::iter::once(first).chain(storage.iter().map(wgpu::Buffer::as_entire_binding));
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tuning"),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let [across, tall] = kernel.tile;
        let groups = [size.div_ceil(across), end_row.div_ceil(tall), 1];
        Ok(Self { pipeline: pipeline.pipeline.clone(), group, groups })
    }

    async fn milliseconds(&self, device: &Device, repeats: usize, control: &dyn Control) -> Result<f64> {
        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[0]);
        for _ in 0..repeats {
            pass.dispatch_workgroups(self.groups[0], self.groups[1], self.groups[2]);
        }
        drop(pass);
        let begun_ms = control.now_ms();
        let submission = device.queue.submit([encoder.finish()]);
        device.wait(device.when_done(), Some(submission)).await?;
        Ok(control.now_ms() - begun_ms)
    }
}
