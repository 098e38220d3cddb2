//! A proxy in the open never connects to addresses that are not public.

use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::network::in_a_network_of_its_own;
use harness::origin::{Origin, Reply};
use harness::place::{Place, host};
use harness::resolver::Hosts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_origins_are_refused_whatever_names_them() {
    // It would go out to public addresses, so it gets a network that has none.
    let here = "http::private::private_origins_are_refused_whatever_names_them";
    if !in_a_network_of_its_own(here).await {
        return;
    }
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("secret"));
    let names = [
        ("www.inside-one.com", place.ip(host::ORIGIN)),
        ("www.inside-two.com", "10.0.0.1".parse().unwrap()),
        ("www.inside-three.com", "169.254.169.254".parse().unwrap()),
    ];
    let hosts = Hosts::start(&place, &names).await;
    let sets = [
        set("origin.allow_private", false),
        set("origin.resolvers", hosts.addr),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let port = origin.addr.port();
    let mut forms = vec![
        origin.page("/").host,
        format!("10.0.0.1.{port}.nyud.test"),
        format!("169.254.169.254.{port}.nyud.test"),
    ];
    forms.extend(
        names
            .iter()
            .map(|(name, _)| format!("{name}.{port}.nyud.test")),
    );
    for form in forms {
        let answer = proxy.get(&Page::new(&form, "/")).await;
        // The name rules refuse some before anything is resolved; nothing may get through.
        assert!(
            matches!(answer.status, 400 | 403),
            "{form}: {} {}",
            answer.status,
            answer.text()
        );
        if form.starts_with("www.") {
            assert_eq!(answer.status, 403, "{form}");
            assert!(
                answer
                    .field("proxy-status")
                    .contains("destination_ip_prohibited")
            );
        }
    }
    assert_eq!(origin.count_all(), 0);
}
