//! Stage 5: the additional section: addresses of the name servers that the answer names.

use hickory_proto::rr::RecordType;

use super::Reply;
use crate::engine::inquiry::Question;
use crate::engine::zone::ZoneData;

/// Fills the additional section. EDNS is added where the message is written.
pub fn fill(zone: &ZoneData, question: &Question, reply: &mut Reply) {
    if question.qtype == RecordType::NS && !reply.answers.is_empty() {
        reply.additional.extend(zone.glue());
    }
}
