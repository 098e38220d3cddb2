//! `atoll secret new`: makes a network secret. `atoll secret token`: a token for purges.

use std::path::{Path, PathBuf};

use common::rng::Generator;
use common::shell::secret::{SecretFileError, create};
use common::wire::secret::NetworkSecret;
use data_encoding::HEXLOWER;

use super::not_written;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Arguments of `atoll secret`.
#[derive(Clone, Debug, clap::Args)]
pub struct SecretArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Make a new network secret in a file that only you can read
    ///
    /// All nodes that are to link up need the same secret. Name its file to every daemon with
    /// network.secret_file; it is refused if others can read it.
    New(NewArgs),
    /// Make a token with which a site's owner may purge
    ///
    /// Prints the token, for whoever is to have it, and the line with its hash for the file that
    /// purge.tokens_file names at each proxy.
    Token(TokenArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct TokenArgs {
    /// Who is to have it, for the log
    #[arg(long)]
    name: String,
    /// The site whose pages it may purge, with all below its name; * for all sites
    #[arg(long, value_name = "HOST")]
    site: String,
}

#[derive(Clone, Debug, clap::Args)]
struct NewArgs {
    /// The file to make, with mode 0600; an existing file is never replaced
    #[arg(long, value_name = "FILE", default_value = "network.secret")]
    out: PathBuf,
    /// Print the secret instead, for a vault's input; terminals and shells remember it
    #[arg(long, conflicts_with = "out")]
    stdout: bool,
}

/// Makes a secret.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn run(args: &SecretArgs) -> Outcome {
    let mut rng = Generator::from_system().map_err(|error| {
        let what = format!("the system gives no random bytes: {error}");
        Failure::failed(
            what,
            "check that getrandom is not forbidden to this process",
        )
    })?;
    let args = match &args.action {
        Action::New(args) => args,
        Action::Token(args) => return token(args, &mut rng),
    };
    let secret = NetworkSecret::generate(&mut rng);
    if args.stdout {
        say::result(secret.to_text().trim_end());
        return Ok(Exit::Ok);
    }
    write(&args.out, &secret)?;
    let path = args.out.display();
    say::result(&format!("{path}"));
    say::note(&format!(
        "copy it to every node with mode 0600, then: atoll-dht --set network.secret_file={path} ..."
    ));
    Ok(Exit::Ok)
}

fn token(args: &TokenArgs, rng: &mut Generator) -> Outcome {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !word(&args.name) || !word(&args.site) || args.name.starts_with('#') {
        let advice = "use letters, digits and hyphens, without spaces";
        return Err(Failure::usage("the name or the site is no word", advice));
    }
    let token = HEXLOWER.encode(&rng.bytes::<32>());
    say::result(&token);
    let hash = blake3::hash(token.as_bytes()).to_hex();
    say::note(&format!("{} {} {hash}", args.name, args.site));
    say::note("add the line above to the file of purge.tokens_file and send SIGHUP to the proxies");
    Ok(Exit::Ok)
}

/// Writes `secret` to the new file `path`.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn write(path: &Path, secret: &NetworkSecret) -> Result<(), Failure> {
    create(path, secret).map_err(|error| match error {
        SecretFileError::Io { source, .. } => not_written(path, "a secret", &source),
        other @ (SecretFileError::Mode { .. } | SecretFileError::Content { .. }) => {
            Failure::failed(other.to_string(), "choose another file with --out")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_secret_is_readable_by_its_owner_alone_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let make = |seed| {
            write(
                &path,
                &NetworkSecret::generate(&mut Generator::from_seed(seed)),
            )
        };
        make(1).unwrap();
        let first = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let refused = make(2).unwrap_err();
        assert!(refused.what.contains("never overwritten"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), first);
    }
}
