//! The inner loops of the CPU engine: functions over slices of numbers, without types of the engine.
//!
//! They are a crate of their own because a crate is what cargo can build for speed while all the rest of the browser
//! module is built for size (`[profile.web]` in `Cargo.toml`). So nothing here is generic for its callers: a generic
//! function is compiled where it is called.

mod exp;
mod halves;
mod rows;
mod tile;
mod wide;

pub use exp::exp;
pub use halves::widen;
pub use rows::*;
pub use tile::{WIDE, add_panel, dot_columns, put_rows};
pub use wide::*;
