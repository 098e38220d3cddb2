//! Resolvers that others wrote, recursing from a root of the test's own down to the name server under
//! test: knot plays the root and the zone above ours, all on loopback and port 53.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use harness::daemon::Daemon;
use harness::exec;
use harness::place::{Place, host};
use harness::skip;

/// The last part of the root's address.
const ROOT: u8 = 4;

/// Delegations lead to this port.
pub(super) const DNS: u16 = 53;

/// The kinds of resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Unbound,
    Bind,
    Knot,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Unbound, Self::Bind, Self::Knot];

    const fn program(self) -> &'static str {
        match self {
            Self::Unbound => "unbound",
            Self::Bind => "named",
            Self::Knot => "kresd",
        }
    }
}

/// The root, and the delegation of our zone.
pub(super) struct Root {
    ip: IpAddr,
    hints: PathBuf,
    _daemon: Daemon,
}

/// Whether this machine lets delegations be followed: port 53, and a server for the root.
pub(super) fn knotd() -> Option<PathBuf> {
    if !exec::is_root() {
        skip::loudly("only root may listen on port 53, where delegations lead");
        return None;
    }
    let found = exec::find("knotd");
    if found.is_none() {
        skip::loudly("no knotd to play the root");
    }
    found
}

impl Root {
    /// A root that delegates `nyud.test` to `ns1.nyud.test` at `server`, with `ds` for it.
    pub(super) fn start(place: &Place, knotd: &Path, server: IpAddr, ds: &[String]) -> Self {
        let ip = place.ip(ROOT);
        let dir = place.file("root");
        std::fs::create_dir(&dir).unwrap();
        let soa = "@ 60 IN SOA a.root. nobody.root. 1 3600 600 86400 10\n@ 60 IN NS a.root.\n";
        std::fs::write(
            dir.join("root.zone"),
            format!("$ORIGIN .\n{soa}a.root. 60 IN A {ip}\ntest. 60 IN NS a.root.\n"),
        )
        .unwrap();
        std::fs::write(
            dir.join("test.zone"),
            format!(
                "$ORIGIN test.\n{soa}nyud 60 IN NS ns1.nyud\nns1.nyud 60 IN A {server}\n{}\n",
                ds.join("\n")
            ),
        )
        .unwrap();
        let at = dir.display();
        let config = format!(
            "server:\n  rundir: {at}\n  listen: {ip}@{DNS}\n  user: root\n\
             database:\n  storage: {at}\n\
             zone:\n  - domain: .\n    file: {at}/root.zone\n  - domain: test.\n    file: {at}/test.zone\n"
        );
        let file = dir.join("knot.conf");
        std::fs::write(&file, config).unwrap();
        let daemon =
            Daemon::start_other("root", knotd, &["-c", file.to_str().unwrap()], place.dir());
        let hints = dir.join("hints");
        std::fs::write(&hints, format!(". 3600 NS a.root.\na.root. 3600 A {ip}\n")).unwrap();
        Self {
            ip,
            hints,
            _daemon: daemon,
        }
    }

    /// Where it answers.
    pub(super) const fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip, DNS)
    }
}

/// How a resolver gets to our zone.
enum Way {
    /// From the root, which this file of hints names.
    Root(PathBuf),
    /// To this server at once.
    Forward(SocketAddr),
}

/// A running resolver.
pub(super) struct Resolver {
    pub(super) addr: SocketAddr,
    _daemon: Daemon,
}

impl Resolver {
    /// A resolver that begins at `root` and trusts the keys of our zone that `anchors` (DS records)
    /// name. `None`, said loudly, if the machine lacks it.
    pub(super) fn start(
        place: &Place,
        kind: Kind,
        root: &Root,
        anchors: &[String],
    ) -> Option<Self> {
        let way = Way::Root(root.hints.clone());
        Self::start_by(place, kind, &way, anchors)
    }

    /// A resolver that sends questions about our zone to `server`, whatever the root says.
    pub(super) fn forwarding(
        place: &Place,
        kind: Kind,
        server: SocketAddr,
        anchors: &[String],
    ) -> Option<Self> {
        Self::start_by(place, kind, &Way::Forward(server), anchors)
    }

    fn start_by(place: &Place, kind: Kind, way: &Way, anchors: &[String]) -> Option<Self> {
        let Some(program) = exec::find(kind.program()) else {
            skip::loudly(&format!("no {} to resolve with", kind.program()));
            return None;
        };
        let addr = match kind {
            Kind::Unbound => SocketAddr::new(place.ip(host::RESOLVER), DNS),
            Kind::Knot => SocketAddr::new(place.ip(host::RESOLVER + 100), DNS),
            // It listens on addresses that an interface has, and no others.
            Kind::Bind => free_loopback(),
        };
        let dir = place.file(&format!(
            "{}-{}",
            kind.program(),
            place.dir().read_dir().unwrap().count()
        ));
        std::fs::create_dir(&dir).unwrap();
        let file = dir.join("config");
        let config = match kind {
            Kind::Unbound => unbound(addr.ip(), &dir, way, anchors),
            Kind::Bind => bind(addr, &dir, way, anchors),
            Kind::Knot => knot(addr.ip(), way, anchors),
        };
        std::fs::write(&file, config).unwrap();
        let (file, within) = (file.to_str().unwrap(), dir.to_str().unwrap());
        let args: &[&str] = match kind {
            Kind::Unbound => &["-d", "-c", file],
            Kind::Bind => &["-g", "-4", "-c", file],
            Kind::Knot => &["-n", "-c", file, within],
        };
        Some(Self {
            addr,
            _daemon: Daemon::start_other(kind.program(), &program, args, &dir),
        })
    }
}

fn unbound(ip: IpAddr, dir: &Path, way: &Way, anchors: &[String]) -> String {
    let anchors = anchors
        .iter()
        .map(|ds| format!(" trust-anchor: \"{ds}\"\n"));
    let (hints, forward) = match way {
        Way::Root(hints) => (
            format!(" root-hints: \"{}\"\n", hints.display()),
            String::new(),
        ),
        Way::Forward(to) => (
            String::new(),
            format!(
                "forward-zone:\n name: \"nyud.test.\"\n forward-addr: {}@{}\n",
                to.ip(),
                to.port()
            ),
        ),
    };
    format!(
        "server:\n interface: {ip}\n port: {DNS}\n do-daemonize: no\n use-syslog: no\n username: \"\"\n\
         \x20chroot: \"\"\n directory: \"{dir}\"\n pidfile: \"\"\n do-not-query-localhost: no\n\
         \x20access-control: 127.0.0.0/8 allow\n module-config: \"validator iterator\"\n\
         \x20local-zone: \"test.\" nodefault\n do-ip6: no\n num-threads: 1\n qname-minimisation: yes\n\
         \x20aggressive-nsec: yes\n{hints}{anchors}{forward}\
         remote-control:\n control-enable: no\n",
        dir = dir.display(),
        anchors = anchors.collect::<String>(),
    )
}

fn bind(addr: SocketAddr, dir: &Path, way: &Way, anchors: &[String]) -> String {
    let anchor = |ds: &String| {
        let fields: Vec<&str> = ds.split_whitespace().collect();
        let (numbers, digest) = (fields[4..7].join(" "), fields[7]);
        format!(" nyud.test. static-ds {numbers} \"{digest}\";\n")
    };
    let anchors = match anchors {
        [] => String::new(),
        some => format!(
            "trust-anchors {{\n{}}};\n",
            some.iter().map(anchor).collect::<String>()
        ),
    };
    let way = match way {
        Way::Root(hints) => format!(
            "zone \".\" {{ type hint; file \"{}\"; }};\n",
            hints.display()
        ),
        Way::Forward(to) => format!(
            "zone \"nyud.test\" {{ type forward; forward only; forwarders {{ {} port {}; }}; }};\n",
            to.ip(),
            to.port()
        ),
    };
    format!(
        "options {{\n directory \"{dir}\";\n listen-on port {port} {{ {ip}; }};\n listen-on-v6 {{ none; }};\n\
         \x20pid-file none;\n session-keyfile \"{dir}/session\";\n recursion yes;\n dnssec-validation yes;\n\
         \x20allow-query {{ any; }};\n empty-zones-enable no;\n qname-minimization strict;\n}};\n\
         controls {{ }};\n{way}{anchors}",
        dir = dir.display(),
        port = addr.port(),
        ip = addr.ip(),
    )
}

/// A port of 127.0.0.1 that nobody has at this moment.
fn free_loopback() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap()
}

fn knot(ip: IpAddr, way: &Way, anchors: &[String]) -> String {
    let anchors = anchors
        .iter()
        .map(|ds| format!("trust_anchors.add('{ds}')\n"));
    let way = match way {
        Way::Root(hints) => format!(
            "hints.root_file('{}')\npolicy.add(policy.suffix(policy.PASS, {{ todname('test.') }}))\n",
            hints.display()
        ),
        Way::Forward(to) => format!(
            "policy.add(policy.suffix(policy.FORWARD({{ '{}@{}' }}), {{ todname('nyud.test.') }}))\n",
            to.ip(),
            to.port()
        ),
    };
    format!(
        "net.listen('{ip}', {DNS}, {{ kind = 'dns' }})\nnet.ipv6 = false\n\
         modules = {{ 'hints > iterate' }}\ntrust_anchors.remove('.')\n{anchors}{way}\
         cache.size = 10 * MB\n",
        anchors = anchors.collect::<String>(),
    )
}
