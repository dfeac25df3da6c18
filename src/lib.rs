//! Microtome: GPT-2 under the knife, in the browser or natively.
//!
//! Modules stand in the order of the data flow, and an arrow never points back:
//!
//! text → tokens → model (a [`program::Program`]) → plan (batches of runs) → backend → outcome → figure
//!
//! **Values before effects.** Programs, plans, outcomes and figures are data, pure and tested natively; engines, the
//! command line and the page execute them at the edge. Only `wasm` knows JavaScript.

pub mod error;

pub mod address;
pub mod config;
pub mod tokens;
pub mod weights;

pub mod download;

pub mod processing;

pub mod hook;
pub mod intervene;
pub mod program;

pub mod model;

pub mod detect;
pub mod metric;

pub mod sweep;

pub mod experiment;
pub mod plan;

pub mod backend;

pub mod outcome;

pub mod lab;

pub mod training;

pub mod bench;
pub mod figure;
pub mod published;

#[cfg(feature = "cli")]
pub mod train;

#[cfg(feature = "cli")]
pub mod cli;

#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use error::{Error, Result};
