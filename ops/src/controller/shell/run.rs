//! Starting a controller, and ending it.

use std::net::SocketAddr;
use std::path::PathBuf;

use common::shell::signals::Shutdown;
use tokio::net::TcpListener;

use super::api::router;
use super::blobs::Blobs;
use super::orders::Office;
use super::serve::{LIMITS, serve};
use super::store::{Store, StoreError};
use crate::controller::engine::Desk;
use crate::engine::document::key::{PublicKey, SigningKey};
use crate::outcome::{Exit, Failure, Outcome};

/// What a controller is started with.
#[expect(missing_debug_implementations, reason = "holds a private key")]
pub struct Options {
    /// Its directory.
    pub state: PathBuf,
    /// Its database.
    pub database: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its key: what it signs orders with.
    pub key: SigningKey,
    /// Who may sign releases.
    pub trust_releases: Vec<PublicKey>,
}

/// The failure of a database, with what to do.
pub(crate) fn no_store(error: &StoreError) -> Failure {
    Failure::failed(
        error.to_string(),
        "check --state and --database, the disk, and that no newer program used it",
    )
}

/// Runs a controller until it is asked to end.
///
/// # Errors
/// Its database or its address cannot be used.
pub async fn run(options: Options, mut shutdown: Shutdown) -> Outcome {
    let store = Store::open(&options.database)
        .await
        .map_err(|error| no_store(&error))?;
    let mut desk = Desk::default();
    let rows = store.load().await.map_err(|error| no_store(&error))?;
    rows.into_iter().for_each(|row| desk.apply(row));
    let blobs = Blobs::open(&options.state.join("blobs")).map_err(|error| {
        let what = format!("cannot use {}: {error}", options.state.display());
        Failure::failed(what, "choose another --state")
    })?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        let what = format!("cannot listen on {}: {error}", options.listen);
        Failure::failed(what, "choose another --listen")
    })?;
    let addr = listener.local_addr().map_or(options.listen, |addr| addr);
    let (nodes, releases) = (desk.nodes().len(), desk.releases().len());
    let key = options.key.public();
    tracing::info!(%addr, %key, nodes, releases, "the controller listens");
    let office = Office::open(desk, store, blobs, options.key, options.trust_releases);
    // Agents that wait for news are not waited for: they call again.
    tokio::select! {
        () = serve(listener, router(office), LIMITS) => {}
        () = shutdown.draining() => {}
    }
    Ok(Exit::Ok)
}
