//! The last stage: signatures (RFC 4034, RFC 6605), made while answering.
//!
//! | file | holds |
//! |---|---|
//! | [`signer`] | what is needed of a private key |
//! | [`ring`] | the keys of a zone, their roles, what is published of them |
//! | [`canonical`] | what exactly is signed |
//! | [`denial`] | the record that says that something does not exist |
//! | [`cache`] | signatures made lately, and how many may be made |
//!
//! Signing happens after everything else is decided, for whoever asks for it (the flag DO, RFC 3225),
//! set by set. The stages before know of it in two ways only: a negative answer gets its NSEC record
//! from [`denial`], and a name's draw of proxies repeats itself, so that there are few sets to sign
//! ([`VARIANTS`]).

pub mod cache;
pub mod canonical;
pub mod denial;
pub mod ring;
pub mod signer;
#[cfg(test)]
mod tests;

use common::clock::{Moment, WallTime};
use hickory_proto::dnssec::Algorithm;
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG, SigInput};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, SerialNumber};

use self::cache::{SignatureCache, Signed};
use self::ring::{Key, Ring};
use super::asked::AskedName;
use super::reason::Reason;
use super::reply::Reply;
use super::zone::Zones;

/// How far before its making a signature begins to hold, in seconds: a day, for validators whose
/// clock is slow or whose calendar is wrong by a time zone.
pub const SKEW: i64 = 86_400;

/// How many different draws of proxies one name has for those who want signatures: so many sets are
/// signed for a name that is asked for again and again, and over so many sets its load is spread.
pub const VARIANTS: usize = 16;

/// When a reply is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For bounds.
    pub moment: Moment,
    /// For what signatures say.
    pub wall: WallTime,
}

/// `reply` with signatures for every record set of a signed zone; SERVFAIL if as many new ones as
/// allowed were made in this second.
#[must_use]
pub fn sign(zones: &Zones, cache: &mut SignatureCache, now: Now, mut reply: Reply) -> Reply {
    let sections = [
        &mut reply.answers,
        &mut reply.authority,
        &mut reply.additional,
    ];
    for section in sections {
        let unsigned = std::mem::take(section);
        let Some(signed) = sign_section(zones, cache, now, unsigned) else {
            return Reply::refusal(ResponseCode::ServFail, Reason::SigningLimit, None);
        };
        *section = signed;
    }
    reply
}

/// The sets of a section, each with its signatures behind it.
fn sign_section(
    zones: &Zones,
    cache: &mut SignatureCache,
    now: Now,
    records: Vec<Record>,
) -> Option<Vec<Record>> {
    let mut section = Vec::with_capacity(2 * records.len());
    let same = |a: &Record, b: &Record| a.name == b.name && a.record_type() == b.record_type();
    for set in records.chunk_by(same) {
        section.extend_from_slice(set);
        let Some(ring) = set.first().and_then(|first| ring_of(zones, first)) else {
            continue;
        };
        section.extend(sign_set(ring, cache, now, set)?);
    }
    Some(section)
}

fn ring_of<'a>(zones: &'a Zones, record: &Record) -> Option<&'a Ring> {
    let name = AskedName::from_labels(record.name.iter())?;
    zones.find(&name)?.0.ring()
}

/// The signatures of one set.
fn sign_set(
    ring: &Ring,
    cache: &mut SignatureCache,
    now: Now,
    set: &[Record],
) -> Option<Vec<Record>> {
    let first = set.first()?;
    let canonical = canonical::record_set(set)?;
    let mut signatures = Vec::with_capacity(1);
    for key in ring.signing(first.record_type()) {
        let digest = digest(key, &canonical);
        let signed = match cache.find(&digest, ring.life(), now.wall) {
            Some(signed) => signed,
            None => {
                if !cache.may_make(now.moment) {
                    return None;
                }
                let signed = make(ring, key, now.wall, first, &canonical)?;
                cache.keep(digest, signed);
                signed
            }
        };
        let input = input(ring, key, first, signed.inception, signed.expiration);
        let data = RRSIG::from_sig(input, signed.signature.to_vec());
        let data = RData::DNSSEC(DNSSECRData::RRSIG(data));
        signatures.push(Record::from_rdata(first.name.clone(), first.ttl, data));
    }
    Some(signatures)
}

fn make(
    ring: &Ring,
    key: &Key,
    wall: WallTime,
    first: &Record,
    canonical: &[u8],
) -> Option<Signed> {
    let life = i64::try_from(ring.life().as_secs()).unwrap_or(i64::MAX);
    let inception = WallTime::from_unix(wall.unix().saturating_sub(SKEW));
    let expiration = WallTime::from_unix(wall.unix().saturating_add(life));
    let input = input(ring, key, first, inception, expiration);
    let signature = key
        .signer()
        .sign(&canonical::signed_data(&input, canonical)?)?;
    Some(Signed {
        signature,
        inception,
        expiration,
    })
}

fn input(
    ring: &Ring,
    key: &Key,
    first: &Record,
    inception: WallTime,
    expiration: WallTime,
) -> SigInput {
    SigInput {
        type_covered: first.record_type(),
        algorithm: Algorithm::ECDSAP256SHA256,
        num_labels: first.name.num_labels(),
        original_ttl: first.ttl,
        sig_expiration: serial(expiration),
        sig_inception: serial(inception),
        key_tag: key.tag,
        signer_name: ring.origin().clone(),
    }
}

/// Seconds since 1970 modulo 2^32, as signatures count them (RFC 4034 §3.1.5).
fn serial(time: WallTime) -> SerialNumber {
    let wrapped = time.unix().rem_euclid(1 << 32);
    SerialNumber::new(u32::try_from(wrapped).unwrap_or(u32::MAX))
}

fn digest(key: &Key, canonical: &[u8]) -> cache::Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.tag.to_be_bytes());
    hasher.update(canonical);
    *hasher.finalize().as_bytes()
}
