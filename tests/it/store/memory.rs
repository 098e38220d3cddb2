//! What the proxy says that it uses is what it uses.

use harness::cluster::{Proxy, set};
use harness::footprint::{self, Has};
use harness::place::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_of_memory_is_right_within_a_tenth() {
    // A size of the allocator's, and the one that is worst for it.
    for bytes in [4_096, 4_097] {
        is_right_for(bytes).await;
    }
}

async fn is_right_for(bytes: usize) {
    const PAGES: usize = 20_000;
    let place = Place::shared().await;
    let origin = footprint::pages(&place, bytes).await;
    let sets = [
        set("store.memory", "1GiB"),
        set("store.disk", "0B"),
        set("client.requests_per_second", "0"),
        set("log.level", "warn"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    footprint::fetch(&proxy, origin, 0..2_000, "").await;
    let before = Has::now(&proxy).await;
    // Asked for once; and found, by the door that has its answers as bytes.
    for what in ["came", "were found"] {
        footprint::fetch(&proxy, origin, 2_000..2_000 + PAGES, "").await;
        let after = Has::now(&proxy).await;
        assert_eq!(after.objects - before.objects, PAGES as u64);
        let resident = after.resident - before.resident;
        let accounted = after.accounted - before.accounted;
        let tenth = resident / 10;
        assert!(
            resident.abs_diff(accounted) < tenth,
            "of {bytes} bytes, when they {what}: {resident} bytes resident, {accounted} accounted"
        );
    }
}
