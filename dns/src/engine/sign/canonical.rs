//! The canonical form of a record set (RFC 4034 §6) and what is signed of it (RFC 4034 §3.1.8.1).

use hickory_proto::dnssec::rdata::SigInput;
use hickory_proto::rr::{Name, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

/// A record set in canonical form: owner in lower case, nothing compressed, in the order of its
/// data. `None` if the library cannot write a record, which no record made here gives reason to.
#[must_use]
pub fn record_set(records: &[Record]) -> Option<Vec<u8>> {
    let first = records.first()?;
    let mut data: Vec<Vec<u8>> = records.iter().map(canonical_data).collect::<Option<_>>()?;
    // RFC 4034 §6.3: as unsigned bytes, an absent one before any; duplicates count once.
    data.sort_unstable();
    data.dedup();
    let mut head = Vec::with_capacity(first.name.len() + 10);
    push_name(&first.name, &mut head);
    head.extend_from_slice(&u16::from(first.record_type()).to_be_bytes());
    head.extend_from_slice(&u16::from(first.dns_class).to_be_bytes());
    head.extend_from_slice(&first.ttl.to_be_bytes());
    let mut set = Vec::with_capacity(data.iter().map(|d| d.len() + head.len() + 2).sum());
    for data in data {
        set.extend_from_slice(&head);
        set.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        set.extend_from_slice(&data);
    }
    Some(set)
}

/// What a signature that says `input` covers, for a canonical `record_set`.
#[must_use]
pub fn signed_data(input: &SigInput, record_set: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = encode(input)?;
    bytes.extend_from_slice(record_set);
    Some(bytes)
}

fn canonical_data(record: &Record) -> Option<Vec<u8>> {
    encode(&record.data)
}

fn encode(value: &impl BinEncodable) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    value.emit(&mut encoder).ok()?;
    Some(bytes)
}

fn push_name(name: &Name, out: &mut Vec<u8>) {
    for label in name.iter() {
        // A label has at most 63 bytes (RFC 1035 §2.3.4).
        out.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        out.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    out.push(0);
}
