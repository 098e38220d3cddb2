//! A disk that is full, or can only be read: a file system in memory of the test's own.

use std::cell::Cell;
use std::fs;

use harness::cluster::{Proxy, set};
use harness::dev::atoll;
use harness::disk::Mount;
use harness::exec;
use harness::metrics;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};

const WRITING: &str = "atoll_proxy_disk_writing";

/// Asks for new pages until the store writes, or does not.
async fn until_writing(proxy: &Proxy, origin: &Origin, next: &Cell<usize>, want: u64) {
    let what = if want == 1 {
        "it writes again"
    } else {
        "it gave the disk up"
    };
    wait::until(what, EVENTUALLY, async || {
        next.set(next.get() + 1);
        let path = format!("/{}", next.get());
        origin.serves(&path, |_| Reply::page(vec![7; 50_000]).fresh_for(600));
        let answer = proxy.get(&origin.page(&path)).await;
        assert!(answer.status == 200 && answer.body.len() == 50_000);
        proxy.metric(WRITING).await == want
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_costs_nobody_anything_and_is_used_again() {
    let place = Place::shared().await;
    let Some(mount) = Mount::new(&place, "disk", 24).await else {
        return;
    };
    let origin = Origin::start(&place).await;
    let dir = mount.path().join("store");
    let sets = [set("store.dir", dir.display()), set("store.disk", "16MiB")];
    let mut proxy = Proxy::alone(&place, &sets).await;
    let next = Cell::new(0);
    until_writing(&proxy, &origin, &next, 1).await;
    // Somebody else fills the disk.
    let hog = mount.path().join("hog");
    let _ = fs::write(&hog, vec![1; 64 << 20]);
    until_writing(&proxy, &origin, &next, 0).await;
    assert!(metrics::is_ready(proxy.admin).await, "it stays ready");
    let state = metrics::page(proxy.admin, "/state").await.text();
    assert!(state.contains("\"what\": \"full\""), "{state}");
    let admin = proxy.admin.to_string();
    let doctor = exec::run(&mut atoll(&place, &["doctor", "--admin", &admin])).await;
    assert_eq!(doctor.code, Some(3), "{}", doctor.out);
    let found =
        doctor.out.contains("cannot use its disk: full") && doctor.out.contains("make room");
    assert!(found, "{}", doctor.out);
    assert!(proxy.daemon.log().contains("memory only for a while"));
    fs::remove_file(&hog).unwrap();
    until_writing(&proxy, &origin, &next, 1).await;
    assert!(proxy.daemon.log().contains("in use again"));
    // It can only be read when the proxy starts.
    proxy.daemon.stop().await;
    mount.remount("ro").await;
    proxy.daemon.start_again();
    proxy.until_up().await;
    until_writing(&proxy, &origin, &next, 0).await;
    let failed = "atoll_proxy_disk_failures_total{what=\"read_only\"}";
    let counted = async || proxy.metric(failed).await >= 1;
    wait::until("it is said what is wrong", SOON, counted).await;
    mount.remount("rw").await;
    until_writing(&proxy, &origin, &next, 1).await;
    let there = proxy.metric("atoll_proxy_disk_objects").await;
    assert!(there > 0, "what was on disk before is known again");
    proxy.daemon.stop().await;
}
