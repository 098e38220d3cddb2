//! A PostgreSQL of a test's own: a cluster in its own directory, on an address of the place, with a password.
//!
//! It refuses to run with all privileges, so that a test that has them runs it as nobody.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::place::{Place, Port};
use crate::{exec, skip, wait};

/// The host in a place.
const HOST: u8 = 210;

/// The user nobody, and its group.
const NOBODY: u32 = 65_534;

/// What the database's user is called, and its password.
const USER: &str = "atoll";
const PASSWORD: &str = "not-a-secret";

/// A running cluster; gone with this.
#[derive(Debug)]
pub struct Postgres {
    /// Its process.
    pub daemon: Daemon,
    addr: SocketAddr,
    programs: PathBuf,
    _dir: TempDir,
}

/// Where Debian has the programs of the newest version; elsewhere they are on the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let dirs = versions.flatten().map(|version| version.path().join("bin"));
    let newest = dirs.filter(|dir| dir.join("initdb").is_file()).max();
    newest.or_else(|| Some(exec::find("initdb")?.parent()?.to_owned()))
}

/// The words that have a command run without privileges, if we have any.
fn as_nobody() -> Vec<String> {
    if !exec::is_root() {
        return Vec::new();
    }
    let setpriv = exec::find("setpriv").unwrap().display().to_string();
    let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    let all = [setpriv].into_iter().chain(user);
    all.chain(["--clear-groups".to_owned()]).collect()
}

impl Postgres {
    /// Starts one, with no database of anybody; nothing where it is not installed, which is said loudly.
    pub async fn start(place: &Place) -> Option<Self> {
        let Some(programs) = programs() else {
            skip::loudly("PostgreSQL is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let (cluster, password) = (dir.path().join("cluster"), dir.path().join("password"));
        fs::write(&password, PASSWORD).unwrap();
        if exec::is_root() {
            for path in [dir.path(), &*password] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let cluster = cluster.display().to_string();
        let program = |name: &str| programs.join(name).display().to_string();
        let mut words = as_nobody();
        words.extend([program("initdb"), "--pgdata".to_owned(), cluster.clone()]);
        words.push(format!("--pwfile={}", password.display()));
        let rest = ["--username", USER, "--auth=scram-sha-256", "--no-sync"];
        words.extend(rest.map(str::to_owned));
        words.extend(["--locale=C", "--encoding=UTF8"].map(str::to_owned));
        let (first, args) = words.split_first().unwrap();
        let mut initdb = exec::command(first);
        drop(exec::run(initdb.args(args).current_dir("/")).await.ok());
        let addr = place.at(HOST, Port::Web);
        let mut words = as_nobody();
        words.extend([program("postgres"), "-D".to_owned(), cluster]);
        let settings = [
            format!("listen_addresses={}", addr.ip()),
            format!("port={}", addr.port()),
            "unix_socket_directories=".to_owned(),
        ];
        words.extend(settings.map(|setting| format!("-c{setting}")));
        let (first, args) = words.split_first().unwrap();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let postgres = Self {
            daemon: Daemon::start_other("postgres", first.as_ref(), &args, place.dir()),
            addr,
            programs,
            _dir: dir,
        };
        let ready = async || postgres.try_say("postgres", "SELECT 1").await;
        wait::until("PostgreSQL answers", wait::EVENTUALLY, ready).await;
        Some(postgres)
    }

    /// The URL of a database.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{database}", self.addr)
    }

    /// Where its commands are: psql, `pg_dump`.
    #[must_use]
    pub fn programs(&self) -> String {
        self.programs.display().to_string()
    }

    /// Makes an empty database; one of this name is gone.
    pub async fn make(&self, database: &str) {
        let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        for statement in [drop, format!("CREATE DATABASE {database}")] {
            assert!(self.try_say("postgres", &statement).await, "{statement}");
        }
    }

    /// Says a statement to a database: whether it took it.
    async fn try_say(&self, database: &str, statement: &str) -> bool {
        let mut psql = exec::command(self.programs.join("psql"));
        let url = self.url(database);
        psql.args(["--no-psqlrc", "--quiet", "--dbname", &url, "--command"]);
        exec::run(psql.arg(statement)).await.code == Some(0)
    }
}
