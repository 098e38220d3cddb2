//! The name grammar against its vectors and its laws.

use proptest::prelude::*;

use super::*;

/// Cases of the label form: kind, input, label, what the label decodes to.
const VECTORS: &str = include_str!("label-vectors.tsv");

fn zone() -> Zone {
    Zone::parse("nyud.net").unwrap()
}

fn split_port(input: &str) -> Result<(Host, Option<u16>), NameError> {
    match input.rsplit_once(':') {
        Some((host, port)) => Ok((Host::parse(host)?, Some(host::parse_port(port)?))),
        None => Ok((Host::parse(input)?, None)),
    }
}

fn encode(input: &str) -> Result<String, NameError> {
    let (host, port) = split_port(input)?;
    let full = zone().label(&host, port)?;
    Ok(full.strip_suffix(".nyud.net").unwrap().to_owned())
}

fn decode(label: &str) -> Result<String, NameError> {
    match label::decode(label)? {
        label::Decoded::Hashed => Ok("HASH".to_owned()),
        label::Decoded::Site(site) => Ok(match site.port {
            Some(port) => format!("{}:{port}", site.host()),
            None => site.host().to_owned(),
        }),
    }
}

#[test]
fn agrees_with_every_row_of_the_vectors() {
    let mut rows = 0;
    for row in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let mut cells = row.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (kind, input, label, decodes_to) = (cell(), cell(), cell(), cell());
        match kind {
            "encode" => {
                assert_eq!(encode(input).as_deref(), Ok(label), "{row}");
                assert_eq!(decode(label).as_deref(), Ok(decodes_to), "{row}");
            }
            "encode_error" => assert!(encode(input).is_err(), "{row}"),
            "decode_error" => assert!(decode(label).is_err(), "{row}"),
            other => panic!("unknown kind {other}"),
        }
        rows += 1;
    }
    assert_eq!(rows, 46, "a row was added or lost");
}

#[test]
fn dotted_names_carry_host_port_and_address() {
    for (name, host, port) in [
        ("www.example.com.nyud.net", "www.example.com", None),
        (
            "WWW.Example.com.8080.NYUD.net.",
            "www.example.com",
            Some(8080),
        ),
        ("192.0.2.1.nyud.net", "192.0.2.1", None),
        ("192.0.2.1.8080.nyud.net", "192.0.2.1", Some(8080)),
        ("a_b.example.com.443.nyud.net", "a_b.example.com", Some(443)),
    ] {
        let host = Host::parse(host).unwrap();
        let want = Name::Site(Site {
            host: host.clone(),
            port,
            form: Form::Dotted,
        });
        assert_eq!(zone().classify(name), Ok(want), "{name}");
        let canonical = name.to_ascii_lowercase();
        let canonical = canonical.trim_end_matches('.').to_owned();
        assert_eq!(zone().dotted(&host, port), Ok(canonical));
    }
}

#[test]
fn refuses_names_that_are_not_coralised() {
    for (name, error) in [
        ("example.com", NameError::OutsideZone),
        ("xnyud.net", NameError::OutsideZone),
        ("a..b.com.nyud.net", NameError::EmptyLabel),
        (".nyud.net", NameError::EmptyLabel),
        ("exa mple.com.nyud.net", NameError::BadByte),
        ("b\u{fc}cher.ch.nyud.net", NameError::BadByte),
        ("localhost.8080.nyud.net", NameError::NumericEnd),
        ("example.com.0.nyud.net", NameError::BadPort),
        ("example.com.080.nyud.net", NameError::BadPort),
        ("example.com.65536.nyud.net", NameError::BadPort),
        ("1.2.3.nyud.net", NameError::NumericEnd),
        ("1.2.3.0x10.nyud.net", NameError::NumericEnd),
        ("010.0.0.1.nyud.net", NameError::NumericEnd),
        ("router.home.arpa.nyud.net", NameError::SpecialUse),
        ("printer.local.nyud.net", NameError::SpecialUse),
        ("www.example.com.nyud.net.nyud.net", NameError::InsideZone),
        ("nyud-net.nyud.net", NameError::InsideZone),
        ("foo---bar.nyud.net", NameError::BadLabel),
    ] {
        assert_eq!(zone().classify(name), Err(error), "{name}");
    }
    let long = format!("{}.com.nyud.net", "a".repeat(64));
    assert_eq!(zone().classify(&long), Err(NameError::TooLong));
    let many = format!("{}nyud.net", "a.".repeat(125));
    assert_eq!(zone().classify(&many), Err(NameError::TooLong));
}

#[test]
fn a_label_without_a_hyphen_is_a_service() {
    assert_eq!(
        zone().classify("www.nyud.net"),
        Ok(Name::Service("www".to_owned()))
    );
    assert_eq!(zone().classify("nyud.net"), Ok(Name::Apex));
    let hash = "fvobmtkzp6anxxaiqasht7b4b7hlgd6xhvcrj3t6e7rq2cdt6siq";
    let name = format!("{hash}.nyud.net");
    assert_eq!(zone().classify(&name), Ok(Name::Hashed(hash.to_owned())));
}

/// Labels as hosts have them, dashes inside included, and now and then at the edge.
fn any_label() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-z0-9_]([a-z0-9_-]{0,14}[a-z0-9_])?").expect("valid regex")
}

fn any_host() -> impl Strategy<Value = Host> {
    proptest::collection::vec(any_label(), 1..5)
        .prop_map(|labels| format!("{}.com", labels.join(".")))
        .prop_filter_map("not a host", |name| Host::parse(&name).ok())
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(host in any_host(), port in proptest::option::of(1u16..)) {
        let zone = zone();
        let dotted = zone.dotted(&host, port).unwrap();
        let site = Site { host: host.clone(), port, form: Form::Dotted };
        prop_assert_eq!(zone.classify(&dotted), Ok(Name::Site(site)));

        let label = zone.label(&host, port).unwrap();
        match zone.classify(&label).unwrap() {
            Name::Hashed(_) => {}
            Name::Site(site) => prop_assert_eq!((site.host, site.port), (host, port)),
            other => prop_assert!(false, "{label} became {other:?}"),
        }
    }

    #[test]
    fn one_site_has_one_label(label in "[a-z0-9_-]{1,63}") {
        if let Ok(label::Decoded::Site(site)) = label::decode(&label) {
            let host = Host::parse(site.host()).unwrap();
            prop_assert_eq!(label::encode(&host, site.port), Ok(label));
        }
    }

    #[test]
    fn the_kind_of_a_name_is_that_of_the_name(below in "([a-z0-9_-]{1,9}\\.){0,3}[a-z0-9-]{1,20}(\\.[0-9]{1,5})?") {
        let kind = zone().classify_below(&below).map(|name| match name {
            Name::Site(_) => NameKind::Site,
            Name::Hashed(_) => NameKind::Hashed,
            Name::Service(_) | Name::Apex => NameKind::Service,
        });
        prop_assert_eq!(zone().kind_below(&below), kind);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,300}") {
        let _ = zone().classify(&text);
        let _ = zone().classify(&format!("{text}.nyud.net"));
        let _ = Zone::parse(&text);
    }
}
