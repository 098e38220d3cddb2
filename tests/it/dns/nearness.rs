//! Near proxies are named first: by the hints that proxies give the index.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use harness::binaries::Program;
use harness::cluster::{Cluster, NameServer, set};
use harness::exec;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::resolver::{addresses, question};
use harness::wait::{self, EVENTUALLY, SOON};
use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use serde_json::Value;
use tokio::net::UdpSocket;

const NAME: &str = "www.example.com.nyud.test.";

/// Two networks of clients, each on loopback, far from each other by the hints.
const HERE: [u8; 4] = [127, 250, 1, 9];
const THERE: [u8; 4] = [127, 250, 2, 9];

/// Above the width of an inner cluster less its spread, so that its neighbours are no more of it.
const NEAR: Duration = Duration::from_millis(15);

/// Asks `server` from `from`, in the name of `subnet` if there is one.
pub(super) async fn ask(server: SocketAddr, from: IpAddr, subnet: Option<IpAddr>) -> Message {
    wait::some("an answer", SOON, async || {
        let socket = UdpSocket::bind((from, 0)).await.unwrap();
        let mut asked = question(NAME, RecordType::A);
        if let Some(subnet) = subnet {
            let mut edns = Edns::new();
            let subnet = ClientSubnet::new(subnet, 24, 0);
            edns.options_mut().insert(EdnsOption::Subnet(subnet));
            asked.edns = Some(edns);
        }
        socket
            .send_to(&asked.to_vec().unwrap(), server)
            .await
            .ok()?;
        let mut buffer = [0; 4_096];
        let received = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut buffer));
        let length = received.await.ok()?.ok()?;
        Message::from_vec(&buffer[..length]).ok()
    })
    .await
}

/// How many bits of the subnet the answer says it depends on.
fn scope(answer: &Message) -> Option<u8> {
    let edns = answer.edns.as_ref()?;
    match edns.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(subnet.scope_prefix()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_two_networks_are_each_sent_to_the_proxy_that_measured_them() {
    let place = Place::shared().await;
    let cluster = Cluster::of(4)
        .name_servers(1)
        .servers_with(set("answer.count", 1))
        .start(&place)
        .await;
    let (here, there) = (IpAddr::from(HERE), IpAddr::from(THERE));
    let deadline = Duration::from_secs(3);
    for (node, client) in [(0, here), (3, there)] {
        let index = cluster.indexes[node].client();
        let hour = Duration::from_secs(3_600);
        index.hint(client, NEAR, hour, deadline).await.unwrap();
    }
    let server = &cluster.servers[0];
    let own = server.dns.ip();
    let proxy = |node: usize| cluster.proxies[node].http.ip();
    let named = async |from, subnet| addresses(&ask(server.dns, from, subnet).await);
    for (client, node) in [(here, 0), (there, 3)] {
        // The first answer knows nothing of the client; it is looked up after it.
        wait::until("its proxy is named", EVENTUALLY, async || {
            let mut all = BTreeSet::new();
            for _ in 0..6 {
                all.extend(named(client, None).await);
            }
            all == BTreeSet::from([proxy(node)])
        })
        .await;
        for _ in 0..20 {
            // By the resolver's own address, and by the network that it names.
            assert_eq!(named(client, None).await, [proxy(node)]);
            let answer = ask(server.dns, own, Some(client)).await;
            assert_eq!(addresses(&answer), [proxy(node)]);
            assert_eq!(scope(&answer), Some(24));
            assert!(answer.answers.iter().all(|record| record.ttl == 60));
        }
    }
    // Whoever nobody has measured gets any of them.
    let mut all = BTreeSet::new();
    for _ in 0..60 {
        let answer = ask(server.dns, own, Some(IpAddr::from([127, 250, 3, 9]))).await;
        assert!(answer.answers.iter().all(|record| record.ttl == 30));
        all.extend(addresses(&answer));
    }
    assert!(all.len() >= 3, "{all:?}");

    let said = explained(server, here).await;
    assert_eq!(
        (said["source"].as_str(), said["reason"].as_str()),
        (Some("hint"), Some("hinted_l2"))
    );
    let first = &said["candidates"][0];
    assert_eq!(first["proxy"].as_str(), Some(proxy(0).to_string().as_str()));
    assert_eq!(first["verdict"].as_str(), Some("chosen"));
}

/// What the name server would tell `client`, and why.
async fn explained(server: &NameServer, client: IpAddr) -> Value {
    let (client, admin) = (client.to_string(), server.admin.to_string());
    let args = [
        "dns", "explain", NAME, "--json", "--client", &client, "--server", &admin,
    ];
    let ran = exec::run_ours(Program::Atoll, &args).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_measured_of_its_visitors_reaches_the_answers_of_their_networks() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/visit", |_| {
        Reply::page(vec![b'x'; 100 << 10]).fresh_for(600)
    });
    let page = origin.page("/visit");
    let cluster = Cluster::of(3)
        .name_servers(1)
        .servers_with(set("answer.count", 1))
        // Whoever was not visited counts as half a cluster's width farther than who was.
        .servers_with(set("near.inner", "5ms"))
        .start(&place)
        .await;
    let server = &cluster.servers[0];
    let visited = &cluster.proxies[2];
    let visitor = IpAddr::from([127, 250, 4, 9]);
    let before = explained(server, visitor).await;
    assert_eq!(before["source"].as_str(), Some("own"), "{before}");

    // It asks, as visitors do, before anybody has ever seen it; then it goes to one of the proxies,
    // and asks no more until what it was told there has expired.
    ask(server.dns, visitor, None).await;
    let asked = wait::now();
    for _ in 0..3 {
        let answer = visited.ask(&page).from(visitor).fetch().await;
        assert_eq!((answer.status, answer.body.len()), (200, 100 << 10));
    }
    wait::until("the proxy tells what it measured", SOON, async || {
        visited
            .metric("atoll_proxy_hints_total{outcome=\"told\"}")
            .await
            == 1
    })
    .await;
    let told = Duration::from_secs(30);
    wait::until("what it was told expires", EVENTUALLY, async || {
        wait::now().since(asked) >= told
    })
    .await;
    for _ in 0..20 {
        let answer = ask(server.dns, visitor, None).await;
        assert_eq!(addresses(&answer), [visited.http.ip()]);
        assert!(answer.answers.iter().all(|record| record.ttl == 60));
    }
    let why = explained(server, visitor).await;
    assert_eq!(why["source"].as_str(), Some("hint"), "{why}");
    let nearest = &why["candidates"][0];
    assert_eq!(
        nearest["proxy"].as_str(),
        Some(visited.http.ip().to_string().as_str())
    );
}
