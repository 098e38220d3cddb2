//! Orders to purge outlive the process: what is on disk alone, and was meant, does not come back.

use harness::binaries::Program;
use harness::cluster::{Proxy, set};
use harness::exec::run_ours;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, SOON};

const PAGES: [&str; 5] = ["/url", "/dir/prefix", "/tag", "/soft", "/spared"];

async fn purge(proxy: &Proxy, args: &[&str]) {
    let admin = proxy.admin.to_string();
    let all = [&["purge", "--admin", &admin], args].concat();
    let ran = run_ours(Program::Atoll, &all).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
}

async fn until_written(proxy: &Proxy) {
    let all = PAGES.len() as u64;
    let there = async || proxy.metric("atoll_proxy_disk_objects").await == all;
    wait::until("all of it is on disk", SOON, there).await;
}

/// What is there without asking the origin: status and text.
async fn kept(proxy: &Proxy, origin: &Origin, path: &str) -> u16 {
    let ask = proxy.ask(&origin.page(path));
    let ask = ask.header("cache-control", "only-if-cached");
    ask.fetch().await.status
}

async fn killed_and_back(proxy: &mut Proxy) {
    proxy.daemon.kill();
    proxy.daemon.start_again();
    proxy.until_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_does_not_come_back_from_disk() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    for path in PAGES {
        origin.serves(path, move |_| {
            let reply = Reply::page(path).fresh_for(3_600);
            reply.header("cache-tag", path.trim_start_matches('/'))
        });
    }
    let mut proxy = Proxy::alone(&place, &[set("purge.tokens_file", "")]).await;
    for path in PAGES {
        assert_eq!(proxy.get(&origin.page(path)).await.status, 200);
    }
    until_written(&proxy).await;
    // From now on they are on disk alone: the orders find nothing in memory.
    killed_and_back(&mut proxy).await;
    let site = format!("http://{}", origin.addr);
    purge(&proxy, &["--hard", &format!("{site}/url")]).await;
    purge(&proxy, &["--hard", "--prefix", &format!("{site}/dir/")]).await;
    purge(&proxy, &["--hard", "--tag", "tag"]).await;
    purge(&proxy, &["--tag", "soft"]).await;
    // Dead as soon as they are confirmed, before anybody asked for what they meant.
    for _ in 0..2 {
        killed_and_back(&mut proxy).await;
        assert_eq!(kept(&proxy, &origin, "/spared").await, 200);
        for path in ["/url", "/dir/prefix", "/tag", "/soft"] {
            assert_eq!(kept(&proxy, &origin, path).await, 504, "{path}");
        }
    }
    // What is only stale stands in for its origin, and what came later is there again.
    assert_eq!(proxy.get(&origin.page("/tag")).await.text(), "/tag");
    origin.die().await;
    let soft = proxy.get(&origin.page("/soft")).await;
    assert_eq!((soft.status, soft.text()), (200, "/soft".to_owned()));
    assert_eq!(proxy.get(&origin.page("/url")).await.status, 502);
    assert_eq!(kept(&proxy, &origin, "/tag").await, 200);
}
