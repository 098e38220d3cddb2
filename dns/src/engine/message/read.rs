//! Reads a message that somebody sent: the only place where bytes of others are looked at.
//!
//! Strict, since whatever is unclear here is read differently somewhere else: names in questions are
//! whole (a pointer could only point into the header), there is one question and one OPT record at
//! most, every record counted is there, and nothing follows the last one. Allocates nothing; its
//! work is bounded by the length of the message.

use common::wire::codec::{DecodeError, Reader};

use super::options::{self, Options};
use super::{HEADER, OPT};
use crate::engine::inquiry::Edns;
use crate::engine::reason::Silence;

/// Most bytes of a name, with the root (RFC 1035 §3.1).
pub const NAME_MAX: usize = 255;

/// Most bytes of a label (RFC 1035 §3.1).
const LABEL_MAX: u8 = 63;

/// Flags in the third and fourth byte of a header (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
const RESPONSE: u8 = 0x80;
const RECURSION_DESIRED: u8 = 0x01;
const CHECKING_DISABLED: u8 = 0x10;

/// Flags of OPT, in the third byte of its TTL (RFC 3225 §3, RFC 9824 §5.1).
pub const DNSSEC_OK: u8 = 0x80;
/// See [`DNSSEC_OK`].
pub const COMPACT_OK: u8 = 0x40;

/// What a reply repeats of the header of its question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stub {
    /// The client's number for this exchange.
    pub id: u16,
    /// Operation, 0 to 15.
    pub operation: u8,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
}

/// A question as it stands in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// The whole of it: name, type, class.
    pub bytes: &'a [u8],
    /// The name: length and bytes of each label, then the root.
    pub name: &'a [u8],
    /// Type.
    pub qtype: u16,
    /// Class.
    pub qclass: u16,
}

impl<'a> Asked<'a> {
    /// The labels of the name, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.name;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            // The root ends the name.
            let (label, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            (*length > 0).then_some(label)
        })
    }
}

/// A message that asks something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// What the reply repeats.
    pub stub: Stub,
    /// Questions counted in the header.
    pub questions: u16,
    /// The question, if there is exactly one.
    pub asked: Option<Asked<'a>>,
    /// EDNS, if the message has it.
    pub edns: Option<Edns>,
    /// The client-subnet option as it came, for the reply to repeat.
    pub subnet: Option<&'a [u8]>,
    /// Whether the options of OPT could be read; else `edns` has none.
    pub options_fit: bool,
}

/// Why nothing can be read of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It deserves no reply.
    Silence(Silence),
    /// It is told that it is malformed, and nothing else.
    Malformed(Stub),
}

/// Reads `bytes`.
///
/// # Errors
/// See [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Message<'_>, Unreadable> {
    let mut reader = Reader::new(bytes);
    let Ok(header) = reader.array::<HEADER>("header") else {
        return Err(Unreadable::Silence(Silence::Short));
    };
    let [a, b, flags, more, q1, q2, counts @ ..] = header;
    // RFC 1035 §4.1.1; an answer to an answer makes two servers talk for ever.
    if flags & RESPONSE != 0 {
        return Err(Unreadable::Silence(Silence::Response));
    }
    let stub = Stub {
        id: u16::from_be_bytes([a, b]),
        operation: (flags >> 3) & 0x0f,
        recursion_desired: flags & RECURSION_DESIRED != 0,
        checking_disabled: more & CHECKING_DISABLED != 0,
    };
    let questions = u16::from_be_bytes([q1, q2]);
    body(reader, stub, questions, counts).map_err(|_| Unreadable::Malformed(stub))
}

fn body(
    mut reader: Reader<'_>,
    stub: Stub,
    questions: u16,
    counts: [u8; 6],
) -> Result<Message<'_>, DecodeError> {
    let mut message = Message {
        stub,
        questions,
        asked: None,
        edns: None,
        subnet: None,
        options_fit: true,
    };
    for _ in 0..questions {
        message.asked = Some(question(&mut reader)?);
    }
    if questions != 1 {
        message.asked = None;
    }
    let [a1, a2, n1, n2, d1, d2] = counts;
    let others = u32::from(u16::from_be_bytes([a1, a2])) + u32::from(u16::from_be_bytes([n1, n2]));
    for _ in 0..others {
        record(&mut reader)?;
    }
    for _ in 0..u16::from_be_bytes([d1, d2]) {
        let extra = record(&mut reader)?;
        if extra.rtype == OPT {
            // RFC 6891 §6.1.1 and §6.1.2: one, of the root.
            if message.edns.is_some() || !extra.of_root {
                return Err(reader.error("one OPT record, of the root"));
            }
            read_opt(&extra, &mut message);
        }
    }
    if reader.is_empty() {
        Ok(message)
    } else {
        Err(reader.error("the end"))
    }
}

fn read_opt<'a>(record: &Extra<'a>, message: &mut Message<'a>) {
    let [_, version, flags, _] = record.ttl;
    let read = options::read(record.data);
    message.options_fit = read.is_some();
    let Options {
        client_subnet,
        cookie,
        nsid_asked,
        subnet,
    } = read.unwrap_or_default();
    message.subnet = subnet;
    message.edns = Some(Edns {
        version,
        payload: record.class,
        dnssec_ok: flags & DNSSEC_OK != 0,
        compact_ok: flags & COMPACT_OK != 0,
        client_subnet,
        cookie,
        nsid_asked,
    });
}

fn question<'a>(reader: &mut Reader<'a>) -> Result<Asked<'a>, DecodeError> {
    let start = reader.rest();
    let name = whole_name(reader)?;
    let (qtype, qclass) = (reader.u16("type")?, reader.u16("class")?);
    let length = name.len() + 4;
    Ok(Asked {
        bytes: start.get(..length).unwrap_or_default(),
        name,
        qtype,
        qclass,
    })
}

/// A name without pointers, with its root.
fn whole_name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let start = reader.rest();
    let mut length = 0;
    loop {
        let label = reader.u8("label")?;
        if label > LABEL_MAX {
            return Err(reader.error("a label"));
        }
        reader.take(usize::from(label), "label")?;
        length += 1 + usize::from(label);
        if length > NAME_MAX {
            return Err(reader.error("a name of 255 bytes at most"));
        }
        if label == 0 {
            return Ok(start.get(..length).unwrap_or_default());
        }
    }
}

/// A record that follows the question.
struct Extra<'a> {
    of_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

fn record<'a>(reader: &mut Reader<'a>) -> Result<Extra<'a>, DecodeError> {
    let of_root = skip_name(reader)?;
    let (rtype, class) = (reader.u16("type")?, reader.u16("class")?);
    let ttl = reader.array("TTL")?;
    let data = reader.bytes16(usize::from(u16::MAX), "data")?;
    Ok(Extra {
        of_root,
        rtype,
        class,
        ttl,
        data,
    })
}

/// Passes over a name, whose end may be a pointer. Pointers are not followed, so none can lead in a
/// circle. Whether the name is the root, written out.
fn skip_name(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    const POINTER: u8 = 0xc0;
    let mut length = 0;
    loop {
        let label = reader.u8("label")?;
        if label & POINTER == POINTER {
            reader.u8("pointer")?;
            return Ok(false);
        }
        if label > LABEL_MAX {
            return Err(reader.error("a label"));
        }
        reader.take(usize::from(label), "label")?;
        length += 1 + usize::from(label);
        if length > NAME_MAX {
            return Err(reader.error("a name of 255 bytes at most"));
        }
        if label == 0 {
            return Ok(length == 1);
        }
    }
}
