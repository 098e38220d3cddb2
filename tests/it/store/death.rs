//! kill -9 at random moments under load.

use harness::crash;
use harness::place::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_death_every_object_is_whole_or_absent() {
    // With room for all, and with room for a third: then something goes while it is killed.
    for (disk, least) in [("48MiB", 100), ("8MiB", 20)] {
        let place = Place::shared().await;
        let found = crash::kill(&place, 8, 1, disk).await;
        assert_eq!((found.wrong, found.served_wrong), (0, 0), "{found:?}");
        assert!(found.whole > least && found.served > 0, "{disk}: {found:?}");
    }
}
