//! Writes any reply. `hickory-proto` writes the records and compresses their names; what stands
//! around them, and how much of it fits, is decided here.

use hickory_proto::ProtoError;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};

use super::HEADER;
use super::header::Header;
use super::opt::Opt;
use super::read::Stub;
use crate::engine::inquiry::Question;
use crate::engine::reply::Reply;

/// Writes `reply` to `out`, in at most `limit` bytes as long as header, question and OPT fit them.
///
/// Records are written whole or not at all. If one of the answer or authority section does not fit,
/// TC says so and nothing follows but OPT (RFC 2181 §9); the additional section is left short
/// silently, since nothing there was asked for.
///
/// # Errors
/// A record that cannot be written at all, which is a fault of this program or its configuration.
pub fn write(
    stub: Stub,
    question: Option<&Question>,
    reply: &Reply,
    opt: Option<&Opt<'_>>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), ProtoError> {
    out.clear();
    out.resize(HEADER, 0);
    let room = limit.saturating_sub(opt.map_or(0, Opt::len));
    let mut header = Header {
        code: reply.code,
        authoritative: reply.authoritative,
        truncated: false,
        counts: [0; 4],
    };
    let [questions, answers, authority, additional] = &mut header.counts;
    let mut encoder = BinEncoder::new(out);
    encoder.set_offset(HEADER);
    if let Some(question) = question {
        question.name.emit(&mut encoder)?;
        encoder.emit_u16(question.qtype.into())?;
        encoder.emit_u16(question.qclass.into())?;
        *questions = 1;
    }
    let mut end = Section {
        end: encoder.len(),
        room,
    };
    let mut whole = end.fill(&mut encoder, &reply.answers, answers)?;
    if whole {
        whole = end.fill(&mut encoder, &reply.authority, authority)?;
    }
    if whole {
        end.fill(&mut encoder, &reply.additional, additional)?;
    }
    header.truncated = !whole;
    out.truncate(end.end);
    if let Some(opt) = opt {
        opt.write(out);
        *additional += 1;
    }
    let bytes = header.bytes(stub);
    if let Some(place) = out.get_mut(..HEADER) {
        place.copy_from_slice(&bytes);
    }
    Ok(())
}

/// What has been written, and how far it may go.
struct Section {
    end: usize,
    room: usize,
}

impl Section {
    /// Writes `records` while they fit, and counts them. Whether all did.
    fn fill(
        &mut self,
        encoder: &mut BinEncoder<'_>,
        records: &[Record],
        count: &mut u16,
    ) -> Result<bool, ProtoError> {
        for record in records {
            record.emit(encoder)?;
            if encoder.len() > self.room {
                return Ok(false);
            }
            self.end = encoder.len();
            *count = count.saturating_add(1);
        }
        Ok(true)
    }
}
