//! `atoll completions` and `atoll man`: what shells and readers of manual pages want.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Arguments of `atoll completions`.
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `atoll man`.
#[derive(Clone, Debug, clap::Args)]
pub struct ManArgs {
    /// The directory to write them to, one page for each command
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the completions.
///
/// # Errors
/// None.
pub fn completions(args: &CompletionsArgs) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "atoll", &mut text);
    say::result(String::from_utf8_lossy(&text).trim_end());
    Ok(Exit::Ok)
}

/// Writes the pages.
///
/// # Errors
/// The directory cannot be written.
pub fn man(args: &ManArgs) -> Outcome {
    let unwritable = |error: std::io::Error| {
        let what = format!("cannot write to {}: {error}", args.out.display());
        Failure::failed(what, "name another directory with --out")
    };
    fs::create_dir_all(&args.out).map_err(unwritable)?;
    let mut root = Cli::command();
    root.build();
    let written = write(&root, "atoll", &args.out).map_err(unwritable)?;
    say::result(&format!("{written} pages in {}", args.out.display()));
    Ok(Exit::Ok)
}

/// The page of `command`, called `name`, and those of all below it.
fn write(command: &Command, name: &str, dir: &Path) -> std::io::Result<usize> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    fs::write(dir.join(format!("{name}.1")), page)?;
    let below = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help");
    let mut written = 1;
    for one in below {
        written += write(one, &format!("{name}-{}", one.get_name()), dir)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Cli::command();
        root.build();
        let written = write(&root, "atoll", dir.path()).unwrap();
        assert!(written > 30, "{written}");
        let page = fs::read_to_string(dir.path().join("atoll-dht-get.1")).unwrap();
        assert!(page.contains("Show the values under a key"), "{page}");
        assert!(!dir.path().join("atoll-launch.1").exists());
    }
}
