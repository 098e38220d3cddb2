//! The programs that people look at name servers with, and the cases of ISC's EDNS compliance test
//! (ednscomp.isc.org), asked with dig as it asks them.

use std::net::SocketAddr;
use std::path::Path;

use harness::cluster::set;
use harness::exec;
use harness::place::{Place, Port, host};
use harness::resolver::{exchange_tcp, question};
use harness::skip;
use hickory_proto::op::{Edns, ResponseCode};
use hickory_proto::rr::RecordType;

use super::lone::{ANCHORS, Lone, new_key};

/// A signed zone of a test's own.
async fn signed(place: &Place) -> (Lone, SocketAddr) {
    let addr = place.at(host::NAME_SERVER, Port::Dns);
    let keys = [new_key(place, "active", "zone.pem").await];
    let lone = Lone::start(place, addr, &keys, &[set("dns.nsid", "test-1")]).await;
    (lone, addr)
}

/// What `program` says about `args` at `server`.
async fn said(program: &Path, server: SocketAddr, args: &str) -> String {
    let mut command = exec::command(program);
    command.arg(format!("@{}", server.ip()));
    command.args(["-p", &server.port().to_string()]);
    command.args(args.split_whitespace());
    let ran = exec::run(&mut command).await;
    format!("{}{}", ran.out, ran.err)
}

/// One case of the compliance test: what dig is told, what must be in its report, what must not.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const SOA: &str = "\tSOA\t";
const OPT: &str = "EDNS: version: 0";

/// By the names that the compliance test gives them.
const CASES: &[Case] = &[
    (
        "dns",
        "+noedns +noad +norec soa",
        &["status: NOERROR", SOA, " aa"],
        &["EDNS:"],
    ),
    (
        "aa",
        "+noedns +noad +norec +aaflag soa",
        &["status: NOERROR", SOA],
        &["EDNS:"],
    ),
    (
        "ad",
        "+noedns +norec +ad soa",
        &["status: NOERROR", SOA],
        &["EDNS:"],
    ),
    (
        "cd",
        "+noedns +noad +norec +cd soa",
        &["status: NOERROR", SOA],
        &["EDNS:"],
    ),
    (
        "rd",
        "+noedns +noad +rec soa",
        &["status: NOERROR", SOA, " rd"],
        &[" ra"],
    ),
    (
        "zflag",
        "+noedns +noad +norec +zflag soa",
        &["status: NOERROR", SOA],
        &["MBZ"],
    ),
    (
        "opcode",
        "+noedns +noad +norec +header-only +opcode=15",
        &["status: NOTIMP"],
        &[SOA],
    ),
    (
        "type666",
        "+noedns +noad +norec type666",
        &["status: NOERROR", "ANSWER: 0", SOA],
        &[],
    ),
    (
        "tcp",
        "+noedns +noad +norec +tcp soa",
        &["status: NOERROR", SOA],
        &[],
    ),
    (
        "edns",
        "+edns=0 +nocookie +noad +norec soa",
        &["status: NOERROR", SOA, OPT],
        &[],
    ),
    (
        "edns1",
        "+edns=1 +noednsneg +nocookie +noad +norec soa",
        &["status: BADVERS", OPT],
        &[SOA],
    ),
    (
        "edns512",
        "+edns=0 +nocookie +noad +norec +dnssec +bufsize=512 +ignore dnskey",
        &["status: NOERROR", OPT],
        &[],
    ),
    (
        "ednsopt",
        "+edns=0 +nocookie +noad +norec +ednsopt=100 soa",
        &["status: NOERROR", SOA, OPT],
        &["OPT=100"],
    ),
    (
        "edns1opt",
        "+edns=1 +noednsneg +nocookie +noad +norec +ednsopt=100 soa",
        &["status: BADVERS", OPT],
        &["OPT=100", SOA],
    ),
    (
        "do",
        "+edns=0 +nocookie +noad +norec +dnssec soa",
        &["status: NOERROR", SOA, "flags: do", "RRSIG"],
        &[],
    ),
    (
        "docookie",
        "+edns=0 +cookie=0102030405060708 +noad +norec +dnssec soa",
        &["status: NOERROR", SOA, "COOKIE: 0102030405060708", "(good)"],
        &[],
    ),
    (
        "ednsflags",
        "+edns=0 +nocookie +noad +norec +ednsflags=0x08 soa",
        &["status: NOERROR", SOA, OPT],
        &["MBZ"],
    ),
    (
        "edns1flags",
        "+edns=1 +noednsneg +nocookie +noad +norec +ednsflags=0x08 soa",
        &["status: BADVERS", OPT],
        &["MBZ", SOA],
    ),
    (
        "edns1do",
        "+edns=1 +noednsneg +nocookie +noad +norec +dnssec soa",
        &["status: BADVERS", OPT],
        &[SOA],
    ),
    (
        "nsid",
        "+edns=0 +nocookie +noad +norec +nsid soa",
        &["status: NOERROR", "test-1"],
        &[],
    ),
    (
        "expire",
        "+edns=0 +nocookie +noad +norec +expire soa",
        &["status: NOERROR", SOA],
        &[],
    ),
    (
        "subnet",
        "+edns=0 +nocookie +noad +norec +subnet=0.0.0.0/0 soa",
        &["status: NOERROR", SOA],
        &[],
    ),
    (
        "optlist",
        "+edns=0 +noad +norec +nsid +subnet=0.0.0.0/0 +expire +cookie=0102030405060708 soa",
        &["status: NOERROR", SOA],
        &[],
    ),
    (
        "ednstcp",
        "+edns=0 +nocookie +noad +norec +dnssec +tcp soa",
        &["status: NOERROR", SOA, "flags: do"],
        &[],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn isc_edns_compliance_every_case() {
    let Some(dig) = exec::find("dig") else {
        return skip::loudly("no dig");
    };
    let place = Place::shared().await;
    let (_server, addr) = signed(&place).await;
    for (case, args, present, absent) in CASES {
        let args = match *case {
            "opcode" => (*args).to_owned(),
            _ => format!("+qr=no +tries=1 {args} nyud.test").replace("+qr=no", "+noqr"),
        };
        let said = said(&dig, addr, &args).await;
        for expected in *present {
            assert!(said.contains(expected), "{case}: no {expected:?} in {said}");
        }
        for unexpected in *absent {
            assert!(
                !said.contains(unexpected),
                "{case}: {unexpected:?} in {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc9824_5_1_a_name_that_is_not_is_nxdomain_with_the_flag_co_and_noerror_without() {
    const CO: u16 = 0x4000;
    let place = Place::shared().await;
    let (_server, addr) = signed(&place).await;
    let rows = [
        (Some(0), ResponseCode::NoError, 0),
        (Some(CO), ResponseCode::NXDomain, CO),
        (None, ResponseCode::NXDomain, 0),
    ];
    for (flags, code, echoed) in rows {
        let mut asked = question("local.nyud.test.", RecordType::A);
        if let Some(flags) = flags {
            let mut edns = Edns::new();
            edns.set_dnssec_ok(true).flags_mut().z = flags;
            asked.set_edns(edns);
        }
        let answer = exchange_tcp(addr, &asked).await;
        assert_eq!(answer.metadata.response_code, code, "{flags:?}: {answer}");
        let heard = answer.edns.as_ref().map_or(0, |edns| edns.flags().z);
        assert_eq!(heard, echoed, "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kdig_and_drill_read_signed_answers() {
    let place = Place::shared().await;
    let (_server, addr) = signed(&place).await;
    let name = "www.example.com.nyud.test";
    let rows = [
        ("kdig", format!("+dnssec +norec {name} A"), "RRSIG"),
        ("kdig", format!("+tcp +norec {name} AAAA"), ANCHORS[1]),
        ("kdig", "+norec nyud.test MX".to_owned(), "mail.nyud.test."),
        ("drill", format!("-t -D {name} A"), "RRSIG"),
        ("drill", "-t -D nyud.test DNSKEY".to_owned(), "257 3 13 "),
        ("drill", "docs.nyud.test A".to_owned(), "192.0.2.5"),
    ];
    for (program, args, expected) in rows {
        let Some(found) = exec::find(program) else {
            skip::loudly(&format!("no {program}"));
            continue;
        };
        let said = said(&found, addr, &args).await;
        assert!(said.contains(expected), "{program} {args}: {said}");
    }
}
