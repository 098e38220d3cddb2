//! Purging in a network: whoever is asked tells everybody, and the receipt says who heard of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::binaries::Program;
use harness::client::{Answer, Page};
use harness::cluster::{Cluster, Proxy, set};
use harness::exec::{Ran, run_ours};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};
use http::Method;
use serde_json::Value;

const TOKEN: &str = "a token that only the test has";

/// A file with the token, for all sites or for one.
fn tokens(place: &Place, site: &str) -> String {
    let file = place.file("tokens");
    let hash = blake3::hash(TOKEN.as_bytes()).to_hex();
    fs::write(&file, format!("test {site} {hash}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    set("purge.tokens_file", file.display())
}

/// Three proxies, each of which knows that there are three.
async fn cluster(place: &Place, site: &str) -> Cluster {
    let wish = Cluster::of(3).proxies_with(tokens(place, site));
    let cluster = wish.start(place).await;
    for proxy in &cluster.proxies {
        wait::until("everybody is known", EVENTUALLY, async || {
            let (_, receipt) = atoll(proxy, &["--site", "nobody.example"]).await;
            receipt["confirmed"].as_array().unwrap().len() == 3
        })
        .await;
    }
    cluster
}

/// `atoll purge` at this proxy.
async fn atoll(proxy: &Proxy, args: &[&str]) -> (Ran, Value) {
    let admin = proxy.admin.to_string();
    let all = [&["purge", "--json", "--admin", &admin], args].concat();
    let ran = run_ours(Program::Atoll, &all).await;
    let receipt = serde_json::from_str(&ran.out).unwrap_or_default();
    (ran, receipt)
}

async fn purge(proxy: &Proxy, page: &Page, token: Option<&str>, words: &str) -> Answer {
    let mut ask = proxy
        .ask(page)
        .method(Method::from_bytes(b"PURGE").unwrap());
    if let Some(token) = token {
        ask = ask.header("authorization", &format!("Bearer {token}"));
    }
    ask.header("atoll-purge", words).fetch().await
}

/// What each proxy has for a page.
async fn texts(cluster: &Cluster, page: &Page) -> Vec<String> {
    let mut texts = Vec::new();
    for proxy in &cluster.proxies {
        let answer = proxy.get(page).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        texts.push(answer.text());
    }
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_at_one_is_fetched_again_everywhere() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let cluster = cluster(&place, "*").await;
    // What is there to be had, however often it is fetched: an index that is slow to answer makes a
    // second fetch of one.
    let version = Arc::new(AtomicUsize::new(1));
    for (path, tag) in [("/a", "x, news"), ("/dir/b", "y"), ("/c", "news")] {
        let version = Arc::clone(&version);
        origin.serves(path, move |_| {
            let text = format!("{path} {}", version.load(Ordering::SeqCst));
            let reply = Reply::page(text).fresh_for(600);
            reply.header("cache-tag", tag)
        });
    }
    let (a, b, c) = (origin.page("/a"), origin.page("/dir/b"), origin.page("/c"));
    for page in [&a, &b, &c] {
        let first = format!("{} 1", page.path);
        assert_eq!(texts(&cluster, page).await, [&*first; 3]);
    }
    // Whoever has the last byte may be ahead of the store.
    for proxy in &cluster.proxies {
        let keeps = async || proxy.metric("atoll_proxy_objects").await == 3;
        wait::until("all is kept", EVENTUALLY, keeps).await;
    }
    version.store(2, Ordering::SeqCst);
    // By URL, over the clients' door.
    let answer = purge(&cluster.proxies[1], &a, Some(TOKEN), "hard").await;
    let receipt: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (answer.status, &receipt["complete"]),
        (200, &Value::Bool(true)),
        "{receipt}"
    );
    let confirmed = receipt["confirmed"].as_array().unwrap();
    assert!(
        confirmed.len() == 3 && confirmed.iter().all(|one| one["gone"] == 1),
        "{receipt}"
    );
    assert_eq!(texts(&cluster, &a).await, ["/a 2"; 3]);
    assert_eq!(texts(&cluster, &c).await, ["/c 1"; 3], "nobody spoke of it");
    // By tag, with the command.
    let (ran, receipt) = atoll(&cluster.proxies[2], &["--tag", "news", "--hard"]).await;
    assert_eq!(
        (ran.code, &receipt["complete"]),
        (Some(0), &Value::Bool(true)),
        "{receipt}"
    );
    assert_eq!(texts(&cluster, &c).await, ["/c 2"; 3]);
    assert_eq!(texts(&cluster, &b).await, ["/dir/b 1"; 3]);
    // By prefix, softly: it is asked for again, and stands in for an origin that is dead.
    let prefix = format!("http://{}/dir/", origin.addr);
    let (ran, receipt) = atoll(&cluster.proxies[0], &["--prefix", &prefix]).await;
    let confirmed = receipt["confirmed"].as_array().unwrap();
    assert_eq!(ran.code, Some(0), "{receipt}");
    assert!(
        confirmed.len() == 3 && confirmed.iter().all(|one| one["stale"] == 1),
        "{receipt}"
    );
    origin.die().await;
    assert_eq!(texts(&cluster, &b).await, ["/dir/b 1"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down_is_named_in_the_receipt() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = cluster(&place, "*").await;
    origin.serves("/a", |_| Reply::page("x").fresh_for(600));
    assert_eq!(texts(&cluster, &origin.page("/a")).await, ["x"; 3]);
    let dead = cluster.proxies[2].peer.to_string();
    cluster.proxies[2].daemon.kill();
    let url = format!("http://{}/a", origin.addr);
    let (ran, receipt) = atoll(&cluster.proxies[0], &["--hard", &url]).await;
    assert_eq!(ran.code, Some(3), "{receipt}");
    assert_eq!(receipt["unconfirmed"][0]["peer"], dead, "{receipt}");
    assert_eq!(
        receipt["confirmed"].as_array().unwrap().len(),
        2,
        "{receipt}"
    );
    let ran = run_ours(Program::Atoll, &["purge", "--admin", "127.0.0.1:1", &url]).await;
    assert_eq!(ran.code, Some(4), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_purge_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let own = Proxy::alone(&place, &[tokens(&place, "shop.example")]).await;
    origin.serves("/a", |request| {
        Reply::page(request.nth.to_string()).fresh_for(600)
    });
    let page = origin.page("/a");
    assert_eq!(own.get(&page).await.text(), "1");
    for (token, words, status, why) in [
        (None, "hard", 401, "no_token"),
        (Some("guessed"), "hard", 401, "unknown_token"),
        (Some(TOKEN), "hard", 403, "other_site"),
        (Some(TOKEN), "hard everything", 400, "order_kind"),
    ] {
        let answer = purge(&own, &page, token, words).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(why), "{}", answer.text());
        let counted = format!("atoll_proxy_purges_total{{outcome=\"{why}\"}}");
        assert_eq!(own.metric(&counted).await, 1);
    }
    let mut refused = 0;
    for _ in 0..200 {
        refused = purge(&own, &page, Some("guessed"), "hard").await.status;
        if refused == 429 {
            break;
        }
    }
    assert_eq!(refused, 429, "nobody guesses for long");
    assert_eq!(own.get(&page).await.text(), "1", "and it is still here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tokens_there_is_no_purge() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let answer = purge(&proxy, &origin.page("/a"), Some(TOKEN), "hard").await;
    assert_eq!(answer.status, 405);
}
