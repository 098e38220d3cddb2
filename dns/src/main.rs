//! `atoll-dns`: arguments to configuration to [`dns::shell::run`], or to a command about keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use common::shell::cli::{self, Asked, DaemonArgs, StartError};
use dns::shell::config::Config;
use dns::shell::reload::Again;
use dns::shell::{config, keys, listing, run};

/// The name server of a cooperative CDN: answers coralised names with live proxies
#[derive(Debug, Parser)]
#[command(name = "atoll-dns", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make keys that zones are signed with, and show what the parent needs of them
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a key in a new file that its owner alone can read
    New {
        /// The file
        file: PathBuf,
    },
    /// Print DS and DNSKEY records of the keys in the configuration
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let daemon = arguments.daemon;
    let loaded = match arguments.command {
        None => load(&daemon),
        Some(Command::Keys(Keys::New { file })) => listing::create(&file).map(Asked::Print),
        Some(Command::Keys(Keys::Show(show))) => load(&show.daemon).map(|asked| match asked {
            Asked::Run(config) => Asked::Print(listing::show(&config.zones)),
            Asked::Print(text) => Asked::Print(text),
        }),
    };
    let again = Again::new(move || match load(&daemon) {
        Ok(Asked::Run(config)) => Ok(config),
        Ok(Asked::Print(_)) => Err("it was only to be printed".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    cli::main("atoll-dns", loaded, |config| run::run(config, again))
}

fn load(daemon: &DaemonArgs) -> Result<Asked<Config>, StartError> {
    match cli::load(daemon, keys::KEYS, config::build)? {
        Asked::Run(Some(config)) => Ok(Asked::Run(config)),
        Asked::Run(None) => Err(StartError::Runtime(
            "the configuration makes no zone".into(),
        )),
        Asked::Print(text) => Ok(Asked::Print(text)),
    }
}
