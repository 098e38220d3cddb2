//! A proxy that is gone is named by nobody, soon.

use std::time::Duration;

use harness::cluster::{Cluster, NameServer, Proxy};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, now};

/// What the network promises.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(3);

const NAME: &str = "www.example.com.nyud.test.";

/// How long until none of `servers` names `proxy`, from now on.
async fn forgotten(servers: &[NameServer], proxy: &Proxy) -> Duration {
    let killed = now();
    wait::until("no name server names it", EVENTUALLY, async || {
        for server in servers {
            if server.names(proxy, NAME).await {
                return false;
            }
        }
        true
    })
    .await;
    now().since(killed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_is_out_of_every_answer_within_three_seconds_and_back_when_it_is() {
    // It measures time, and the prober forgives when the machine is starved.
    let place = Place::alone().await;
    let mut cluster = Cluster::of(5).name_servers(2).start(&place).await;
    for victim in [1, 4] {
        cluster.proxies[victim].daemon.kill();
        let took = forgotten(&cluster.servers, &cluster.proxies[victim]).await;
        assert!(
            took <= FORGOTTEN_WITHIN,
            "proxy {victim} was named for {took:?}"
        );
        cluster.proxies[victim].daemon.start_again();
        for server in &cluster.servers {
            server.until_naming(&cluster.proxies).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_whole_is_forgotten_as_fast() {
    let place = Place::alone().await;
    let mut cluster = Cluster::of(4).name_servers(1).start(&place).await;
    cluster.indexes[3].daemon.kill();
    cluster.proxies[3].daemon.kill();
    let took = forgotten(&cluster.servers, &cluster.proxies[3]).await;
    assert!(took <= FORGOTTEN_WITHIN, "it was named for {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_whose_index_dies_goes_on_with_the_proxies_it_knows() {
    let place = Place::alone().await;
    let mut cluster = Cluster::of(3).name_servers(1).start(&place).await;
    cluster.indexes[0].daemon.kill();
    let server = &cluster.servers[0];
    wait::until("it has noticed", EVENTUALLY, async || {
        harness::metrics::value(server.admin, "atoll_dns_index_gone_total").await >= 2
    })
    .await;
    for proxy in &cluster.proxies {
        assert!(server.names(proxy, NAME).await, "HTTP alone decides");
    }
    // Even so it forgets the dead.
    cluster.proxies[2].daemon.kill();
    let took = forgotten(&cluster.servers, &cluster.proxies[2]).await;
    assert!(took <= FORGOTTEN_WITHIN, "it was named for {took:?}");
}
