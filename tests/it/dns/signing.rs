//! Signed zones before real validators: unbound, BIND and Knot Resolver, recursing from a root of the
//! test's own with qname minimisation, with our zone's DS record as their trust anchor.

use std::net::SocketAddr;

use harness::exec;
use harness::place::{Place, Port, host};
use harness::resolver::{addresses, question};
use harness::skip;
use harness::wait::{self, SOON};
use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;

use super::lone::{ANCHORS, Lone, new_key};
use super::recursors::{DNS, Kind, Resolver, Root, knotd};

/// Asks `server` with the flag DO until it gives an answer that satisfies `enough`.
async fn ask_signed(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    enough: impl Fn(&Message) -> bool,
) -> Message {
    let what = format!("{server} answers {name} {kind}");
    let once = async || {
        let own = SocketAddr::new(server.ip(), 0);
        let socket = UdpSocket::bind(own).await.ok()?;
        let mut message = question(name, kind);
        let mut edns = Edns::new();
        edns.set_max_payload(1_232).set_dnssec_ok(true);
        message.set_edns(edns);
        socket.send_to(&message.to_vec().ok()?, server).await.ok()?;
        let mut buffer = [0; 4_096];
        let received = socket.recv(&mut buffer);
        let length = tokio::time::timeout(std::time::Duration::from_secs(2), received).await;
        let answer = Message::from_vec(&buffer[..length.ok()?.ok()?]).ok()?;
        enough(&answer).then_some(answer)
    };
    wait::some(&what, SOON, once).await
}

fn is_valid(answer: &Message) -> bool {
    answer.metadata.authentic_data
}

/// Every kind of answer, validated by `resolver`.
async fn check_all(resolver: &Resolver, kind: Kind) {
    let positive = [
        ("nyud.test.", RecordType::SOA, 1),
        ("nyud.test.", RecordType::NS, 1),
        ("nyud.test.", RecordType::DNSKEY, 1),
        ("nyud.test.", RecordType::MX, 1),
        ("ns1.nyud.test.", RecordType::A, 1),
        ("mail.nyud.test.", RecordType::A, 1),
        ("docs.nyud.test.", RecordType::A, 2),
        ("far.nyud.test.", RecordType::AAAA, 2),
        ("www.example.com.nyud.test.", RecordType::A, 1),
        ("a.b.example.org.8080.nyud.test.", RecordType::AAAA, 1),
        ("www-example-com.nyud.test.", RecordType::A, 1),
    ];
    for (name, qtype, least) in positive {
        let answer = ask_signed(resolver.addr, name, qtype, is_valid).await;
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::NoError,
            "{kind:?} {name}"
        );
        assert!(
            answer.answers.len() > least,
            "{kind:?} {name} {qtype}: {answer}"
        );
    }
    let named = ask_signed(
        resolver.addr,
        "x.example.net.nyud.test.",
        RecordType::A,
        is_valid,
    )
    .await;
    assert_eq!(
        addresses(&named),
        [ANCHORS[0].parse::<std::net::IpAddr>().unwrap()]
    );
    let negative = [
        // NODATA, empty non-terminals, names that do not exist, what looks like a wildcard.
        ("www.example.com.nyud.test.", RecordType::TXT),
        ("nyud.test.", RecordType::TXT),
        ("mail.nyud.test.", RecordType::AAAA),
        ("docs.nyud.test.", RecordType::TXT),
        ("com.nyud.test.", RecordType::A),
        ("below.nyud.test.", RecordType::A),
        ("local.nyud.test.", RecordType::A),
        ("x.y.local.nyud.test.", RecordType::A),
        ("*.nyud.test.", RecordType::A),
        ("*.local.nyud.test.", RecordType::TXT),
    ];
    for (name, qtype) in negative {
        let answer = ask_signed(resolver.addr, name, qtype, is_valid).await;
        let code = answer.metadata.response_code;
        let fits = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        assert!(
            fits && addresses(&answer).is_empty(),
            "{kind:?} {name} {qtype}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbound_bind_and_knot_validate_every_kind_of_answer() {
    let Some(knotd) = knotd() else { return };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let server = Lone::start(&place, addr, &keys, &[]).await;
    let ds = server.ds().await;
    let root = Root::start(&place, &knotd, addr.ip(), &ds);
    for kind in Kind::ALL {
        if let Some(resolver) = Resolver::start(&place, kind, &root, &ds) {
            check_all(&resolver, kind).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbound_bind_and_knot_forward_to_us_and_validate() {
    if knotd().is_none() {
        return;
    }
    let place = Place::shared().await;
    let addr = place.at(host::NAME_SERVER, Port::Dns);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let server = Lone::start(&place, addr, &keys, &[]).await;
    let ds = server.ds().await;
    for kind in Kind::ALL {
        if let Some(resolver) = Resolver::forwarding(&place, kind, addr, &ds) {
            for (name, qtype) in [
                ("www.example.com.nyud.test.", RecordType::A),
                ("docs.nyud.test.", RecordType::A),
                ("local.nyud.test.", RecordType::A),
                ("com.nyud.test.", RecordType::TXT),
            ] {
                ask_signed(resolver.addr, name, qtype, is_valid).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_servfail_so_the_validators_do_validate() {
    let Some(knotd) = knotd() else { return };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let _server = Lone::start(&place, addr, &keys, &[]).await;
    // Another digest of the same length.
    let wrong = vec![format!(
        "nyud.test. 3600 IN DS 12345 13 2 {}",
        "AB".repeat(32)
    )];
    let root = Root::start(&place, &knotd, addr.ip(), &[]);
    for kind in Kind::ALL {
        if let Some(resolver) = Resolver::start(&place, kind, &root, &wrong) {
            let failed = |answer: &Message| answer.metadata.response_code == ResponseCode::ServFail;
            ask_signed(resolver.addr, "mail.nyud.test.", RecordType::A, failed).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_roll_never_breaks_the_chain() {
    let Some(knotd) = knotd() else { return };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let mut old = new_key(&place, "active", "old.pem").await;
    let mut new = new_key(&place, "published", "new.pem").await;
    // The parent's record, and thus what resolvers trust: old, old and new, new.
    let mut server = Lone::start(&place, addr, &[old.clone(), new.clone()], &[]).await;
    let both = server.ds().await;
    let root = Root::start(&place, &knotd, addr.ip(), &both);
    let first = Resolver::start(&place, Kind::Unbound, &root, &both[..1]);
    if let Some(resolver) = &first {
        ask_signed(
            resolver.addr,
            "one.example.com.nyud.test.",
            RecordType::A,
            is_valid,
        )
        .await;
    }
    drop(first);
    for step in ["retired", "gone"] {
        server.daemon.kill();
        (old.role, new.role) = ("retired", "active");
        let keys = match step {
            "gone" => vec![new.clone()],
            _ => vec![old.clone(), new.clone()],
        };
        server = Lone::start(&place, addr, &keys, &[]).await;
        // While the old key is there, both its record and the new one's lead to the data.
        let trusted: &[&[String]] = match step {
            "gone" => &[&both[1..]],
            _ => &[&both[..1], &both[1..], &both[..]],
        };
        for anchors in trusted {
            let Some(resolver) = Resolver::start(&place, Kind::Unbound, &root, anchors) else {
                return;
            };
            ask_signed(
                resolver.addr,
                "two.example.com.nyud.test.",
                RecordType::A,
                is_valid,
            )
            .await;
            ask_signed(resolver.addr, "local.nyud.test.", RecordType::A, is_valid).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delv_validates_from_the_records_that_keys_show_prints() {
    let Some(delv) = exec::find("delv") else {
        return skip::loudly("no delv");
    };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), 5_300);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let server = Lone::start(&place, addr, &keys, &[]).await;
    let ds = server.ds().await;
    let fields: Vec<&str> = ds[0].split_whitespace().collect();
    let anchor = place.file("anchor");
    let text = format!(
        "trust-anchors {{ nyud.test. static-ds {} \"{}\"; }};\n",
        fields[4..7].join(" "),
        fields[7]
    );
    std::fs::write(&anchor, text).unwrap();
    let rows = [
        ("www.example.com.nyud.test", "A", "; fully validated"),
        ("docs.nyud.test", "A", "; fully validated"),
        ("nyud.test", "ANY", "; fully validated"),
        (
            "www.example.com.nyud.test",
            "TXT",
            "; negative response, fully validated",
        ),
        (
            "local.nyud.test",
            "A",
            "; negative response, fully validated",
        ),
    ];
    for (name, qtype, expected) in rows {
        let mut command = exec::command(&delv);
        command
            .arg(format!("@{}", addr.ip()))
            .args(["-p", "5300", "-a"])
            .arg(&anchor);
        command.args(["+root=nyud.test", name, qtype]);
        let ran = exec::run(&mut command).await;
        assert!(
            ran.out.contains(expected),
            "{name} {qtype}: {}{}",
            ran.out,
            ran.err
        );
    }
}
