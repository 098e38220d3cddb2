//! A name server of a test's own without a network behind it: it answers with its anchors, which
//! nobody checks. All it is asked about is names, records and signatures.

use std::net::SocketAddr;
use std::path::PathBuf;

use harness::binaries::Program;
use harness::cluster::set;
use harness::daemon::Daemon;
use harness::exec;
use harness::origin::ZONE;
use harness::place::{Place, Port, host};
use harness::wait::{self, SOON};

/// The proxies that it names, one of each family.
pub(super) const ANCHORS: [&str; 2] = ["192.0.2.80", "2001:db8::80"];

/// Records beside those of its own.
const RECORDS: &str = "mail A 192.0.2.5,docs CNAME mail,far CNAME www-example-com.nyud.test,@ MX 10 mail,\
                       deep.below.nyud.test TXT x";

/// A key file, and the file's role.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) role: &'static str,
    pub(super) file: PathBuf,
}

/// A running name server.
#[derive(Debug)]
pub(super) struct Lone {
    pub(super) admin: SocketAddr,
    pub(super) daemon: Daemon,
    sets: Vec<String>,
}

impl Lone {
    /// Starts it at `addr`, signing with `keys` if there are any.
    pub(super) async fn start(
        place: &Place,
        addr: SocketAddr,
        keys: &[Key],
        more: &[String],
    ) -> Self {
        let key = |key: &Key| format!("{}={}", key.role, key.file.display());
        let keys: Vec<String> = keys.iter().map(key).collect();
        let admin = place.at(host::NAME_SERVER, Port::DnsAdmin);
        let mut sets = vec![
            set("zone", ZONE),
            set("zone.ns", format!("ns1={}", addr.ip())),
            set("zone.records", RECORDS),
            set("zone.keys", keys.join(",")),
            set("dns.listen", addr),
            set("admin.listen", admin),
            set("answer.anchors", ANCHORS.join(",")),
        ];
        sets.extend_from_slice(more);
        let title = format!("dns-lone-{}", place.dir().read_dir().unwrap().count());
        let daemon = Daemon::start(&title, Program::Dns, &sets, place.dir());
        let lone = Self {
            admin,
            daemon,
            sets,
        };
        wait::until("the name server is up", SOON, async || {
            let answer =
                harness::resolver::try_ask(addr, "nyud.test.", hickory_proto::rr::RecordType::SOA);
            answer.await.is_some()
        })
        .await;
        lone
    }

    /// The DS records of its keys, as `atoll-dns keys show` prints them.
    pub(super) async fn ds(&self) -> Vec<String> {
        let mut args = vec!["keys", "show"];
        for set in &self.sets {
            args.extend(["--set", set.as_str()]);
        }
        let shown = exec::run_ours(Program::Dns, &args).await.ok();
        let ds = shown.lines().filter(|line| line.contains(" IN DS "));
        ds.map(str::to_owned).collect()
    }
}

/// A new key in a file of the place.
pub(super) async fn new_key(place: &Place, role: &'static str, name: &str) -> Key {
    let file = place.file(name);
    let args = ["keys", "new", file.to_str().unwrap()];
    let said = exec::run_ours(Program::Dns, &args).await.ok();
    assert!(said.contains("key written to"), "{said}");
    Key { role, file }
}
