//! What makes a configuration, and what is refused.

use common::config::{Settings, Sources};

use super::*;

fn build(sets: &[&str]) -> Result<(Config, Vec<&'static str>), String> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let mut settings = Settings::resolve(
        KEYS,
        &Sources {
            sets: &sets,
            ..Sources::default()
        },
    );
    let config = Config::build(&mut settings);
    let unread = settings.unread();
    settings.finish().map_err(|error| error.to_string())?;
    Ok((config, unread))
}

#[test]
fn a_zone_is_all_that_a_proxy_on_its_own_needs() {
    let (config, unread) = build(&["zone=nyud.test"]).unwrap();
    assert!(config.index.is_none());
    assert!(
        !config.policy.allow_private,
        "private origins are refused by default"
    );
    assert_eq!(
        unread,
        ["log.format", "log.level"],
        "read where the log is started"
    );
}

#[test]
fn cooperation_without_secret_or_peer_port_is_a_mistake() {
    let error = build(&["zone=nyud.test", "index.socket=/tmp/i"]).unwrap_err();
    assert!(error.contains("peer.listen"), "{error}");
    let error = build(&[
        "zone=nyud.test",
        "index.socket=/tmp/i",
        "peer.listen=127.0.0.1:1",
    ]);
    assert!(error.unwrap_err().contains("atoll secret new"));
    let all = [
        "zone=nyud.test",
        "index.socket=/tmp/i",
        "network.secret_file=/s",
    ];
    let error = build(&[&all[..], &["peer.listen=0.0.0.0:1"]].concat()).unwrap_err();
    assert!(
        error.contains("no address that others can connect to"),
        "{error}"
    );
    let (config, _) = build(&[&all[..], &["peer.listen=127.0.0.1:1"]].concat()).unwrap();
    assert_eq!(
        config.index.unwrap().peer_advertise,
        "127.0.0.1:1".parse().unwrap()
    );
}

#[test]
fn https_needs_certificates() {
    let error = build(&["zone=nyud.test", "https.listen=127.0.0.1:1"]).unwrap_err();
    assert!(error.contains("https.certificates"), "{error}");
    let all = [
        "zone=nyud.test",
        "https.listen=127.0.0.1:1",
        "https.certificates=/c.pem:/k.pem,/etc/tls",
    ];
    let (config, _) = build(&all).unwrap();
    assert_eq!(config.listen.https.unwrap().certificates.len(), 2);
    assert!(config.policy.own.contains(&"127.0.0.1:1".parse().unwrap()));
}

#[test]
fn an_old_network_is_believed_beyond_its_index() {
    let all = [
        "zone=nyud.test",
        "index.socket=/tmp/i",
        "network.secret_file=/s",
        "peer.listen=127.0.0.1:1",
    ];
    let old = |sets: &[&str]| {
        let (config, _) = build(&[&all[..], sets].concat()).unwrap();
        config.index.unwrap().old
    };
    assert_eq!(old(&[]), None);
    let believed = old(&["network.old_secret_file=/o"]).unwrap();
    assert_eq!((believed.socket, believed.secret_file), (None, "/o".into()));
    let same = old(&["network.old_generation=1"]).unwrap();
    assert_eq!((same.secret_file, same.generation), ("/s".into(), Some(1)));
    assert!(old(&["index.old_socket=/i"]).unwrap().socket.is_some());
}

#[test]
fn hints_can_be_slow_or_none() {
    let all = [
        "zone=nyud.test",
        "index.socket=/tmp/i",
        "network.secret_file=/s",
        "peer.listen=127.0.0.1:1",
    ];
    let hints = |set: &str| {
        let built = build(&[&all[..], &[set]].concat());
        built.map(|(config, _)| config.index.unwrap().hints)
    };
    let pace = Duration::from_millis(500);
    let ttl = Duration::from_secs(3_600);
    assert_eq!(hints("near.measure=true"), Ok(Some(Hints { ttl, pace })));
    assert_eq!(hints("near.measure=false"), Ok(None));
    assert_eq!(hints("near.hints_per_minute=0"), Ok(None));
    assert!(
        hints("near.hint_ttl=1s")
            .unwrap_err()
            .contains("at least 1m")
    );
}

#[test]
fn every_example_parses() {
    for spec in KEYS {
        let set = format!("{}={}", spec.path, spec.example);
        let needed = [
            "zone=nyud.test",
            "https.certificates=/c",
            "peer.listen=127.0.0.1:1",
            "network.secret_file=/s",
        ];
        let sets: Vec<&str> = needed.into_iter().chain([set.as_str()]).collect();
        assert!(build(&sets).is_ok(), "{set}");
    }
}
