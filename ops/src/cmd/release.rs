//! `atoll release`: signs what a directory of programs is, and checks a directory against that.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use common::wire::GENERATION;

use super::key;
use crate::controller::client::ControllerArgs;
use crate::engine::document::Body as _;
use crate::engine::document::Signed;
use crate::engine::document::intent::SettingsMap;
use crate::engine::document::key::PublicKey;
use crate::engine::document::release::Manifest;
use crate::engine::document::words::{Program, Version};
use crate::outcome::{Exit, Failure, Outcome};
use crate::release_dir::{MANIFEST, measure, read_manifest, read_unjudged, unreadable};
use crate::render::{self, Align, Table};
use crate::say;

/// Arguments of `atoll release`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Sign the programs of a directory: writes their hashes to the file `manifest` there
    Sign(SignArgs),
    /// Check a directory of programs against its signed manifest
    Verify(VerifyArgs),
    /// Send a signed directory of programs to a controller
    Publish(PublishArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct SignArgs {
    /// The directory with atoll-proxy, atoll-dht and atoll-dns, or some of them
    dir: PathBuf,
    /// The version they are
    #[arg(long)]
    version: Version,
    /// The private key that nodes trust for releases
    #[arg(long, value_name = "FILE", default_value = "atoll.key")]
    key: PathBuf,
    /// The wire generation they speak; this program's own if not given
    #[arg(long, value_name = "N", default_value_t = GENERATION)]
    generation: u32,
    /// A setting that all nodes get with this version, as PROGRAM:KEY=VALUE
    #[arg(long, value_name = "P:K=V", value_parser = setting)]
    set: Vec<(Program, String, String)>,
}

#[derive(Clone, Debug, clap::Args)]
struct VerifyArgs {
    /// The release's directory
    dir: PathBuf,
    /// A public key that may sign releases; may be given several times
    #[arg(long, value_name = "KEY", required = true, value_parser = PublicKey::parse)]
    trust: Vec<PublicKey>,
}

#[derive(Clone, Debug, clap::Args)]
struct PublishArgs {
    /// The release's directory, signed
    dir: PathBuf,
    #[command(flatten)]
    controller: ControllerArgs,
}

fn setting(text: &str) -> Result<(Program, String, String), String> {
    let parts = text.split_once(':').and_then(|(program, rest)| {
        let program = Program::ALL
            .into_iter()
            .find(|one| one.as_str() == program)?;
        let (name, value) = rest.split_once('=')?;
        Some((program, name.to_owned(), value.to_owned()))
    });
    parts.ok_or_else(|| "write it as atoll-proxy:http.prepared=false".to_owned())
}

/// Signs, verifies or publishes.
///
/// # Errors
/// Files cannot be read or written, or are not those of the manifest.
pub async fn run(args: ReleaseArgs) -> Outcome {
    match &args.action {
        Action::Sign(args) => sign(args),
        Action::Verify(args) => verify(args),
        Action::Publish(args) => publish(args).await,
    }
}

fn sign(args: &SignArgs) -> Outcome {
    let key = key::load(&args.key)?;
    let mut binaries = BTreeMap::new();
    for program in Program::ALL {
        let path = args.dir.join(program.as_str());
        match measure(&path) {
            Ok(binary) => drop(binaries.insert(program, binary)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    let mut settings: BTreeMap<Program, SettingsMap> = BTreeMap::new();
    for (program, name, value) in args.set.clone() {
        settings.entry(program).or_default().insert(name, value);
    }
    let manifest = Manifest {
        version: args.version.clone(),
        generation: args.generation,
        binaries,
        settings,
    };
    manifest.check().map_err(|_| {
        let what = format!("no release can be made of {}", args.dir.display());
        Failure::usage(
            what,
            "name a directory with atoll's daemons; settings are KEY=VALUE",
        )
    })?;
    let signed = Signed::seal(manifest, &key);
    let path = args.dir.join(MANIFEST);
    std::fs::write(&path, signed.text()).map_err(|error| {
        Failure::failed(
            format!("cannot write {}: {error}", path.display()),
            "make room there",
        )
    })?;
    show(&signed);
    Ok(Exit::Ok)
}

fn verify(args: &VerifyArgs) -> Outcome {
    let signed = read_manifest(&args.dir, &args.trust)?;
    for (program, binary) in &signed.body.binaries {
        let path = args.dir.join(program.as_str());
        let found = measure(&path).map_err(|error| unreadable(&path, &error))?;
        if found != *binary {
            let what = format!("{} is not the program that was signed", path.display());
            return Err(Failure::failed(what, "fetch the release again"));
        }
    }
    show(&signed);
    Ok(Exit::Ok)
}

/// Sends the programs, then the manifest: a release that is known is whole.
async fn publish(args: &PublishArgs) -> Outcome {
    let signed = read_unjudged(&args.dir)?;
    for (program, binary) in &signed.body.binaries {
        let path = args.dir.join(program.as_str());
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let to = format!("/v1/blobs/{}", binary.blake3);
        args.controller.put(&to, bytes).await?;
    }
    let to = format!("/v1/releases/{}", signed.body.version);
    args.controller.put(&to, signed.text().to_owned()).await?;
    show(&signed);
    Ok(Exit::Ok)
}

fn show(signed: &Signed<Manifest>) {
    let manifest = &signed.body;
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Right)]);
    table.row(["version".to_owned(), manifest.version.to_string()]);
    table.row(["generation".to_owned(), manifest.generation.to_string()]);
    table.row(["signed by".to_owned(), signed.signer.to_string()]);
    table.row(["manifest".to_owned(), signed.digest.to_string()]);
    for (program, binary) in &manifest.binaries {
        let size = render::bytes(binary.length);
        table.row([program.as_str().to_owned(), binary.blake3.to_string(), size]);
    }
    say::result(&table.to_text());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_directory_verifies_until_a_byte_changes() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        let public = key::create(&key).unwrap().public();
        std::fs::write(dir.path().join("atoll-dht"), "program").unwrap();
        let sign_as = |version: &str| {
            sign(&SignArgs {
                dir: dir.path().to_owned(),
                version: Version::parse(version).unwrap(),
                key: key.clone(),
                generation: 2,
                set: vec![setting("atoll-dht:join.seeds=a=b").unwrap()],
            })
        };
        assert_eq!(sign_as("1.0.0"), Ok(Exit::Ok));
        let verify_by = |key: PublicKey| {
            verify(&VerifyArgs {
                dir: dir.path().to_owned(),
                trust: vec![key],
            })
        };
        assert_eq!(verify_by(public), Ok(Exit::Ok));
        let other = key::create(&dir.path().join("other")).unwrap().public();
        assert!(verify_by(other).is_err_and(|failure| failure.what.contains("stranger")));
        std::fs::write(dir.path().join("atoll-dht"), "Program").unwrap();
        assert!(verify_by(public).is_err_and(|failure| failure.what.contains("atoll-dht")));
    }

    #[test]
    fn a_directory_without_programs_is_no_release() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        key::create(&key).unwrap();
        let args = SignArgs {
            dir: dir.path().to_owned(),
            version: Version::parse("1.0.0").unwrap(),
            key,
            generation: 2,
            set: Vec::new(),
        };
        assert!(sign(&args).is_err());
    }
}
