//! One binary of tests on the public library; each module says what it proves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them inside #[test] functions; here the helpers of tests too"
)]

mod files;
mod golden;
mod header;
mod tokens;
//! One test binary: linking the engine once is a minute cheaper than a dozen times.

mod server;
//! One test binary with modules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod kernels;
mod shaders;
mod shipped_model;
mod train;
