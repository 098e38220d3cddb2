//! `atoll config`: checks a daemon's configuration, shows what is in force with it, compares two.
//!
//! The daemons themselves know their settings: they are asked by their command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::cluster::binaries::{Cargo, Programs};
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

const EXAMPLES: &str = "Examples:
  atoll config check proxy /etc/atoll/proxy.toml
  atoll config show dht --set udp.listen=192.0.2.7:4000
  atoll config diff proxy /etc/atoll/proxy.toml           against the defaults
  atoll config diff proxy old.toml new.toml";

/// Arguments of `atoll config`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
    /// Where the daemons' programs are; next to this program if not given
    #[arg(long, global = true, value_name = "DIR")]
    release_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Say every mistake in a configuration, and start nothing
    Check(OneArgs),
    /// Show every setting as it would be in force
    Show(OneArgs),
    /// Show the settings that differ between two configurations
    Diff(DiffArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct OneArgs {
    /// Whose configuration
    #[arg(value_enum)]
    daemon: Which,
    /// Its file; without it the defaults and the environment
    file: Option<PathBuf>,
    /// A setting that wins over the file's, as SECTION.KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct DiffArgs {
    /// Whose configurations
    #[arg(value_enum)]
    daemon: Which,
    /// One file
    from: PathBuf,
    /// The other; without it the first is compared with the defaults
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Which {
    /// atoll-proxy
    Proxy,
    /// atoll-dht
    Dht,
    /// atoll-dns
    Dns,
}

/// Checks, shows or compares.
///
/// # Errors
/// A configuration has mistakes, or the daemon's program is nowhere.
pub fn run(args: &ConfigArgs) -> Outcome {
    let exe = std::env::current_exe().unwrap_or_default();
    let cargo = Cargo::from_environment();
    let programs = Programs::locate(args.release_dir.as_deref(), &exe, cargo.as_ref())?;
    let json = args.json;
    match &args.action {
        Action::Check(one) => {
            let path = program(&programs, one.daemon);
            ask(path, "--check-config", one.file.as_deref(), &one.set)?;
            say::result(if json { "{\"ok\":true}" } else { "ok" });
        }
        Action::Show(one) => {
            let path = program(&programs, one.daemon);
            let text = ask(path, "--print-config", one.file.as_deref(), &one.set)?;
            if json {
                let all = settings(&text);
                say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
            } else {
                say::result(text.trim_end());
            }
        }
        Action::Diff(diff) => {
            let path = program(&programs, diff.daemon);
            let from = settings(&ask(path, "--print-config", Some(&diff.from), &[])?);
            let to = settings(&ask(path, "--print-config", diff.to.as_deref(), &[])?);
            // Read from the defaults to the file when it is alone.
            let rows = if diff.to.is_some() {
                differences(&from, &to)
            } else {
                differences(&to, &from)
            };
            show(&rows, json);
            let same = rows.is_empty();
            return Ok(if same { Exit::Ok } else { Exit::Failed });
        }
    }
    Ok(Exit::Ok)
}

fn program(programs: &Programs, which: Which) -> &Path {
    match which {
        Which::Proxy => &programs.proxy,
        Which::Dht => &programs.dht,
        Which::Dns => &programs.dns,
    }
}

fn ask(program: &Path, flag: &str, file: Option<&Path>, set: &[String]) -> Result<String, Failure> {
    let mut command = Command::new(program);
    command.arg(flag);
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    for one in set {
        command.arg("--set").arg(one);
    }
    let output = command.output().map_err(|error| {
        let what = format!("cannot run {}: {error}", program.display());
        Failure::failed(what, "name the programs' directory with --release-dir")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::failed(said, "mend the settings named above"))
}

/// The settings of a printed configuration, as `section.key` and the value's text.
fn settings(text: &str) -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut all = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            // What follows a value says where it comes from.
            let value = value.split_once(" # ").map_or(value, |(value, _)| value);
            all.insert(format!("{section}{}", key.trim()), value.trim().to_owned());
        }
    }
    all
}

/// Settings that differ: the setting, the one value, the other.
fn differences(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> Vec<[String; 3]> {
    let keys: std::collections::BTreeSet<_> = from.keys().chain(to.keys()).collect();
    let text = |all: &BTreeMap<String, String>, key: &String| all.get(key).cloned();
    keys.into_iter()
        .map(|key| (key, text(from, key), text(to, key)))
        .filter(|(_, from, to)| from != to)
        .map(|(key, from, to)| {
            [
                key.clone(),
                from.unwrap_or_default(),
                to.unwrap_or_default(),
            ]
        })
        .collect()
}

fn show(rows: &[[String; 3]], json: bool) {
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|[key, from, to]| json!({ "key": key, "from": from, "to": to }))
            .collect();
        say::result(&serde_json::to_string_pretty(&rows).unwrap_or_default());
    } else if rows.is_empty() {
        say::result("no setting differs");
    } else {
        let mut table = Table::new(&[
            ("setting", Align::Left),
            ("from", Align::Left),
            ("to", Align::Left),
        ]);
        rows.iter().for_each(|row| table.row(row.clone()));
        say::result(&table.to_text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_configuration_is_read_and_compared() {
        let one = settings("# Head\nzone = \"a\"\n[http]\nlisten = \"x\" # file\nidle = \"30s\"\n");
        let other = settings("zone = \"a\"\n[http]\nlisten = \"y\"\nidle = \"30s\"\n");
        assert_eq!(
            differences(&one, &other),
            [["http.listen", "\"x\"", "\"y\""].map(str::to_owned)]
        );
        assert!(differences(&one, &one).is_empty());
    }
}
