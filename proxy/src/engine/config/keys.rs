//! The table of the proxy's keys, with defaults and reasons.

use common::config::KeySpec;

const fn key(
    path: &'static str,
    default: &'static str,
    what: &'static str,
    why: &'static str,
) -> KeySpec {
    KeySpec {
        path,
        default: Some(default),
        example: default,
        what,
        why,
    }
}

/// Every key of the proxy.
pub static KEYS: &[KeySpec] = &[
    KeySpec {
        path: "zone",
        default: None,
        example: "nyud.net",
        what: "domain name",
        why: "The zone whose names are served: http://example.com.<zone>/.",
    },
    key(
        "node.name",
        "proxy",
        "word",
        "Name of this node in Via, Cache-Status and CDN-Loop; unique in the network.",
    ),
    key(
        "http.listen",
        "127.0.0.1:8080",
        "address and port",
        "Where clients connect.",
    ),
    key(
        "http.connections_max",
        "8192",
        "number",
        "Client connections at once; more are closed at once. Each idle one costs about 20 KB.",
    ),
    key(
        "http.connections_per_client",
        "256",
        "number",
        "Connections of one client neighbourhood (IPv4 /24, IPv6 /56) at once; more are closed at once. Too few and the users behind one translator shut each other out.",
    ),
    key(
        "http.header_timeout",
        "10s",
        "duration",
        "From the first byte of a request header to its last; then 408.",
    ),
    key(
        "http.idle_timeout",
        "30s",
        "duration",
        "A connection on which no request begins for so long is closed.",
    ),
    key(
        "http.send_timeout",
        "30s",
        "duration",
        "A client that takes less than 64 bytes per second over this time loses its connection. Too short and bad radio links lose pages; too long and slow readers hold memory.",
    ),
    key(
        "client.exempt",
        "127.0.0.0/8,::1",
        "list of networks",
        "Clients to whom the bounds per client do not apply: this machine, a load balancer, a monitor.",
    ),
    KeySpec {
        path: "peer.listen",
        default: Some(""),
        example: "127.0.0.1:8081",
        what: "address and port",
        why: "Where other proxies of the network connect; empty for a proxy on its own.",
    },
    KeySpec {
        path: "peer.advertise",
        default: Some(""),
        example: "192.0.2.1:8081",
        what: "address and port",
        why: "The peer address that others are told; empty for peer.listen.",
    },
    KeySpec {
        path: "admin.listen",
        default: Some(""),
        example: "127.0.0.1:8082",
        what: "address and port",
        why: "Where /metrics, /healthz, /readyz and /state are served; empty for nowhere.",
    },
    KeySpec {
        path: "index.socket",
        default: Some(""),
        example: "/run/atoll/index.sock",
        what: "path",
        why: "Unix socket of the local index daemon; empty for a proxy without cooperation.",
    },
    KeySpec {
        path: "index.advertise",
        default: Some(""),
        example: "192.0.2.1:80",
        what: "address and port",
        why: "The client address that name servers are told; empty for http.listen.",
    },
    KeySpec {
        path: "network.secret_file",
        default: Some(""),
        example: "/etc/atoll/secret",
        what: "path",
        why: "File of mode 0600 with the network's secret; needed with peer.listen.",
    },
    key(
        "origin.allow_private",
        "false",
        "true or false",
        "Whether origins may be at loopback and private addresses. For demos and tests: with it, strangers reach your own network.",
    ),
    KeySpec {
        path: "origin.ca_file",
        default: Some(""),
        example: "/etc/atoll/roots.pem",
        what: "path",
        why: "PEM file of certificates to trust beside the system's when fetching by HTTPS.",
    },
    KeySpec {
        path: "origin.resolvers",
        default: Some(""),
        example: "192.0.2.53:53",
        what: "list of addresses and ports",
        why: "Resolvers for the names of origins; empty for the system's.",
    },
    key(
        "origin.connect_timeout",
        "3s",
        "duration",
        "For one connection to one address of an origin or peer.",
    ),
    key(
        "origin.header_timeout",
        "15s",
        "duration",
        "From the request to the origin's response header.",
    ),
    key(
        "origin.body_timeout",
        "30s",
        "duration",
        "For the next bytes of a body; a source that stalls longer is given up.",
    ),
    key(
        "cache.default_hot",
        "60s",
        "duration",
        "Lifetime of a page that says nothing about it while its site is in demand; while it is quiet, none. Too long and dynamic pages stand still.",
    ),
    key(
        "cache.stale_on_error",
        "24h",
        "duration",
        "How long past its end a copy may stand in for an origin that fails.",
    ),
    key(
        "store.memory",
        "256MiB",
        "bytes",
        "Memory for header fields and small bodies.",
    ),
    key(
        "store.disk",
        "8GiB",
        "bytes",
        "Disk for large bodies, and for what slow readers have not read yet.",
    ),
    key(
        "store.under_way",
        "128MiB",
        "bytes",
        "Memory for bodies on their way, beside what is kept. Beyond it they go to disk at once, and pages that may not be kept are refused for a while.",
    ),
    KeySpec {
        path: "store.dir",
        default: Some(""),
        example: "/var/lib/atoll/store",
        what: "path",
        why: "Where large bodies are spilled; empty for the system's temporary directory. Without room there, large bodies pass through and are not kept.",
    },
    key(
        "store.spill_over",
        "1MiB",
        "bytes",
        "Bodies larger than this go to disk.",
    ),
    key(
        "log.format",
        "human",
        "human or json",
        "How log lines look.",
    ),
    key(
        "log.level",
        "info",
        "level or list of target=level",
        "Which log lines are written.",
    ),
];
