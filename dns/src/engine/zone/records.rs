//! A static record as an operator writes it: `OWNER [TTL] [IN] TYPE DATA`.
//!
//! The data is that of a zone file (RFC 1035 §5.1), the names are not: as in `zone.ns`, a name
//! without a dot is relative to the zone and one with a dot is full, so that nobody points an alias
//! at `www.example.com.<zone>` for want of a final dot. `@` is the zone.

use std::net::{Ipv4Addr, Ipv6Addr};

use common::name::Zone;
use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

/// TTL of a record that gives none, in seconds: an hour, as the rest of the zone's own data.
pub const DEFAULT_TTL: u32 = 3_600;

/// Longest TTL, in seconds (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX.cast_unsigned();

/// Bytes of one string of TXT (RFC 1035 §3.3).
const STRING_MAX: usize = 255;

/// Why a record cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// Something is missing.
    #[error("a record is OWNER [TTL] TYPE DATA, such as \"mail 3600 A 192.0.2.5\"")]
    Short,
    /// A quote is not closed.
    #[error("a quote is not closed")]
    Quote,
    /// A backslash with nothing sensible behind it.
    #[error("a backslash stands before one character or three digits")]
    Escape,
    /// The TTL is no number of seconds.
    #[error("TTL {0} is larger than {TTL_MAX} seconds")]
    Ttl(String),
    /// A type that is not kept.
    #[error("type {0} is not kept here: A, AAAA, CNAME, TXT, CAA and MX are")]
    Type(String),
    /// The data has a different form.
    #[error("the data of {0} is {1}")]
    Data(&'static str, &'static str),
    /// The owner is not under this zone.
    #[error("\"{0}\" does not lie in the zone; a name with a dot is a full name")]
    Outside(String),
    /// A name is none.
    #[error("\"{0}\" is not a domain name")]
    Name(String),
    /// A wildcard, which is not served.
    #[error("wildcards are not served: every name that can be a site exists already")]
    Wildcard,
}

/// A record, read.
#[derive(Clone, PartialEq, Debug)]
pub struct StaticRecord {
    /// The owner below the zone, lower case; empty for the zone itself.
    pub below: String,
    /// TTL, in seconds.
    pub ttl: u32,
    /// Its data.
    pub data: RData,
}

/// One word of a record, its quotes and backslashes resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Word(Vec<u8>);

impl Word {
    fn text(&self) -> Result<&str, RecordError> {
        std::str::from_utf8(&self.0).map_err(|_| RecordError::Escape)
    }
}

/// The owner of `line` as a full name, if it has one: whether a record concerns this zone or
/// another of the same server.
#[must_use]
pub fn is_for_other(line: &str, zone: &Zone, all: &[Zone]) -> bool {
    let owner = line.split_whitespace().next().unwrap_or_default();
    owner.contains('.') && !zone.contains(owner) && all.iter().any(|other| other.contains(owner))
}

/// Reads `line` as a record of `zone`.
///
/// # Errors
/// See [`RecordError`].
pub fn read(line: &str, zone: &Zone) -> Result<StaticRecord, RecordError> {
    let words = split(line)?;
    let (owner, rest) = words.split_first().ok_or(RecordError::Short)?;
    let below = owner_below(owner.text()?, zone)?;
    let (ttl, rest) = leading_ttl(rest)?;
    let (kind, data) = rest.split_first().ok_or(RecordError::Short)?;
    let data = match kind.text()?.to_ascii_uppercase().as_str() {
        "A" => RData::A(A(one::<Ipv4Addr>(data, "A", "an IPv4 address")?)),
        "AAAA" => RData::AAAA(AAAA(one::<Ipv6Addr>(data, "AAAA", "an IPv6 address")?)),
        "CNAME" => RData::CNAME(CNAME(alias(data, zone)?)),
        "TXT" => RData::TXT(text(data)?),
        "CAA" => RData::CAA(authorization(data)?),
        "MX" => RData::MX(mail(data, zone)?),
        other => return Err(RecordError::Type(other.to_owned())),
    };
    Ok(StaticRecord { below, ttl, data })
}

/// The word of a type that static records have.
#[must_use]
pub const fn type_word(kind: RecordType) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "static records have these types only"
    )]
    match kind {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::CNAME => "CNAME",
        RecordType::TXT => "TXT",
        RecordType::CAA => "CAA",
        _ => "MX",
    }
}

fn leading_ttl(words: &[Word]) -> Result<(u32, &[Word]), RecordError> {
    let (mut ttl, mut rest) = (DEFAULT_TTL, words);
    while let Some((word, after)) = rest.split_first() {
        let text = word.text()?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let read = text.parse().ok().filter(|ttl| *ttl <= TTL_MAX);
            ttl = read.ok_or_else(|| RecordError::Ttl(text.to_owned()))?;
        } else if !text.eq_ignore_ascii_case("IN") {
            break;
        }
        rest = after;
    }
    Ok((ttl, rest))
}

/// Words between blanks; quotes keep blanks together, a backslash takes what follows as it is.
fn split(line: &str) -> Result<Vec<Word>, RecordError> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(first) = bytes.peek() else {
            return Ok(words);
        };
        let quoted = *first == b'"';
        if quoted {
            bytes.next();
        }
        let mut word = Vec::new();
        loop {
            match bytes.next() {
                None if quoted => return Err(RecordError::Quote),
                None => break,
                Some(b'"') if quoted => break,
                Some(blank) if !quoted && blank.is_ascii_whitespace() => break,
                Some(b'\\') => word.push(escaped(&mut bytes)?),
                Some(byte) => word.push(byte),
            }
        }
        words.push(Word(word));
    }
}

/// What stands behind a backslash (RFC 1035 §5.1): three digits for a byte, or the byte itself.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, RecordError> {
    let first = bytes.next().ok_or(RecordError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit);
        value = value * 10 + u32::from(digit.ok_or(RecordError::Escape)? - b'0');
    }
    u8::try_from(value).map_err(|_| RecordError::Escape)
}

fn owner_below(text: &str, zone: &Zone) -> Result<String, RecordError> {
    let lower = text.to_ascii_lowercase();
    if lower == "@" {
        return Ok(String::new());
    }
    if lower.split('.').any(|label| label == "*") {
        return Err(RecordError::Wildcard);
    }
    let below = if lower.contains('.') {
        let full = lower.strip_suffix('.').unwrap_or(&lower);
        let rest = full.strip_suffix(zone.as_str());
        let rest = rest.ok_or_else(|| RecordError::Outside(text.to_owned()))?;
        match rest.strip_suffix('.') {
            Some(below) => below.to_owned(),
            None if rest.is_empty() => String::new(),
            None => return Err(RecordError::Outside(text.to_owned())),
        }
    } else {
        lower
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let sound = below.is_empty()
        || (below.bytes().all(fits) && Name::from_ascii(format!("{below}.{zone}.")).is_ok());
    if sound {
        Ok(below)
    } else {
        Err(RecordError::Name(text.to_owned()))
    }
}

/// A name in data: relative to the zone if it has no dot.
fn target(word: &Word, zone: &Zone) -> Result<Name, RecordError> {
    let text = word.text()?;
    let wrong = || RecordError::Name(text.to_owned());
    let full = match text {
        "" => return Err(wrong()),
        "@" => zone.to_string(),
        "." => String::new(),
        _ if text.contains('.') => text.strip_suffix('.').unwrap_or(text).to_owned(),
        _ => format!("{text}.{zone}"),
    };
    Name::from_ascii(format!("{full}.")).map_err(|_| wrong())
}

fn one<T: std::str::FromStr>(
    data: &[Word],
    kind: &'static str,
    form: &'static str,
) -> Result<T, RecordError> {
    let parsed = match data {
        [word] => word.text()?.parse().ok(),
        _ => None,
    };
    parsed.ok_or(RecordError::Data(kind, form))
}

fn alias(data: &[Word], zone: &Zone) -> Result<Name, RecordError> {
    match data {
        [word] => target(word, zone),
        _ => Err(RecordError::Data("CNAME", "one name")),
    }
}

/// Strings longer than one string of TXT holds are cut into several, as its readers put them
/// together again (RFC 7208 §3.3).
fn text(data: &[Word]) -> Result<TXT, RecordError> {
    if data.is_empty() {
        return Err(RecordError::Data("TXT", "one or more strings in quotes"));
    }
    let mut strings: Vec<&[u8]> = Vec::new();
    for word in data {
        if word.0.is_empty() {
            strings.push(&[]);
        }
        strings.extend(word.0.chunks(STRING_MAX));
    }
    Ok(TXT::from_bytes(strings))
}

/// RFC 8659 §4.1.
fn authorization(data: &[Word]) -> Result<CAA, RecordError> {
    let form = RecordError::Data("CAA", "FLAGS TAG \"VALUE\", such as 0 issue \"ca.example\"");
    let [flags, tag, value] = data else {
        return Err(form);
    };
    let Ok(flags) = flags.text()?.parse::<u8>() else {
        return Err(form);
    };
    let tag = tag.text()?.to_owned();
    if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(form);
    }
    let mut data = CAA::new_issue(flags & 0x80 != 0, None, Vec::new());
    data.reserved_flags = flags & 0x7f;
    data.tag = tag;
    data.value.clone_from(&value.0);
    Ok(data)
}

fn mail(data: &[Word], zone: &Zone) -> Result<MX, RecordError> {
    let form = RecordError::Data("MX", "PREFERENCE HOST, such as 10 mail");
    let [preference, host] = data else {
        return Err(form);
    };
    let Ok(preference) = preference.text()?.parse::<u16>() else {
        return Err(form);
    };
    Ok(MX::new(preference, target(host, zone)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::parse("nyud.test").unwrap()
    }

    fn text_of(line: &str) -> String {
        let record = read(line, &zone()).unwrap();
        format!("{:?} {} {}", record.below, record.ttl, record.data)
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let rows = [
            (
                "@ CAA 0 issue \"ca.example\"",
                "\"\" 3600 0 issue \"ca.example\"",
            ),
            ("mail 300 A 192.0.2.5", "\"mail\" 300 192.0.2.5"),
            ("MAIL in aaaa 2001:db8::5", "\"mail\" 3600 2001:db8::5"),
            ("@ IN 60 MX 10 mail", "\"\" 60 10 mail.nyud.test."),
            ("@ MX 0 .", "\"\" 3600 0 ."),
            (
                "blog CNAME pages.example.net",
                "\"blog\" 3600 pages.example.net.",
            ),
            ("docs CNAME @", "\"docs\" 3600 nyud.test."),
            ("_dmarc.nyud.test. TXT v=DMARC1", "\"_dmarc\" 3600 v=DMARC1"),
            ("a.b.nyud.test TXT x", "\"a.b\" 3600 x"),
        ];
        for (line, expected) in rows {
            assert_eq!(text_of(line), expected, "{line}");
        }
    }

    #[test]
    fn text_keeps_every_byte_and_long_strings_are_cut() {
        let strings = |line: &str| match read(line, &zone()).unwrap().data {
            RData::TXT(text) => text.txt_data.iter().map(|s| s.to_vec()).collect::<Vec<_>>(),
            other => panic!("{other}"),
        };
        assert_eq!(
            strings(r#"@ TXT "a \"b\" \\ \226\130\172" second """#),
            [
                b"a \"b\" \\ \xe2\x82\xac".to_vec(),
                b"second".to_vec(),
                Vec::new()
            ]
        );
        let long = strings(&format!("@ TXT {}", "x".repeat(300)));
        assert_eq!([long[0].len(), long[1].len()], [255, 45]);
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let rows = [
            ("", "OWNER [TTL] TYPE DATA"),
            ("mail", "OWNER [TTL] TYPE DATA"),
            ("mail 300", "OWNER [TTL] TYPE DATA"),
            ("mail A 192.0.2.256", "an IPv4 address"),
            ("mail A", "an IPv4 address"),
            ("mail AAAA 192.0.2.1", "an IPv6 address"),
            ("mail 2147483648 A 192.0.2.1", "larger than 2147483647"),
            ("mail NS ns1", "type NS is not kept"),
            ("mail TXT", "strings in quotes"),
            ("mail TXT \"open", "a quote is not closed"),
            ("mail TXT \\9", "three digits"),
            ("mail TXT \\256", "three digits"),
            ("@ CAA issue ca.example", "FLAGS TAG"),
            ("@ CAA 300 issue ca.example", "FLAGS TAG"),
            ("@ MX mail", "PREFERENCE HOST"),
            ("a.b A 192.0.2.1", "does not lie in the zone"),
            ("xnyud.test A 192.0.2.1", "does not lie in the zone"),
            ("* A 192.0.2.1", "wildcards are not served"),
            ("ma:il A 192.0.2.1", "not a domain name"),
            ("blog CNAME a..b", "not a domain name"),
        ];
        for (line, expected) in rows {
            let error = read(line, &zone()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn a_full_name_of_another_zone_is_for_that_zone() {
        let zones = [zone(), Zone::parse("cdn.example").unwrap()];
        assert!(is_for_other("x.cdn.example A 192.0.2.1", &zones[0], &zones));
        assert!(!is_for_other(
            "x.cdn.example A 192.0.2.1",
            &zones[1],
            &zones
        ));
        assert!(!is_for_other("x A 192.0.2.1", &zones[0], &zones));
        assert!(!is_for_other("x.else.net A 192.0.2.1", &zones[0], &zones));
    }
}
