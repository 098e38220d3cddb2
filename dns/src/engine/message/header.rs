//! The header of a reply.

use hickory_proto::op::ResponseCode;

use super::read::Stub;

/// What a header says beside what it repeats of its question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Response code; its upper bits stand in OPT.
    pub code: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// Questions, answers, authority records, additional records.
    pub counts: [u16; 4],
}

impl Header {
    /// The header of a reply to a message with `stub`. RA and AD stay clear: nothing is looked up
    /// for anybody, nothing of others is vouched for.
    #[must_use]
    pub fn bytes(&self, stub: Stub) -> [u8; super::HEADER] {
        let [id_high, id_low] = stub.id.to_be_bytes();
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = bit(true, 0x80)
            | ((stub.operation & 0x0f) << 3)
            | bit(self.authoritative, 0x04)
            | bit(self.truncated, 0x02)
            | bit(stub.recursion_desired, 0x01);
        let more = bit(stub.checking_disabled, 0x10) | (self.code.low() & 0x0f);
        let [q, a, n, d] = self.counts.map(u16::to_be_bytes);
        [
            id_high, id_low, flags, more, q[0], q[1], a[0], a[1], n[0], n[1], d[0], d[1],
        ]
    }
}
