//! A visitor as visitors are: a browser that asks its system's resolver, which begins at the root and
//! recurses to our name server, and then fetches a page of a site through the proxy it was sent to.

use std::net::SocketAddr;
use std::path::Path;

use harness::browser::{self, COUNTER};
use harness::cluster::{Cluster, set};
use harness::exec::{self, Ran};
use harness::metrics;
use harness::network::with_file_in_place;
use harness::origin::{Origin, Reply, coralised};
use harness::place::{Place, host};
use harness::resolver::{addresses, try_ask};
use harness::skip;
use harness::wait::{self, SOON};
use hickory_proto::rr::RecordType;

use super::recursors::{DNS, Kind, Resolver, Root, knotd};

const SCRIPTS: usize = 4;

/// A page with scripts; how many parts it has.
fn furnish(origin: &Origin) -> usize {
    let mut page = format!("<!doctype html><html><head>{COUNTER}</head><body>");
    for n in 0..SCRIPTS {
        page.push_str(&format!("<script src='/js/{n}.js'></script>"));
        origin.serves(&format!("/js/{n}.js"), move |_| {
            let reply = Reply::page(format!("document.body.append('js{n} ')")).fresh_for(600);
            reply.header("content-type", "text/javascript")
        });
    }
    page.push_str("</body></html>");
    origin.serves("/", move |_| {
        let reply = Reply::page(page.clone()).fresh_for(600);
        reply.header("content-type", "text/html; charset=utf-8")
    });
    SCRIPTS
}

/// One visit of `url` by somebody new, whose system asks the resolver that `resolv` names. `None`, said
/// loudly, where the system's resolver cannot be replaced.
async fn visit(chromium: &Path, resolv: &Path, profile: &Path, url: &str) -> Option<Ran> {
    let Some(mut command) = with_file_in_place(resolv, "/etc/resolv.conf".as_ref()).await else {
        skip::loudly("the system's resolver cannot be replaced here");
        return None;
    };
    command.arg(chromium);
    browser::dump(&mut command, profile);
    Some(exec::run(command.arg(url)).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_whose_resolver_recurses_to_us_gets_the_page_with_one_proxy_dead_too() {
    let (Some(knotd), Some(chromium)) = (knotd(), browser::find()) else {
        return;
    };
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let parts = furnish(&origin);
    let server = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let cluster = Cluster::of(2)
        .name_servers(1)
        .servers_with(set("dns.listen", server));
    let mut cluster = cluster.start(&place).await;
    let root = Root::start(&place, &knotd, server.ip(), &[]);
    let Some(resolver) = Resolver::start(&place, Kind::Unbound, &root, &[]) else {
        return;
    };
    let resolv = place.file("resolv.conf");
    let text = format!("nameserver {}\noptions timeout:2\n", resolver.addr.ip());
    std::fs::write(&resolv, text).unwrap();
    let name = coralised(origin.addr);
    // Of another name than the page's, so that the browser's question is the first for that.
    wait::until("the resolver recurses to us", SOON, async || {
        let answer = try_ask(resolver.addr, "www.nyud.test.", RecordType::A).await;
        answer.is_some_and(|answer| addresses(&answer).len() == 2)
    })
    .await;

    let questions = "atoll_dns_questions_total{qtype=\"a\"}";
    let admin = cluster.servers[0].admin;
    let before = metrics::value(admin, questions).await;
    let url = format!("http://{name}:{}/", cluster.proxies[0].http.port());
    for round in ["both", "one"] {
        if round == "one" {
            // The resolver may go on naming it for as long as the TTL lasts: the browser has another.
            cluster.proxies[0].daemon.kill();
        }
        let profile = place.file(&format!("profile-{round}"));
        let Some(ran) = visit(&chromium, &resolv, &profile, &url).await else {
            return;
        };
        let loaded = ran.out.contains(&browser::all_loaded(parts));
        let ran_all = (0..parts).all(|n| ran.out.contains(&format!("js{n} ")));
        assert!(loaded && ran_all, "{round}:\n{}\n{}", ran.out, ran.err);
        if round == "both" {
            assert_eq!(origin.count("/"), 1);
        }
    }
    assert!(metrics::value(admin, questions).await > before);
}
