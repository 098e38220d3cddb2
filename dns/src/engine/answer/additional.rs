//! Stage 5: the additional section: addresses of the name servers and mail hosts that the answer
//! names, as far as they are this zone's own data.

use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::Reply;
use crate::engine::asked::AskedName;
use crate::engine::zone::{Relative, ZoneData};

/// Fills the additional section. EDNS is added where the message is written.
pub fn fill(zone: &ZoneData, qtype: RecordType, reply: &mut Reply) {
    if reply.answers.is_empty() {
        return;
    }
    if qtype == RecordType::NS {
        reply.additional.extend(zone.glue());
    }
    if qtype == RecordType::MX {
        // RFC 1035 §3.3.9.
        let hosts = reply
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(&mx.exchange),
                _ => None,
            });
        let mut seen: Vec<&Name> = Vec::new();
        for host in hosts {
            if !seen.contains(&host) {
                reply.additional.extend(addresses(zone, host));
                seen.push(host);
            }
        }
    }
}

fn addresses(zone: &ZoneData, host: &Name) -> Vec<Record> {
    let Some(asked) = AskedName::from_labels(host.iter()) else {
        return Vec::new();
    };
    let Relative::Below(below) = zone.relative(&asked) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        found.extend(zone.server(below, host, kind));
        if let Some(statics) = zone.statics(below) {
            found.extend_from_slice(statics.set(kind));
        }
    }
    found
}
