//! An answer in its stages, after the algorithm of RFC 1034 §4.3.2:
//!
//! | stage | RFC 1034 §4.3.2 | does |
//! |---|---|---|
//! | [`admit`] | before step 1 | what is no question to this server |
//! | [`locate`] | steps 2 and 3: the zone, then the node | which node of which zone the name is |
//! | [`select`] | - | which proxies to name, if the node has proxies |
//! | [`content`] | step 3.a: the whole name is matched | answer section |
//! | [`alias`] | step 3.a: the name is an alias | the same again for where it leads |
//! | [`authority`] | step 3.a and RFC 2308 | SOA of negative answers |
//! | [`deny`] | RFC 9824 | NSEC of negative answers, for whoever wants signatures |
//! | [`additional`] | step 6 | addresses of the hosts that the answer names |
//! | [`verify`] | - | what must hold of any reply |
//!
//! [`sign`](super::sign) comes after all that, since it needs a calendar and a table of its own.
//!
//! There are no delegations and wildcards here, so steps 3.b and 3.c have nothing to do.
//! Truncation at record boundaries happens where the message is written (RFC 2181 §9), since only
//! there its size is known.

pub mod additional;
pub mod addresses;
pub mod admit;
pub mod alias;
pub mod authority;
pub mod content;
pub mod deny;
pub mod draw;
pub mod explain;
pub mod locate;
pub mod select;
#[cfg(test)]
mod static_tests;
#[cfg(test)]
mod tests;
pub mod verify;

use common::clock::Moment;
use common::rng::Generator;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use self::content::Selected;
use self::locate::Place;
use super::asked::AskedName;
use super::config::AnswerConfig;
use super::inquiry::{Asker, Inquiry, Question};
use super::live::LiveSet;
use super::near::places::Places;
use super::reason::Reason;
use super::reply::{ExtendedError, Reply};
use super::snapshot::{Rows, Snapshot};
use super::zone::Zones;
use super::zone::statics::ALIASES_MAX;

/// What an answer is made from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The zones.
    pub zones: &'a Zones,
    /// How answers look.
    pub config: &'a AnswerConfig,
    /// Who is alive.
    pub live: &'a LiveSet,
    /// Where client networks are.
    pub places: &'a Places,
    /// Which of those alive are the proxies of `places`.
    pub rows: &'a Rows,
    /// Now.
    pub now: Moment,
}

impl<'a> View<'a> {
    /// The view of `snapshot` at `now`.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, now: Moment) -> Self {
        Self {
            zones: &snapshot.zones,
            config: &snapshot.config,
            live: &snapshot.live,
            places: &snapshot.places,
            rows: &snapshot.rows,
            now,
        }
    }
}

/// The stages in order.
pub fn answer(view: &View<'_>, rng: &mut Generator, inquiry: &Inquiry) -> Reply {
    if let Err(refusal) = admit::admit(&inquiry.heading()) {
        return refusal.reply();
    }
    // Without a question nothing is admitted.
    let Some(question) = &inquiry.question else {
        return Reply::refusal(ResponseCode::FormErr, Reason::Malformed, None);
    };
    let edns = inquiry.edns.filter(|edns| edns.dnssec_ok);
    let mut stages = Stages {
        view,
        rng,
        asker: inquiry.asker(),
        wants: edns.map(|edns| Wanted {
            compact: edns.compact_ok,
        }),
    };
    let mut reply = verify::verify(stages.resolve(question, 0));
    reply.to_sign = edns.is_some();
    reply
}

/// What whoever asked wants beside the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    /// The denial of a name may come with NXDOMAIN.
    compact: bool,
}

/// The stages between the first and the last, which aliases go through again.
struct Stages<'a, 'v> {
    view: &'a View<'v>,
    rng: &'a mut Generator,
    asker: Asker,
    /// Signatures, or not.
    wants: Option<Wanted>,
}

impl Stages<'_, '_> {
    /// The reply to `question`, which `followed` aliases led to.
    fn resolve(&mut self, question: &Question, followed: usize) -> Reply {
        // No name is longer than its text can be.
        let Some(asked) = AskedName::from_labels(question.name.iter()) else {
            return Reply::refusal(ResponseCode::FormErr, Reason::Malformed, None);
        };
        let Some(place) = locate::locate(self.view.zones, &asked) else {
            return locate::OUTSIDE.reply();
        };
        let selected = self.select(&place, &asked, question.qtype);
        let reply = content::fill(self.view, &place, question, selected);
        let next = alias::next(&reply, question).filter(|_| followed < ALIASES_MAX);
        if let Some(next) = next {
            return alias::join(reply, self.resolve(&next, followed + 1));
        }
        let mut reply = reply;
        authority::fill(place.zone, &mut reply);
        self.deny(&place, question, &mut reply);
        additional::fill(place.zone, question.qtype, &mut reply);
        reply
    }

    fn select(&mut self, place: &Place<'_>, name: &AskedName, qtype: RecordType) -> Selected {
        let (view, asker) = (self.view, self.asker);
        let mut repeated = self.wanted(place).map(|_| deny::draw_again(name, self.rng));
        let rng = repeated.as_mut().unwrap_or(self.rng);
        let mut one = |qtype| select::select(view, rng, place.node, qtype, &asker);
        if qtype == RecordType::HTTPS && view.config.https.is_some() && place.is_certified() {
            return Selected::Both(one(RecordType::A), one(RecordType::AAAA));
        }
        Selected::One(one(qtype))
    }
}
