//! stub, never committed
use super::{Backend, Control, Output};
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::program::Program;
use crate::weights::Weights;
pub struct Gpu;
#[derive(Default, Clone, Copy)]
pub struct Options {
    pub allow_fallback: bool,
    pub binding_bytes: Option<u64>,
    pub few_rows: Option<usize>,
}
impl Gpu {
    pub async fn open(_: bool) -> Result<Self> {
        Err(Error::internal("stub"))
    }
    pub async fn open_with(_: Options) -> Result<Self> {
        Err(Error::internal("stub"))
    }
    pub fn close(&self) {}
}
impl Backend for Gpu {
    fn limits(&self) -> Limits {
        Limits { buffer_elements: 1, tile_elements: 1, unembed_rows: 1 }
    }
    fn adapter(&self) -> Option<String> {
        None
    }
    async fn upload(&mut self, _: &Weights) -> Result<()> {
        Ok(())
    }
    async fn run(&mut self, _: &Program, _: &dyn Control) -> Result<Output> {
        Err(Error::internal("stub"))
    }
}
