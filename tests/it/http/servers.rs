//! Web servers that others wrote, as origins.

use std::fs;

use harness::cluster::Proxy;
use harness::place::Place;
use harness::web::{self, WebServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_a_real_server_comes_through_as_it_is() {
    let place = Place::shared().await;
    let root = place.file("site");
    let paths = web::tree(&root);
    let proxy = Proxy::alone(&place, &[]).await;
    let servers = [
        WebServer::python(&place, &root).await,
        WebServer::nginx(&place, &root).await,
    ];
    for server in servers.into_iter().flatten() {
        for path in &paths {
            let file = fs::read(web::file(&root, path)).unwrap();
            for _ in 0..2 {
                let answer = proxy.get(&server.page(path)).await;
                assert_eq!(
                    (answer.status, answer.broken),
                    (200, None),
                    "{} {path}",
                    server.name
                );
                assert!(answer.body == file, "{} {path}", server.name);
            }
        }
        let missing = proxy.get(&server.page("/missing")).await;
        assert_eq!(missing.status, 404, "{}", server.name);
    }
}
