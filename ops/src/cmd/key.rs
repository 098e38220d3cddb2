//! `atoll key`: makes and shows the keys that sign releases, intents and reports.

use std::path::{Path, PathBuf};

use common::rng::Generator;
use common::shell::private_file::{self, PrivateFileError};

use super::not_written;
use crate::engine::document::key::SigningKey;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// A private key is one line; whatever is longer is another file.
const FILE_MAX: u64 = 4_096;

/// Arguments of `atoll key`.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Make a new key in a file that only you can read, and print its public half
    ///
    /// Whoever has the file can sign releases or give orders to nodes that trust the key.
    New {
        /// The file to make, with mode 0600; an existing file is never replaced
        #[arg(long, value_name = "FILE", default_value = "atoll.key")]
        out: PathBuf,
    },
    /// Print the public half of a key: what nodes are told to trust
    Show {
        /// The private key's file
        #[arg(value_name = "FILE", default_value = "atoll.key")]
        key: PathBuf,
    },
}

/// Makes or shows a key.
///
/// # Errors
/// The file exists already, or cannot be read or written.
pub fn run(args: &KeyArgs) -> Outcome {
    let key = match &args.action {
        Action::New { out } => create(out)?,
        Action::Show { key } => load(key)?,
    };
    say::result(&key.public().to_string());
    Ok(Exit::Ok)
}

/// Makes a key in the new file `path`.
///
/// # Errors
/// The file exists already or cannot be written.
pub fn create(path: &Path) -> Result<SigningKey, Failure> {
    let mut rng = Generator::from_system().map_err(|error| {
        let what = format!("the system gives no random bytes: {error}");
        Failure::failed(
            what,
            "check that getrandom is not forbidden to this process",
        )
    })?;
    let key = SigningKey::generate(&mut rng);
    let written = private_file::create(path, key.to_text().as_bytes());
    written.map_err(|error| not_written(path, "a key", &error))?;
    Ok(key)
}

/// Reads the private key in `path`.
///
/// # Errors
/// It is missing, open to others, or no key.
pub fn load(path: &Path) -> Result<SigningKey, Failure> {
    let shown = path.display();
    let bytes = private_file::read(path, FILE_MAX).map_err(|error| match error {
        PrivateFileError::Io(error) => Failure::failed(
            format!("cannot read {shown}: {error}"),
            format!("make a key with `atoll key new --out {shown}`"),
        ),
        PrivateFileError::Mode(mode) => Failure::failed(
            format!("{shown} has mode {mode:04o}, so others can read it"),
            format!("run `chmod 600 {shown}`"),
        ),
    })?;
    // What is no text is no key either, and says so in the same words.
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    SigningKey::parse(text)
        .map_err(|error| Failure::failed(format!("{shown}: {error}"), "name a private key's file"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = create(&path).unwrap();
        assert_eq!(load(&path).unwrap().public(), made.public());
        assert!(create(&path).is_err_and(|failure| failure.what.contains("never overwritten")));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(&path).is_err_and(|failure| failure.advice.contains("chmod 600")));
        assert!(load(dir.path().join("none").as_path()).is_err());
    }
}
