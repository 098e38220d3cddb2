//! Measures the daemons on this machine's loopback: how much CPU a request costs, and how many a
//! second that makes.
//!
//! `cargo run --release -p atoll-tests --bin bench -- index`. The daemon under test has one core
//! and the load another, where there are two. CPU per request is the figure to compare: it hardly
//! depends on what else the machine does; the rate on the clock does.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on ends with what happened"
)]

mod chaos;
mod cpu;
mod dns;
mod dns_checks;
mod dns_floor;
mod dns_live;
mod dns_load;
mod dns_memory;
mod dns_rivals;
mod dns_signed;
mod dns_tcp;
mod fleet;
mod flood;
mod gets;
mod hits;
mod http;
mod http_floor;
mod http_load;
mod http_memory;
mod http_peer;
mod http_works;
mod index;
mod keep_floor;
mod late;
mod load;
mod quota;
mod restart;
mod rivals;
mod tally;
mod tls;
mod tls_floor;
mod tls_floor_h2;
mod tls_parts;
mod upstreams;
mod visitor;
mod wrk;

use std::io::Write as _;
use std::time::Duration;

use clap::{Parser, Subcommand};
use common::config::{FromSetting as _, Span};

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Measures the daemons on loopback")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The index: authenticated requests and garbage over UDP, gets through the local API
    Index(index::IndexArgs),
    /// The name server beside others: CPU of a question over UDP and TCP
    Dns(dns::DnsArgs),
    /// The proxy beside other caches: CPU of hits, misses and connections; first byte for late clients
    Http(http::HttpArgs),
    /// The proxy beside other caches over HTTPS: hot hits, large bodies, handshakes, HTTP/2
    Tls(tls::TlsArgs),
    /// Servers over TLS that do nothing but seal and send: what the libraries cost
    TlsFloor(tls_floor::FloorArgs),
    /// What TLS computes, alone: records sealed, signatures, key exchanges
    TlsParts(tls_parts::PartsArgs),
    /// The name server: how long proxies that are killed under load are still named
    DnsKill(dns_live::KillArgs),
    /// The name server while a fifth of many proxies dies every ten seconds
    DnsChurn(dns_live::ChurnArgs),
    /// The name server: what checking proxies costs
    DnsChecks(dns_checks::ChecksArgs),
    /// The name server: memory with many proxies and many known client networks
    DnsMemory(dns_memory::MemoryArgs),
    /// Answers any question without reading it: what the system's part of an answer costs
    #[command(hide = true)]
    DnsFloor(dns_floor::FloorArgs),
    /// The proxy's choice of what to keep beside others': hit ratios over a day
    Hits(hits::HitsArgs),
    /// A server that does nothing but send: what the kernel costs
    HttpFloor(http_floor::FloorArgs),
    /// A cache that does no more than it must: what our runtime, a hash and a write cost
    KeepFloor(keep_floor::FloorArgs),
    /// The proxy with idle connections and slow readers
    HttpLoad(http_load::LoadArgs),
    /// What a cached object costs the proxy in memory
    HttpMemory(http_memory::MemoryArgs),
    /// The proxy's disk store: how soon it is there again
    Restart(restart::RestartArgs),
    /// The proxy killed at random moments under load
    Chaos(chaos::ChaosArgs),
    /// A controller with many simulated agents: check-ins, and a rollout
    Fleet(fleet::FleetArgs),
    /// The proxy, and other caches, with more visitors than they can serve
    HttpFlood(flood::FloodArgs),
}

/// Reads `200ms`, `5s` for clap.
fn span(text: &str) -> Result<Duration, String> {
    Span::from_text(text).map(|span| span.0)
}

/// Writes a part of the result.
fn say(text: &str) {
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn main() {
    match Cli::parse().what {
        What::Index(args) => index::run(&args),
        What::Dns(args) => dns::run(&args),
        What::Http(args) => http::run(&args),
        What::Hits(args) => hits::run(&args),
        What::Tls(args) => tls::run(&args),
        What::TlsFloor(args) => tls_floor::run(&args),
        What::TlsParts(args) => tls_parts::run(&args),
        What::HttpFloor(args) => http_floor::run(&args),
        What::KeepFloor(args) => keep_floor::run(&args),
        What::HttpLoad(args) => http_load::run(&args),
        What::HttpMemory(args) => http_memory::run(&args),
        What::HttpFlood(args) => flood::run(&args),
        What::Fleet(args) => fleet::run(&args),
        What::Restart(args) => restart::run(&args),
        What::Chaos(args) => chaos::run(&args),
        What::DnsKill(args) => dns_live::kill(&args),
        What::DnsChurn(args) => dns_live::churn(&args),
        What::DnsChecks(args) => dns_checks::run(&args),
        What::DnsMemory(args) => dns_memory::run(&args),
        What::DnsFloor(args) => dns_floor::run(&args),
    }
}
