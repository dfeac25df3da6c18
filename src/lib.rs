//! Microtome: GPT-2 under the knife, in the browser or natively.
//!
//! Modules stand in the order of the data flow; an arrow never points back:
//!
//! text → tokens → model (a [`program::Program`]) → plan (batches of runs) → backend → outcome → figure

pub mod error;

pub mod config;
pub mod hook;
pub mod intervene;
pub mod weights;

pub mod program;

pub mod model;

pub mod backend;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::{Error, Result};
