//! `atoll controller`: keeps what each node is to run; its tokens and its backup.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::rng::Generator;
use common::shell::private_file;

use super::{begin, key, not_written};
use crate::controller::shell::store::{FILE, Store};
use crate::controller::shell::token::{self, Scope};
use crate::controller::shell::{Options, no_store, run as run_controller};
use crate::crowd::load::raise_descriptors;
use crate::engine::document::key::PublicKey;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Arguments of `atoll controller`.
#[derive(Clone, Debug, clap::Args)]
pub struct ControllerArgs {
    /// The controller's directory: its key, its database, the programs of releases
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/atoll-controller",
        global = true
    )]
    state: PathBuf,
    /// The database, if not a file in the directory: postgres://USER:PASSWORD@HOST/NAME
    #[arg(
        long,
        value_name = "URL",
        env = "ATOLL_DATABASE",
        hide_env_values = true,
        global = true
    )]
    database: Option<String>,
    /// Where agents and operators reach it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    listen: SocketAddr,
    /// Who may sign releases, if others than the controller itself
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    trust_release: Vec<PublicKey>,
    /// Write the log as JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Make a token in a file that only you can read
    Token {
        /// Who is to have it; a token of the same name is no longer valid
        #[arg(long)]
        name: String,
        /// What it is good for: read, operate (orders too) or release (releases too)
        #[arg(long, value_parser = Scope::parse)]
        scope: Scope,
        /// The file to make, with mode 0600; an existing file is never replaced
        #[arg(long, value_name = "FILE", default_value = "atoll.token")]
        out: PathBuf,
    },
    /// Copy the database as it is at one moment, while the controller runs
    Backup {
        /// The file to make
        out: PathBuf,
    },
}

/// Runs the controller, or does something with its database.
///
/// # Errors
/// Its directory, database or address cannot be used.
pub async fn run(args: ControllerArgs) -> Outcome {
    make(&args.state)?;
    let url = args
        .database
        .clone()
        .unwrap_or_else(|| Store::url(&args.state));
    match &args.action {
        Some(Action::Token { name, scope, out }) => {
            return make_token(&url, name, *scope, out).await;
        }
        Some(Action::Backup { out }) => return backup(&args, &url, out).await,
        None => {}
    }
    let (_handle, shutdown) = begin(args.json)?;
    let path = args.state.join("controller.key");
    let key = if path.exists() {
        key::load(&path)?
    } else {
        key::create(&path)?
    };
    let trust_releases = if args.trust_release.is_empty() {
        vec![key.public()]
    } else {
        args.trust_release
    };
    let options = Options {
        state: args.state,
        database: url,
        listen: args.listen,
        key,
        trust_releases,
    };
    // Each node has a connection that waits for news.
    let descriptors = raise_descriptors();
    tracing::debug!(descriptors, "as many as the system gives");
    run_controller(options, shutdown).await
}

fn make(state: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state);
    made.map_err(|error| {
        let what = format!("cannot use {}: {error}", state.display());
        Failure::failed(what, "choose another --state")
    })
}

async fn make_token(url: &str, name: &str, scope: Scope, out: &Path) -> Outcome {
    let mut rng = Generator::from_system().map_err(|error| {
        Failure::failed(
            format!("the system gives no random bytes: {error}"),
            "try again",
        )
    })?;
    let token = token::generate(&mut rng);
    private_file::create(out, format!("{token}\n").as_bytes())
        .map_err(|error| not_written(out, "a token", &error))?;
    let added = async {
        let store = Store::open(url).await?;
        store.add_token(&token::hash(&token), name, scope).await
    };
    if let Err(error) = added.await {
        // It is worth nothing, and would be in the way of the next one.
        drop(std::fs::remove_file(out));
        return Err(no_store(&error));
    }
    say::result(&out.display().to_string());
    Ok(Exit::Ok)
}

async fn backup(args: &ControllerArgs, url: &str, out: &Path) -> Outcome {
    if args.database.is_some() {
        let what = "this copies the database in the controller's directory, and there is another";
        return Err(Failure::usage(what, "use pg_dump"));
    }
    if !args.state.join(FILE).exists() {
        let what = format!("{} has no database", args.state.display());
        return Err(Failure::usage(
            what,
            "name the controller's directory with --state",
        ));
    }
    let store = Store::open(url).await.map_err(|error| no_store(&error))?;
    store.backup(out).await.map_err(|error| no_store(&error))?;
    say::result(&out.display().to_string());
    say::note(&format!(
        "to restore: stop the controller, put it in place of {FILE}, remove {FILE}-wal and {FILE}-shm, start it; \
         the key and the programs are not in it"
    ));
    Ok(Exit::Ok)
}
