//! `atoll-proxy`: arguments to configuration to [`proxy::shell::run`]. No logic here.

use std::process::ExitCode;

use clap::Parser;
use common::shell::{cli, log};
use proxy::engine::config::{Config, KEYS};

/// Pages live among much that lives shortly. An allocator that splits what is free at any byte leaves
/// holes between them that nothing fits in.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Atoll's proxy: serves coralised URLs from its cache, else from a nearby proxy, else from the
/// origin.
///
/// Alone, without index and name server:
///   atoll-proxy --set zone=nyud.test --set http.listen=127.0.0.1:8080
///   curl -H 'Host: example.com.nyud.test' http://127.0.0.1:8080/
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Args {
    #[command(flatten)]
    daemon: cli::DaemonArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let load = move || {
        cli::load(&args.daemon, KEYS, |settings| {
            let (format, filter) = (settings.value("log.format"), settings.value("log.level"));
            (format, filter, Config::build(settings))
        })
    };
    cli::main("atoll-proxy", load(), |(format, filter, config)| {
        log::init(format, &filter);
        let again = move || match load() {
            Ok(cli::Asked::Run((_, _, config))) => Ok(config),
            Ok(cli::Asked::Print(_)) => Err("it was only to be printed".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        proxy::shell::run::run(config, Box::new(again))
    })
}
