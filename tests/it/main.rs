mod kernels;
mod shaders;
