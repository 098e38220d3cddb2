//! Origins over HTTPS: verified against the system's roots and those the operator adds.

use std::net::SocketAddr;

use harness::authority::Authority;
use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::{Place, host};
use harness::resolver::Hosts;
use harness::skip;

const SITE: &str = "www.secure-site.com";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_https_origin_is_fetched_by_its_name_and_only_with_a_trusted_certificate() {
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::ORIGIN), 443);
    if std::net::TcpListener::bind(addr).is_err() {
        return skip::loudly("an HTTPS origin has to be on port 443, which takes privileges");
    }
    let authority = Authority::new();
    let origin = Origin::start_at(addr, Some(authority.server(SITE))).await;
    origin.serves("/", |_| Reply::pattern(100_000).fresh_for(60));
    origin.serves("/cut", |_| {
        Reply::pattern(100_000).until_close().cut_after(50_000)
    });
    let ip = place.ip(host::ORIGIN);
    let hosts = Hosts::start(&place, &[(SITE, ip), ("www.wrong-name.com", ip)]).await;
    let file = place.file("roots.pem");
    std::fs::write(&file, authority.root()).unwrap();
    let resolvers = set("origin.resolvers", hosts.addr);
    let trusting = [resolvers.clone(), set("origin.ca_file", file.display())];
    let mut proxy = Proxy::alone(&place, &trusting).await;
    let page = Page::new(&format!("{SITE}.443.nyud.test"), "/");
    let answer = proxy.get(&page).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, pattern::whole(0..100_000));
    // RFC 9112 §9.8: without close_notify nobody knows whether that was all.
    let cut = proxy.get(&Page::new(&page.host, "/cut")).await;
    assert!(
        cut.broken.is_some(),
        "a cut TLS stream passed for a whole body"
    );
    let other = proxy
        .get(&Page::new("www.wrong-name.com.443.nyud.test", "/"))
        .await;
    assert_eq!(other.status, 502);
    assert!(
        other.text().contains("cannot be trusted"),
        "{}",
        other.text()
    );
    proxy.daemon.kill();
    drop(proxy);

    // One that has not seen the page.
    let other = set("store.dir", place.file("other-store").display());
    let proxy = Proxy::alone(&place, &[resolvers, other]).await;
    let answer = proxy.get(&page).await;
    assert_eq!(answer.status, 502, "a root that nobody added");
    assert!(
        answer.text().contains("cannot be trusted"),
        "{}",
        answer.text()
    );
}
