//! A real web server behind a real cluster, asked by curl.

use std::fs;

use harness::cluster::Cluster;
use harness::place::Place;
use harness::web::{self, WebServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_the_same_through_three_proxies_for_curl() {
    let place = Place::shared().await;
    let root = place.file("site");
    let paths = web::tree(&root);
    let cluster = Cluster::of(5).start(&place).await;
    let servers = [
        WebServer::python(&place, &root).await,
        WebServer::nginx(&place, &root).await,
    ];
    for server in servers.into_iter().flatten() {
        for (n, path) in paths.iter().enumerate() {
            let file = fs::read(web::file(&root, path)).unwrap();
            for step in 0..3 {
                let proxy = &cluster.proxies[(n + step) % 5];
                let into = place.file("fetched");
                let Some(said) = web::curl(proxy.http, &server.page(path), &into).await else {
                    return;
                };
                assert!(
                    said.contains("< HTTP/1.1 200 OK"),
                    "{} {path}: {said}",
                    server.name
                );
                assert!(said.to_lowercase().contains("< cache-status: "), "{said}");
                assert!(
                    fs::read(&into).unwrap() == file,
                    "{} {path} at {step}",
                    server.name
                );
            }
        }
    }
}
