//! Name servers to be measured side by side: ours, and those others wrote. One that is not installed
//! is left out, loudly.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use harness::binaries::Program;
use harness::cluster::set;
use harness::daemon::Daemon;
use harness::exec;
use harness::place::Place;
use harness::{skip, wait};

use super::cpu::Cpu;
use super::dns_load::{Mix, question};

/// How a server chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// Among live proxies, as ours does.
    Near,
    /// By the client's network, from a table.
    Table,
    /// It always says the same.
    None,
}

/// A server under test.
pub(crate) struct Rival {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) addr: SocketAddr,
    pub(crate) choice: Choice,
    pub(crate) daemon: Daemon,
}

impl Rival {
    /// CPU of whoever answers: ours checks proxies in other threads, which are not counted.
    pub(crate) fn cpu(&self) -> Cpu {
        match self.choice {
            Choice::Near => Cpu::exactly(self.daemon.pid(), Some("answer")),
            Choice::Table | Choice::None => self.whole_cpu(),
        }
    }

    /// CPU of all of it.
    pub(crate) fn whole_cpu(&self) -> Cpu {
        Cpu::exactly(self.daemon.pid(), None)
    }
}

/// Ours, with `count` proxies, all of them checked all the time.
pub(crate) async fn ours(place: &Place, name: &str, count: usize) -> Rival {
    ours_with(place, name, count, &[]).await
}

/// The same with more settings.
pub(crate) async fn ours_with(place: &Place, name: &str, count: usize, more: &[String]) -> Rival {
    let port = proxies();
    let addr = free();
    let title = format!("ours-{}", addr.port());
    let config = place.file(&format!("{title}.toml"));
    let all: Vec<String> = (0..count)
        .map(|n| {
            format!(
                "\"127.{}.{}.{}:{port}\"",
                1 + n / 40_000,
                n / 200 % 200,
                1 + n % 200
            )
        })
        .collect();
    let text = format!("[check]\nfixed = [{}]\n", all.join(","));
    fs::write(&config, text).unwrap();
    let sets = [
        set("zone", "nyud.test"),
        set("dns.listen", addr),
        set("dns.threads", 1),
        set("log.level", "error"),
        set("answer.count", 3),
        set("limit.replies_per_second", 100_000_000),
        set("zone.ns", "ns1=192.0.2.53"),
        set("admin.listen", free()),
    ];
    let mut args = vec!["--config".to_owned(), config.to_str().unwrap().to_owned()];
    for set in sets.iter().chain(more) {
        args.extend(["--set".to_owned(), set.clone()]);
    }
    let daemon = Daemon::start_with(&title, Program::Dns, &args, place.dir());
    let rival = Rival {
        name: name.to_owned(),
        version: format!("atoll-dns {}", env!("CARGO_PKG_VERSION")),
        addr,
        choice: Choice::Near,
        daemon,
    };
    until_answers(&rival).await;
    rival
}

/// A port on which every address of this machine serves the check page.
fn proxies() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        super::cpu::pin(None, 1);
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n");
        }
    });
    port
}

/// An address that is free for both transports: not the one from which connections are opened here,
/// whose ports rest for a minute after each.
pub(crate) fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.2:0").unwrap();
    socket.local_addr().unwrap()
}

/// Those of others that are here.
pub(crate) async fn others(place: &Place) -> Vec<Rival> {
    let all = [gdnsd(place), nsd(place), knot(place), power_dns(place)];
    let mut here = Vec::new();
    for rival in all.into_iter().flatten() {
        until_answers(&rival).await;
        here.push(rival);
    }
    here
}

pub(crate) async fn until_answers(rival: &Rival) {
    let answers = async || {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut rng = common::rng::Generator::from_seed(3);
        let _ = socket
            .send_to(&question(Mix::Sites, &mut rng), rival.addr)
            .await;
        let mut reply = [0; 1_500];
        let patience = Duration::from_millis(300);
        let got = tokio::time::timeout(patience, socket.recv(&mut reply)).await;
        // Three addresses.
        matches!(got, Ok(Ok(_))) && reply[3] & 0x0f == 0 && reply[7] == 3
    };
    let patience = Duration::from_secs(30);
    wait::until(&format!("{} answers", rival.name), patience, answers).await;
}

pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let found = exec::find(program);
    if found.is_none() {
        skip::loudly(&format!("no {program} to compare with"));
    }
    found
}

/// A directory of this rival's own.
pub(crate) fn own(place: &Place, name: &str) -> String {
    let dir = place.file(name);
    fs::create_dir_all(&dir).unwrap();
    dir.to_str().unwrap().to_owned()
}

pub(crate) fn start(
    place: &Place,
    (name, program): (&str, &Path),
    flag: &str,
    args: &[&str],
    (addr, choice): (SocketAddr, Choice),
) -> Rival {
    Rival {
        name: name.to_owned(),
        version: version(program, flag),
        addr,
        choice,
        daemon: Daemon::start_other(
            program.file_name().unwrap().to_str().unwrap(),
            program,
            args,
            place.dir(),
        ),
    }
}

fn version(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "unknown".to_owned();
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().next().unwrap_or_default().to_owned()
}

pub(crate) const SOA: &str = "@ 3600 SOA ns1.nyud.test. hostmaster.nyud.test. 1 7200 1800 259200 30\n\
    @ 3600 NS ns1.nyud.test.\nns1 3600 A 192.0.2.53\n";

pub(crate) const THREE: &str = "* 30 A 192.0.2.1\n* 30 A 192.0.2.2\n* 30 A 192.0.2.3\n";

fn gdnsd(place: &Place) -> Option<Rival> {
    let program = found("gdnsd")?;
    let (addr, own) = (free(), own(place, "gdnsd"));
    fs::create_dir_all(format!("{own}/zones")).unwrap();
    let (run, state) = (format!("{own}/run"), format!("{own}/state"));
    fs::create_dir_all(&run).unwrap();
    fs::create_dir_all(&state).unwrap();
    let nets: String = (1..=100)
        .map(|n| format!("{n}.0.0.0/8 => [a, b]\n{}.0.0.0/8 => [b, a]\n", n + 100))
        .collect();
    let config = format!(
        "options => {{ listen => {addr}, run_dir => {run}, state_dir => {state}, udp_threads => 1,\n\
         tcp_threads => 1 }}\n\
         plugins => {{ geoip => {{ maps => {{ m => {{ datacenters => [a, b], nets => {{ {nets} }} }} }},\n\
         resources => {{ r => {{ map => m, service_types => up, dcmap => {{\n\
         a => [192.0.2.1, 192.0.2.2, 192.0.2.3], b => [198.51.100.1, 198.51.100.2, 198.51.100.3]\n\
         }} }} }} }} }}\n"
    );
    fs::write(format!("{own}/config"), config).unwrap();
    fs::write(
        format!("{own}/zones/nyud.test"),
        format!("{SOA}* 30 DYNA geoip!r\n"),
    )
    .unwrap();
    let args = ["-c", &own, "start"];
    Some(start(
        place,
        ("gdnsd, geoip", &program),
        "version",
        &args,
        (addr, Choice::Table),
    ))
}

fn nsd(place: &Place) -> Option<Rival> {
    let program = found("nsd")?;
    let (addr, own) = (free(), own(place, "nsd"));
    let config = format!(
        "server:\n ip-address: {}@{}\n server-count: 1\n username: \"\"\n chroot: \"\"\n pidfile: \"{own}/pid\"\n \
         xfrdfile: \"{own}/xfrd\"\n zonelistfile: \"{own}/list\"\n database: \"\"\n rrl-ratelimit: 0\n zonesdir: \"{own}\"\n\
         remote-control:\n control-enable: no\nzone:\n name: nyud.test\n zonefile: zone\n",
        addr.ip(),
        addr.port()
    );
    fs::write(format!("{own}/nsd.conf"), config).unwrap();
    fs::write(
        format!("{own}/zone"),
        format!("$ORIGIN nyud.test.\n$TTL 30\n{SOA}{THREE}"),
    )
    .unwrap();
    let config = format!("{own}/nsd.conf");
    let args = ["-d", "-c", &config];
    Some(start(
        place,
        ("NSD, one answer for all", &program),
        "-v",
        &args,
        (addr, Choice::None),
    ))
}

fn knot(place: &Place) -> Option<Rival> {
    let program = found("knotd")?;
    let (addr, own) = (free(), own(place, "knot"));
    let config = format!(
        "server:\n  rundir: {own}\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n  edns-client-subnet: on\n  tcp-reuseport: off\n\
         database:\n  storage: {own}\n\
         mod-geoip:\n  - id: near\n    config-file: {own}/geo.conf\n    ttl: 30\n    mode: subnet\n\
         zone:\n  - domain: nyud.test\n    file: {own}/zone\n    module: mod-geoip/near\n",
        addr.ip(),
        addr.port()
    );
    fs::write(format!("{own}/knot.conf"), config).unwrap();
    let nets: String = (1..=200)
        .map(|n| {
            format!(
                "  - net: {n}.0.0.0/8\n    A: [192.0.2.1, 192.0.2.2, 192.0.2.{}]\n",
                3 + n % 100
            )
        })
        .collect();
    fs::write(format!("{own}/geo.conf"), format!("*.nyud.test:\n{nets}")).unwrap();
    fs::write(
        format!("{own}/zone"),
        format!("$ORIGIN nyud.test.\n$TTL 30\n{SOA}{THREE}"),
    )
    .unwrap();
    let config = format!("{own}/knot.conf");
    let args = ["-c", &config];
    Some(start(
        place,
        ("Knot, geoip", &program),
        "-V",
        &args,
        (addr, Choice::Table),
    ))
}

fn power_dns(place: &Place) -> Option<Rival> {
    let program = found("pdns_server")?;
    let (addr, own) = (free(), own(place, "pdns"));
    let config = format!(
        "launch=bind\nbind-config={own}/named.conf\nlocal-address={}\nlocal-port={}\nsocket-dir={own}\n\
         enable-lua-records=yes\nreceiver-threads=1\ndistributor-threads=1\ncache-ttl=0\n\
         edns-subnet-processing=yes\nguardian=no\ndaemon=no\nsetuid=\nsetgid=\nloglevel=3\n",
        addr.ip(),
        addr.port()
    );
    fs::write(format!("{own}/pdns.conf"), config).unwrap();
    fs::write(
        format!("{own}/named.conf"),
        format!("zone \"nyud.test\" {{ type master; file \"{own}/zone\"; }};\n"),
    )
    .unwrap();
    let pick = "pickrandomsample(3, {'192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'})";
    let zone = format!("$ORIGIN nyud.test.\n$TTL 30\n{SOA}* 30 LUA A \"{pick}\"\n");
    fs::write(format!("{own}/zone"), zone).unwrap();
    let dir = format!("--config-dir={own}");
    Some(start(
        place,
        ("PowerDNS, Lua, random", &program),
        "--version",
        &[&dir],
        (addr, Choice::Table),
    ))
}
