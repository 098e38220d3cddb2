//! Name servers that sign while answering, to be measured side by side.

use std::fs;

use harness::binaries::Program;
use harness::cluster::set;
use harness::exec;
use harness::place::Place;

use super::dns_rivals::{self, Choice, Rival};

/// Ours, with a signed zone and ten proxies. Answers may be as long as they need to be, and as many
/// signatures be made as time allows: others have no bounds of that kind.
pub(crate) async fn ours(place: &Place) -> Rival {
    let key = place.file("zone.pem");
    let made = exec::command(Program::Dns.path())
        .args(["keys", "new"])
        .arg(&key)
        .output()
        .await;
    assert!(made.unwrap().status.success(), "a key is made");
    let sets = [
        set("zone.keys", format!("active={}", key.display())),
        set("zone.signatures_per_second", 10_000_000),
        set("limit.amplification", 0),
    ];
    dns_rivals::ours_with(place, "atoll-dns, signing", 10, &sets).await
}

/// Knot with online signing, if it is here.
pub(crate) async fn knot(place: &Place) -> Option<Rival> {
    let program = dns_rivals::found("knotd")?;
    let (addr, own) = (dns_rivals::free(), dns_rivals::own(place, "knot-signing"));
    let config = format!(
        "server:\n  rundir: {own}\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n  tcp-reuseport: off\n\
         database:\n  storage: {own}\n\
         policy:\n  - id: one\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n\
         mod-onlinesign:\n  - id: online\n    policy: one\n\
         zone:\n  - domain: nyud.test\n    file: {own}/zone\n    module: mod-onlinesign/online\n",
        addr.ip(),
        addr.port()
    );
    fs::write(format!("{own}/knot.conf"), config).unwrap();
    let zone = format!(
        "$ORIGIN nyud.test.\n$TTL 30\n{}{}",
        dns_rivals::SOA,
        dns_rivals::THREE
    );
    fs::write(format!("{own}/zone"), zone).unwrap();
    let config = format!("{own}/knot.conf");
    let rival = dns_rivals::start(
        place,
        ("Knot, online signing", &program),
        "-V",
        &["-c", &config],
        (addr, Choice::None),
    );
    dns_rivals::until_answers(&rival).await;
    Some(rival)
}
