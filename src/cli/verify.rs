//! `microtome verify --model DIR`: each published figure of GPT-2 small beside the computed one.

use super::run::ModelArgs;
use crate::backend::Unattended;
use crate::error::{Error, Result};
use crate::published::{Check, verify};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

pub fn main(args: Args) -> Result<()> {
    let mut lab = args.model.open()?;
    let checks = pollster::block_on(verify(&mut lab, &Unattended::default()))?;
    if args.json {
        println!(
            "{}",
            serde_json::to_string(&checks).map_err(|e| Error::internal(format!("the checks: {e}")))?
        );
    } else {
        checks.iter().for_each(|check| println!("{}", line(check)));
    }
    let failed = checks.iter().filter(|check| !check.agrees).count();
    if failed == 0 {
        eprintln!("{} figures, all agree", checks.len());
        return Ok(());
    }
    Err(Error::run("verify.differs", format!("{failed} of {} published figures differ", checks.len()))
        .with_action("These figures hold for openai-community/gpt2 alone."))
}

fn line(check: &Check) -> String {
    let verdict = if check.agrees { "agrees " } else { "DIFFERS" };
    format!("{verdict}  {}: published {}, computed {}", check.name, check.published, check.computed)
}
