//! One binary of tests on the public library; each module says what it proves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them inside #[test] functions; here the helpers of tests too"
)]

mod behind;
mod bench;
mod checkpoints;
mod cli;
mod counts;
mod detect;
mod download;
mod fetch;
mod files;
mod golden;
mod gpt2_tokens;
mod header;
mod hugging_face;
mod kernels;
mod laws;
mod medium;
mod paced;
mod pack;
mod published;
mod room;
mod room_code;
mod room_load;
mod server;
mod shaders;
mod shipped_model;
mod support;
mod tokens;
mod torch;
mod torch_shards;
mod train;
mod training;
