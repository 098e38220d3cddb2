//! The admin page `/why?url=URL`: whether a page is kept here and why, without fetching it.

use common::clock::Moment;
use serde_json::{Value, json};

use crate::engine::http::key::PrimaryKey;
use crate::engine::http::store::NoStoreReason;
use crate::engine::why::{Copy, Explained, WhyVerdict};
use crate::shell::context::Context;

/// What is known of the page that `query` names; says what is wrong with the query otherwise.
pub(super) fn page(ctx: &Context, query: &str) -> Value {
    let url = query.split('&').find_map(|pair| pair.strip_prefix("url="));
    let key = url
        .and_then(percent_decoded)
        .and_then(|url| PrimaryKey::parse(&url));
    let Some(key) = key else {
        return json!({ "error": "ask with ?url= and a page's own URL, percent-encoded" });
    };
    let now = ctx.now();
    let explained = ctx.flow().explain(now, &key);
    let blocked = ctx.blocked.list().has_page(&key);
    let refused = ctx.policy.check_port(key.port()).err();
    json!({
        "schema": 1,
        "node": ctx.identity.name(),
        "url": key.as_str(),
        "index_key": key.index_key().to_string(),
        "verdict": explained.verdict().as_str(),
        "because": because(&explained, &key),
        "blocked": blocked,
        "refused": refused.map(|reason| reason.as_str()),
        "copies": explained.copies.iter().map(copy).collect::<Vec<_>>(),
        "on_disk_fresh_s": explained.on_disk.map(|left| left.as_secs()),
        "fetching": explained.fetching,
        "announced": explained.announced,
        "site_is_hot": explained.hot,
        "not_kept": explained.not_kept().map(NoStoreReason::as_str),
        "nobody_queues": explained.unshareable.is_some(),
        "origin_failing": explained.origin.map(|(left, reason)| json!({
            "reason": reason.as_str(), "asked_again_s": left.as_secs(),
        })),
        "last_failure": explained.last.failed.map(|(at, reason)| json!({
            "reason": reason.as_str(), "ago_s": ago(now, at), "what": reason.advice(key.authority()),
        })),
        "last_not_kept": explained.last.not_kept.map(|(at, reason)| json!({
            "reason": reason.as_str(), "ago_s": ago(now, at),
        })),
    })
}

const fn ago(now: Moment, at: Moment) -> u64 {
    now.since(at).as_secs()
}

fn copy(copy: &Copy) -> Value {
    json!({
        "status": copy.status, "age_s": copy.age.as_secs(), "lifetime_s": copy.lifetime.as_secs(),
        "lifetime_from": copy.source.as_str(), "fresh_s": copy.fresh_for.as_secs(),
    })
}

/// The verdict in a sentence.
fn because(explained: &Explained, key: &PrimaryKey) -> String {
    let newest = explained.copies.iter().max_by_key(|copy| copy.fresh_for);
    match (explained.verdict(), newest) {
        (WhyVerdict::Fresh, Some(copy)) => format!(
            "a copy is in memory, fresh for {} s more of {} s by {}",
            copy.fresh_for.as_secs(),
            copy.lifetime.as_secs(),
            copy.source.as_str()
        ),
        (WhyVerdict::Fresh, None) => "a fresh copy is on disk".to_owned(),
        (WhyVerdict::Stale, Some(copy)) if copy.lifetime.is_zero() => {
            "a copy is here that has to be validated each time: its site gives it no lifetime"
                .to_owned()
        }
        (WhyVerdict::Stale, _) => {
            "the copy here is older than its lifetime: the next request validates it".to_owned()
        }
        (WhyVerdict::Fetching, _) => "it is being fetched, and whoever asks joins".to_owned(),
        (WhyVerdict::NotKept, _) => explained
            .not_kept()
            .map_or("its answers are not kept", explanation)
            .to_owned(),
        (WhyVerdict::OriginFails, _) => {
            let now = explained.origin.map(|(_, reason)| reason);
            let reason = now.or_else(|| explained.last.failed.map(|(_, reason)| reason));
            reason.map_or_else(String::new, |reason| reason.advice(key.authority()))
        }
        (WhyVerdict::Unknown, _) => {
            "nobody asked for it here lately, so nothing is known of its answers".to_owned()
        }
    }
}

/// What stands against keeping an answer, for people.
const fn explanation(reason: NoStoreReason) -> &'static str {
    match reason {
        NoStoreReason::Method => "only answers to GET are kept",
        NoStoreReason::Interim => "its answer was not a final one",
        NoStoreReason::Partial => "its answer was a part that could not be placed",
        NoStoreReason::NotModified => "its answer confirms a copy that is not here",
        NoStoreReason::Status => "its status code may not be kept without an explicit lifetime",
        NoStoreReason::MustUnderstandUnknownStatus => {
            "its site asks that only who understands its status code keeps it"
        }
        NoStoreReason::NoStoreDirective => "its site forbids to keep it (Cache-Control: no-store)",
        NoStoreReason::RequestNoStore => "the client asked that nothing be kept",
        NoStoreReason::Private => "its site says it is for one person (Cache-Control: private)",
        NoStoreReason::Authorization => "it was asked for with credentials",
        NoStoreReason::VaryStar => "its site says that it fits no other request (Vary: *)",
        NoStoreReason::Doubtful => "its answer was too badly formed to be sure what it says",
        NoStoreReason::NoLifetimeNoValidator => {
            "its site gives neither a lifetime nor a validator, so that a copy could never be used"
        }
    }
}

/// The text that `encoded` stands for; `None` if it is none.
pub(in crate::shell) fn percent_decoded(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_a_query_is_read_back_whole_or_not_at_all() {
        let decoded = percent_decoded("http%3A%2F%2Fa.example%2F%3Fb%3D%2526");
        assert_eq!(decoded.as_deref(), Some("http://a.example/?b=%26"));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decoded(broken), None, "{broken}");
        }
    }
}
