//! The command line: reads it, runs one subcommand, says what went wrong.

mod cmd;

use std::{io, process::ExitCode};

use clap::{CommandFactory, Parser};

/// Emulate analog neuromorphic chips, and train spiking networks with the chip in the loop
#[derive(Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    let program = Program::parse();
    match program.command.run(Program::command()) {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("error: {}\n", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What went wrong and why, each reason once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let cause = cause.trim();
        if text.contains(cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_command_line_is_consistent() {
        Program::command().debug_assert();
    }

    #[test]
    fn a_reason_is_given_once() {
        let inner = Err::<(), _>(io::Error::other("disk full"));
        let error = inner
            .context("cannot write x: disk full")
            .context("cannot save")
            .unwrap_err();
        assert_eq!(chain(&error), "cannot save: cannot write x: disk full");
    }
}
