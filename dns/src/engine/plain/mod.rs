//! The plain door: the few kinds of reply that nearly all replies are, written straight into the
//! send buffer without an allocation.
//!
//! It takes names of proxies, names that do not exist, and whatever is refused; for anything else it
//! stands aside, and the stages of [`answer`](super::answer) with the careful writer answer. It asks
//! the same stages the same things in the same order, so that both doors draw the same proxies and
//! give the same bytes; that they do is tested with every question the tests know.

mod write;

use common::rng::Generator;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use self::write::Writer;
use super::answer::View;
use super::answer::admit::{Refusal, admit};
use super::answer::locate::{self, Node};
use super::answer::select::{self, Pick, Selection};
use super::asked::AskedName;
use super::exchange::Exchange;
use super::message::opt::Opt;
use super::reason::Reason;
use super::reply::ExtendedError;
use super::zone::ZoneData;

/// What was told, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Response code.
    pub code: ResponseCode,
    /// Why.
    pub reason: Reason,
}

/// What a plain reply consists of.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation per answer; it lives on the stack for one"
)]
enum Outline<'a> {
    /// No record at all.
    Refusal(Refusal),
    /// The SOA, since the name or the type does not exist.
    Negative(&'a ZoneData, ResponseCode, Reason),
    /// Addresses of proxies.
    Addresses(Pick),
}

/// Writes the reply to `exchange` to `out`. `None`, with nothing drawn and nothing written, if it is
/// not a plain one.
pub fn answer(
    view: &View<'_>,
    rng: &mut Generator,
    exchange: &Exchange<'_>,
    out: &mut Vec<u8>,
) -> Option<Told> {
    if let Err(refusal) = admit(&exchange.heading()) {
        return Some(write(exchange, &Outline::Refusal(refusal), out));
    }
    let asked = exchange.message.asked.as_ref()?;
    let name = AskedName::from_labels(asked.labels())?;
    let outline = outline(view, rng, exchange, &name, asked.qtype.into())?;
    Some(write(exchange, &outline, out))
}

fn outline<'a>(
    view: &View<'a>,
    rng: &mut Generator,
    exchange: &Exchange<'_>,
    name: &'a AskedName,
    qtype: RecordType,
) -> Option<Outline<'a>> {
    let Some(place) = locate::locate(view.zones, name) else {
        return Some(Outline::Refusal(locate::OUTSIDE));
    };
    // Signatures, and the draw that repeats itself for their sake, are not plain.
    if exchange.message.edns.is_some_and(|edns| edns.dnssec_ok) && place.zone.ring().is_some() {
        return None;
    }
    let negative = |code, reason| Some(Outline::Negative(place.zone, code, reason));
    match place.node {
        Node::Missing(_) => return negative(ResponseCode::NXDomain, Reason::NoSuchName),
        Node::EmptyNonTerminal => {
            return negative(ResponseCode::NoError, Reason::EmptyNonTerminal);
        }
        Node::Proxied if place.statics.is_none() && !is_special(qtype) => {}
        Node::Proxied | Node::Apex | Node::NameServer(_) | Node::Static => return None,
    }
    Some(
        match select::select(view, rng, place.node, qtype, &exchange.asker(qtype)) {
            Selection::Named(pick) if !pick.addresses.is_empty() => Outline::Addresses(pick),
            Selection::Named(_) | Selection::Unneeded => {
                Outline::Negative(place.zone, ResponseCode::NoError, Reason::NoData)
            }
            Selection::Nobody => Outline::Refusal(Refusal {
                code: ResponseCode::ServFail,
                reason: Reason::NobodyAlive,
                extended_error: Some(ExtendedError::NoReachableAuthority),
            }),
        },
    )
}

fn write(exchange: &Exchange<'_>, outline: &Outline<'_>, out: &mut Vec<u8>) -> Told {
    let told = |code, reason| Told { code, reason };
    let (told, scope, extended_error, authoritative) = match outline {
        Outline::Refusal(refusal) => {
            let told = told(refusal.code, refusal.reason);
            (told, None, refusal.extended_error, false)
        }
        Outline::Negative(_, code, reason) => (told(*code, *reason), None, None, true),
        Outline::Addresses(pick) => (
            told(ResponseCode::NoError, pick.reason),
            pick.scope,
            None,
            true,
        ),
    };
    let opt = exchange.opt(told.code, scope, extended_error);
    let asked = exchange.message.asked.as_ref();
    let mut writer = Writer::new(out, asked, opt.as_ref(), exchange.limit);
    match outline {
        Outline::Refusal(_) => {}
        Outline::Negative(zone, ..) => writer.negative(asked, zone.negative_soa()),
        Outline::Addresses(pick) => writer.addresses(pick),
    }
    writer.finish(
        exchange.message.stub,
        told.code,
        authoritative,
        opt.as_ref(),
    );
    told
}

/// Types whose answers about proxies have more to them than addresses, or speak of signatures.
fn is_special(qtype: RecordType) -> bool {
    matches!(
        qtype,
        RecordType::ANY | RecordType::HTTPS | RecordType::RRSIG | RecordType::NSEC
    )
}

/// Writes the reply that says only "ask again by TCP".
pub fn truncated(exchange: &Exchange<'_>, opt: Option<&Opt<'_>>, out: &mut Vec<u8>) {
    let asked = exchange.message.asked.as_ref();
    let mut writer = Writer::new(out, asked, opt, exchange.limit);
    writer.truncate();
    writer.finish(exchange.message.stub, ResponseCode::NoError, false, opt);
}
