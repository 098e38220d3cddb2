//! That this proxy is there: its registrations at the index daemons of its node, in each network for itself.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use common::backoff::Backoff;
use common::rng::Generator;
use common::shell::signals::Shutdown;
use dht::client::{Client, ClientError, IN_BOTH, ServiceSession};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{IndexLink, PEER_SERVICE};
use crate::shell::context::Context;

/// The service that name servers look for.
const SERVICE: &str = "http";

/// Before the first try to register anew.
const AGAIN: Duration = Duration::from_millis(10);

/// Between tries to say that we are in both networks.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// Whether all that was kept here at the start has been told of.
pub(crate) type Announced = watch::Receiver<bool>;

/// Keeps this proxy registered at its index daemons, for ever: a registration lives as long as the
/// connection, so a proxy that dies is gone from it at once.
pub(crate) async fn keep_registered(
    ctx: Arc<Context>,
    mut rng: Generator,
    shutdown: Shutdown,
    announced: Announced,
) {
    let Some(link) = &ctx.index else { return };
    let means = (rng.child(), shutdown.clone());
    let there = async {
        if let Some(client) = link.client.old() {
            keep(&ctx, (link, &client), means, Some(announced)).await;
        }
    };
    let here = keep(&ctx, (link, &link.client), (rng, shutdown), None);
    tokio::join!(here, there);
}

/// Keeps it registered in one network: an old one if there is something to be announced in the new one first.
#[expect(
    clippy::cognitive_complexity,
    reason = "what the log's macros hide counts"
)]
async fn keep(
    ctx: &Context,
    (link, client): (&IndexLink, &Client),
    (mut rng, mut shutdown): (Generator, Shutdown),
    old: Option<Announced>,
) {
    let stands = |stands| {
        if old.is_none() {
            ctx.metrics.registered(stands);
        }
    };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        match register(link, client).await {
            Ok((mut session, mut as_peer)) => {
                log_registered(link, client);
                backoff.succeed();
                stands(true);
                let over = tokio::select! {
                    () = session.closed() => false,
                    () = as_peer.closed() => false,
                    () = say_in_both((link, client), old.clone()) => false,
                    // Draining: name servers stop sending clients while the last are served.
                    () = shutdown.draining() => true,
                };
                stands(false);
                if over {
                    return;
                }
                tracing::warn!(index = ?client, "the index daemon went away");
                // Another one may have taken its place.
                sleep(AGAIN).await;
                continue;
            }
            Err(error) => tracing::debug!(%error, "not registered at the index"),
        }
        sleep(backoff.fail(&mut rng)).await;
    }
}

fn log_registered(link: &IndexLink, client: &Client) {
    tracing::info!(addr = %link.advertise, index = ?client, "registered at the index");
}

/// Both of our doors, told to an index: the clients' and the peers'.
async fn register(
    link: &IndexLink,
    client: &Client,
) -> Result<(ServiceSession, ServiceSession), ClientError> {
    // First the one that nobody is sent to.
    let as_peer = client.service(PEER_SERVICE, link.peer).await?;
    Ok((client.service(SERVICE, link.advertise).await?, as_peer))
}

/// Says in the old network that what is found here is found in the new one too, once that is so. For ever.
async fn say_in_both((link, client): (&IndexLink, &Client), old: Option<Announced>) {
    let Some(mut announced) = old else {
        return pending().await;
    };
    if announced.wait_for(|all| *all).await.is_err() {
        // It is another process's to say.
        return pending().await;
    }
    loop {
        match client.service(IN_BOTH, link.peer).await {
            Ok(mut said) => said.closed().await,
            Err(error) => tracing::debug!(%error, "not known to be in both networks"),
        }
        sleep(SAY_AGAIN).await;
    }
}
