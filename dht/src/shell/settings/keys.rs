//! The daemon's keys: names, defaults and why one would change them.

use common::config::KeySpec;

/// Every key of the index daemon.
pub static KEYS: &[KeySpec] = &[
    KeySpec {
        path: "udp.listen",
        default: Some("127.0.0.1:7400"),
        example: "0.0.0.0:7400",
        what: "address and port",
        why: "Where datagrams of other nodes arrive. [::] hears both address families.",
    },
    KeySpec {
        path: "udp.advertise",
        default: Some(""),
        example: "192.0.2.1:7400",
        what: "address and port; empty: udp.listen, or the address facing join.seeds",
        why: "The address other nodes reach this one at. The node's id is derived from it, so a \
              wrong one makes every other node drop what this one sends. Must be set behind \
              address translation. The nodes of a network use one address family.",
    },
    KeySpec {
        path: "index.kind",
        default: Some("sloppy"),
        example: "full",
        what: "sloppy or full",
        why: "How nodes find one another. sloppy: each knows a few, near ones first, for any number \
              of nodes. full: each knows all, one hop to a key, for up to about a thousand nodes. \
              All nodes of a network must agree; docs/design/full-membership.md compares them.",
    },
    KeySpec {
        path: "full.replicas",
        default: Some("3"),
        example: "3",
        what: "number of nodes, 1 to 8; index.kind full only",
        why: "Nodes that store a value, in place of lookup.replicas. All nodes should agree.",
    },
    KeySpec {
        path: "full.probe_every",
        default: Some("1s"),
        example: "1s",
        what: "duration, 100ms to 1m; index.kind full only",
        why: "How often a node probes the next of the others and passes news on. Shorter notices \
              deaths sooner and costs about 350 bytes each time.",
    },
    KeySpec {
        path: "full.members",
        default: Some("20000"),
        example: "20000",
        what: "number of nodes, about 0.2 KiB each; index.kind full only",
        why: "Most nodes known, the dead of the last hour included. More are refused and counted.",
    },
    KeySpec {
        path: "join.seeds",
        default: Some(""),
        example: "192.0.2.1:7400",
        what: "list of addresses and ports",
        why: "Nodes to join through; any one that lives is enough. Empty: wait to be joined.",
    },
    KeySpec {
        path: "local.socket",
        default: Some(""),
        example: "/run/atoll/index.sock",
        what: "path of a Unix socket; empty: no local API",
        why: "Where the proxy and the name server of this machine ask. Only its owner may connect.",
    },
    KeySpec {
        path: "state.dir",
        default: Some(""),
        example: "/var/lib/atoll/index",
        what: "directory; empty: remember nothing",
        why: "Holds the peers known before a restart, so that a node finds back without its seeds, and over a restart what others stored here.",
    },
    KeySpec {
        path: "retire.beside",
        default: Some(""),
        example: "/run/atoll/index-new.sock",
        what: "path; empty: stay",
        why: "Unix socket of the index of the network that takes the place of this one's. This one leaves when it is asked next to nothing any more.",
    },
    KeySpec {
        path: "retire.quiet",
        default: Some("10m"),
        example: "10m",
        what: "duration",
        why: "How long others have to have asked less than once in two seconds, or than a hundredth of what the new index is asked.",
    },
    KeySpec {
        path: "retire.window",
        default: Some("1m"),
        example: "1m",
        what: "duration, 5s to 1h",
        why: "Over which is counted what others ask. A shorter one has bursts count for more; until the first is over it is not known how much is asked.",
    },
    KeySpec {
        path: "retire.deadline",
        default: Some("7d"),
        example: "7d",
        what: "duration",
        why: "When this index leaves at the latest, whoever still asks. Counted from its start.",
    },
    KeySpec {
        path: "network.secret_file",
        default: Some(""),
        example: "/etc/atoll/secret",
        what: "path of a file of mode 0600",
        why: "The operator's secret. Nodes with another one never exchange a byte with this one.",
    },
    KeySpec {
        path: "store.values",
        default: Some("200000"),
        example: "200000",
        what: "number of values, about 0.5 KiB each",
        why: "Most values held for others. When full, values that last longer displace shorter \
              ones and the rest is refused as store_full.",
    },
    KeySpec {
        path: "store.bytes",
        default: Some("32MiB"),
        example: "32MiB",
        what: "size",
        why: "Most bytes of values, bookkeeping not counted. Exceeded: as store.values.",
    },
    KeySpec {
        path: "store.values_per_publisher",
        default: Some("50000"),
        example: "50000",
        what: "number of values",
        why: "Most values of one node, so that no node fills another: refused as publisher_full.",
    },
    KeySpec {
        path: "store.ttl_max",
        default: Some("24h"),
        example: "24h",
        what: "duration",
        why: "Longest time a value is held. Longer ones keep dead pointers.",
    },
    KeySpec {
        path: "store.full",
        default: Some("4"),
        example: "4",
        what: "number of values, 1 to 16",
        why: "Values that make a node full for a key if they last at least half as long as a new \
              one. Full and loaded, it sends stores away.",
    },
    KeySpec {
        path: "store.beta",
        default: Some("12"),
        example: "12",
        what: "requests per minute and key",
        why: "Beyond this a node is loaded for the key. The closest node of a hot key gets at most \
              this times the logarithm of the number of nodes.",
    },
    KeySpec {
        path: "levels.thresholds",
        default: Some("60ms,20ms"),
        example: "60ms,20ms",
        what: "list of durations from the outermost inward, at most 7; empty: the world alone",
        why: "Largest round trip inside a cluster of level 1, 2 and so on. All nodes of a network \
              should agree. Each level costs 16 bytes per datagram.",
    },
    KeySpec {
        path: "levels.reconsider",
        default: Some("5m"),
        example: "5m",
        what: "duration, 1s to 1h",
        why: "How often a settled node looks for a better cluster. Shorter follows the network \
              faster and moves more.",
    },
    KeySpec {
        path: "lookup.bits_per_hop",
        default: Some("1"),
        example: "1",
        what: "number of bits, 1 to 8",
        why: "Bits of the key that one hop corrects. More means fewer hops and more load at the \
              closest node of a hot key.",
    },
    KeySpec {
        path: "lookup.window",
        default: Some("3"),
        example: "3",
        what: "number of requests, 1 to 16",
        why: "Requests outstanding per walk. More is faster past dead nodes and costs traffic.",
    },
    KeySpec {
        path: "lookup.replicas",
        default: Some("2"),
        example: "2",
        what: "number of nodes, 1 to 8",
        why: "Nodes that store a value. With 1 the death of a node loses it until it is renewed.",
    },
    KeySpec {
        path: "lookup.settle",
        default: Some("4"),
        example: "4",
        what: "number of nodes, at least lookup.replicas, at most 16",
        why: "Closest nodes that must answer before a search ends in vain. Fewer misses values \
              while nodes come and go; more makes every miss slower.",
    },
    KeySpec {
        path: "lookup.commands",
        default: Some("1024"),
        example: "1024",
        what: "number of commands",
        why: "Commands of local clients under way at once; more are refused as busy.",
    },
    KeySpec {
        path: "admit.strangers",
        default: Some("2000"),
        example: "2000",
        what: "datagrams per second and prefix (IPv4 /24, IPv6 /56)",
        why: "What addresses that have not proven themselves may send. Too low, and a restart of \
              many nodes behind one prefix starves itself.",
    },
    KeySpec {
        path: "admit.members",
        default: Some("20000"),
        example: "20000",
        what: "datagrams per second and address",
        why: "What a proven address may send.",
    },
    KeySpec {
        path: "admit.key_gets",
        default: Some("20000"),
        example: "20000",
        what: "gets and claims per second and key",
        why: "What one key may cost a node; more is refused as key_rate. Too low, and a crowd's \
              proxies are sent to nodes further out, or to the origin.",
    },
    KeySpec {
        path: "admit.key_puts",
        default: Some("500"),
        example: "500",
        what: "puts per second and key",
        why: "Likewise for puts: many times what the sloppy storage lets through to one node.",
    },
    KeySpec {
        path: "ping.idle",
        default: Some("5s"),
        example: "5s",
        what: "duration, 1s to 5m",
        why: "A contact silent for so long is pinged; with over 16 contacts, and while all of \
              them live, later. Shorter notices deaths sooner and costs up to 16 pings of 400 \
              bytes in this time.",
    },
    KeySpec {
        path: "admin.listen",
        default: Some(""),
        example: "127.0.0.1:7480",
        what: "address and port; empty: none",
        why: "Serves /metrics, /healthz, /readyz and /state. For loopback or a management network.",
    },
    KeySpec {
        path: "node.name",
        default: Some(""),
        example: "ams-3",
        what: "text",
        why: "Name of the node in logs and on its state page. Identifies nothing.",
    },
    KeySpec {
        path: "log.format",
        default: Some("human"),
        example: "human",
        what: "human or json",
        why: "How a log line looks.",
    },
    KeySpec {
        path: "log.level",
        default: Some("info"),
        example: "info",
        what: "error, warn, info, debug or trace, also by module: info,dht=debug",
        why: "Which log lines are written. trace writes one per datagram.",
    },
    KeySpec {
        path: "trace.export",
        default: Some(""),
        example: "http://127.0.0.1:4318",
        what: "http://HOST:PORT; empty: nowhere",
        why: "A collector of OTLP over HTTP that kept spans are sent to, in JSON: of an OpenTelemetry collector, its port 4318. One that is down costs nothing but a metric.",
    },
];
