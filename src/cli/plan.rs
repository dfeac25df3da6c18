//! `microtome plan --model DIR`: what a model needs of memory, as JSON, without loading it. A model that does not fit is an
//! error behind it.

use super::run::ModelArgs;
use crate::error::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

pub fn main(args: Args) -> Result<()> {
    let plan = args.model.open()?.memory_plan();
    let json = serde_json::to_string(&plan).map_err(|e| Error::internal(format!("the plan: {e}")))?;
    println!("{json}");
    plan.check()
}
