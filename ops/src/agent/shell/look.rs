//! Looking at daemons' pages, as a monitor would.

use std::net::SocketAddr;

use crate::admin;
use crate::agent::engine::tally::{self, Look};
use crate::engine::document::words::{DaemonName, Program};
use crate::figures::Figures;

/// A daemon, its program, and where its pages are.
pub(super) type Pages = (DaemonName, Program, SocketAddr);

/// Looks at all of them at once; who does not answer is not ready.
pub(super) async fn look(all: Vec<Pages>) -> Vec<(DaemonName, Look)> {
    let mut looks = tokio::task::JoinSet::new();
    for (name, program, addr) in all {
        looks.spawn(async move { (name, one(program, addr).await) });
    }
    looks.join_all().await
}

async fn one(program: Program, addr: SocketAddr) -> Look {
    let ready = admin::page(addr, "/readyz").await;
    let ready = ready.is_ok_and(|page| page.status.is_success());
    let counts = admin::page(addr, "/metrics").await.ok();
    let counts = counts.filter(|page| page.status.is_success());
    let counted = counts.map(|page| tally::read(program, &Figures::parse(&page.text())));
    Look { ready, counted }
}
