//! The local index daemon: claims and pointers; [`presence`] has the registration that name servers see.
//!
//! The index being away or slow never fails a request: a claim that is not answered within the
//! site's patience is left behind, and everything else happens in the background.

pub(crate) mod presence;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::rng::Generator;
use common::trace::Context as TraceContext;
use common::wire::proof::{Bound, Proof};
use common::wire::secret::Network;
use dht::client::{Claim, Client, ClientError, Value};
use http::{HeaderMap, HeaderName};
use tokio::time::{sleep, timeout};

use super::context::Context;
use super::hints::Hints;
use super::metrics::IndexOutcome;
use super::slices::tell_extent;
use crate::engine::announce::{LEASE, POINTER_LEAST, POINTERS_MAX, pointer_life};
use crate::engine::flow::{PATIENCE_HOT, Renewal};
use crate::engine::http::key::PrimaryKey;
use crate::engine::peers;
use crate::engine::pointer::{Pointer, Progress};
use crate::engine::policy::may_be_peer;
use crate::engine::pursuit::{News, TAKE_OVER_WITHIN};
use crate::engine::shelf::entry::Name;
use crate::engine::shelf::record::name_of;
use crate::engine::words::{Say, Word};

/// For one put or withdrawal.
const PUT_DEADLINE: Duration = Duration::from_secs(3);

/// Pointers renewed per wake-up.
const RENEWALS_PER_TICK: usize = 256;

/// Copies on disk told of after a restart, per wake-up; each is a read.
const AGAIN_PER_TICK: usize = 64;

/// The time over which they are told of: this much for each, in which a put has long ended, and no less than this.
const AGAIN_EACH: Duration = Duration::from_millis(50);
const AGAIN_LEAST: Duration = Duration::from_secs(10);

/// Between two looks at what is due; a lease is renewed ten seconds before it ends.
const TICK: Duration = Duration::from_millis(500);

/// Pointers asked for when a source died: its own, those of others it fed, and whole copies.
const TAKE_OVER_WANT: usize = 8;

/// Proofs of membership that are looked at: a node is in two networks at most.
const PROOFS_MAX: usize = 2;

/// The service that proxies find each other by, where no pointer names one.
pub(crate) const PEER_SERVICE: &str = "peer";

/// Name of the network, the way to the index, and what we say there.
pub(crate) struct IndexLink {
    pub(super) client: Client,
    /// What is known of how far clients are; `None` if the index is not to be told.
    pub(super) hints: Option<Hints>,
    /// The network whose members are peers.
    pub(crate) network: Network,
    /// The network that it takes the place of, while both are there.
    old_network: Option<Network>,
    /// Our peer port, as others are told.
    pub(crate) peer: SocketAddr,
    advertise: SocketAddr,
}

impl std::fmt::Debug for IndexLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexLink")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl IndexLink {
    pub(crate) fn new(
        client: Client,
        (network, old_network): (Network, Option<Network>),
        peer: SocketAddr,
        advertise: SocketAddr,
        hints: Option<Hints>,
    ) -> Self {
        Self {
            client,
            hints,
            network,
            old_network,
            peer,
            advertise,
        }
    }

    /// The networks whose members are peers.
    fn networks(&self) -> impl Iterator<Item = &Network> {
        self.old_network.iter().chain([&self.network])
    }

    /// Proofs of membership for a request to a peer, of which only it knows in which networks it is. That of
    /// the old network comes first: programs of that time look at one alone.
    pub(crate) fn proofs(
        &self,
        bound: Bound<'_>,
        mut nonce: impl FnMut() -> [u8; 16],
    ) -> Vec<String> {
        let proof = |network| Proof::new(network, bound, nonce()).to_string();
        self.networks().map(proof).collect()
    }

    /// Whether one of the proofs in `headers`, of two at most, is good for one of the networks.
    pub(crate) fn is_member(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        bound: Bound<'_>,
    ) -> bool {
        let given = headers.get_all(name).iter().take(PROOFS_MAX);
        let proofs = given.filter_map(|text| text.to_str().ok()?.parse::<Proof>().ok());
        let mut proofs = proofs;
        proofs.any(|proof| self.networks().any(|network| proof.holds(network, bound)))
    }

    fn pointer(&self, progress: Progress) -> String {
        Pointer {
            peer: self.peer,
            progress,
        }
        .to_string()
    }
}

/// At which level of the index each peer was found.
pub(crate) type Levels = Vec<(SocketAddr, u8)>;

/// Asks who has `key` or will; if nobody does, it is claimed. Waits as long as the site's heat
/// allows, which may grow while it waits.
pub(crate) async fn locate(
    ctx: &Arc<Context>,
    key: &PrimaryKey,
    trace: Option<TraceContext>,
) -> (News, Levels) {
    let Some(link) = &ctx.index else {
        return (News::NoIndex, Levels::new());
    };
    if !ctx.flow().words().claim(key) {
        // What we said last is being taken back; what we do next will be said after that.
        ctx.metrics.index(IndexOutcome::Dropped);
        return (News::NoIndex, Levels::new());
    }
    let (news, levels) = match claim(ctx, link, (key, trace)).await {
        Ok(Claim::Granted) => {
            ctx.metrics.index(IndexOutcome::Granted);
            (News::Granted, Levels::new())
        }
        Ok(Claim::Found(values)) => {
            ctx.metrics.index(IndexOutcome::Found);
            located(ctx, link, pointers(values))
        }
        Err(outcome) => {
            ctx.metrics.index(outcome);
            (News::NoIndex, Levels::new())
        }
    };
    if !matches!(news, News::Located(_)) {
        // Late or not, the index may hold our claim: it is kept alive or withdrawn like any other.
        ctx.flow().ledger().told(ctx.now(), key.clone(), LEASE);
    }
    (news, levels)
}

/// Who has slices of `extent` or is fetching some; if nobody does, it is claimed. Waits as
/// [`locate`] does.
pub(crate) async fn locate_extent(
    ctx: &Arc<Context>,
    extent: &PrimaryKey,
) -> (Vec<Pointer>, Levels) {
    let none = (Vec::new(), Levels::new());
    let Some(link) = &ctx.index else { return none };
    if !ctx.flow().words().claim(extent) {
        ctx.metrics.index(IndexOutcome::Dropped);
        return none;
    }
    match claim(ctx, link, (extent, None)).await {
        Ok(Claim::Found(values)) => {
            ctx.metrics.index(IndexOutcome::Found);
            let found = pointers(values);
            let (now, mut flow) = (ctx.now(), ctx.flow());
            let usable = |pointer: &Pointer| {
                let peer = pointer.peer;
                let blame = flow.blame().against(now, &peer);
                may_be_peer(peer.ip()) && peer != link.peer && blame.is_none()
            };
            let levels = found.iter().map(|(pointer, level)| (pointer.peer, *level));
            let levels = levels.collect();
            let each = found.into_iter().map(|(pointer, _)| pointer);
            (each.filter(usable).collect(), levels)
        }
        answer => {
            ctx.metrics
                .index(answer.map_or_else(|outcome| outcome, |_| IndexOutcome::Granted));
            // Late or not, the index may hold our claim: it is kept alive or withdrawn like any other.
            ctx.flow().ledger().told(ctx.now(), extent.clone(), LEASE);
            none
        }
    }
}

async fn claim(
    ctx: &Arc<Context>,
    link: &IndexLink,
    (key, trace): (&PrimaryKey, Option<TraceContext>),
) -> Result<Claim, IndexOutcome> {
    let (client, point) = (link.client.traced(trace), key.index_key());
    let value = link.pointer(Progress::Fetching);
    // A task of its own: given up here, the claim still reaches the index and others find us.
    let (told, about) = (Arc::clone(ctx), key.clone());
    let mut answer = tokio::spawn(async move {
        let claim = client.claim(point, value.as_bytes(), LEASE, PATIENCE_HOT);
        let answer = claim.await;
        go_on(&told, &about, answer.is_ok());
        answer
    });
    let asked = ctx.now();
    loop {
        let patience = ctx.flow().patience(ctx.now(), key);
        let left = patience.saturating_sub(ctx.now().since(asked));
        if left.is_zero() {
            return Err(IndexOutcome::Late);
        }
        match timeout(left, &mut answer).await {
            Ok(Ok(answered)) => return answered.map_err(|error| outcome_of(&error)),
            Ok(Err(_)) => return Err(IndexOutcome::Failed),
            Err(_) => {}
        }
    }
}

/// Asks who has all of `key`, or goes on with it now that `source` died, from which bytes came here.
/// All who drew from it ask the same; if nobody goes on yet, it is us.
pub(crate) async fn take_over(
    ctx: &Arc<Context>,
    key: &PrimaryKey,
    source: SocketAddr,
) -> (News, Levels) {
    let Some(link) = &ctx.index else {
        return (News::NoIndex, Levels::new());
    };
    let (client, value) = (&link.client, link.pointer(Progress::Fetching));
    let succession = key.succession(source);
    let (holders, successor) = tokio::join!(
        client.get(key.index_key(), TAKE_OVER_WANT, TAKE_OVER_WITHIN),
        client.claim(succession, value.as_bytes(), LEASE, TAKE_OVER_WITHIN),
    );
    let mut found = holders.map_or_else(|_| Vec::new(), |found| pointers(found.values));
    // Who was fetching it drew from the source as we did, or will be found as its successor.
    found.retain(|(pointer, _)| pointer.progress != Progress::Fetching);
    match successor {
        Ok(Claim::Found(values)) => found.extend(pointers(values)),
        Ok(Claim::Granted) => ctx.metrics.index(IndexOutcome::Granted),
        Err(error) => ctx.metrics.index(outcome_of(&error)),
    }
    located(ctx, link, found)
}

fn pointers(values: Vec<Value>) -> Vec<(Pointer, u8)> {
    let each = values.into_iter();
    each.filter_map(|value| Some((Pointer::parse(&value.bytes)?, value.level)))
        .collect()
}

fn located(ctx: &Context, link: &IndexLink, found: Vec<(Pointer, u8)>) -> (News, Levels) {
    let levels = found.iter().map(|(pointer, level)| (pointer.peer, *level));
    let levels = levels.collect();
    let found: Vec<_> = found.into_iter().map(|(pointer, _)| pointer).collect();
    let (now, mut flow) = (ctx.now(), ctx.flow());
    let ranked = peers::rank(now, Some(link.peer), &found, flow.blame());
    (News::Located(ranked), levels)
}

const fn outcome_of(error: &ClientError) -> IndexOutcome {
    match error {
        ClientError::Deadline => IndexOutcome::Late,
        ClientError::Refused(_) => IndexOutcome::Refused,
        ClientError::Unreachable(_) | ClientError::Protocol(_) => IndexOutcome::Failed,
    }
}

/// Tells the index in the background that `key` is here, whole or on its way, for `life`.
pub(crate) fn announce(ctx: &Arc<Context>, key: &PrimaryKey, progress: Progress, life: Duration) {
    if ctx.index.is_some() {
        ctx.flow().ledger().told(ctx.now(), key.clone(), life);
        tell(ctx, key, Word::Here(progress, life));
    }
}

/// Tells the index in the background that `key` is no longer here.
pub(crate) fn withdraw(ctx: &Arc<Context>, key: &PrimaryKey) {
    if ctx.index.is_some() {
        tell(ctx, key, Word::Gone);
    }
}

fn tell(ctx: &Arc<Context>, key: &PrimaryKey, word: Word) {
    let say = ctx.flow().words().say(ctx.now(), key, word);
    match say {
        Say::Now => in_background(ctx, key.clone(), word),
        Say::After => {}
        Say::Dropped => ctx.metrics.index(IndexOutcome::Dropped),
    }
}

/// After a word or a claim: says the next one about the same key, if there is one.
fn go_on(ctx: &Arc<Context>, key: &PrimaryKey, arrived: bool) {
    let next = ctx.flow().words().said(ctx.now(), key, arrived);
    if let Some(word) = next {
        in_background(ctx, key.clone(), word);
    }
}

fn in_background(ctx: &Arc<Context>, key: PrimaryKey, word: Word) {
    let Some(link) = &ctx.index else { return };
    let (client, point, ctx) = (link.client.clone(), key.index_key(), Arc::clone(ctx));
    let value = match word {
        Word::Here(progress, life) => Some((link.pointer(progress), life)),
        Word::Gone => None,
    };
    tokio::spawn(async move {
        let told = match value {
            Some((value, life)) => {
                let put = client.put(point, value.as_bytes(), life, PUT_DEADLINE);
                put.await.map(drop)
            }
            None => client.withdraw(point, PUT_DEADLINE).await.map(drop),
        };
        match &told {
            Ok(()) => ctx.metrics.index(IndexOutcome::Told),
            Err(error) => {
                tracing::debug!(%error, "a word did not reach the index");
                ctx.metrics.index(outcome_of(error));
            }
        }
        go_on(&ctx, &key, told.is_ok());
    });
}

/// Renews pointers as they come due, for ever.
pub(crate) async fn keep_pointers(ctx: Arc<Context>) {
    loop {
        sleep(TICK).await;
        for _ in 0..RENEWALS_PER_TICK {
            let (now, mut flow) = (ctx.now(), ctx.flow());
            let Some(key) = flow.ledger().due(now) else {
                break;
            };
            let renewal = flow.renewal(now, &key);
            drop(flow);
            renew(&ctx, &key, renewal);
        }
        for _ in 0..RENEWALS_PER_TICK {
            let Some(key) = ctx.flow().words().due(ctx.now()) else {
                break;
            };
            in_background(&ctx, key, Word::Gone);
        }
    }
}

fn renew(ctx: &Arc<Context>, key: &PrimaryKey, renewal: Renewal<Arc<super::body::SharedBody>>) {
    match renewal {
        Renewal::Copy(object, life) => match progress_of(&object.body) {
            Some(progress) => announce(ctx, key, progress, life),
            None => withdraw(ctx, key),
        },
        Renewal::Shelved(life) => announce_shelved(ctx, name_of(key), life),
        Renewal::Parts(held, life) => announce(ctx, key, Progress::Parts { held }, life),
        Renewal::Fetching => announce(ctx, key, Progress::Fetching, LEASE),
        Renewal::Withdraw => withdraw(ctx, key),
    }
}

/// Tells the index of a copy on disk, whose head is read for it; nothing if that cannot be read.
fn announce_shelved(ctx: &Arc<Context>, name: Name, life: Duration) {
    let ctx = Arc::clone(ctx);
    tokio::task::spawn_blocking(move || {
        let now = ctx.now();
        let place = ctx.flow().shelf().freshest(name, now);
        let read = ctx.store.as_ref().zip(place);
        match read.and_then(|(store, (place, _))| store.peek(&place)) {
            Some((key, _)) if key.is_portion() => tell_extent(&ctx, &key),
            Some((key, progress)) => announce(&ctx, &key, progress, life),
            None => {}
        }
    });
}

/// Tells the index of what was on disk at the start: each within a quarter of its pointer's life at most, at a
/// moment of its own, so that a fleet that restarts at once does not speak at once, and who has much does not speak
/// faster than who has little.
pub(crate) async fn tell_again(ctx: Arc<Context>, mut rng: Generator) {
    let found = ctx
        .flow()
        .shelf()
        .fresh(ctx.now(), POINTER_LEAST, POINTERS_MAX);
    let all = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let within = AGAIN_EACH.saturating_mul(all).max(AGAIN_LEAST);
    let when = |(name, left)| {
        let life = pointer_life(left)?;
        Some((rng.jitter(within.min(life / 4)), name))
    };
    let mut due: Vec<_> = found.into_iter().filter_map(when).collect();
    due.sort_unstable_by_key(|(after, _)| std::cmp::Reverse(*after));
    let began = ctx.now();
    while !due.is_empty() {
        sleep(TICK).await;
        for _ in 0..AGAIN_PER_TICK {
            let passed = ctx.now().since(began);
            let Some((_, name)) = due.pop_if(|(after, _)| *after <= passed) else {
                break;
            };
            let left = ctx.flow().shelf().freshest(name, ctx.now());
            // Gone, stale, or told of meanwhile because somebody asked for it.
            if let Some(life) = left.and_then(|(_, left)| pointer_life(left)) {
                announce_shelved(&ctx, name, life);
            }
        }
    }
}

/// What a pointer to this body says; `None` once it is broken.
pub(crate) fn progress_of(body: &super::body::SharedBody) -> Option<Progress> {
    match body.end() {
        super::body::End::Growing => Some(Progress::Fetching),
        super::body::End::Whole(digest) => body
            .length()
            .map(|length| Progress::Complete { length, digest }),
        super::body::End::Broken(_) => None,
    }
}
