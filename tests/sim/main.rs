//! The index simulator: `sim SCENARIO [options]`; `sim --list` shows what there is.
//!
//! Exit codes: 0 all properties held; 1 one did not, or with `--strict` a target was missed;
//! 2 usage. The report goes to standard output, progress to standard error.

mod checkers;
mod cli;
mod clock;
mod fingerprint;
mod host;
mod matrix;
mod model;
mod net;
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
    if options.list {
        return say(&scenarios::list(), ExitCode::SUCCESS);
    }
    let report = match scenarios::run(&options, progress::on_stderr()) {
        Ok(report) => report,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sim: {error}");
            return ExitCode::from(2);
        }
    };
    let text = if options.json {
        serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
    } else {
        report.table()
    };
    let missed = report
        .figures
        .iter()
        .any(|figure| figure.met == Some(false));
    let failed = report.violated > 0 || (options.strict && missed);
    say(
        &text,
        if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        },
    )
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
