//! `atoll-dht`: the index daemon. Arguments in, exit code out; the daemon is `dht::shell`.

use std::process::ExitCode;

use clap::Parser;
use common::shell::cli::{self, DaemonArgs};
use dht::shell::{DaemonConfig, KEYS, run};

/// The index of an Atoll node: a put/get table of pointers, shared by all nodes.
#[derive(Debug, Parser)]
#[command(name = "atoll-dht", version)]
struct Arguments {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::main(
        "atoll-dht",
        cli::load(&arguments.daemon, KEYS, DaemonConfig::read),
        run,
    )
}
