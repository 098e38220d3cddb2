//! kill -9 at random moments under load.

use harness::crash;
use harness::place::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_each_death_every_object_is_whole_or_absent() {
    let place = Place::shared().await;
    let found = crash::kill(&place, 15, 1).await;
    assert_eq!((found.wrong, found.served_wrong), (0, 0), "{found:?}");
    assert!(found.whole > 100 && found.served > 0, "{found:?}");
}
