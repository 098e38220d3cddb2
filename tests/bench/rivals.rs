//! Servers to be measured side by side, each on one core: ours, and those others wrote. One that is
//! not installed is left out, loudly.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::daemon::Daemon;
use harness::exec;
use harness::origin::coralised;
use harness::pattern;
use harness::place::{Place, Port, host};
use harness::skip;
use harness::wait::{self, SOON};

use super::http_floor::PAGES;

/// A server under test.
#[derive(Debug)]
pub(crate) struct Rival {
    /// What it is called in the tables.
    pub(crate) name: &'static str,
    /// What it says of itself.
    pub(crate) version: String,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The host by which it knows the origin.
    pub(crate) host: String,
    /// Whether it fetches from the origin; else it has files.
    pub(crate) is_cache: bool,
    /// The process.
    pub(crate) daemon: Daemon,
}

impl Rival {
    /// The page `path` as this server knows it.
    pub(crate) fn page(&self, path: &str) -> Page {
        Page::new(&self.host, path)
    }

    async fn until_up(&self) {
        let listens = async || tokio::net::TcpStream::connect(self.addr).await.is_ok();
        wait::until(&format!("{} listens", self.name), SOON, listens).await;
    }
}

/// The first line of what `program` says to `flag`.
fn version(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "unknown".to_owned();
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().next().unwrap_or_default().to_owned()
}

/// All of them that are here, before the server at `origin`; ours is the first.
pub(crate) async fn start(place: &Place, origin: SocketAddr) -> Vec<Rival> {
    let mut all = vec![ours(place, origin).await];
    all.push(floor(place));
    all.push(keep_floor(place, origin));
    let root = place.file("files");
    fs::create_dir_all(&root).unwrap();
    for (path, length) in PAGES {
        fs::write(root.join(&path[1..]), pattern::whole(0..length)).unwrap();
    }
    let files = format!("root {};", root.display());
    let kept = "open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;";
    let cache = format!(
        "proxy_cache c; proxy_cache_lock on; proxy_cache_valid 200 1h; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; proxy_pass http://o; {kept}"
    );
    let nginxes = [
        ("nginx, file", files.clone(), false),
        (
            "nginx, file, open_file_cache",
            format!("{files} {kept}"),
            false,
        ),
        ("nginx, proxy_cache", cache, true),
    ];
    for (n, (name, directives, is_cache)) in (60..).zip(nginxes) {
        all.extend(nginx(place, n, (name, origin), &directives, is_cache));
    }
    all.extend(varnish(place, origin));
    all.extend(haproxy(place, origin));
    all.extend(traffic_server(place, origin));
    all.extend(squid(place, origin));
    for rival in &all {
        rival.until_up().await;
    }
    all
}

async fn ours(place: &Place, origin: SocketAddr) -> Rival {
    let sets = [
        set("log.level", "warn"),
        set("http.connections_max", 12_000),
        set("http.idle_timeout", "600s"),
    ];
    let proxy = Proxy::alone(place, &sets).await;
    Rival {
        name: "atoll-proxy",
        version: format!("atoll-proxy {}", env!("CARGO_PKG_VERSION")),
        addr: proxy.http,
        host: coralised(origin),
        is_cache: true,
        daemon: proxy.daemon,
    }
}

/// What the kernel alone costs: see [`http_floor`](super::http_floor).
fn floor(place: &Place) -> Rival {
    let addr = place.at(host::ORIGIN + 50, Port::Web);
    Rival {
        name: "epoll and writev alone",
        version: "the floor".to_owned(),
        addr,
        host: "origin.test".to_owned(),
        is_cache: false,
        daemon: bare(place, "floor", addr),
    }
}

/// What our runtime costs with no more than must be: see [`keep_floor`](super::keep_floor).
fn keep_floor(place: &Place, origin: SocketAddr) -> Rival {
    let addr = place.at(host::ORIGIN + 56, Port::Web);
    let this = std::env::current_exe().unwrap();
    let file = place.file("keep-floor").display().to_string();
    let (at, from) = (addr.to_string(), origin.to_string());
    let args = ["keep-floor", &at, &from, &file];
    Rival {
        name: "fetch and keep on tokio alone",
        version: "the floor of our runtime".to_owned(),
        addr,
        host: "origin.test".to_owned(),
        is_cache: true,
        daemon: Daemon::start_other("keep-floor", &this, &args, place.dir()),
    }
}

/// A server without any cache at `addr`.
pub(crate) fn bare(place: &Place, title: &str, addr: SocketAddr) -> Daemon {
    let this = std::env::current_exe().unwrap();
    Daemon::start_other(
        title,
        &this,
        &["http-floor", &addr.to_string()],
        place.dir(),
    )
}

fn nginx(
    place: &Place,
    n: u8,
    (name, origin): (&'static str, SocketAddr),
    directives: &str,
    is_cache: bool,
) -> Option<Rival> {
    let Some(nginx) = exec::find("nginx") else {
        skip::loudly("no nginx to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + n, Port::Web);
    let own = place.file(&format!("nginx{n}"));
    fs::create_dir_all(&own).unwrap();
    let (own, config) = (own.display().to_string(), own.join("nginx.conf"));
    let text = format!(
        "daemon off; master_process off; pid {own}/pid; error_log stderr error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush off; keepalive_requests 100000000;\n\
         client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;\n\
         uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;\n\
         proxy_cache_path {own}/c keys_zone=c:32m; upstream o {{ server {origin}; keepalive 64; }}\n\
         server {{ listen {addr}; location / {{ {directives} }} }} }}\n"
    );
    fs::write(&config, text).unwrap();
    let args = ["-c", config.to_str().unwrap(), "-p", &own];
    Some(Rival {
        name,
        version: version(&nginx, "-v"),
        addr,
        host: "origin.test".to_owned(),
        is_cache,
        daemon: Daemon::start_other(&format!("nginx{n}"), &nginx, &args, place.dir()),
    })
}

fn varnish(place: &Place, origin: SocketAddr) -> Option<Rival> {
    let Some(varnish) = exec::find("varnishd") else {
        skip::loudly("no Varnish to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 70, Port::Web);
    let (at, from) = (addr.to_string(), origin.to_string());
    let own = place.file("varnish").display().to_string();
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
        "malloc,512m",
        "-p",
        "thread_pools=1",
    ];
    Some(Rival {
        name: "Varnish",
        version: version(&varnish, "-V"),
        addr,
        host: "origin.test".to_owned(),
        is_cache: true,
        daemon: Daemon::start_other("varnish", &varnish, &args, place.dir()),
    })
}

fn haproxy(place: &Place, origin: SocketAddr) -> Option<Rival> {
    let Some(haproxy) = exec::find("haproxy") else {
        skip::loudly("no HAProxy to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 71, Port::Web);
    let config = place.file("haproxy.cfg");
    let text = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n \
         timeout server 60s\ncache c\n total-max-size 512\n max-object-size 12000000\n max-age 3600\n\
         frontend f\n bind {addr}\n default_backend b\nbackend b\n http-request cache-use c\n \
         http-response cache-store c\n server s {}\n",
        origin
    );
    fs::write(&config, text).unwrap();
    let args = ["-db", "-f", config.to_str().unwrap()];
    Some(Rival {
        name: "HAProxy, cache",
        version: version(&haproxy, "-v"),
        addr,
        host: "origin.test".to_owned(),
        is_cache: true,
        daemon: Daemon::start_other("haproxy", &haproxy, &args, place.dir()),
    })
}

fn traffic_server(place: &Place, origin: SocketAddr) -> Option<Rival> {
    let Some(server) = exec::find("traffic_server") else {
        skip::loudly("no Traffic Server to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 72, Port::Web);
    let own = place.file("ats");
    let at = own.display();
    for dir in ["etc", "run", "log", "cache"] {
        fs::create_dir_all(own.join(dir)).unwrap();
    }
    let files = [
        (
            "runroot.yaml",
            format!(
                "prefix: /usr\nbindir: /usr/bin\nsysconfdir: {at}/etc\n\
                 libdir: /usr/lib/trafficserver\nlogdir: {at}/log\nruntimedir: {at}/run\n\
                 plugindir: /usr/lib/trafficserver/modules\ncachedir: {at}/cache\n\
                 localstatedir: {at}/run\n"
            ),
        ),
        (
            "etc/records.config",
            format!(
                "CONFIG proxy.config.http.server_ports STRING {}:ip-in={}\n\
                 CONFIG proxy.config.admin.user_id STRING #-1\n\
                 CONFIG proxy.config.exec_thread.autoconfig INT 0\n\
                 CONFIG proxy.config.exec_thread.limit INT 1\n\
                 CONFIG proxy.config.cache.ram_cache.size INT 268435456\n\
                 CONFIG proxy.config.cache.ram_cache_cutoff INT 16777216\n\
                 CONFIG proxy.config.http.cache.required_headers INT 0\n\
                 CONFIG proxy.config.log.logging_enabled INT 0\n",
                addr.port(),
                addr.ip()
            ),
        ),
        (
            "etc/remap.config",
            format!("map http://origin.test/ http://{origin}/\n"),
        ),
        ("etc/storage.config", format!("{at}/cache 256M\n")),
        ("etc/plugin.config", String::new()),
        (
            "etc/ip_allow.yaml",
            "ip_allow:\n  - apply: in\n    ip_addrs: 0/0\n    action: allow\n    methods: ALL\n"
                .to_owned(),
        ),
    ];
    for (name, text) in files {
        fs::write(own.join(name), text).unwrap();
    }
    let root = format!("--run-root={at}");
    Some(Rival {
        name: "Traffic Server",
        version: version(&server, "--version"),
        addr,
        host: "origin.test".to_owned(),
        is_cache: true,
        daemon: Daemon::start_other("ats", &server, &[&root], &own),
    })
}

fn squid(place: &Place, origin: SocketAddr) -> Option<Rival> {
    let Some(squid) = exec::find("squid") else {
        skip::loudly("no Squid to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 73, Port::Web);
    let config = place.file("squid.conf");
    // It gives up its rights as root, and with them the way to the place's directory.
    let text = format!(
        "http_port {addr} accel defaultsite=origin.test vhost\n\
         cache_peer {} parent {} 0 no-query no-digest no-netdb-exchange originserver name=o\n\
         cache_mem 256 MB\nmaximum_object_size_in_memory 16 MB\nhttp_access allow all\n\
         pid_filename none\naccess_log none\ncache_log /dev/null\ndigest_generation off\n\
         pinger_enable off\nshutdown_lifetime 1 seconds\nvisible_hostname squid.test\n",
        origin.ip(),
        origin.port()
    );
    fs::write(&config, text).unwrap();
    // Its memory has a name in the whole system, which stays when it is killed.
    let service = format!("atoll{}", std::process::id());
    let args = ["-N", "-n", &service, "-f", config.to_str().unwrap()];
    Some(Rival {
        name: "Squid",
        version: version(&squid, "-v"),
        addr,
        host: "origin.test".to_owned(),
        is_cache: true,
        daemon: Daemon::start_other("squid", &squid, &args, place.dir()),
    })
}
