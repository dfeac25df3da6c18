//! The `microtome` command; everything is in [`microtome::cli`].

fn main() -> std::process::ExitCode {
    microtome::cli::main()
}
