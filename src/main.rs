//! Parse, run, exit code: all of it in [`ronchi::cli`].

fn main() -> std::process::ExitCode {
    ronchi::cli::main()
}
