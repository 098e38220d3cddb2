//! Compact denial of existence (RFC 9824): one NSEC record at the name that was asked for, which
//! covers nothing else.
//!
//! A name without the type asked for has an NSEC that lists the types it has. A name that does not
//! exist has one that lists nothing but the pseudo-type NXNAME: it is denied by claiming that it
//! exists without data, so that no record needs to cover its neighbours. Hence the response code
//! NOERROR, unless whoever asks says that it can tell (the flag CO, §5.1).

use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The pseudo-type of names that do not exist (RFC 9824 §3.4).
pub const NXNAME: RecordType = RecordType::Unknown(128);

/// Most bytes of a name on the wire (RFC 1035 §3.1).
const NAME_MAX: usize = 255;

/// Most bytes of a label.
const LABEL_MAX: usize = 63;

/// The NSEC record at `name` in the zone `origin`: `types` are those that exist there, beside NSEC
/// and RRSIG; none if `name` exists only because others below it do.
#[must_use]
pub fn at(
    name: &Name,
    origin: &Name,
    types: impl IntoIterator<Item = RecordType>,
    ttl: u32,
) -> Record {
    let owner = name.to_lowercase();
    let next = successor(&owner, origin);
    let data = NSEC::new_cover_self(next, types);
    Record::from_rdata(name.clone(), ttl, RData::DNSSEC(DNSSECRData::NSEC(data)))
}

/// The first name after `name` (lower case) in canonical order (RFC 4034 §6.1): a label of one zero
/// byte before it. Names that leave no room for that go on at the next label of the same length,
/// since nothing fits in between.
fn successor(name: &Name, origin: &Name) -> Name {
    if on_wire(name) + 2 <= NAME_MAX
        && let Ok(next) = name.prepend_label([0_u8].as_slice())
    {
        return next;
    }
    let depth = name.iter().count() - origin.iter().count().min(name.iter().count());
    let mut labels: Vec<Vec<u8>> = name.iter().map(<[u8]>::to_vec).collect();
    let full = on_wire(name) >= NAME_MAX;
    for index in 0..depth {
        let Some(label) = labels.get_mut(index) else {
            break;
        };
        // Room for one byte: the label itself with a zero byte behind it.
        if index == 0 && !full && label.len() < LABEL_MAX {
            label.push(0);
            return joined(&labels, origin);
        }
        while let Some(last) = label.pop() {
            if let Some(after) = following(last) {
                label.push(after);
                let rest = labels.split_off(index);
                return joined(&rest, origin);
            }
        }
    }
    // The last name of the zone: the first one follows (RFC 4034 §4.1.1).
    origin.clone()
}

/// Bytes of `name` on the wire, the root's zero included.
fn on_wire(name: &Name) -> usize {
    name.iter().map(|label| label.len() + 1).sum::<usize>() + 1
}

/// The next byte in canonical order, where upper case is no byte of its own.
const fn following(byte: u8) -> Option<u8> {
    match byte {
        u8::MAX => None,
        b'@' => Some(b'['),
        _ => Some(byte + 1),
    }
}

fn joined(labels: &[Vec<u8>], origin: &Name) -> Name {
    let labels = labels.iter().map(Vec::as_slice);
    Name::from_labels(labels).map_or_else(|_| origin.clone(), fully)
}

fn fully(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(labels: &[&[u8]]) -> Name {
        fully(Name::from_labels(labels.iter().copied()).unwrap())
    }

    fn origin() -> Name {
        name(&[b"nyud", b"test"])
    }

    #[test]
    fn rfc9824_3_1_the_next_name_is_a_zero_label_before_it() {
        let next = successor(&name(&[b"a", b"nyud", b"test"]), &origin());
        assert_eq!(next, name(&[b"\0", b"a", b"nyud", b"test"]));
        let next = successor(&origin(), &origin());
        assert_eq!(next, name(&[b"\0", b"nyud", b"test"]));
    }

    #[test]
    fn the_longest_names_have_a_successor_too() {
        let long = [b'x'; 63];
        let origin = origin();
        // 3 * 64 + 50 + 11 = 253, 254, 255 bytes.
        for tail in [50_usize, 51, 52] {
            let first = vec![b'y'; tail - 1];
            let labels: [&[u8]; 6] = [&first, &long, &long, &long, b"nyud", b"test"];
            let whole = name(&labels);
            assert_eq!(on_wire(&whole), 203 + tail);
            let next = successor(&whole, &origin);
            assert!(next > whole && on_wire(&next) <= NAME_MAX, "{tail}");
            assert!(origin.zone_of(&next));
        }
    }

    #[test]
    fn the_last_name_of_all_is_followed_by_the_zone() {
        let last = [u8::MAX; 63];
        let first = [u8::MAX; 51];
        let origin = origin();
        let labels: [&[u8]; 6] = [&first, &last, &last, &last, b"nyud", b"test"];
        let whole = name(&labels);
        assert_eq!(on_wire(&whole), NAME_MAX);
        assert_eq!(successor(&whole, &origin), origin);
        // One label from the end something follows.
        let labels: [&[u8]; 6] = [&first, &last, &last, b"@", b"nyud", b"test"];
        let shorter = name(&labels);
        let next = successor(&shorter, &origin);
        assert!(next > shorter, "{next}");
    }

    #[test]
    fn upper_case_is_no_byte_of_its_own() {
        assert_eq!(following(b'@'), Some(b'['));
        assert_eq!(following(0xff), None);
    }
}
