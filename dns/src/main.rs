//! `atoll-dns`: arguments to configuration to [`dns::shell::run`].

use std::process::ExitCode;

use clap::Parser;
use common::shell::cli::{self, Asked, DaemonArgs, StartError};
use dns::shell::{config, keys, run};

/// The name server of a cooperative CDN: answers coralised names with live proxies
#[derive(Debug, Parser)]
#[command(name = "atoll-dns", version)]
struct Arguments {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let loaded = cli::load(&arguments.daemon, keys::KEYS, config::build);
    let loaded = loaded.and_then(|asked| match asked {
        Asked::Run(Some(config)) => Ok(Asked::Run(config)),
        Asked::Run(None) => Err(StartError::Runtime(
            "the configuration makes no zone".into(),
        )),
        Asked::Print(text) => Ok(Asked::Print(text)),
    });
    cli::main("atoll-dns", loaded, run::run)
}
