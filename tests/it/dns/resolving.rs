//! A real resolver that others wrote, and a real client behind it: the path of an ordinary visitor.

use std::net::SocketAddr;

use harness::cluster::Cluster;
use harness::daemon::Daemon;
use harness::exec;
use harness::network::with_file_in_place;
use harness::origin::{Origin, Reply, ZONE};
use harness::pattern;
use harness::place::{Place, Port, host};
use harness::resolver::{addresses, ask};
use harness::skip;
use harness::wait::{self, SOON};
use hickory_proto::rr::RecordType;

/// unbound at `addr` with our zone delegated to `servers`; everything else does not exist for it.
fn unbound(place: &Place, addr: SocketAddr, servers: &[SocketAddr]) -> Option<Daemon> {
    let Some(unbound) = exec::find("unbound") else {
        skip::loudly("no unbound for a real resolver");
        return None;
    };
    let mut config = format!(
        "server:\n interface: {ip}\n port: {port}\n do-daemonize: no\n use-syslog: no\n\
         \x20username: \"\"\n chroot: \"\"\n directory: \"{dir}\"\n pidfile: \"\"\n\
         \x20do-not-query-localhost: no\n access-control: 127.0.0.0/8 allow\n\
         \x20module-config: \"iterator\"\n local-zone: \"test.\" nodefault\n\
         \x20local-zone: \".\" static\n local-zone: \"{ZONE}.\" transparent\n do-ip6: no\n\
         \x20outgoing-interface: {ip}\n num-threads: 1\n qname-minimisation: yes\n\
         remote-control:\n control-enable: no\nstub-zone:\n name: \"{ZONE}.\"\n",
        ip = addr.ip(),
        port = addr.port(),
        dir = place.dir().display(),
    );
    for server in servers {
        config.push_str(&format!(" stub-addr: {}@{}\n", server.ip(), server.port()));
    }
    let file = place.file("unbound.conf");
    std::fs::write(&file, config).unwrap();
    let args = ["-d", "-c", file.to_str().unwrap()];
    Some(Daemon::start_other("unbound", &unbound, &args, place.dir()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_with_an_ordinary_resolver_gets_the_page() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/file", |_| Reply::pattern(100_000).fresh_for(60));
    let cluster = Cluster::of(3).name_servers(2).start(&place).await;
    let servers: Vec<_> = cluster.servers.iter().map(|server| server.dns).collect();
    // Only on port 53 does the system's own resolver ask it.
    let port = if exec::is_root() {
        53
    } else {
        place.at(host::RESOLVER, Port::Resolver).port()
    };
    let addr = SocketAddr::new(place.ip(host::RESOLVER), port);
    let Some(_unbound) = unbound(&place, addr, &servers) else {
        return;
    };
    let page = origin.page("/file");
    let named = wait::some("unbound resolves", SOON, async || {
        let named = addresses(&ask(addr, &format!("{}.", page.host), RecordType::A).await);
        (!named.is_empty()).then_some(named)
    })
    .await;
    assert!(
        named
            .iter()
            .all(|ip| cluster.proxies.iter().any(|proxy| proxy.http.ip() == *ip))
    );

    let Some(curl) = exec::find("curl") else {
        return skip::loudly("no curl");
    };
    let web = cluster.proxies[0].http.port();
    let resolv = place.file("resolv.conf");
    std::fs::write(
        &resolv,
        format!("nameserver {}\noptions timeout:2\n", addr.ip()),
    )
    .unwrap();
    let inside = if port == 53 {
        with_file_in_place(&resolv, "/etc/resolv.conf".as_ref()).await
    } else {
        None
    };
    let into = place.file("fetched");
    let mut command = match inside {
        Some(mut command) => {
            command.arg(curl);
            command
        }
        None => {
            skip::loudly("curl is told the address: the system's resolver cannot be replaced here");
            let mut command = exec::command(curl);
            command.args(["--resolve", &format!("{}:{web}:{}", page.host, named[0])]);
            command
        }
    };
    command
        .args(["-v", "-sS", "--noproxy", "*", "--max-time", "20", "-o"])
        .arg(&into);
    command.arg(format!("http://{}:{web}/file", page.host));
    let ran = exec::run(&mut command).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(std::fs::read(&into).unwrap() == pattern::whole(0..100_000));
    assert_eq!(origin.count("/file"), 1);
}
