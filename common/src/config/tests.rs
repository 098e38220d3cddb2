//! Layers, mistakes and units of the configuration.

use std::net::SocketAddr;

use super::*;
use crate::name::Zone;

static KEYS: &[KeySpec] = &[
    KeySpec {
        path: "zone",
        default: None,
        example: "nyud.net",
        what: "domain name",
        why: "The zone that is served.",
    },
    KeySpec {
        path: "http.listen",
        default: Some("127.0.0.1:8080"),
        example: "127.0.0.1:8080",
        what: "address and port",
        why: "Where clients connect.",
    },
    KeySpec {
        path: "http.idle",
        default: Some("30s"),
        example: "30s",
        what: "duration",
        why: "Idle connections end after this.",
    },
    KeySpec {
        path: "join.seeds",
        default: Some(""),
        example: "192.0.2.1:7400",
        what: "list of addresses",
        why: "Members to join through.",
    },
    KeySpec {
        path: "store.memory",
        default: Some("256MiB"),
        example: "256MiB",
        what: "bytes",
        why: "Memory for bodies.",
    },
];

fn resolve(file: Option<&str>, environment: &[(&str, &str)], sets: &[&str]) -> Settings {
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let file = file.map(|text| ("atoll.toml", text));
    Settings::resolve(
        KEYS,
        &Sources {
            file,
            environment,
            sets: &sets,
        },
    )
}

fn mistakes(settings: Settings) -> Vec<String> {
    let error = settings.finish().unwrap_err();
    error.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn later_sources_win() {
    let file = "zone = \"one.net\"\n[http]\nlisten = \"127.0.0.1:1\"\nidle = \"1s\"\n";
    let env = [
        ("ATOLL_HTTP_LISTEN", "127.0.0.1:2"),
        ("ATOLL_HTTP_IDLE", "2s"),
        ("PATH", "x"),
    ];
    let mut settings = resolve(Some(file), &env, &["http.idle=3s"]);
    assert_eq!(settings.value::<Zone>("zone").as_str(), "one.net");
    assert_eq!(settings.value::<String>("http.listen"), "127.0.0.1:2");
    assert_eq!(settings.value::<Span>("http.idle").0.as_secs(), 3);
    assert_eq!(settings.value::<ByteSize>("store.memory").0, 256 << 20);
    assert_eq!(settings.unread(), ["join.seeds"]);
    assert!(settings.finish().is_ok());
}

#[test]
fn an_unknown_key_names_its_line_and_what_was_meant() {
    let file = "zone = \"one.net\"\n\n[http]\nlitsen = \"127.0.0.1:1\"\n";
    assert_eq!(
        mistakes(resolve(Some(file), &[], &["nonsense.entirely=1"])),
        [
            "atoll.toml:4: unknown key \"http.litsen\"; did you mean \"http.listen\"?",
            "--set: unknown key \"nonsense.entirely\"; --print-config lists all keys",
        ]
    );
}

#[test]
fn all_mistakes_come_together() {
    let file = "[http]\nidle = \"soon\"\nlisten = 5\n";
    let mut settings = resolve(Some(file), &[], &["store.memory=1 apple", "oops"]);
    let _: Zone = settings.value("zone");
    let _: SocketAddr = settings.value("http.listen");
    let _: Span = settings.value("http.idle");
    let _: ByteSize = settings.value("store.memory");
    let found = mistakes(settings);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(
        found
            .iter()
            .any(|m| m.starts_with("atoll.toml:2: http.idle: \"soon\" is not"))
    );
    assert!(
        found
            .iter()
            .any(|m| m.contains("zone: it has no default and must be set"))
    );
}

#[test]
fn a_file_that_is_not_toml_names_the_line_and_nothing_that_follows_from_it() {
    let file = "zone = \"a.net\"\n[http\nlisten = 1\n";
    let mut settings = resolve(Some(file), &[], &[]);
    let _: Zone = settings.value("zone");
    let found = mistakes(settings);
    assert!(
        found[0].starts_with("atoll.toml:2: not valid TOML"),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|mistake| mistake.contains("must be set")),
        "{found:?}"
    );
}

#[test]
fn lists_read_alike_from_every_source() {
    let want: Vec<SocketAddr> = vec![
        "192.0.2.1:1".parse().unwrap(),
        "[2001:db8::1]:2".parse().unwrap(),
    ];
    let file = "[join]\nseeds = [\"192.0.2.1:1\", \"[2001:db8::1]:2\"]\n";
    let text = "192.0.2.1:1, [2001:db8::1]:2";
    let toml_text = "join.seeds=[\"192.0.2.1:1\", \"[2001:db8::1]:2\"]";
    for mut settings in [
        resolve(Some(file), &[], &[]),
        resolve(None, &[("ATOLL_JOIN_SEEDS", text)], &[]),
        resolve(None, &[], &[toml_text]),
    ] {
        assert_eq!(settings.value::<Vec<SocketAddr>>("join.seeds"), want);
    }
    assert_eq!(
        resolve(None, &[], &[]).optional::<Vec<SocketAddr>>("join.seeds"),
        None
    );
}

#[test]
fn units_are_checked_and_do_not_overflow() {
    assert_eq!(
        Span::from_text("250ms").unwrap().0,
        std::time::Duration::from_millis(250)
    );
    for text in [
        "",
        "5",
        "5 s",
        "-5s",
        "5weeks",
        "99999999999999999999s",
        "999999999999999999d",
    ] {
        assert!(Span::from_text(text).is_err(), "{text}");
    }
    assert_eq!(ByteSize::from_text("8GiB").unwrap(), ByteSize(8 << 30));
    for text in ["", "8GB", "GiB", "-1", "99999999999TiB"] {
        assert!(ByteSize::from_text(text).is_err(), "{text}");
    }
    assert_eq!(ByteSize(3 << 20).to_string(), "3MiB");
}

#[test]
fn the_printed_configuration_reads_back() {
    let settings = resolve(
        None,
        &[],
        &["zone=one.net", "join.seeds=192.0.2.1:1,192.0.2.2:1"],
    );
    let printed = settings.print();
    let mut back = resolve(Some(&printed), &[], &[]);
    assert_eq!(back.value::<String>("zone"), "one.net");
    assert_eq!(back.value::<Vec<SocketAddr>>("join.seeds").len(), 2);
    assert!(back.finish().is_ok(), "{printed}");
}

#[test]
fn a_key_that_is_a_section_too_is_its_name_in_a_file() {
    static KEYS: &[KeySpec] = &[
        KeySpec {
            path: "zone",
            default: None,
            example: "nyud.net",
            what: "list of domain names",
            why: "The zones.",
        },
        KeySpec {
            path: "http.idle",
            default: Some("30s"),
            example: "30s",
            what: "duration",
            why: "Idle connections end after this.",
        },
        KeySpec {
            path: "zone.ns",
            default: Some(""),
            example: "ns1",
            what: "list of names",
            why: "Its servers.",
        },
    ];
    let resolve = |file: &str, sets: &[String]| {
        let sources = Sources {
            file: Some(("atoll.toml", file)),
            sets,
            ..Sources::default()
        };
        Settings::resolve(KEYS, &sources)
    };
    let file = "[zone]\nname = [\"one.net\", \"two.net\"]\nns = [\"a\"]\n";
    let mut settings = resolve(file, &[]);
    let zones: Vec<Zone> = settings.value("zone");
    assert_eq!(zones.len(), 2);
    let printed = settings.print();
    let mut back = resolve(&printed, &["zone.ns=b".to_owned()]);
    assert_eq!(back.value::<Vec<Zone>>("zone"), zones, "{printed}");
    assert_eq!(back.value::<String>("zone.ns"), "b");
    assert!(back.finish().is_ok(), "{printed}");
    // On its own it is written as it is called.
    let mut settings = resolve("zone = \"one.net\"\n", &[]);
    assert_eq!(settings.value::<Vec<Zone>>("zone").len(), 1);
}
