//! From built programs to three nodes that share their pages.

use harness::guide::Reader;
use harness::origin::{Origin, Reply, ZONE};
use harness::place::Place;

use super::{programs, show};

const NODES: u8 = 3;

/// A reader whose machines are addresses of the place.
fn reader(place: &Place, origin: &Origin) -> Reader {
    let mut reader = Reader::new(place, NODES);
    let dir = reader.dir().display().to_string();
    programs(&reader.dir().join("target/release"), "first");
    let (at, state) = (place.ip(0).to_string(), format!("{dir}/reef"));
    let net = at.strip_suffix('0').unwrap().to_owned();
    // In what is typed for each node.
    let (here, own) = (net.clone(), state.clone());
    reader.swap_for_node("reef1", |number| format!("reef{number}"));
    reader.swap_for_node("127.0.0.1", move |number| format!("{here}{number}"));
    reader.swap_for_node("NODE-KEY", move |number| {
        format!("$(atoll key show {own}{number}-state/agent.key)")
    });
    let own = state.clone();
    reader.swap_for_node("/var/lib/atoll", move |number| {
        format!("{own}{number}-state")
    });
    // In the loop over nodes.
    reader.swap("127.0.0.1", format!("{net}$n"));
    reader.swap("/var/lib/atoll", format!("{state}$n-state"));
    reader.swap("/etc/atoll", dir);
    reader.swap("192.0.2.", net);
    reader.swap("CONTROLLER-KEY", "$(atoll key show ctl/controller.key)");
    let zone = "\"zone\": \"nyud.example\"";
    let private = format!("\"zone\": \"{ZONE}\", \"origin.allow_private\": \"true\"");
    reader.swap(zone, private);
    reader.swap("example.com.nyud.example", origin.page("/").host);
    reader.swap("nyud.example", ZONE);
    reader.swap("http://example.com/", format!("http://{}/", origin.addr));
    let quick = "atoll agent --together --wait 2s --probation 2s";
    reader.swap("atoll agent", quick);
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_first_hour_runs_as_it_is_written() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("the first page").fresh_for(600));
    let mut reader = reader(&place, &origin);
    // Who called and is not enrolled yet is worth a look, as is a node that is on its way.
    let codes: &[(&str, &[i32])] = &[("atoll node list", &[0, 3])];
    let ran = reader.follow("first-hour", codes).await;
    let pages = ran.iter().filter(|(typed, _)| typed.starts_with("curl"));
    let pages: Vec<_> = pages.map(|(_, ran)| ran.out.as_str()).collect();
    show(reader.transcript());
    assert_eq!(pages.len(), 2);
    for page in pages {
        assert!(page.ends_with("the first page"), "{page}");
    }
    assert_eq!(
        origin.count("/"),
        1,
        "the second proxy had it from the first"
    );
}
