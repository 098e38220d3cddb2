//! Moves as their operator has them: orders in, orders out.

mod fleet;

use serde_json::{Value, json};

use super::change::{Change, Leave, Terms, change, finished};
use super::diff::diff;
use super::refusal::Refusal;
use super::stand::Stand;
use super::successor::Successor;
use super::{Daemons, Releases, Step};
use crate::engine::document::release::Manifest;
use crate::engine::document::words::{DaemonName, Version};

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn releases() -> Releases {
    let binary = json!({ "blake3": "0".repeat(64), "length": 1 });
    let of = |text: &str, generation: u32| -> (Version, Manifest) {
        let manifest = json!({ "version": text, "generation": generation, "binaries": {
            "atoll-proxy": binary, "atoll-dht": binary, "atoll-dns": binary } });
        (version(text), serde_json::from_value(manifest).unwrap())
    };
    [
        of("1.0.0", 1),
        of("2.0.0", 1),
        of("3.0.0", 1),
        of("4.0.0", 2),
    ]
    .into()
}

fn order() -> Value {
    json!({
        "index": { "program": "atoll-dht", "release": "2.0.0", "state": "run", "settings": {
            "node.name": "reef1", "udp.listen": "192.0.2.1:8083", "admin.listen": "127.0.0.1:8084",
            "join.seeds": "192.0.2.1:8083,192.0.2.2:8083", "network.secret_file": "/etc/atoll/network.secret",
            "local.socket": "/var/lib/atoll/index.sock", "state.dir": "/var/lib/atoll/index", "store.values": "1000" } },
        "proxy": { "program": "atoll-proxy", "release": "2.0.0", "state": "run", "settings": {
            "http.listen": "192.0.2.1:8080", "peer.listen": "192.0.2.1:8081", "store.dir": "/var/lib/atoll/store",
            "network.secret_file": "/etc/atoll/network.secret", "index.socket": "/var/lib/atoll/index.sock" } },
        "names": { "program": "atoll-dns", "release": "2.0.0", "state": "run", "settings": {
            "dns.listen": "192.0.2.1:53", "index.socket": "/var/lib/atoll/index.sock" } } })
}

fn read(order: Value) -> Daemons {
    serde_json::from_value(order).unwrap()
}

fn successor() -> Successor {
    Successor {
        release: Some(version("3.0.0")),
        secret_file: Some("/etc/atoll/next.secret".to_owned()),
        ..Successor::default()
    }
}

/// What a step makes of an order.
fn go_with(daemons: &Daemons, to: Step, successor: &Successor) -> Result<Change, Refusal> {
    let (releases, leave) = (releases(), Leave::default());
    let stand = Stand::read(daemons, &releases)?.unwrap();
    let terms = Terms {
        releases: &releases,
        successor: Some(successor),
        leave: &leave,
    };
    change(daemons, &stand, to, terms)
}

fn go(daemons: &Daemons, to: Step) -> Daemons {
    go_with(daemons, to, &successor()).unwrap().daemons
}

fn step(daemons: &Daemons) -> Result<Step, Refusal> {
    Stand::read(daemons, &releases()).map(|stand| stand.unwrap().step)
}

fn setting<'a>(daemons: &'a Daemons, daemon: &str, name: &str) -> Option<&'a str> {
    let daemon = &daemons[&DaemonName::parse(daemon).unwrap()];
    daemon.settings.get(name).map(String::as_str)
}

/// The orders of all steps, first to last.
fn all() -> Vec<Daemons> {
    let mut all = vec![read(order())];
    for to in [Step::Shadow, Step::Dual, Step::Drained, Step::Retired] {
        all.push(go(all.last().unwrap(), to));
    }
    all
}

#[test]
fn each_step_is_read_from_the_order_that_it_makes() {
    for (daemons, expected) in all().iter().zip(Step::ALL) {
        assert_eq!(step(daemons), Ok(expected));
    }
}

#[test]
fn each_step_goes_back_to_the_very_order_before_it() {
    let all = all();
    for (pair, back) in all.windows(2).zip(Step::ALL) {
        let change = go_with(&pair[1], back, &successor()).unwrap();
        assert_eq!(diff(&pair[0], &change.daemons), [], "back to {back:?}");
        let older = back == Step::Shadow;
        assert_eq!(
            change.downgrade, older,
            "proxies of the old release are older than those of the new one"
        );
    }
}

#[test]
fn a_step_that_was_made_changes_nothing() {
    for (daemons, to) in all().iter().zip(Step::ALL) {
        assert_eq!(go(daemons, to), *daemons, "{to:?}");
    }
}

#[test]
fn a_step_in_between_is_not_left_out() {
    for (daemons, from) in all().iter().zip(Step::ALL) {
        for to in Step::ALL {
            let gone = go_with(daemons, to, &successor());
            if from.is_next_to(to) {
                assert!(gone.is_ok(), "{from:?} {to:?}");
            } else {
                assert_eq!(gone, Err(Refusal::Skips(from, to)));
            }
        }
    }
}

#[test]
fn the_new_index_has_the_other_place_and_all_else_of_the_old_one() {
    let daemons = go(&read(order()), Step::Shadow);
    let new = &daemons[&DaemonName::parse("index-b").unwrap()];
    let expected = json!({ "program": "atoll-dht", "release": "3.0.0", "state": "run", "settings": {
        "node.name": "reef1", "udp.listen": "192.0.2.1:8183", "admin.listen": "127.0.0.1:8184",
        "join.seeds": "192.0.2.1:8183,192.0.2.2:8183", "network.secret_file": "/etc/atoll/next.secret",
        "local.socket": "/var/lib/atoll/index-b.sock", "state.dir": "/var/lib/atoll/index-b", "store.values": "1000" } });
    assert_eq!(serde_json::to_value(new).unwrap(), expected);
    let mut others = daemons.clone();
    others.remove(&DaemonName::parse("index-b").unwrap());
    assert_eq!(others, read(order()), "nothing else is changed");
}

#[test]
fn in_both_everything_asks_both_and_the_old_index_stays() {
    let daemons = &all()[2];
    for asker in ["proxy", "names"] {
        assert_eq!(
            setting(daemons, asker, "index.socket"),
            Some("/var/lib/atoll/index-b.sock")
        );
        assert_eq!(
            setting(daemons, asker, "index.old_socket"),
            Some("/var/lib/atoll/index.sock")
        );
        assert_eq!(
            daemons[&DaemonName::parse(asker).unwrap()].release,
            version("3.0.0")
        );
    }
    assert_eq!(
        setting(daemons, "proxy", "network.secret_file"),
        Some("/etc/atoll/next.secret")
    );
    assert_eq!(
        setting(daemons, "proxy", "network.old_secret_file"),
        Some("/etc/atoll/network.secret")
    );
    assert_eq!(setting(daemons, "names", "network.secret_file"), None);
    assert_eq!(
        setting(daemons, "index", "retire.beside"),
        Some("/var/lib/atoll/index-b.sock")
    );
    assert_eq!(
        daemons[&DaemonName::parse("index").unwrap()].release,
        version("2.0.0")
    );
}

#[test]
fn drained_an_index_may_leave_and_peers_of_the_old_network_are_believed() {
    let all = all();
    let (dual, drained, retired) = (&all[2], &all[3], &all[4]);
    assert_eq!(setting(drained, "proxy", "index.old_socket"), None);
    assert_eq!(
        setting(drained, "proxy", "network.old_secret_file"),
        Some("/etc/atoll/network.secret")
    );
    assert_eq!(setting(retired, "proxy", "network.old_secret_file"), None);
    // One that has left is another process in both of these, and so comes back.
    assert_ne!(
        setting(dual, "index", "retire.quiet"),
        setting(drained, "index", "retire.quiet")
    );
    let (releases, leave) = (
        releases(),
        Leave {
            quiet: Some("5s".to_owned()),
            deadline: None,
        },
    );
    let terms = Terms {
        releases: &releases,
        successor: None,
        leave: &leave,
    };
    let stand = Stand::read(dual, &releases).unwrap().unwrap();
    let soon = change(dual, &stand, Step::Drained, terms).unwrap().daemons;
    assert_eq!(setting(&soon, "index", "retire.quiet"), Some("5s"));
    assert_eq!(
        setting(&go(&soon, Step::Retired), "index", "retire.quiet"),
        Some("5s"),
        "it is kept"
    );
}

#[test]
fn peers_of_another_generation_are_named_by_it() {
    let next = Successor {
        release: Some(version("4.0.0")),
        ..Successor::default()
    };
    let shadow = go_with(&read(order()), Step::Shadow, &next)
        .unwrap()
        .daemons;
    let dual = go(&shadow, Step::Dual);
    assert_eq!(setting(&dual, "proxy", "network.old_generation"), Some("1"));
    assert_eq!(
        setting(&go(&dual, Step::Drained), "proxy", "network.old_generation"),
        Some("1")
    );
    assert_eq!(
        setting(&go(&dual, Step::Shadow), "proxy", "network.old_generation"),
        None
    );
}

#[test]
fn a_second_move_comes_back_to_the_first_place() {
    let retired = all().pop().unwrap();
    let releases = releases();
    let stand = Stand::read(&retired, &releases).unwrap().unwrap();
    let done = finished(&retired, &stand).unwrap().daemons;
    assert_eq!(step(&done), Ok(Step::Single));
    let again = Successor {
        release: None,
        secret_file: Some("/etc/atoll/third.secret".to_owned()),
        ..Successor::default()
    };
    let shadow = go_with(&done, Step::Shadow, &again).unwrap().daemons;
    assert_eq!(
        setting(&shadow, "index", "udp.listen"),
        Some("192.0.2.1:8083")
    );
    assert_eq!(
        setting(&shadow, "index", "local.socket"),
        Some("/var/lib/atoll/index.sock")
    );
    assert_eq!(step(&shadow), Ok(Step::Shadow));
}

#[test]
fn a_shadow_that_was_ordered_wrongly_is_ordered_anew() {
    let shadow = go(&read(order()), Step::Shadow);
    let other = Successor {
        secret_file: Some("/etc/atoll/other.secret".to_owned()),
        ..successor()
    };
    let mended = go_with(&shadow, Step::Shadow, &other).unwrap().daemons;
    assert_eq!(
        setting(&mended, "index-b", "network.secret_file"),
        Some("/etc/atoll/other.secret")
    );
    assert_eq!(mended.len(), shadow.len());
}

/// An order with a setting that is another one; none is removed.
fn but(daemon: &str, name: &str, value: Option<&str>) -> Daemons {
    let mut order = order();
    let settings = order[daemon]["settings"].as_object_mut().unwrap();
    match value {
        Some(value) => drop(settings.insert(name.to_owned(), value.into())),
        None => drop(settings.remove(name)),
    }
    read(order)
}

#[test]
fn what_cannot_go_is_refused_with_the_reason() {
    let proxy = || DaemonName::parse("proxy").unwrap();
    let here = |daemons: &Daemons| go_with(daemons, Step::Shadow, &successor()).map(|_| ());
    let rows: Vec<(Daemons, Refusal)> = vec![
        (
            but("index", "local.socket", None),
            Refusal::AsksAnother(DaemonName::parse("names").unwrap()),
        ),
        (
            but("index", "udp.listen", None),
            Refusal::Unset("udp.listen"),
        ),
        (
            but("index", "udp.listen", Some("reef1:8083")),
            Refusal::NoAddress("udp.listen"),
        ),
        (
            but("index", "udp.listen", Some("192.0.2.1:65500")),
            Refusal::PortRange("udp.listen"),
        ),
        (
            but("index", "join.seeds", Some("192.0.2.1:65500")),
            Refusal::PortRange("join.seeds"),
        ),
        (
            but("index", "network.secret_file", None),
            Refusal::Unset("network.secret_file"),
        ),
        (
            but("proxy", "network.secret_file", Some("/etc/other")),
            Refusal::MixedSecrets(proxy()),
        ),
        (
            but("proxy", "index.socket", Some("/elsewhere")),
            Refusal::AsksAnother(proxy()),
        ),
        (
            but("proxy", "peer.listen", Some("0.0.0.0:8183")),
            Refusal::PortTaken("udp.listen", proxy()),
        ),
        (
            but("proxy", "store.dir", Some("/var/lib/atoll/index-b/")),
            Refusal::PathTaken("state.dir", proxy()),
        ),
        (
            but("proxy", "index.old_socket", Some("/elsewhere")),
            Refusal::Unclear,
        ),
        (
            but("index", "retire.beside", Some("/elsewhere")),
            Refusal::Unclear,
        ),
    ];
    for (daemons, reason) in rows {
        assert_eq!(here(&daemons), Err(reason));
    }
    let mut mixed = order();
    mixed["proxy"]["release"] = "1.0.0".into();
    assert_eq!(here(&read(mixed)), Err(Refusal::MixedReleases));
    let mut other = order();
    other["index-b"] = other["names"].clone();
    assert_eq!(
        here(&read(other)),
        Err(Refusal::NameTaken("index-b".to_owned()))
    );
}

#[test]
fn a_network_that_is_none_or_the_same_is_refused() {
    let from = read(order());
    let to = |successor: Successor| go_with(&from, Step::Shadow, &successor).map(|_| ());
    let release = |text: &str| Successor {
        release: Some(version(text)),
        ..successor()
    };
    assert_eq!(
        to(Successor {
            secret_file: None,
            ..successor()
        }),
        Err(Refusal::SameNetwork)
    );
    assert_eq!(
        to(release("9.0.0")),
        Err(Refusal::UnknownRelease(version("9.0.0")))
    );
    assert_eq!(
        to(release("1.0.0")),
        Err(Refusal::OlderRelease(version("1.0.0")))
    );
    assert_eq!(
        to(Successor {
            downgrade: true,
            ..release("1.0.0")
        }),
        Ok(())
    );
    let kind = [("index.kind".to_owned(), "full".to_owned())].into();
    assert_eq!(
        to(Successor {
            settings: kind,
            ..Successor::default()
        }),
        Ok(())
    );
}

#[test]
fn settings_of_a_release_count_where_the_order_has_none() {
    let mut releases = releases();
    let of_all = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    for manifest in releases.values_mut() {
        let program = crate::engine::document::words::Program::Dht;
        manifest
            .settings
            .insert(program, of_all("udp.listen", "192.0.2.1:7400"));
    }
    let daemons = but("index", "udp.listen", None);
    let (leave, successor) = (Leave::default(), successor());
    let terms = Terms {
        releases: &releases,
        successor: Some(&successor),
        leave: &leave,
    };
    let stand = Stand::read(&daemons, &releases).unwrap().unwrap();
    let next = change(&daemons, &stand, Step::Shadow, terms)
        .unwrap()
        .daemons;
    assert_eq!(
        setting(&next, "index-b", "udp.listen"),
        Some("192.0.2.1:7500")
    );
}
