//! HTTPS beside other caches, each on one core, the load on another, in turns: CPU per request of hot
//! hits, large bodies, full handshakes, and HTTP/2.
//!
//! All show the same certificate (ECDSA, P-256) and choose what they prefer of what wrk and h2load
//! offer, which is AES with 256 bits first, or with `--suite` nothing but one suite. The floor is rustls, with
//! h2 where that is spoken, and nothing else. Ours fetches from an origin over TLS, for it goes by the client's scheme; the others from a
//! plain one. Hits are no matter of the origin.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::authority::{Authority, Certified};
use harness::cluster::{Proxy, set};
use harness::daemon::Daemon;
use harness::exec;
use harness::origin::{Origin, Reply};
use harness::place::{Place, Port, host};
use harness::resolver::Hosts;
use harness::skip;
use harness::wait::{self, SOON};

use super::cpu::{Cpu, pin};
use super::http::median;
use super::{say, span};

/// Cores of the servers and of the load.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// The site behind all of them, and the name that clients ask for.
const SITE: &str = "www.site.com";

const SMALL: &str = "/1k";
const LARGE: &str = "/10m";

/// Arguments of `bench tls`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = span)]
    time: Duration,
    /// How often each server has its turn
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    rounds: usize,
    /// The only suite of TLS 1.3 that clients offer, by OpenSSL's name
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
}

/// A server under test.
struct Rival {
    name: &'static str,
    addr: SocketAddr,
    daemon: Daemon,
    /// Whether it speaks HTTP/2 and nothing else, or does not.
    http2: Option<bool>,
}

/// What is asked.
#[derive(Clone, Copy)]
struct Work {
    title: &'static str,
    path: &'static str,
    load: Load,
}

#[derive(Clone, Copy)]
enum Load {
    /// wrk with so many connections, kept or not.
    Wrk { connections: usize, keep: bool },
    /// h2load with four connections and so many streams on each.
    H2 { streams: usize },
}

const WORKS: [Work; 4] = [
    Work {
        title: "hot hit of 1 KiB, 32 connections",
        path: SMALL,
        load: Load::Wrk {
            connections: 32,
            keep: true,
        },
    },
    Work {
        title: "10 MiB, 4 connections",
        path: LARGE,
        load: Load::Wrk {
            connections: 4,
            keep: true,
        },
    },
    Work {
        title: "full handshake and 1 KiB, 8 connections at a time",
        path: SMALL,
        load: Load::Wrk {
            connections: 8,
            keep: false,
        },
    },
    Work {
        title: "HTTP/2, hot hit of 1 KiB, 4 connections of 10 streams",
        path: SMALL,
        load: Load::H2 { streams: 10 },
    },
];

/// Measures and prints the tables.
pub(crate) fn run(args: &TlsArgs) {
    // Origins answer on threads of their own, while this one waits for the load to end.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(Box::pin(measure(args)));
}

async fn measure(args: &TlsArgs) {
    let place = Place::alone().await;
    let authority = Authority::new();
    let plain = Origin::start(&place).await;
    let at = SocketAddr::new(plain.addr.ip(), plain.addr.port() + 1);
    let secure = Origin::start_at(at, Some(authority.server(SITE))).await;
    for origin in [&plain, &secure] {
        origin.serves(SMALL, |_| Reply::pattern(1_024).fresh_for(3_600));
        origin.serves(LARGE, |_| Reply::pattern(10 << 20).fresh_for(3_600));
    }
    let label = format!("{}-{}", SITE.replace('.', "-"), at.port());
    let name = format!("{label}.{}", harness::origin::ZONE);
    let certified = authority.certify(&[&format!("*.{}", harness::origin::ZONE)]);
    let hosts = Hosts::start(&place, &[(SITE, at.ip())]).await;
    pin(None, SERVER);
    let mut rivals = vec![ours(&place, &authority, &certified, &hosts).await];
    rivals.extend(nginx(&place, &certified, &plain));
    rivals.extend(haproxy(&place, &certified, &plain));
    rivals.extend([false, true].map(|http2| floor(&place, &certified, http2)));
    pin(None, LOAD);
    for rival in &rivals {
        let listens = async || tokio::net::TcpStream::connect(rival.addr).await.is_ok();
        wait::until(&format!("{} listens", rival.name), SOON, listens).await;
    }
    let client = Client {
        name,
        openssl: args.suite.as_deref().map(|suite| offers(&place, suite)),
    };
    for work in WORKS {
        let http2 = matches!(work.load, Load::H2 { .. });
        let speaks = |rival: &&Rival| rival.http2.is_none_or(|only| only == http2);
        let rivals: Vec<_> = rivals.iter().filter(speaks).collect();
        table(args, work, &rivals, &client);
    }
}

/// Whom clients ask for, and how OpenSSL in them is set up.
struct Client {
    name: String,
    openssl: Option<PathBuf>,
}

/// A configuration of OpenSSL that offers one suite.
fn offers(place: &Place, suite: &str) -> PathBuf {
    let file = place.file("openssl.cnf");
    let text = format!(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = used\n\
         [used]\nCiphersuites = {suite}\n"
    );
    fs::write(&file, text).unwrap();
    file
}

async fn ours(place: &Place, authority: &Authority, certified: &Certified, hosts: &Hosts) -> Rival {
    let (chain, key) = certified.write(place.dir(), "ours");
    let root = place.file("root.pem");
    fs::write(&root, authority.root()).unwrap();
    let addr = place.at(host::NODE, Port::Https);
    let sets = [
        set("https.listen", addr),
        set(
            "https.certificates",
            format!("{}:{}", chain.display(), key.display()),
        ),
        set("origin.ca_file", root.display()),
        set("origin.resolvers", hosts.addr),
        set("log.level", "warn"),
    ];
    let proxy = Proxy::alone(place, &sets).await;
    Rival {
        name: "atoll-proxy",
        addr,
        daemon: proxy.daemon,
        http2: None,
    }
}

/// What the libraries alone cost: see [`tls_floor`](super::tls_floor).
fn floor(place: &Place, certified: &Certified, http2: bool) -> Rival {
    let addr = place.at(host::ORIGIN + 80 + u8::from(http2), Port::Https);
    let name = if http2 {
        "h2 and rustls alone"
    } else {
        "rustls alone"
    };
    let title = format!("floor-{}", u8::from(http2));
    let (chain, key) = certified.write(place.dir(), &title);
    let [addr_word, chain, key] = [
        addr.to_string(),
        chain.display().to_string(),
        key.display().to_string(),
    ];
    let mut args = vec!["tls-floor", &addr_word, &chain, &key];
    args.extend(http2.then_some("--http2"));
    let this = std::env::current_exe().unwrap();
    Rival {
        name,
        addr,
        daemon: Daemon::start_other(&title, &this, &args, place.dir()),
        http2: Some(http2),
    }
}

fn nginx(place: &Place, certified: &Certified, origin: &Origin) -> Option<Rival> {
    let Some(nginx) = exec::find("nginx") else {
        skip::loudly("no nginx to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 60, Port::Https);
    let own = place.file("nginx");
    fs::create_dir_all(&own).unwrap();
    let (chain, key) = certified.write(&own, "nginx");
    let (own, config) = (own.display().to_string(), own.join("nginx.conf"));
    let text = format!(
        "daemon off; master_process off; pid {own}/pid; error_log stderr error;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; keepalive_requests 100000000;\n\
         client_body_temp_path {own}/b; proxy_temp_path {own}/p; fastcgi_temp_path {own}/f;\n\
         uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;\n\
         proxy_cache_path {own}/c keys_zone=c:1m;\n\
         ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2 TLSv1.3;\n\
         server {{ listen {addr} ssl http2; location / {{ proxy_cache c; proxy_cache_lock on;\n\
         proxy_cache_valid 200 1h; proxy_pass http://{}; open_file_cache max=100 inactive=1h;\n\
         open_file_cache_valid 1h; }} }} }}\n",
        chain.display(),
        key.display(),
        origin.addr
    );
    fs::write(&config, text).unwrap();
    let args = ["-c", config.to_str().unwrap(), "-p", &own];
    Some(Rival {
        name: "nginx, proxy_cache",
        addr,
        daemon: Daemon::start_other("nginx", &nginx, &args, place.dir()),
        http2: None,
    })
}

fn haproxy(place: &Place, certified: &Certified, origin: &Origin) -> Option<Rival> {
    let Some(haproxy) = exec::find("haproxy") else {
        skip::loudly("no HAProxy to compare with");
        return None;
    };
    let addr = place.at(host::ORIGIN + 71, Port::Https);
    let (config, both) = (place.file("haproxy.cfg"), place.file("haproxy.pem"));
    fs::write(&both, format!("{}{}", certified.chain, certified.key)).unwrap();
    let text = format!(
        "global\n nbthread 1\n ssl-default-bind-options ssl-min-ver TLSv1.2\ndefaults\n mode http\n \
         timeout connect 5s\n timeout client 60s\n timeout server 60s\ncache c\n total-max-size 64\n \
         max-object-size 12000000\n max-age 3600\nfrontend f\n \
         bind {addr} ssl crt {} alpn h2,http/1.1\n default_backend b\nbackend b\n \
         http-request cache-use c\n http-response cache-store c\n server s {}\n",
        both.display(),
        origin.addr
    );
    fs::write(&config, text).unwrap();
    let args = ["-db", "-f", config.to_str().unwrap()];
    Some(Rival {
        name: "HAProxy, cache",
        addr,
        daemon: Daemon::start_other("haproxy", &haproxy, &args, place.dir()),
        http2: None,
    })
}

fn table(args: &TlsArgs, work: Work, rivals: &[&Rival], client: &Client) {
    let mut costs: Vec<Vec<f64>> = rivals.iter().map(|_| Vec::new()).collect();
    let mut said = Vec::new();
    for round in 0..=args.rounds {
        for (n, rival) in rivals.iter().enumerate() {
            let before = Cpu::exactly(rival.daemon.pid(), None);
            let Some((requests, errors)) = load(work, rival.addr, client, args.time) else {
                return skip::loudly("no wrk, or no h2load");
            };
            let cpu = Cpu::exactly(rival.daemon.pid(), None).since(before);
            said.extend(errors.map(|errors| format!("  {}: {errors}\n", rival.name)));
            // The first brings all pages in.
            if round > 0 {
                assert!(requests > 0.0, "{} answers nothing", rival.name);
                costs[n].push(cpu.total().as_secs_f64() * 1e6 / requests);
            }
        }
    }
    say(&format!(
        "\n{}, {} rounds of {:?}\n{:<24} {:>10} {:>10} {:>10}\n",
        work.title, args.rounds, args.time, "", "us CPU", "least", "ours to it"
    ));
    let ours = median(&mut costs[0]);
    for (rival, costs) in rivals.iter().zip(&mut costs) {
        let middle = median(costs);
        let ratio = ours / middle;
        say(&format!(
            "{:<24} {middle:>10.1} {:>10.1} {ratio:>10.2}\n",
            rival.name, costs[0]
        ));
    }
    said.dedup();
    for line in said {
        say(&line);
    }
}

/// Answers, and what went wrong. `None` where the program is missing.
fn load(
    work: Work,
    addr: SocketAddr,
    client: &Client,
    time: Duration,
) -> Option<(f64, Option<String>)> {
    let (seconds, name) = (time.as_secs().max(1), &client.name);
    let (program, args) = match work.load {
        Load::Wrk { connections, keep } => {
            let mut args = vec![
                "-t1".to_owned(),
                format!("-c{connections}"),
                format!("-d{seconds}s"),
            ];
            args.extend(["-H".to_owned(), format!("Host: {name}")]);
            if !keep {
                args.extend(["-H".to_owned(), "Connection: close".to_owned()]);
            }
            args.push(format!("https://{addr}{}", work.path));
            ("wrk", args)
        }
        Load::H2 { streams } => {
            let url = format!("https://{name}:{}{}", addr.port(), work.path);
            let args = [
                "-t1",
                "-c4",
                &format!("-m{streams}"),
                &format!("-D{seconds}"),
            ];
            let to = format!("--connect-to={addr}");
            let args = args.into_iter().chain([&*to, &*url]);
            ("h2load", args.map(str::to_owned).collect())
        }
    };
    let output = Command::new(exec::find(program)?)
        .args(args)
        .envs(client.openssl.iter().map(|file| ("OPENSSL_CONF", file)))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |line: &str| {
        line.split_whitespace()
            .find_map(|word| word.parse::<f64>().ok())
    };
    let is_error = |line: &&str| line.contains("Socket errors") || line.contains("Non-2xx");
    let errors = text.lines().find(is_error).map(str::to_owned);
    match work.load {
        Load::Wrk { .. } => {
            let counted = text.lines().find(|line| line.contains(" requests in "))?;
            Some((number(counted)?, errors))
        }
        Load::H2 { .. } => {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("requests: "))?;
            let done = line
                .split(", ")
                .find_map(|part| part.strip_suffix(" succeeded"))?;
            let failed = !line.contains(" 0 failed");
            Some((done.parse().ok()?, failed.then(|| line.to_owned())))
        }
    }
}
