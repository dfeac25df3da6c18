//! The uniform of a dispatch.

/// What one dispatch works on; each kernel reads the fields it needs. WGSL twin: `shaders/shared/params.wgsl`, where
/// the fields are explained. Keep in sync; `tests/it/shaders.rs` compares the layouts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    pub first_row: u32,
    pub end_row: u32,
    pub first_col: u32,
    pub end_col: u32,
    pub heads: u32,
    pub k: u32,
    pub n: u32,
    pub first: u32,
    pub shard: u32,
    pub list: u32,
    pub mode: u32,
    pub scale: f32,
    pub eps: f32,
}

impl Params {
    /// Distance between two dispatches' parameters: WebGPU's default alignment of a dynamic uniform offset.
    pub const STRIDE: usize = 256;
}

/// Values of [`Params::mode`], under the names that the kernels give them.
pub mod mode {
    pub const AFFINE: u32 = 1;
    pub const CAUSAL: u32 = 1;
    pub const RESET: u32 = 1;
    pub const FIRST_SHARD: u32 = 1;
    pub const LAST_SHARD: u32 = 2;
    pub const GELU_NEW: u32 = 0;
    pub const GELU: u32 = 1;
    pub const RELU: u32 = 2;
}
