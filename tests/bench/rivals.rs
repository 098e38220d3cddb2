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
use harness::origin::Origin;
use harness::pattern;
use harness::place::{Place, Port, host};
use harness::skip;
use harness::wait::{self, SOON};

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

/// All of them that are here, before `origin`.
pub(crate) async fn start(place: &Place, origin: &Origin) -> Vec<Rival> {
    let mut all = vec![ours(place, origin).await];
    let root = place.file("files");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("1k"), pattern::whole(0..1_024)).unwrap();
    let files = format!("root {};", root.display());
    let kept = "open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;";
    let cache = format!(
        "proxy_cache c; proxy_cache_lock on; proxy_cache_valid 200 1h; \
         proxy_pass http://{}; {kept}",
        origin.addr
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
        all.extend(nginx(place, n, name, &directives, is_cache));
    }
    all.extend(varnish(place, origin));
    all.extend(haproxy(place, origin));
    for rival in &all {
        rival.until_up().await;
    }
    all
}

async fn ours(place: &Place, origin: &Origin) -> Rival {
    let proxy = Proxy::alone(place, &[set("log.level", "warn")]).await;
    Rival {
        name: "atoll-proxy",
        version: format!("atoll-proxy {}", env!("CARGO_PKG_VERSION")),
        addr: proxy.http,
        host: origin.page("/").host,
        is_cache: true,
        daemon: proxy.daemon,
    }
}

fn nginx(
    place: &Place,
    n: u8,
    name: &'static str,
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
         proxy_cache_path {own}/c keys_zone=c:1m;\n\
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

fn varnish(place: &Place, origin: &Origin) -> Option<Rival> {
    let Some(varnish) = exec::find("varnishd") else {
        skip::loudly("no Varnish to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 70, Port::Web);
    let (at, from) = (addr.to_string(), origin.addr.to_string());
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
        "malloc,64m",
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

fn haproxy(place: &Place, origin: &Origin) -> Option<Rival> {
    let Some(haproxy) = exec::find("haproxy") else {
        skip::loudly("no HAProxy to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 71, Port::Web);
    let config = place.file("haproxy.cfg");
    let text = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n \
         timeout server 60s\ncache c\n total-max-size 64\n max-object-size 4000000\n max-age 3600\n\
         frontend f\n bind {addr}\n default_backend b\nbackend b\n http-request cache-use c\n \
         http-response cache-store c\n server s {}\n",
        origin.addr
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
