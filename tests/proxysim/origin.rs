//! The model origin: pages that change, answers whole, cut, late, failing or none, and conditions of
//! ranges that are kept or not.

use std::time::Duration;

use bytes::Bytes;
use common::rng::Generator;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, IF_RANGE, RANGE, TRANSFER_ENCODING,
};

use crate::plan::Plan;

/// How the origin is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Well,
    /// Connections are refused, and those that were are broken.
    Dead,
    /// It takes requests and never answers.
    Mute,
    /// It answers with 503.
    Failing,
    /// Heads take seconds.
    Slow,
}

/// What an origin does with a range request beside what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Naughty {
    /// It sends the part of another version, whatever If-Range says.
    AnyVersion,
    /// It sends less than it was asked for (which RFC 9110 §14.2 allows).
    Less,
    /// It sends less, and does not say how much the whole is.
    LessOfWhoKnows,
}

impl Naughty {
    pub(crate) fn draw(rng: &mut Generator) -> Self {
        [Self::AnyVersion, Self::Less, Self::LessOfWhoKnows][rng.below(3)]
    }
}

/// One version of a page.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) bytes: Bytes,
    etag: Option<String>,
    chunked: bool,
    cache: &'static str,
}

/// An answer before its way over the line.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) length: Option<u64>,
    pub(crate) body: Bytes,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) mood: Mood,
    /// Per page, all versions in order; which one it is now.
    pub(crate) pages: Vec<(Vec<Version>, usize)>,
    /// Requests per page.
    pub(crate) asked: Vec<u64>,
}

/// What a failing origin says.
const SORRY: &[u8] = b"sorry, not now";

/// Versions of a page; more than a plan changes it.
const VERSIONS: usize = 4;

impl Origin {
    pub(crate) fn draw(plan: &Plan, rng: &mut Generator) -> Self {
        let page = |rng: &mut Generator| (page(plan.calm, rng), 0);
        Self {
            mood: Mood::Well,
            pages: (0..plan.keys).map(|_| page(rng)).collect(),
            asked: vec![0; plan.keys],
        }
    }

    pub(crate) fn change(&mut self, key: usize) {
        let (versions, at) = &mut self.pages[key];
        *at = (*at + 1).min(versions.len() - 1);
    }

    /// Everything that is whole under a key.
    pub(crate) fn wholes(&self, key: usize) -> impl Iterator<Item = &[u8]> {
        let pages = self.pages[key].0.iter().map(|version| &version.bytes[..]);
        pages.chain([SORRY])
    }

    /// The answer to a request for a page.
    pub(crate) fn answer(
        &self,
        key: usize,
        request: &HeaderMap,
        naughty: Option<Naughty>,
    ) -> Answer {
        if self.mood == Mood::Failing {
            return Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                headers: fields(&[(CONTENT_LENGTH, &SORRY.len().to_string())]),
                length: Some(SORRY.len() as u64),
                body: Bytes::from_static(SORRY),
            };
        }
        let (versions, at) = &self.pages[key];
        versions[*at].answer(request, naughty)
    }
}

impl Version {
    fn answer(&self, request: &HeaderMap, naughty: Option<Naughty>) -> Answer {
        let mut headers = fields(&[(CACHE_CONTROL, self.cache)]);
        let etag = self.etag.as_deref();
        if let Some(etag) = etag {
            headers.extend(fields(&[(ETAG, etag)]));
        }
        let says = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
        let whole = self.bytes.len() as u64;
        if etag.is_some() && says(IF_NONE_MATCH) == etag {
            let (status, body) = (StatusCode::NOT_MODIFIED, Bytes::new());
            return Answer {
                status,
                headers,
                length: Some(0),
                body,
            };
        }
        let from = says(RANGE).and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
        let same = says(IF_RANGE).is_none() || says(IF_RANGE) == etag;
        let sent = same || naughty == Some(Naughty::AnyVersion);
        if let Some(from) = from.filter(|from: &u64| sent && *from < whole) {
            return self.part(from, headers, naughty);
        }
        let length = (!self.chunked).then_some(whole);
        let framing = match length {
            Some(length) => (CONTENT_LENGTH, length.to_string()),
            None => (TRANSFER_ENCODING, "chunked".to_owned()),
        };
        headers.extend(fields(&[(framing.0, &framing.1)]));
        let (status, body) = (StatusCode::OK, self.bytes.clone());
        Answer {
            status,
            headers,
            length,
            body,
        }
    }

    fn part(&self, from: u64, mut headers: HeaderMap, naughty: Option<Naughty>) -> Answer {
        let whole = self.bytes.len() as u64;
        let less = from + (whole - from).div_ceil(2);
        let (until, stated) = match naughty {
            Some(Naughty::Less) => (less, whole.to_string()),
            Some(Naughty::LessOfWhoKnows) => (less, "*".to_owned()),
            Some(Naughty::AnyVersion) | None => (whole, whole.to_string()),
        };
        let part = format!("bytes {from}-{}/{stated}", until - 1);
        headers.extend(fields(&[(CONTENT_RANGE, &part)]));
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let body = self.bytes.slice(place(from)..place(until));
        let (status, length) = (StatusCode::PARTIAL_CONTENT, Some(body.len() as u64));
        Answer {
            status,
            headers,
            length,
            body,
        }
    }
}

pub(crate) fn fields(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    pairs
        .iter()
        .map(|(name, text)| (name.clone(), value(text)))
        .collect()
}

/// How long the origin takes for a head.
pub(crate) fn thinking(mood: Mood, rng: &mut Generator) -> Duration {
    match mood {
        Mood::Slow => crate::world::millis(rng, 1_000, 6_000),
        _ => crate::world::millis(rng, 0, 80),
    }
}

/// The versions of a page: of one length or several, with a common beginning or none, strong, weak or
/// no validators.
fn page(calm: bool, rng: &mut Generator) -> Vec<Version> {
    let length = match rng.below(8) {
        0 => rng.below(3),
        1..=5 => 1 + rng.below(4_000),
        6 => 1 + rng.below(40_000),
        _ => 200_000 + rng.below(200_000),
    };
    let (same_length, common) = (rng.below(2) == 0, rng.below(2) == 0);
    let (tags, chunked) = (rng.below(4), rng.below(3) == 0);
    let other_framing = rng.below(2) == 0;
    let kinds = ["max-age=3", "no-cache", "no-store", "private", ""];
    let cache = match rng.below(10) {
        other @ 0..=4 if !calm => kinds[other],
        _ => "max-age=600",
    };
    let shrinking = rng.below(2) == 0;
    let shared = bytes(rng, length);
    let version = |n: usize, rng: &mut Generator| {
        let length = match (same_length, shrinking) {
            (true, _) => length,
            (false, true) => length.saturating_sub(n * 7),
            (false, false) => length + n * 7,
        };
        let mut content = bytes(rng, length);
        if common {
            let half = length.min(shared.len()) / 2;
            content[..half].copy_from_slice(&shared[..half]);
        }
        let etag = match tags {
            0 => None,
            1 => Some(format!("W/\"{n}\"")),
            _ => Some(format!("\"{n}\"")),
        };
        let bytes = Bytes::from(content);
        let chunked = chunked ^ (other_framing && rng.below(2) == 0);
        Version {
            bytes,
            etag,
            chunked,
            cache,
        }
    };
    (0..VERSIONS).map(|n| version(n, rng)).collect()
}

fn bytes(rng: &mut Generator, length: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(length + 64);
    let block: [u8; 61] = rng.bytes();
    let mut turn = 0_u8;
    while all.len() < length {
        // No two places look alike for a while, so that a shift by some bytes is seen.
        all.extend(block.map(|byte| byte.wrapping_add(turn)));
        turn = turn.wrapping_add(1);
    }
    all.truncate(length);
    all
}
