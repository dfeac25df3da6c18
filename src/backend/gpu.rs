//! The GPU engine's place: until it lands, opening it says that there is none.

use super::{Backend, Control, Output};
use crate::error::{Error, Result};
use crate::model::Limits;
use crate::program::Program;
use crate::weights::Weights;

pub enum Gpu {}

impl Gpu {
    pub async fn open() -> Result<Self> {
        Err(Error::run("gpu.missing", "this build has no GPU engine"))
    }

    pub fn is_fallback(&self) -> bool {
        match *self {}
    }
}

impl Backend for Gpu {
    fn limits(&self) -> Limits {
        match *self {}
    }
    fn adapter(&self) -> Option<String> {
        match *self {}
    }
    async fn upload(&mut self, _weights: &Weights) -> Result<()> {
        match *self {}
    }
    async fn run(&mut self, _program: &Program, _control: &dyn Control) -> Result<Output> {
        match *self {}
    }
}
