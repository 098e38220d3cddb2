//! Which runs are made, and which of their figures answer which target.
//!
//! Targets stand with the checkers that measure; here is only where to look, in whose name, and what
//! others reported. A run is named by its words on the command line, so that anybody can repeat it.

/// A run, in full and for the impatient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// The scenario and its options.
    pub(super) full: &'static str,
    /// The same, small.
    pub(super) quick: &'static str,
    /// Seeds, in full and small.
    pub(super) seeds: (u64, u64),
}

const fn job(name: &'static str, full: &'static str, quick: &'static str) -> Job {
    Job {
        name,
        full,
        quick,
        seeds: (1, 1),
    }
}

/// Every run, the longest first so that threads end together.
pub(super) const JOBS: [Job; 21] = [
    job(
        "levels",
        "levels --nodes 1000 --settle 1780 --seconds 300 --ops 1000",
        "levels --nodes 100 --settle 300 --seconds 60 --ops 200",
    ),
    job(
        "static-large",
        "static --nodes 10000 --settle 20 --seconds 8 --ops 1000 --self-test 0",
        "static --nodes 200 --settle 20 --seconds 8 --ops 200 --self-test 0",
    ),
    job(
        "partition",
        "partition --nodes 150 --seconds 1800 --ops 300",
        "partition --nodes 60 --seconds 300 --ops 60",
    ),
    job(
        "churn-fast",
        "churn --nodes 1000 --session 84 --seconds 120 --ops 500",
        "churn --nodes 100 --session 84 --seconds 60 --ops 100",
    ),
    job(
        "locality-levels",
        "locality --levels 3 --nodes 490 --settle 600 --seconds 120 --ops 6000",
        "locality --levels 3 --nodes 120 --settle 200 --seconds 60 --ops 1000",
    ),
    job(
        "locality-world",
        "locality --levels 1 --nodes 490 --settle 60 --seconds 120 --ops 6000",
        "locality --levels 1 --nodes 120 --settle 60 --seconds 60 --ops 1000",
    ),
    job(
        "churn",
        "churn --nodes 300 --session 1800 --seconds 400 --ops 600",
        "churn --nodes 60 --session 1800 --seconds 120 --ops 100",
    ),
    Job {
        seeds: (100, 2),
        ..job(
            "claims",
            "claims --nodes 166 --settle 20 --rounds 1",
            "claims --nodes 60 --settle 20 --rounds 1",
        )
    },
    job(
        "hot-key-494",
        "hot-key --nodes 494 --rate 120",
        "hot-key --nodes 100 --rate 60 --seconds 30",
    ),
    job(
        "hot-key-1000",
        "hot-key --nodes 1000 --rate 60",
        "hot-key --nodes 150 --rate 60 --seconds 30",
    ),
    job(
        "hot-key-large",
        "hot-key --nodes 3000 --rate 12 --settle 20 --self-test 0",
        "hot-key --nodes 200 --rate 60 --seconds 30",
    ),
    job(
        "mass-death",
        "mass-death --nodes 1000 --seconds 120",
        "mass-death --nodes 100 --seconds 120 --ops 200",
    ),
    job(
        "restart",
        "restart --nodes 1000 --settle 30",
        "restart --nodes 100 --settle 20 --ops 100",
    ),
    job(
        "static",
        "static --nodes 1000 --settle 60 --seconds 20 --ops 2000",
        "static --nodes 100 --settle 30 --seconds 20 --ops 500",
    ),
    job(
        "loss",
        "static --nodes 1000 --settle 60 --seconds 20 --ops 1000 --loss 1",
        "static --nodes 100 --settle 30 --seconds 20 --ops 300 --loss 1",
    ),
    job(
        "non-transitive",
        "static --nodes 494 --settle 60 --seconds 20 --ops 1000 --non-transitive 9",
        "static --nodes 100 --settle 30 --seconds 20 --ops 300 --non-transitive 9",
    ),
    job(
        "saturation",
        "saturation --nodes 100 --settle 30 --seconds 5",
        "saturation --nodes 40 --settle 20 --seconds 3",
    ),
    job(
        "rest-100",
        "levels --nodes 100 --settle 580 --seconds 300 --ops 200",
        "levels --nodes 50 --settle 180 --seconds 60 --ops 50",
    ),
    job(
        "rest-large",
        "levels --nodes 3000 --settle 120 --seconds 30 --ops 500",
        "levels --nodes 200 --settle 100 --seconds 30 --ops 50",
    ),
    job(
        "outsiders",
        "outsiders --nodes 100",
        "outsiders --nodes 30 --settle 20 --seconds 20 --ops 500",
    ),
    job(
        "faults",
        "static --nodes 300 --ops 500 --loss 2 --jitter 30 --duplicate 2 --reorder 2 --corrupt 1 --one-way 1 --non-transitive 2 --drift 3 --stopped 3 --starved 10",
        "static --nodes 60 --ops 100 --settle 20 --loss 2 --jitter 30 --duplicate 2 --reorder 2 --corrupt 1 --one-way 1 --non-transitive 2 --drift 3 --stopped 3 --starved 10",
    ),
];

/// A group of targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What it is about.
    pub(super) about: &'static str,
    /// Nodes the targets are for, if they say.
    pub(super) nodes: usize,
    /// What `CoralCDN` or other known systems reported.
    pub(super) elsewhere: &'static str,
    /// Where to look.
    pub(super) cells: &'static [Cell],
}

/// Where one measured value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// The figure of that name, of that run.
    Of(&'static str, &'static str),
    /// One figure as a share of another: run, figure, run, figure, at most.
    Share([&'static str; 4], &'static str, f64),
    /// Seconds that 10,000 nodes take for 30 virtual minutes, by that run.
    Speed(&'static str),
}

use Cell::{Of, Share, Speed};

const fn row(
    about: &'static str,
    nodes: usize,
    elsewhere: &'static str,
    cells: &'static [Cell],
) -> Row {
    Row {
        about,
        nodes,
        elsewhere,
        cells,
    }
}

/// Every group, in the order of the table.
pub(super) const ROWS: [Row; 21] = [
    row(
        "hops, static",
        10_000,
        "O(log n)",
        &[
            Of("static-large", "hops per get, median"),
            Of("static-large", "hops per get, most"),
            Of("static-large", "hops per put, median"),
            Of("static-large", "hops per put, most"),
        ],
    ),
    row(
        "true closest live node, 1 % loss",
        1_000,
        "plain Kademlia misses it in 2.6 %",
        &[Of("loss", "closest live node reached")],
    ),
    row(
        "get what was put",
        0,
        "not published",
        &[
            Of("static", "get what was put"),
            Of("churn", "get what was put"),
            Of(
                "mass-death",
                "get success 60-120 s after death, publisher up",
            ),
            Of("mass-death", "get success 60-120 s after death, all"),
        ],
    ),
    row(
        "hot key",
        494,
        "83 puts a minute at the closest of 494",
        &[
            Of("hot-key-494", "puts per minute at the closest node"),
            Of("hot-key-494", "puts per minute at the median node"),
            Of("hot-key-1000", "puts per minute at the closest node"),
            Of("hot-key-1000", "puts per minute at the median node"),
            Of("hot-key-large", "puts per minute at the closest node"),
            Of("hot-key-large", "puts per minute at the median node"),
        ],
    ),
    row(
        "166 proxies claim 12 cold keys within 100 ms",
        166,
        "14 fetches",
        &[
            Of("claims", "fetches for 12 cold keys, mean, mean seed"),
            Of(
                "claims",
                "fetches for 12 cold keys, worst round, worst seed",
            ),
            Of("claims", "keys granted to nobody, worst seed"),
        ],
    ),
    row(
        "demand of nearby clients",
        0,
        "0.79/9.54 s single level, 0.19/2.50 s multi-level",
        &[
            Of("locality-world", "first value, median"),
            Of("locality-world", "first value, 96th"),
            Of("locality-levels", "first value, median"),
            Of("locality-levels", "first value, 96th"),
            Share(
                [
                    "locality-levels",
                    "first value, median",
                    "locality-world",
                    "first value, median",
                ],
                "median, multi-level by single-level",
                0.25,
            ),
            Share(
                [
                    "locality-levels",
                    "first value, 96th",
                    "locality-world",
                    "first value, 96th",
                ],
                "96th, multi-level by single-level",
                0.333,
            ),
        ],
    ),
    row(
        "get, by where the copy is",
        10_000,
        "plain Kademlia: 623 ms median, 1,716 ms 99th",
        &[
            Of("levels", "copy in the own cluster: first value, median"),
            Of("levels", "copy in the own cluster: first value, 99th"),
            Of("levels", "copy in the own cluster: gets that left it"),
            Of("levels", "copy anywhere: first value, median"),
            Of("levels", "copy anywhere: first value, 99th"),
            Of("levels", "copy nowhere: decided, 99th"),
        ],
    ),
    row(
        "requests",
        0,
        "mainline 55/82, OpenDHT 26/33 (n = 100)",
        &[
            Of("static", "requests per get, mean"),
            Of("static", "requests per put, mean"),
            Of("static-large", "requests per get, mean"),
            Of("static-large", "requests per put, mean"),
        ],
    ),
    row(
        "churn, median session 1.4 min",
        1_000,
        "Bamboo: works at that bandwidth",
        &[
            Of("churn-fast", "get what was put"),
            Of("churn-fast", "of those, publisher still up"),
            Of("churn-fast", "sent per node, churn, mean"),
        ],
    ),
    row(
        "all rebooted in the same second",
        1_000,
        "OpenDHT's incident: a day",
        &[
            Of("restart", "healthy again, last"),
            Of("restart", "healthy again"),
            Of("restart", "nodes that know nobody at the end"),
        ],
    ),
    row(
        "clusters after 30 virtual minutes",
        0,
        "map only",
        &[
            Of("levels", "level 1 (60 ms): round trips under the threshold"),
            Of("levels", "level 1 (60 ms): in company where there is any"),
            Of("levels", "level 2 (20 ms): round trips under the threshold"),
            Of("levels", "level 2 (20 ms): in company where there is any"),
            Of("levels", "changes of cluster per node-hour"),
        ],
    ),
    row(
        "non-transitive pairs 9 %",
        0,
        "a failure they reported",
        &[Of("non-transitive", "get what was put")],
    ),
    row(
        "partition of 30 min, then healed",
        0,
        "-",
        &[
            Of(
                "partition",
                "get success 60-120 s after divided, publisher up",
            ),
            Of(
                "partition",
                "get success 540-1200 s after healed, publisher up",
            ),
            Of("partition", "closest live node reached"),
        ],
    ),
    row(
        "background traffic",
        0,
        "-",
        &[
            Of("rest-100", "sent per node, idle, mean"),
            Of("rest-100", "received per node, idle, mean"),
            Of("levels", "sent per node, idle, mean"),
            Of("levels", "received per node, idle, mean"),
            Of("rest-large", "sent per node, idle, mean"),
            Of("rest-large", "received per node, idle, mean"),
        ],
    ),
    row(
        "memory per idle engine",
        10_000,
        "-",
        &[
            Of("rest-100", "memory per engine"),
            Of("levels", "memory per engine"),
            Of("rest-large", "memory per engine"),
        ],
    ),
    row(
        "simulator: 10,000 nodes x 30 virtual min",
        10_000,
        "-",
        &[Speed("levels"), Speed("rest-large")],
    ),
    row(
        "engine alone",
        0,
        "mainline: 17 us a ping, 309 us a find_node",
        &[
            Of("engine", "ping"),
            Of("engine", "get of a key it has not"),
            Of("engine", "garbage"),
        ],
    ),
    row(
        "real loopback",
        0,
        "-",
        &[
            Of("loopback", "authenticated requests per second of processor"),
            Of("loopback", "gets through the local API"),
        ],
    ),
    row(
        "4 x saturation of one node by a hot key",
        0,
        "mainline 89 % answered, 99th 2.4 s",
        &[
            Of(
                "saturation",
                "goodput from 4 x saturation on, of its peak so far",
            ),
            Of("saturation", "live contacts taken for dead"),
        ],
    ),
    row(
        "strangers",
        0,
        "-",
        &[
            Of("outsiders", "datagrams to outsiders"),
            Of("outsiders", "get what was put"),
        ],
    ),
    row(
        "every fault at once",
        0,
        "-",
        &[Of("faults", "get what was put")],
    ),
];
