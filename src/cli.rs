//! The native command `microtome`. Each subcommand is a module with `Args` and `main(Args)`;
//! this file only names them and turns an error into one line and an exit status.

pub mod bench;
pub mod build;
pub mod compressed;
pub mod fetch;
pub mod licences;
pub mod module;
pub mod pack;
pub mod plan;
pub mod progress;
pub mod room;
pub mod run;
pub mod serve;
pub mod server;
pub mod shell;
pub mod source;
pub mod toolchain;
pub mod train;
mod training;
pub mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};
use crate::lab::Notice;

/// A mechanistic-interpretability lab that is a web page.
///
/// Exit status: 0 done, 1 a failure while running, 2 bad input. An error is one line on standard
/// error; nothing is printed on standard output then.
#[derive(Parser)]
#[command(name = "microtome", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and serve it on this machine.
    Serve(serve::Args),
    /// Write the page as a plain folder that any file server can host, under any path.
    Build(build::Args),
    /// Download a model, with every check of length and hash.
    Fetch(fetch::Args),
    /// Write a model as a folder that any file server can host, in parts and with hashes.
    Pack(pack::Args),
    /// Run an experiment and print its result as JSON.
    Run(run::Args),
    /// Compare every figure that the notebook published for GPT-2 small with the computed one.
    Verify(verify::Args),
    /// Print what a model needs of memory, without loading it.
    Plan(plan::Args),
    /// Time every engine on a random model of GPT-2 small's shape.
    Bench(bench::Args),
    /// Train the default model on text that is generated as it goes.
    Train(train::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error_line(&error));
            ExitCode::from(error.exit_status())
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Serve(args) => serve::main(args),
        Command::Build(args) => build::main(args),
        Command::Fetch(args) => fetch::main(args),
        Command::Pack(args) => pack::main(args),
        Command::Run(args) => run::main(args),
        Command::Verify(args) => verify::main(args),
        Command::Plan(args) => plan::main(args),
        Command::Bench(args) => bench::main(args),
        Command::Train(args) => train::main(args),
    }
}

/// `error: MESSAGE: ACTION [CODE]`
fn error_line(error: &Error) -> String {
    let action = error.action.as_deref().map_or(String::new(), |action| format!(": {action}"));
    one_line(&format!("error: {}{action} [{}]", error.message, error.code))
}

/// `notice: MESSAGE [CODE]`
fn notice_line(notice: &Notice) -> String {
    one_line(&format!("notice: {} [{}]", notice.message, notice.code))
}

/// A message may carry another program's words.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_action_and_code() {
        let error = Error::run("site.port_taken", "port 80\nis taken").with_action("run `x`");
        assert_eq!(error_line(&error), "error: port 80 is taken: run `x` [site.port_taken]");
        assert_eq!(error_line(&Error::input("a.b", "no")), "error: no [a.b]");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
