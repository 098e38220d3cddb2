//! The command line that all daemons share, and the way from it to a validated configuration.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, KeySpec, Settings, Sources};
use crate::limits::CONFIG_MAX;

/// Arguments of every daemon. Settings are given by `--set`, so that there is one name for each.
#[derive(Clone, Debug, clap::Args)]
pub struct DaemonArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, such as http.listen=127.0.0.1:8080; wins over file and environment
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Check the configuration, say what is wrong with it, and exit
    #[arg(long)]
    pub check_config: bool,
    /// Print every key with its value, source and meaning, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// Why a daemon does not start. `Display` is what the operator reads.
#[derive(Debug)]
pub enum StartError {
    /// The configuration file could not be read.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration has mistakes.
    Config(ConfigError),
    /// Anything later: a port in use, a secret that is missing. The text says what to do.
    Runtime(String),
}

impl StartError {
    /// Exit code of the process: 2 for usage and configuration, 1 for everything later.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Config(_) => 2,
            Self::Runtime(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => {
                write!(f, "configuration file {}: {source}", path.display())
            }
            Self::Config(error) => write!(f, "the configuration has mistakes:\n{error}"),
            Self::Runtime(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

/// What the arguments asked for.
#[derive(Debug)]
pub enum Asked<C> {
    /// Run with this configuration.
    Run(C),
    /// Print this text and exit successfully.
    Print(String),
}

/// Resolves `keys` from the arguments, the file they name and the environment, and lets `build`
/// make the daemon's configuration of them.
///
/// # Errors
/// The file cannot be read, or there are mistakes: all of them are reported together.
pub fn load<C>(
    args: &DaemonArgs,
    keys: &'static [KeySpec],
    build: impl FnOnce(&mut Settings) -> C,
) -> Result<Asked<C>, StartError> {
    let text = args.config.as_deref().map(read).transpose()?;
    let name = args
        .config
        .as_deref()
        .map(|path| path.display().to_string());
    let file = name.as_deref().zip(text.as_deref());
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let sources = Sources {
        file,
        environment,
        sets: &args.set,
    };
    let mut settings = Settings::resolve(keys, &sources);
    if args.print_config {
        let printed = settings.print();
        return settings
            .finish()
            .map(|()| Asked::Print(printed))
            .map_err(StartError::Config);
    }
    let built = build(&mut settings);
    settings.finish().map_err(StartError::Config)?;
    if args.check_config {
        return Ok(Asked::Print("the configuration is in order\n".to_owned()));
    }
    Ok(Asked::Run(built))
}

fn read(path: &Path) -> Result<String, StartError> {
    let fail = |source| StartError::File {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut text = String::new();
    let read = file
        .take(CONFIG_MAX as u64 + 1)
        .read_to_string(&mut text)
        .map_err(fail)?;
    if read > CONFIG_MAX {
        return Err(fail(std::io::Error::other(
            "larger than 1 MiB: is it the right file?",
        )));
    }
    Ok(text)
}

/// Runs a daemon's `main`: prints what was asked for, or runs and reports why it ended.
#[must_use]
#[expect(
    clippy::print_stdout,
    reason = "the answer to --check-config and --print-config"
)]
#[expect(
    clippy::print_stderr,
    reason = "a daemon that cannot start may have no log yet"
)]
pub fn main<C>(
    program: &str,
    loaded: Result<Asked<C>, StartError>,
    run: impl FnOnce(C) -> Result<(), StartError>,
) -> std::process::ExitCode {
    let outcome = match loaded {
        Ok(Asked::Print(text)) => {
            print!("{text}");
            return std::process::ExitCode::SUCCESS;
        }
        Ok(Asked::Run(config)) => run(config),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            std::process::ExitCode::from(error.exit_code())
        }
    }
}

/// The text for an address that could not be bound: which, why, and what to do.
#[must_use]
pub fn bind_error(key: &str, addr: std::net::SocketAddr, error: &std::io::Error) -> StartError {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there: stop it or choose another",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need the privilege to bind them",
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "choose another address",
    };
    StartError::Runtime(format!(
        "cannot listen on {addr} ({key}): {error}; {advice}"
    ))
}
