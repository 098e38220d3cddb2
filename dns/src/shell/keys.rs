//! The keys of `atoll-dns`: default, unit and meaning of each. What is made of them, and what is
//! refused, stands in [`super::config`].

use common::config::KeySpec;

const fn key(
    path: &'static str,
    default: Option<&'static str>,
    example: &'static str,
    what: &'static str,
    why: &'static str,
) -> KeySpec {
    KeySpec {
        path,
        default,
        example,
        what,
        why,
    }
}

/// Every key, with its default and meaning.
pub static KEYS: &[KeySpec] = &[
    key(
        "zone",
        None,
        "nyud.net",
        "list of domain names",
        "Zones that this server answers for; proxies are checked under the first. In a file that also \
         sets zone.*, write it as `name` in that section.",
    ),
    key(
        "node.name",
        Some(""),
        "dns-1",
        "text",
        "Name of this node in its log; empty for none.",
    ),
    key(
        "dns.listen",
        Some("127.0.0.1:5300"),
        "192.0.2.53:53",
        "list of addresses and ports",
        "Where questions are answered, over UDP and TCP alike.",
    ),
    key(
        "dns.threads",
        Some("0"),
        "2",
        "number",
        "Receiving threads, each with sockets of its own; 0: one per core.",
    ),
    key(
        "dns.tcp_connections",
        Some("256"),
        "256",
        "number",
        "TCP connections at once; more are closed and counted. Each costs a descriptor.",
    ),
    key(
        "dns.tcp_per_prefix",
        Some("64"),
        "64",
        "number",
        "Of those, at most so many from one IPv4 /24 or IPv6 /56; more are closed and counted.",
    ),
    key(
        "dns.tcp_idle",
        Some("10s"),
        "10s",
        "duration",
        "A TCP connection that sends no whole question, or takes no answer, for so long is closed.",
    ),
    key(
        "dns.nsid",
        Some(""),
        "ns1-fra",
        "text, up to 64 bytes",
        "What this server answers when asked for its name (RFC 5001). Empty: nothing.",
    ),
    key(
        "dns.cookie_secret_file",
        Some(""),
        "",
        "path",
        "File with the secret of DNS cookies, 32 hexadecimal digits (RFC 9018), for servers that share an \
         address; a second line holds the one before it, still accepted. Only its owner may read it. Empty: a \
         secret of this process's own that changes daily.",
    ),
    key(
        "limit.amplification",
        Some("3"),
        "3",
        "number",
        "How many times longer than its question an answer over UDP may be while no cookie proves the \
         address; longer ones are cut short and asked for again by TCP. 0: no bound but 1,232 bytes.",
    ),
    key(
        "limit.replies_per_second",
        Some("2000"),
        "2000",
        "number",
        "UDP replies a second to one IPv4 /24 or IPv6 /56 without a cookie, by each receiving thread. Beyond \
         it every second one says \"ask by TCP\", the others are dropped. 0: no limit.",
    ),
    key(
        "zone.ns",
        Some(""),
        "ns1=192.0.2.53,ns2=198.51.100.53",
        "list of name=address",
        "Name servers of the zone, the primary first, names relative to the zone or full; a name in the \
         zone needs its address, one outside has none. Empty: ns1 and ns2 at the addresses of dns.listen.",
    ),
    key(
        "zone.hostmaster",
        Some(""),
        "hostmaster@example.net",
        "mail address",
        "Who runs the zone, for its SOA record. Empty: hostmaster@<zone>.",
    ),
    key(
        "zone.serial",
        Some("1"),
        "2026010100",
        "number",
        "Serial of the SOA record. The zone is never transferred, so it is for people to look at.",
    ),
    key(
        "zone.services",
        Some("www,status,check"),
        "www,status",
        "list of labels",
        "Single labels under the zone that answer with live proxies, as the zone itself does.",
    ),
    key(
        "zone.records",
        Some(""),
        "mail 3600 A 192.0.2.5,@ MX 10 mail",
        "list of records",
        "Static records, each OWNER [TTL] TYPE DATA, of type A, AAAA, CNAME, TXT, CAA or MX. A name without \
         a dot is relative to each zone, @ is the zone, one with a dot is full. What has commas or quotes \
         in it needs a file.",
    ),
    key(
        "zone.keys",
        Some(""),
        "active=/etc/atoll/zone-1.pem,published=/etc/atoll/zone-2.pem",
        "list of role=path",
        "Keys that the zones are signed with (made by `atoll-dns keys new`), each active, published or retired; \
         all name servers of a zone need the same. Empty: not signed. `atoll-dns keys show` prints the DS \
         records for the parent.",
    ),
    key(
        "zone.cds",
        Some("keys"),
        "none",
        "keys, none or delete",
        "What CDS and CDNSKEY records tell the parent (RFC 7344): the published and active keys, nothing, or \
         that its DS records are to go, before signing ends.",
    ),
    key(
        "zone.signature_life",
        Some("2d"),
        "2d",
        "duration, 2h to 30d",
        "How long a signature is valid. So long can a recorded answer be shown to others; too short, and \
         resolvers with a wrong clock refuse it.",
    ),
    key(
        "zone.signatures",
        Some("16384"),
        "16384",
        "number",
        "Signatures remembered per receiving thread, 250 bytes each, so that what is asked for again is not \
         signed again.",
    ),
    key(
        "zone.signatures_per_second",
        Some("10000"),
        "10000",
        "number",
        "New signatures per second and receiving thread, 20 microseconds each; what needs more is SERVFAIL. Bounds \
         what questions for random names cost.",
    ),
    key(
        "answer.https",
        Some("false"),
        "true",
        "true or false",
        "Whether names that one wildcard certificate covers (not the dotted ones) have HTTPS records, which \
         send browsers to port 443 at once. Only when every proxy serves TLS.",
    ),
    key(
        "answer.https_alpn",
        Some("h2,http/1.1"),
        "h2,http/1.1",
        "list of protocol names",
        "What HTTPS records say the proxies speak over TLS.",
    ),
    key(
        "answer.ttl",
        Some("30s"),
        "30s",
        "duration in whole seconds",
        "How long resolvers keep addresses. Longer is fewer questions, and longer use of a proxy that died.",
    ),
    key(
        "answer.count",
        Some("4"),
        "4",
        "number, 1 to 16",
        "Addresses in one answer. One is too few: a client whose only address just died cannot go on.",
    ),
    key(
        "answer.negative_ttl",
        Some("30s"),
        "30s",
        "duration in whole seconds",
        "How long resolvers remember that a name or type does not exist.",
    ),
    key(
        "answer.when_empty",
        Some("last,anchors"),
        "last,anchors",
        "list of last, anchors",
        "What to answer with when no proxy is alive, in this order: the last verified ones for \
         answer.last_for, then answer.anchors. SERVFAIL comes after all of it.",
    ),
    key(
        "answer.last_for",
        Some("30s"),
        "30s",
        "duration",
        "How long the last verified proxies stand in when none is alive.",
    ),
    key(
        "answer.anchors",
        Some(""),
        "192.0.2.80,2001:db8::80",
        "list of IP addresses",
        "Addresses to answer with when no proxy is alive; nobody checks them.",
    ),
    key(
        "check.ping_every",
        Some("1s"),
        "1s",
        "duration",
        "Between pings of each proxy's index. Two missed in a row take the proxy out.",
    ),
    key(
        "check.http_every",
        Some("2s"),
        "2s",
        "duration",
        "Between HTTP requests to each proxy. One failed takes it out, so with check.timeout this bounds how \
         long a hung proxy is still named. Each costs the proxy a connection.",
    ),
    key(
        "check.timeout",
        Some("800ms"),
        "800ms",
        "duration",
        "For one ping or HTTP request. Shorter than the round trip to a proxy, it shuts that proxy out.",
    ),
    key(
        "check.concurrency",
        Some("256"),
        "256",
        "number",
        "Pings, and HTTP requests, under way at once; each of the latter costs a descriptor. Too few for the \
         number of proxies makes checks rarer.",
    ),
    key(
        "check.proxies_max",
        Some("1000"),
        "1000",
        "number, 1 to 10000",
        "Proxies checked at once; of others this server knows (up to 10,000), and names none. First come the \
         fixed ones, then those near clients that ask, those near this server, and a share of the rest by \
         node.name, which is why that should differ between servers.",
    ),
    key(
        "check.slow",
        Some("400ms"),
        "400ms",
        "duration",
        "A proxy that takes longer than this for the check page, two round trips not counted, and four times \
         as long as others, is slow; two slow pages in a row take it out. One that was fast before is slow \
         at four times its own usual time, from 100 ms on.",
    ),
    key(
        "check.fixed",
        Some(""),
        "192.0.2.80:80",
        "list of addresses and ports",
        "Proxies known without an index, verified by HTTP alone.",
    ),
    key(
        "answer.near_ttl",
        Some("60s"),
        "60s",
        "duration in whole seconds",
        "The same as answer.ttl for answers all of whose proxies were measured to be within near.inner of the client: \
         nothing nearer will come up.",
    ),
    key(
        "near.inner",
        Some("20ms"),
        "20ms",
        "duration",
        "Round trip below which proxies are as near as can be (level 2). With near.outer, keep to the thresholds of the index.",
    ),
    key(
        "near.outer",
        Some("60ms"),
        "60ms",
        "duration",
        "Round trip below which proxies are near (level 1). Farther ones are named only where no near ones are.",
    ),
    key(
        "near.networks",
        Some("100000"),
        "100000",
        "number",
        "Client networks (IPv4 /24, IPv6 /56) whose near proxies are remembered; those asked for least recently \
         make room. Each costs about 250 bytes.",
    ),
    key(
        "near.lookups_per_second",
        Some("50"),
        "50",
        "number",
        "Client networks looked up in the index, at most. A lookup costs the index up to thirty datagrams. Never \
         does an answer wait for one.",
    ),
    key(
        "near.concurrency",
        Some("16"),
        "16",
        "number",
        "Lookups under way at once.",
    ),
    key(
        "near.refresh",
        Some("5m"),
        "5m",
        "duration",
        "Between two lookups of a network that is still asked for.",
    ),
    key(
        "near.forget",
        Some("1h"),
        "1h",
        "duration",
        "A network that was not asked for, or whose proxies could not be confirmed, in so long is forgotten.",
    ),
    key(
        "near.map_file",
        Some(""),
        "/var/lib/GeoIP/GeoLite2-City.mmdb",
        "path of a MaxMind DB with places (GeoLite2 City and the like), or empty",
        "Where clients are of whom no proxy has measured anything: they are sent to the nearest as the crow flies, \
         until somebody has. Kept in memory; read anew on SIGHUP.",
    ),
    key(
        "watch.parent",
        Some(""),
        "198.51.100.1:53",
        "list of addresses and ports",
        "Servers of the parent zones, asked what they say of ours: missing, superfluous and dead name servers, \
         wrong addresses and wrong DS records are logged, counted and shown.",
    ),
    key(
        "watch.resolver",
        Some(""),
        "192.0.2.1:53",
        "address and port",
        "A resolver that knows the parent's servers, if they are not given. Neither: the delegation is not watched.",
    ),
    key(
        "watch.every",
        Some("10m"),
        "10m",
        "duration",
        "Between two looks at the delegation. Each is two questions to the parent and one to each name server.",
    ),
    key(
        "watch.timeout",
        Some("3s"),
        "3s",
        "duration",
        "For one question of the watch, with one repetition.",
    ),
    key(
        "index.socket",
        Some(""),
        "/run/atoll/dht.sock",
        "path",
        "Unix socket of the local index, which names candidates and pings them. Empty: none.",
    ),
    key(
        "index.old_socket",
        Some(""),
        "/run/atoll/dht-old.sock",
        "path",
        "Unix socket of the index of a network that this one takes the place of: candidates come from both. Empty: there is none.",
    ),
    key(
        "admin.listen",
        Some(""),
        "127.0.0.1:9153",
        "address and port",
        "Where /metrics, /healthz, /readyz and /state are served. Empty: nowhere.",
    ),
    key(
        "log.queries",
        Some("off"),
        "json",
        "off or json",
        "Whether replies are noted, one line of JSON each: when, the client's network (IPv4 /24, IPv6 /56, never \
         more), what was asked, and what was said. Nobody who answers waits for it: lines that the disk does \
         not take are dropped and counted.",
    ),
    key(
        "log.queries_file",
        Some(""),
        "/var/log/atoll/queries.json",
        "path",
        "Where replies are noted. A file that was renamed is begun anew within a second.",
    ),
    key(
        "log.format",
        Some("human"),
        "json",
        "human or json",
        "How log lines look.",
    ),
    key(
        "log.level",
        Some("info"),
        "debug",
        "level, or levels by target",
        "Which log lines are written: error, warn, info, debug or trace.",
    ),
];
