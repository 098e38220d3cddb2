//! Answers over UDP and TCP alike.

use harness::cluster::Cluster;
use harness::origin::ZONE;
use harness::place::{Place, host};
use harness::resolver::{addresses, ask, ask_tcp};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

/// Negative answers carry the SOA, so that resolvers know how long to remember (RFC 2308 §3).
fn has_soa(answer: &Message) -> bool {
    let mut authorities = answer.authorities.iter();
    authorities.any(|record| matches!(record.data, RData::SOA(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_question_has_its_answer_over_both_transports() {
    let place = Place::shared().await;
    let cluster = Cluster::of(2).name_servers(2).start(&place).await;
    let proxies: Vec<_> = cluster
        .proxies
        .iter()
        .map(|proxy| proxy.http.ip())
        .collect();
    for server in &cluster.servers {
        for tcp in [false, true] {
            let ask = async |name: &str, kind| {
                let answer = if tcp {
                    ask_tcp(server.dns, name, kind).await
                } else {
                    ask(server.dns, name, kind).await
                };
                (answer.metadata.response_code, answer)
            };
            for name in [
                "www.example.com",
                "example-com",
                "192.0.2.1.8080",
                "www",
                "check",
            ] {
                let (code, answer) = ask(&format!("{name}.{ZONE}."), RecordType::A).await;
                assert_eq!(code, ResponseCode::NoError, "{name}");
                assert!(answer.metadata.authoritative, "{name}");
                let named = addresses(&answer);
                assert!(!named.is_empty(), "{name}: {answer:?}");
                assert!(
                    named.iter().all(|ip| proxies.contains(ip)),
                    "{name}: {named:?}"
                );
                assert!(
                    answer.answers.iter().all(|record| record.ttl == 30),
                    "{name}"
                );
            }
            let (code, answer) = ask(&format!("{ZONE}."), RecordType::A).await;
            assert!(
                code == ResponseCode::NoError && !answer.answers.is_empty(),
                "the apex"
            );

            // It exists, and has no IPv6 address.
            let (code, answer) = ask(&format!("www.example.com.{ZONE}."), RecordType::AAAA).await;
            assert_eq!((code, answer.answers.len()), (ResponseCode::NoError, 0));
            assert!(has_soa(&answer));
            let (code, answer) = ask(&format!("www.example.com.{ZONE}."), RecordType::MX).await;
            assert_eq!((code, answer.answers.len()), (ResponseCode::NoError, 0));
            assert!(has_soa(&answer));

            let (_, answer) = ask(&format!("{ZONE}."), RecordType::SOA).await;
            assert!(matches!(answer.answers[0].data, RData::SOA(_)));
            let (_, answer) = ask(&format!("{ZONE}."), RecordType::NS).await;
            assert_eq!(answer.answers.len(), 2);
            let (_, answer) = ask(&format!("ns2.{ZONE}."), RecordType::A).await;
            assert_eq!(addresses(&answer), [place.ip(host::NAME_SERVER + 1)]);

            for name in ["printer.local", "1.2.3.4.5.6", "www.nyud.test"] {
                let (code, answer) = ask(&format!("{name}.{ZONE}."), RecordType::A).await;
                assert_eq!(code, ResponseCode::NXDomain, "{name}");
                assert!(has_soa(&answer), "{name}");
            }
            for name in ["www.example.com.", "test.", "."] {
                let (code, answer) = ask(name, RecordType::A).await;
                assert_eq!(
                    (code, answer.answers.len()),
                    (ResponseCode::Refused, 0),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_case_of_a_question_is_echoed() {
    let place = Place::shared().await;
    let cluster = Cluster::of(1).name_servers(1).start(&place).await;
    let name = "wWw.ExAmPlE.cOm.nYuD.TeSt.";
    let answer = ask(cluster.servers[0].dns, name, RecordType::A).await;
    assert_eq!(answer.queries[0].name().to_ascii(), name);
    assert_eq!(answer.answers[0].name.to_ascii(), name);
}
