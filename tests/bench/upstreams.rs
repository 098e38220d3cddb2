//! Servers for the flood: each a cache before one web server that stands for two sites, each with
//! what its documentation advises for many new connections. One that is not installed is left out,
//! loudly.

use std::fs;
use std::net::SocketAddr;

use harness::cluster::{Proxy, set};
use harness::daemon::Daemon;
use harness::exec;
use harness::origin::coralised;
use harness::place::{Place, Port, host};
use harness::skip;
use harness::wait::{self, SOON};

/// What is kept at most: less than a flood brings, so that it is seen what happens when it is full.
const STORE_MIB: usize = 32;

/// A server under test.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The hosts by which it knows the two sites.
    pub(crate) greedy: String,
    pub(crate) modest: String,
    /// The process.
    pub(crate) daemon: Daemon,
}

/// The addresses of the web server, one for each site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sites {
    pub(crate) greedy: SocketAddr,
    pub(crate) modest: SocketAddr,
}

/// Starts the server called `name`. `None` where there is none.
pub(crate) async fn start(
    name: &str,
    place: &Place,
    sites: Sites,
    sets: &[String],
) -> Option<Upstream> {
    let server = match name {
        "atoll" => return Some(ours(place, sites, sets).await),
        "nginx" => nginx(place, sites),
        "haproxy" => haproxy(place, sites),
        "varnish" => varnish(place, sites),
        _ => None,
    };
    let Some(server) = server else {
        skip::loudly(&format!("no {name} to compare with"));
        return None;
    };
    let listens = async || tokio::net::TcpStream::connect(server.addr).await.is_ok();
    wait::until(&format!("{name} listens"), SOON, listens).await;
    Some(server)
}

async fn ours(place: &Place, sites: Sites, sets: &[String]) -> Upstream {
    let mut all = vec![
        set("http.connections_max", 12_000),
        set("client.exempt", ""),
        set("log.level", "warn"),
        set("store.memory", format!("{STORE_MIB}MiB")),
        set("store.disk", "0B"),
    ];
    all.extend(sets.iter().cloned());
    let proxy = Proxy::alone(place, &all).await;
    Upstream {
        name: "atoll-proxy",
        addr: proxy.http,
        greedy: coralised(sites.greedy),
        modest: coralised(sites.modest),
        daemon: proxy.daemon,
    }
}

/// A server that tells the sites apart by name.
fn other(name: &'static str, addr: SocketAddr, daemon: Daemon) -> Upstream {
    Upstream {
        name,
        addr,
        greedy: "greedy.test".to_owned(),
        modest: "modest.test".to_owned(),
        daemon,
    }
}

fn nginx(place: &Place, sites: Sites) -> Option<Upstream> {
    let nginx = exec::find("nginx")?;
    let addr = place.at(host::ORIGIN + 60, Port::Web);
    let own = place.file("flooded");
    fs::create_dir_all(&own).unwrap();
    let (own, config) = (own.display().to_string(), own.join("nginx.conf"));
    let text = format!(
        "daemon off; master_process off; pid {own}/pid; error_log stderr crit;\n\
         events {{ worker_connections 16384; multi_accept on; }}\n\
         http {{ access_log off;\n\
         client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;\n\
         uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;\n\
         proxy_cache_path {own}/c keys_zone=c:{STORE_MIB}m max_size={STORE_MIB}m;\n\
         upstream o {{ server {origin}; keepalive 64; }}\n\
         server {{ listen {addr} backlog=1024; location / {{ proxy_cache c; proxy_cache_lock on;\n\
         proxy_cache_key $host$request_uri; proxy_cache_valid 200 1h; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_pass http://o; }} }} }}\n",
        origin = sites.greedy,
    );
    fs::write(&config, text).unwrap();
    let args = ["-c", config.to_str().unwrap(), "-p", &own];
    let daemon = Daemon::start_other("flooded", &nginx, &args, place.dir());
    Some(other("nginx, proxy_cache", addr, daemon))
}

fn varnish(place: &Place, sites: Sites) -> Option<Upstream> {
    let varnish = exec::find("varnishd")?;
    let addr = place.at(host::ORIGIN + 70, Port::Web);
    let (at, from) = (addr.to_string(), sites.greedy.to_string());
    let own = place.file("varnish").display().to_string();
    let store = format!("malloc,{STORE_MIB}m");
    let args = [
        "-F",
        "-j",
        "none",
        "-a",
        &at,
        "-b",
        &from,
        "-n",
        &own,
        "-s",
        &store,
        "-p",
        "thread_pools=1",
        "-p",
        "listen_depth=1024",
    ];
    let daemon = Daemon::start_other("varnish", &varnish, &args, place.dir());
    Some(other("Varnish", addr, daemon))
}

fn haproxy(place: &Place, sites: Sites) -> Option<Upstream> {
    let haproxy = exec::find("haproxy")?;
    let addr = place.at(host::ORIGIN + 71, Port::Web);
    let config = place.file("haproxy.cfg");
    let text = format!(
        "global\n nbthread 1\n maxconn 9000\ndefaults\n mode http\n timeout connect 5s\n \
         timeout client 60s\n timeout server 60s\n timeout queue 1s\n http-reuse always\n\
         cache c\n total-max-size {STORE_MIB}\n max-object-size 4000000\n max-age 3600\n\
         frontend f\n bind {addr} backlog 1024\n maxconn 9000\n default_backend b\nbackend b\n \
         http-request cache-use c\n http-response cache-store c\n server s {} maxconn 64\n",
        sites.greedy
    );
    fs::write(&config, text).unwrap();
    let args = ["-db", "-f", config.to_str().unwrap()];
    let daemon = Daemon::start_other("haproxy", &haproxy, &args, place.dir());
    Some(other("HAProxy, cache", addr, daemon))
}
