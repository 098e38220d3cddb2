//! Which figures of which runs answer which target, and what others reported.
//!
//! Targets stand with the checkers that measure; here is only where to look.

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
    /// What a figure grew by from the first run to the second, as a share of what the logarithm of
    /// their nodes did.
    Growth([&'static str; 2], &'static str),
    /// Seconds that 10,000 nodes take for 30 virtual minutes, by that run.
    Speed(&'static str),
}

/// The same work with either kind of index: a run of each, and the figures that are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// What is done.
    pub(super) about: &'static str,
    /// The run of the sloppy index, and that of full membership.
    pub(super) runs: [&'static str; 2],
    /// The figures, by name.
    pub(super) figures: &'static [&'static str],
}

/// All that is compared.
pub(super) const PAIRS: [Pair; 4] = [
    Pair {
        about: "nobody comes or goes",
        runs: ["static", "full-static"],
        figures: &[
            "get what was put",
            "first value, median",
            "first value, 99th",
            "requests per get, mean",
            "requests per put, mean",
            "sent per node, idle, mean",
            MEMORY,
        ],
    },
    Pair {
        about: "median session 30 min",
        runs: ["churn", "full-churn"],
        figures: CHURN,
    },
    Pair {
        about: "median session 1.4 min",
        runs: ["churn-fast", "full-churn-fast"],
        figures: CHURN,
    },
    Pair {
        about: "166 nodes claim 12 cold keys",
        runs: ["claims", "full-claims"],
        figures: &[
            "fetches for 12 cold keys, mean, mean seed",
            "fetches for 12 cold keys, worst round, worst seed",
            "claim answered, median, mean seed",
            "claim answered, 99th, mean seed",
        ],
    },
];

/// What every run knows without being asked: what its engines weighed at the end.
pub(super) const MEMORY: &str = "memory per engine";

const CHURN: &[&str] = &[
    "get what was put",
    "first value, median",
    "first value, 99th",
    "sent per node, churn, mean",
];

use Cell::{Growth, Of, Share, Speed};

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
pub(super) const ROWS: [Row; 22] = [
    row(
        "hops, static",
        10_000,
        "O(log n)",
        &[
            Of("static-large", "hops per get, median"),
            Of("static-large", "hops per get, most"),
            Of("static-large", "hops per put, median"),
            Of("static-large", "hops per put, most"),
            Of("static-10000", "hops per get, median"),
            Of("static-10000", "hops per get, most"),
            Of("static-10000", "hops per put, median"),
            Of("static-10000", "hops per put, most"),
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
            Of("static-10000", "get what was put"),
            Of("static-10000", "closest live node reached"),
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
            Of("static-10000", "first value, median"),
            Of("static-10000", "first value, 99th"),
            Of("static-10000", "miss decided, 99th"),
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
            Of("static-10000", "requests per get, mean"),
            Of("static-10000", "requests per put, mean"),
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
            Of("static-10000", "sent per node, idle, mean"),
            Of("static-10000", "received per node, idle, mean"),
            Growth(["rest-100", "rest-large"], "sent per node, idle, mean"),
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
            Of("static-10000", "memory per engine"),
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
            Of("engine", "find"),
            Of("engine", "get of a key it has not"),
            Of("engine", "garbage"),
        ],
    ),
    row(
        "real loopback",
        0,
        "-",
        &[
            Of("loopback", "ping: answered per second of processor"),
            Of("loopback", "find: answered per second of processor"),
            Of("loopback", "get: answered per second of processor"),
            Of("loopback", "local get, held here: answered"),
            Of("loopback", "local get, of 3 nodes: answered"),
            Of("loopback", "garbage: dropped, each"),
        ],
    ),
    row(
        "4 x saturation of one node by a hot key",
        0,
        "mainline 89 % answered, 99th 2.4 s",
        &[
            Of("saturation", "goodput at 4 x saturation, of its peak"),
            Of(
                "saturation",
                "goodput beyond 4 x, of the best at lesser loads",
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
        "values taken back",
        0,
        "-",
        &[
            Of("withdrawal", "withdrawn and still found within its time"),
            Of("withdrawal", "withdrawn and found beyond its time"),
        ],
    ),
    row(
        "every fault at once",
        0,
        "-",
        &[Of("faults", "get what was put")],
    ),
];
