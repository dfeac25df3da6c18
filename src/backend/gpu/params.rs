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
    pub all_heads: u32,
    pub k: u32,
    pub n: u32,
    pub first: u32,
    pub shard: u32,
    pub list: u32,
    pub list_2: u32,
    pub x_list: u32,
    pub x_first: u32,
    pub add_list: u32,
    pub add_first: u32,
    pub out_first: u32,
    pub plane: u32,
    pub w_plane: u32,
    pub b_plane: u32,
    pub out_plane: u32,
    pub mode: u32,
    pub scale: f32,
    pub eps: f32,
}

impl Params {
    /// Distance between two dispatches' parameters: WebGPU's default alignment of a dynamic uniform offset.
    pub const STRIDE: usize = 256;
    /// For a list: there is none, the rows stand one after the other.
    pub const NONE: u32 = u32::MAX;
}

/// Values of [`Params::mode`], under the names that the kernels give them.
pub mod mode {
    pub const WITH_POS: u32 = 1;
    pub const A_IS_OUT: u32 = 1;
    pub const B_IS_OUT: u32 = 2;
    pub const AFFINE: u32 = 1;
    pub const CAUSAL: u32 = 1;
    pub const SHARED: u32 = 2;
    pub const RESET: u32 = 1;
    pub const FROM_OTHER: u32 = 1;
    pub const FIRST_SHARD: u32 = 1;
    pub const LAST_SHARD: u32 = 2;
    pub const GELU_NEW: u32 = 0;
    pub const GELU: u32 = 1;
    pub const RELU: u32 = 2;
    pub const ACTIVATE: u32 = 4;
    pub const ADD: u32 = 8;
}
