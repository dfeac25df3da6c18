#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml allows them inside #[test] functions; here the helpers of tests too"
)]

mod golden;
