//! SIGHUP: zones, keys and the look of answers are read anew while questions are answered.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use harness::binaries::Program;
use harness::daemon::Daemon;
use harness::metrics;
use harness::place::{Place, Port, host};
use harness::resolver::{addresses, ask_tcp, try_ask};
use harness::wait::{self, SOON};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rustix::process::Signal;

use super::lone::new_key;

/// Writes a configuration with `mail` at this address, signed with the keys in `keys`.
fn write(file: &Path, mail: &str, keys: &str, sockets: &str) {
    let text = format!(
        "[zone]\nname = \"nyud.test\"\nrecords = [\"mail A {mail}\"]\nkeys = [{keys}]\n\
         [answer]\nanchors = [\"192.0.2.80\"]\n[limit]\nreplies_per_second = 0\n{sockets}\n"
    );
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_takes_records_and_keys_over_without_losing_a_question_and_nothing_that_is_bad() {
    let place = Place::shared().await;
    let server = place.at(host::NAME_SERVER, Port::Dns);
    let admin = place.at(host::NAME_SERVER, Port::DnsAdmin);
    let one = new_key(&place, "active", "one.pem").await;
    let two = new_key(&place, "published", "two.pem").await;
    let key = |role: &str, file: &Path| format!("\"{role}={}\"", file.display());
    let sockets = format!("[dns]\nlisten = [\"{server}\"]\n[admin]\nlisten = \"{admin}\"");
    let file = place.file("dns.toml");
    write(&file, "192.0.2.5", &key("active", &one.file), &sockets);
    let args = ["--config".to_owned(), file.display().to_string()];
    let daemon = Daemon::start_with("dns-reloaded", Program::Dns, &args, place.dir());
    let mail = async || {
        let answer = try_ask(server, "mail.nyud.test.", RecordType::A).await?;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        addresses(&answer).first().copied()
    };
    let is = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    wait::until("it answers", SOON, async || mail().await == is("192.0.2.5")).await;

    let (over, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let asking = tokio::spawn({
        let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
        async move {
            let mut lost = 0;
            while !over.load(Ordering::SeqCst) {
                let answer = try_ask(server, "www.example.com.nyud.test.", RecordType::A).await;
                lost += u64::from(answer.is_none_or(|answer| answer.answers.is_empty()));
                asked.fetch_add(1, Ordering::SeqCst);
            }
            lost
        }
    });
    let keys = format!(
        "{},{}",
        key("active", &one.file),
        key("published", &two.file)
    );
    for round in 0..10_u64 {
        let address = format!("192.0.2.{}", 10 + round);
        write(&file, &address, &keys, &sockets);
        daemon.signal(Signal::HUP);
        wait::until("the new record", SOON, async || {
            mail().await == is(&address)
        })
        .await;
    }
    let keys = ask_tcp(server, "nyud.test.", RecordType::DNSKEY).await;
    assert_eq!(keys.answers.len(), 2, "{keys}");

    for (bad, why) in [
        ("zone = ".to_owned(), "not TOML"),
        ("[zone]\nname = \"other.test\"\n".to_owned(), "another zone"),
    ] {
        let failed = "atoll_dns_reloads_total{outcome=\"failed\"}";
        let before = metrics::value(admin, failed).await;
        std::fs::write(&file, bad).unwrap();
        daemon.signal(Signal::HUP);
        wait::until(why, SOON, async || {
            metrics::value(admin, failed).await > before
        })
        .await;
        assert_eq!(mail().await, is("192.0.2.19"), "{why}");
    }
    assert!(daemon.log().contains("the last good one stays in force"));
    over.store(true, Ordering::SeqCst);
    assert_eq!(asking.await.unwrap(), 0, "questions without an answer");
    assert!(asked.load(Ordering::SeqCst) > 100);
}
