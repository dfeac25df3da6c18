//! The adapter and device: opening them, noticing that they failed, waiting for them.

use super::signal::{Signal, lock, signal};
use super::variants::Variants;
use crate::error::{Error, Result};
use crate::weights::Storage;
use std::sync::{Arc, Mutex};

/// An open device and what is known of it.
pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// The adapter's name, for people.
    pub name: String,
    /// A software adapter (SwiftShader, lavapipe, WARP): slower than the CPU engine.
    pub is_fallback: bool,
    /// Most bytes that a kernel may see through one binding.
    pub binding_bytes: u64,
    /// See [`Options::short_attention`].
    pub short_attention: bool,
    pub buffer_bytes: u64,
    /// The first fault since opening; there is no way back from one.
    fault: Arc<Mutex<Option<Error>>>,
}

/// Bytes of a binding that every WebGPU adapter grants: `maxStorageBufferBindingSize` of the default limits.
pub const DEFAULT_BINDING_BYTES: u64 = 128 << 20;

/// What to ask the adapter for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Accept a software adapter.
    pub allow_fallback: bool,
    /// Keep to WebGPU's default limits, and to this many bytes per binding, whatever the adapter offers: for testing
    /// the paths that split a table. [`DEFAULT_BINDING_BYTES`] keeps to the default limits alone.
    pub binding_bytes: Option<u64>,
    /// What the kernels are made ready for at once; they are made for the other when weights come that are kept so.
    pub storage: Storage,
    /// The kernels of matrix products, instead of those that measure fastest here.
    pub variants: Option<Variants>,
    /// Short attention takes the kernel without barriers. By default on a software adapter.
    pub short_attention: Option<bool>,
    /// Cut every op into dispatches of this much estimated work, however fast the adapter is: for testing the cuts.
    pub dispatch_cost: Option<u64>,
}

impl Device {
    /// # Errors
    /// `gpu.missing` when there is no adapter, only a software one, or none that grants WebGPU's default limits.
    pub async fn open(options: Options) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let request = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = instance
            .request_adapter(&request)
            .await
            .map_err(|e| missing(format!("no GPU was found: {e}")))?;
        let info = adapter.get_info();
        let is_fallback = info.device_type == wgpu::DeviceType::Cpu;
        if is_fallback && !options.allow_fallback {
            return Err(missing(format!(
                "the only adapter is a software one ({}), slower than the CPU engine",
                adapter_name(&info)
            )));
        }

        let limits = match options.binding_bytes {
            Some(_) => wgpu::Limits::default(),
            None => wgpu::Limits {
                max_storage_buffer_binding_size: adapter.limits().max_storage_buffer_binding_size,
                max_buffer_size: adapter.limits().max_buffer_size,
                ..wgpu::Limits::default()
            },
        };
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("microtome"),
                required_limits: limits.clone(),
                ..wgpu::DeviceDescriptor::default()
            })
            .await
            .map_err(|e| missing(format!("{} refused a device: {e}", adapter_name(&info))))?;

        let fault = Arc::new(Mutex::new(None));
        let on_lost = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            // The errors that a dying device gives first are not the cause.
            *lock(&on_lost) = Some(lost(format!("{reason:?}: {message}")));
        });
        let on_error = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&on_error).get_or_insert(from_wgpu("uncaught", &error));
        }));
        Ok(Self {
            name: device_name(&device, &info),
            device,
            queue,
            is_fallback,
            short_attention: options.short_attention.unwrap_or(is_fallback),
            binding_bytes: limits
                .max_storage_buffer_binding_size
                .min(options.binding_bytes.unwrap_or(u64::MAX)),
            buffer_bytes: limits.max_buffer_size,
            fault,
        })
    }

    /// # Errors
    /// The fault that has happened, if any: a lost device answers every later call as if all were well.
    pub fn check(&self) -> Result<()> {
        // Natively the news comes only with a poll.
        #[cfg(not(target_arch = "wasm32"))]
        self.device.poll(wgpu::PollType::Poll).map_err(|e| lost(e.to_string()))?;
        match lock(&self.fault).clone() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Makes wgpu keep errors of what `work` asks for, and returns the first as ours.
    ///
    /// # Errors
    /// `gpu.out_of_memory`, `gpu.validation`.
    pub async fn caught<T>(&self, place: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let value = work();
        // Popped innermost first, before any of them is awaited.
        let errors = [memory.pop().await, internal.pop().await, validation.pop().await];
        self.check()?;
        match errors.into_iter().flatten().next() {
            Some(error) => Err(from_wgpu(place, &error)),
            None => value,
        }
    }

    /// A signal for the moment at which everything submitted so far is done.
    pub fn when_done(&self) -> Signal<()> {
        let (sender, done) = signal();
        self.queue.on_submitted_work_done(move || sender.send(()));
        done
    }

    /// Waits for a signal that a submission gives: natively by polling the device, in a browser by the event loop.
    ///
    /// # Errors
    /// `gpu.lost` when the device will never give it.
    pub async fn wait<T>(&self, done: Signal<T>, submission: Option<wgpu::SubmissionIndex>) -> Result<T> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            for submission_index in [submission, None] {
                let poll = wgpu::PollType::Wait { submission_index, timeout: None };
                self.device.poll(poll).map_err(|e| lost(e.to_string()))?;
                if done.is_ready() {
                    break;
                }
            }
            if !done.is_ready() {
                return Err(self.check().err().unwrap_or_else(|| lost("it stopped answering")));
            }
        }
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
        let value = done.await;
        self.check()?;
        Ok(value)
    }

    /// The bytes of a buffer that was made to be mapped, `f` applied to them.
    ///
    /// # Errors
    /// `gpu.lost` when it cannot be mapped.
    pub async fn read<T>(&self, buffer: &wgpu::Buffer, bytes: u64, f: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let (sender, mapped) = signal();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| sender.send(result));
        self.wait(mapped, None).await?.map_err(|e| lost(format!("the result could not be read: {e}")))?;
        let value = {
            let view = buffer.get_mapped_range(0..bytes).map_err(|e| lost(e.to_string()))?;
            f(&view)
        };
        buffer.unmap();
        Ok(value)
    }
}

fn missing(message: impl Into<String>) -> Error {
    Error::run("gpu.missing", message).with_action("Use the CPU engine, or a browser and driver with WebGPU.")
}

pub fn lost(message: impl std::fmt::Display) -> Error {
    Error::run("gpu.lost", format!("the GPU was lost ({message})"))
        .with_action("Load the model again; if it happens twice, use the CPU engine.")
}

pub fn out_of_memory(message: impl Into<String>) -> Error {
    Error::run("gpu.out_of_memory", message)
        .with_action("Close other tabs, or use the CPU engine or a smaller model.")
}

fn from_wgpu(place: &str, error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => out_of_memory(format!("{place}: the GPU has no memory left")),
        wgpu::Error::Validation { .. } => Error::run("gpu.validation", format!("{place}: {error}")),
        wgpu::Error::Internal { .. } => Error::run("gpu.internal", format!("{place}: {error}")),
    }
}

fn adapter_name(info: &wgpu::AdapterInfo) -> String {
    let name = if info.name.is_empty() { "unnamed adapter" } else { &info.name };
    format!("{name} ({})", info.backend)
}

#[cfg(not(target_arch = "wasm32"))]
fn device_name(_: &wgpu::Device, info: &wgpu::AdapterInfo) -> String {
    adapter_name(info)
}

/// Browsers leave the description empty but tell vendor and architecture, which wgpu does not pass on.
#[cfg(target_arch = "wasm32")]
fn device_name(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> String {
    let words = |device: &wasm_bindgen::JsValue| -> Option<String> {
        let info = js_sys::Reflect::get(device, &"adapterInfo".into()).ok()?;
        let word = |name: &str| js_sys::Reflect::get(&info, &name.into()).ok()?.as_string();
        let words: Vec<String> =
            [word("vendor")?, word("architecture")?].into_iter().filter(|w| !w.is_empty()).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    match device.as_webgpu().and_then(|device| words(device.as_ref())) {
        Some(words) if info.name.is_empty() => format!("{words} (WebGPU)"),
        _ => adapter_name(info),
    }
}
