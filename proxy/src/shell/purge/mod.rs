//! Orders to purge: who may give them, and carrying them out here and everywhere.
//!
//! An order comes over the clients' door with a token, over the admin listener, or from a peer with a
//! proof. Whoever hears of it first tells everybody else once, and nobody tells further.

mod spread;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;
use common::shell::admin::Ordered;
use common::shell::private_file::{self, PrivateFileError};
use http::header::{HeaderMap, HeaderName};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};

use super::context::Context;
use super::index;
use crate::engine::purge::order::{Order, OrderId};
use crate::engine::purge::receipt::{Confirmed, Receipt};
use crate::engine::purge::token::{FILE_BYTES_MAX, PurgeRefusal, Tokens};
use crate::engine::purge::{AT_ONCE, RATE, Tally};
use crate::engine::share::clients::Clients;

/// The method of an order.
pub(crate) static METHOD: LazyLock<Method> =
    LazyLock::new(|| Method::from_bytes(b"PURGE").expect("a word of capital letters"));

/// What an order says beside the page it is for, or all of it on the admin listener.
pub(crate) const WORDS: HeaderName = HeaderName::from_static("atoll-purge");

/// How long an order that is carried out waits to be on disk.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// Who may give orders over the clients' door, and how many at once.
pub(crate) struct Desk {
    file: Option<PathBuf>,
    tokens: RwLock<Arc<Tokens>>,
    clients: Mutex<Clients>,
    turns: Semaphore,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk for those whose tokens are in `file`, once it is [loaded](Self::load).
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            tokens: RwLock::default(),
            clients: Mutex::new(Clients::new(RATE.0, RATE.1)),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Takes over the tokens in the file, if there is one.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it has a mistake; the tokens in force stay.
    pub(crate) fn load(&self) -> Result<usize, String> {
        let Some(file) = &self.file else { return Ok(0) };
        let said = |error: String| format!("{}: {error}", file.display());
        let bytes = private_file::read(file, FILE_BYTES_MAX + 1).map_err(|error| match error {
            PrivateFileError::Io(error) => said(error.to_string()),
            PrivateFileError::Mode(mode) => said(format!(
                "mode {mode:o}: others can read it; chmod 600, and make new tokens"
            )),
        })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(said("larger than 512 KiB".to_owned()));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| said(error.to_string()))?;
        let tokens = Tokens::parse(text).map_err(|error| said(error.to_string()))?;
        let known = tokens.len();
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        Ok(known)
    }

    fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether anybody may give orders over the clients' door.
    pub(crate) fn is_open(&self) -> bool {
        !self.tokens().is_empty()
    }

    /// Whether a client may give an order. Who asks too often is not heard, whatever the token.
    pub(crate) fn judge(
        &self,
        (now, client): (Moment, IpAddr),
        authorization: Option<&[u8]>,
        order: &Order,
    ) -> Result<(), PurgeRefusal> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = clients.ask(now, Prefix::of(client));
        drop(clients);
        asked.map_err(|_| PurgeRefusal::TooOften)?;
        let tokens = self.tokens();
        let who = tokens.judge(authorization, order)?;
        tracing::info!(who, %client, %order, id = %order.id, "a purge was ordered");
        Ok(())
    }
}

/// Carries an order out here. An order that was given before does nothing.
pub(crate) async fn here(ctx: &Arc<Context>, order: &Order) -> Tally {
    let given = ctx.flow().order(ctx.now(), order.clone());
    let Some(mut purging) = given else {
        return Tally::default();
    };
    let store = ctx.store.as_ref();
    let written = store.map(|store| store.write_down(order));
    // It is in force already; what is left is to go over what is kept.
    let _turn = ctx.purge.turns.acquire().await;
    loop {
        let gone = ctx.flow().purge(&mut purging);
        let Some(gone) = gone else {
            if let Some(written) = written {
                is_written(written, order).await;
            }
            return purging.tally();
        };
        for key in gone {
            index::withdraw(ctx, &key);
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until an order is on disk, or cannot be: then it ends with the process, and that is said.
async fn is_written(written: oneshot::Receiver<bool>, order: &Order) {
    let written = tokio::time::timeout(WRITTEN_WITHIN, written).await;
    if !matches!(written, Ok(Ok(true))) {
        tracing::warn!(%order, id = %order.id, "a purge is not written down: after a restart the disk may have it again");
    }
}

/// Carries an order out here and tells everybody. It is finished even if nobody waits for it.
pub(crate) async fn everywhere(ctx: Arc<Context>, order: Order) -> Receipt {
    ctx.metrics.purge("given");
    let (own, told) = (order.clone(), Arc::clone(&ctx));
    let work =
        tokio::spawn(async move { tokio::join!(here(&told, &own), spread::spread(&told, &own)) });
    let (tally, spread) = work.await.map_or_else(
        // A panic: what was done is not known, and is not claimed.
        |_| (None, spread::Spread::default()),
        |(tally, spread)| (Some(tally), spread),
    );
    let own = tally.map(|tally| Confirmed {
        node: ctx.identity.name().to_owned(),
        peer: None,
        tally,
    });
    let confirmed = own.into_iter().chain(spread.confirmed).collect();
    let receipt = Receipt {
        order,
        reach: spread.reach,
        confirmed,
        unconfirmed: spread.unconfirmed,
    };
    let (id, complete) = (receipt.order.id, receipt.is_complete());
    tracing::info!(%id, complete, here = ?tally, "purged");
    receipt
}

/// An order as the admin listener hears it: the whole text in one field.
pub(crate) fn told_by_admin(ctx: Arc<Context>, headers: &HeaderMap) -> Ordered {
    let text = words(headers);
    let order = Order::parse(OrderId(ctx.nonce()), text).map_err(PurgeRefusal::Order);
    Box::pin(async move {
        match order {
            Ok(order) => {
                tracing::info!(%order, id = %order.id, "a purge was ordered by the admin listener");
                (StatusCode::OK, everywhere(ctx, order).await.to_json())
            }
            Err(refusal) => {
                ctx.metrics.purge(refusal.as_str());
                (refusal.status(), refused(refusal))
            }
        }
    })
}

/// The words of an order; none if they are no text.
pub(crate) fn words(headers: &HeaderMap) -> &str {
    let field = headers.get(WORDS).map(|value| value.to_str());
    // What is no text is no kind of purge either.
    field.map_or("", |text| text.unwrap_or("?"))
}

/// The body of the answer to an order that is refused.
pub(crate) fn refused(refusal: PurgeRefusal) -> Value {
    json!({ "schema": 1, "complete": false, "refused": refusal.as_str() })
}
