//! The index simulator: `sim SCENARIO [options]`; `sim --list` shows what there is.
//!
//! Exit codes: 0 all properties held; 1 one did not, or with `--strict` a target was missed;
//! 2 usage. The report goes to standard output, progress to standard error.

mod allocated;
mod checkers;
mod cli;
mod clock;
mod commands;
mod figures;
mod fingerprint;
mod host;
mod many;
mod matrix;
mod model;
mod nearness;
mod net;
mod pictures;
mod progress;
mod queue;
mod report;
mod scenarios;
mod world;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    let (text, code) = match commands::run(&options) {
        Ok(outcome) if outcome.well => (outcome.text, ExitCode::SUCCESS),
        Ok(outcome) => (outcome.text, ExitCode::FAILURE),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sim: {error}");
            return ExitCode::from(2);
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
