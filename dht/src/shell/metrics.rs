//! The engine's numbers as metrics, each with its sentence.

use common::telemetry::{Kind, Metric};

use crate::engine::admit::DropReason;
use crate::engine::cluster::Moved;
use crate::engine::health::Health;
use crate::engine::message;
use crate::engine::stats::{Lookup, Stats};
use crate::engine::view::Sizes;
use crate::refusal::Refusal;

use super::state::Shared;

/// All metrics of the moment.
pub(super) fn table(shared: &Shared) -> Vec<Metric> {
    let health = shared.health();
    let (stats, sizes) = {
        let node = shared.node();
        (node.stats().clone(), node.sizes())
    };
    let mut metrics = counters(&stats);
    metrics.extend(plain_counters(&stats, &sizes));
    metrics.extend(level_counters(&stats));
    metrics.extend(gauges(&sizes, health));
    metrics.push(disk(shared));
    metrics.extend(shared.traces.metrics());
    metrics
}

fn disk(shared: &Shared) -> Metric {
    let failures = shared.disk.failures().into_iter();
    Metric::counters(
        "atoll_dht_disk_failures",
        "Writings of peers or values to state.dir that failed; the index goes on, a restart knows less",
        "what",
        failures.map(|(reason, count)| (reason.as_str(), count)),
    )
}

fn counters(stats: &Stats) -> Vec<Metric> {
    let kinds = || message::Kind::ALL.into_iter();
    vec![
        Metric::counters(
            "atoll_dht_messages_sent",
            "Messages sent to other nodes, retransmissions included",
            "kind",
            kinds().map(|kind| (kind.as_str(), stats.sent.of(kind))),
        ),
        Metric::counters(
            "atoll_dht_messages_received",
            "Messages of other nodes that were acted on",
            "kind",
            kinds().map(|kind| (kind.as_str(), stats.received.of(kind))),
        ),
        Metric::counters(
            "atoll_dht_datagrams_dropped",
            "Datagrams dropped without a reply; other_network shows a rollout or a stranger",
            "reason",
            DropReason::ALL
                .into_iter()
                .map(|r| (r.as_str(), stats.dropped.of(r))),
        ),
        Metric::counters(
            "atoll_dht_refusals_sent",
            "Refusals sent to other nodes",
            "reason",
            Refusal::ALL
                .into_iter()
                .map(|r| (r.as_str(), stats.refused.of(r))),
        ),
        Metric::counters(
            "atoll_dht_commands_refused",
            "Commands of local clients refused",
            "reason",
            Refusal::ALL
                .into_iter()
                .map(|r| (r.as_str(), stats.refused_here.of(r))),
        ),
        Metric::counters(
            "atoll_dht_lookups",
            "Walks begun, for clients and for upkeep",
            "goal",
            Lookup::ALL
                .into_iter()
                .map(|l| (l.as_str(), stats.lookups.of(l))),
        ),
    ]
}

fn level_counters(stats: &Stats) -> Vec<Metric> {
    let counter = |name, help, value| Metric::plain(name, help, Kind::Counter, value);
    vec![
        Metric::counters(
            "atoll_dht_cluster_changes",
            "Changes of cluster at any level; a settled node has none for hours",
            "why",
            Moved::ALL
                .into_iter()
                .map(|why| (why.as_str(), stats.moved.of(why))),
        ),
        counter(
            "atoll_dht_detours",
            "Requests to a node that did not answer, sent again through the node that named it",
            stats.detours,
        ),
        counter(
            "atoll_dht_relayed",
            "Requests relayed for nodes that could not reach their goal",
            stats.relayed,
        ),
        counter(
            "atoll_dht_hedged",
            "Steps of walks whose answer was late, so that another node was asked beside",
            stats.hedged,
        ),
        counter(
            "atoll_dht_requests_refused",
            "Requests not sent because as many were under way as may be",
            stats.busy,
        ),
        counter(
            "atoll_dht_members_refused",
            "Members not taken in because full.members are known; only where index.kind is full",
            stats.members_refused,
        ),
    ]
}

fn plain_counters(stats: &Stats, sizes: &Sizes) -> Vec<Metric> {
    let counter = |name, help, value| Metric::plain(name, help, Kind::Counter, value);
    vec![
        counter(
            "atoll_dht_sent_bytes",
            "Bytes of datagrams sent",
            stats.bytes_sent,
        ),
        counter(
            "atoll_dht_received_bytes",
            "Bytes of datagrams received",
            stats.bytes_received,
        ),
        counter(
            "atoll_dht_late_replies",
            "Replies to attempts of requests that were over",
            stats.late_replies,
        ),
        counter(
            "atoll_dht_retransmissions",
            "Attempts beyond the first of a request",
            stats.retransmissions,
        ),
        counter(
            "atoll_dht_timeouts",
            "Requests unanswered for good",
            stats.timeouts,
        ),
        counter(
            "atoll_dht_forgiven",
            "Requests given grace because this node itself was late: it is starved of CPU",
            stats.forgiven,
        ),
        counter(
            "atoll_dht_contacts_failed",
            "Contacts that failed by first-hand evidence",
            stats.contacts_failed,
        ),
        counter(
            "atoll_dht_values_healed",
            "Own values put again because a node that stored them died",
            stats.healed,
        ),
        counter(
            "atoll_dht_values_checked",
            "Own values looked for where they should be",
            stats.checks,
        ),
        counter(
            "atoll_dht_values_handed_on",
            "Values of others given to neighbours that are among the closest by now",
            stats.handed,
        ),
        counter(
            "atoll_dht_self_tests_passed",
            "Own tests passed",
            stats.tests_passed,
        ),
        counter(
            "atoll_dht_self_tests_failed",
            "Own tests failed",
            stats.tests_failed,
        ),
        counter(
            "atoll_dht_replay_rotations_early",
            "Times the replay filter filled before its two minutes were over",
            sizes.replays_rotated_early,
        ),
    ]
}

fn gauges(sizes: &Sizes, health: Health) -> Vec<Metric> {
    let gauge = |name, help, value: usize| {
        Metric::plain(
            name,
            help,
            Kind::Gauge,
            u64::try_from(value).unwrap_or(u64::MAX),
        )
    };
    let proven = usize::from(health == Health::Healthy);
    vec![
        gauge(
            "atoll_dht_contacts",
            "Nodes in the routing table",
            sizes.contacts,
        ),
        gauge("atoll_dht_peers", "Remote nodes remembered", sizes.peers),
        gauge("atoll_dht_stored_keys", "Keys with values here", sizes.keys),
        gauge(
            "atoll_dht_stored_values",
            "Values stored here",
            sizes.values,
        ),
        gauge(
            "atoll_dht_stored_bytes",
            "Bytes of values stored here",
            sizes.value_bytes,
        ),
        gauge(
            "atoll_dht_own_values",
            "Own values remembered for healing",
            sizes.kept,
        ),
        gauge(
            "atoll_dht_rated_keys",
            "Keys whose rate of requests is remembered",
            sizes.rates,
        ),
        gauge("atoll_dht_calls", "Requests under way", sizes.calls),
        gauge("atoll_dht_tasks", "Walks under way", sizes.tasks),
        gauge(
            "atoll_dht_services",
            "Services registered here",
            sizes.services,
        ),
        gauge(
            "atoll_dht_network_nodes",
            "Estimated nodes of the network",
            sizes.network as usize,
        ),
        gauge(
            "atoll_dht_healthy",
            "1 if a put and a get through others succeeded in the last minute",
            proven,
        ),
    ]
}
