//! What the API shows of nodes and releases.

use std::time::Duration;

use common::clock::Moment;
use serde::Serialize;

use crate::controller::engine::{Desk, Node};
use crate::engine::document::intent::Intent;
use crate::engine::document::key::PublicKey;
use crate::engine::document::release::Manifest;
use crate::engine::document::report::Report;
use crate::engine::document::words::Digest;

/// One node.
#[derive(Debug, Serialize)]
pub(super) struct NodeView<'a> {
    key: PublicKey,
    name: &'a str,
    cluster: &'a str,
    /// How long ago it called, in milliseconds; absent if not since the controller began.
    seen_ms_ago: Option<u64>,
    desired: Option<&'a Intent>,
    observed: Option<&'a Report>,
}

/// A node that called and is not enrolled.
#[derive(Debug, Serialize)]
struct Stranger<'a> {
    key: &'a PublicKey,
    name: &'a str,
    seen_ms_ago: u64,
}

/// All nodes.
#[derive(Debug, Serialize)]
pub(super) struct NodesView<'a> {
    nodes: Vec<NodeView<'a>>,
    strangers: Vec<Stranger<'a>>,
}

/// One release.
#[derive(Debug, Serialize)]
pub(super) struct ReleaseView<'a> {
    manifest: &'a Manifest,
    digest: Digest,
    signer: PublicKey,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn node(node: &Node, now: Moment) -> NodeView<'_> {
    NodeView {
        key: node.row.key,
        name: &node.row.name,
        cluster: &node.row.cluster,
        seen_ms_ago: node.seen.map(|seen| millis(now.since(seen))),
        desired: node.row.intent.as_ref().map(|intent| &intent.body),
        observed: node.report.as_ref(),
    }
}

pub(super) fn nodes(desk: &Desk, now: Moment) -> NodesView<'_> {
    NodesView {
        nodes: desk.nodes().values().map(|one| node(one, now)).collect(),
        strangers: desk
            .strangers()
            .iter()
            .map(|(key, (name, seen))| Stranger {
                key,
                name,
                seen_ms_ago: millis(now.since(*seen)),
            })
            .collect(),
    }
}

pub(super) fn releases(desk: &Desk) -> Vec<ReleaseView<'_>> {
    let releases = desk.releases().values();
    let view = releases.map(|release| ReleaseView {
        manifest: &release.body,
        digest: release.digest,
        signer: release.signer,
    });
    view.collect()
}
