//! A proxy in the open never connects to addresses that are not public.

use std::net::IpAddr;

use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::network::in_a_network_of_its_own;
use harness::origin::{Origin, Reply};
use harness::place::{Place, host};
use harness::resolver::Hosts;
use harness::{client::raw, exec};

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

/// Ways to write an address inside, each understood by somebody.
const SPELLINGS: &[&str] = &[
    // As a number: decimal, hexadecimal, octal.
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "017700000001",
    "127.0.0.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "0x7f.0x0.0x0.0x1",
    // With parts left out, or too many.
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "127.0.0.1.1",
    "127.0.0.256",
    // As IPv6, bare, in brackets and in its disguises.
    "[::1]",
    "::1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::5efe:127.0.0.1]",
    "[2606:4700::200:5efe:7f00:1]",
    "0--1",
    "--1",
    // As other characters, encoded, or as names for it.
    "127%2e0%2e0%2e1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "\u{2460}27.0.0.1",
    "localhost",
    "localhost.",
    "a.localhost",
    "localhost.localdomain",
    "metadata.google.internal",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "user@127.0.0.1",
    "example.com@127.0.0.1",
    "127.0.0.1#.example.com",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_an_inner_address_gets_through() {
    let here = "http::private::no_spelling_of_an_inner_address_gets_through";
    if !in_a_network_of_its_own(here).await {
        return;
    }
    let place = Place::shared().await;
    // On every address there is, so that whichever is meant is found if it is looked for.
    let origin = Origin::start_at("[::]:0".parse().unwrap(), None).await;
    origin.serves("/", |_| Reply::page("secret"));
    let hosts = Hosts::start(&place, &[]).await;
    let sets = [
        set("origin.allow_private", false),
        set("origin.resolvers", hosts.addr),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let port = origin.addr.port();
    for spelling in SPELLINGS {
        for host in [
            format!("{spelling}.{port}.nyud.test"),
            format!("{spelling}.nyud.test:{port}"),
            format!("{}.{port}.nyud.test", spelling.replace('.', "-")),
            format!("{}-p{port}.nyud.test", spelling.replace('.', "-")),
        ] {
            for target in ["/".to_owned(), format!("http://{host}/")] {
                let head =
                    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                let answer = raw(proxy.http, head.as_bytes()).await;
                let status = answer.split(' ').nth(1).unwrap_or_default();
                // Refused as a name, refused as an address, or a name that does not exist.
                assert!(
                    matches!(status, "400" | "403" | "404" | "421" | "502"),
                    "{target} {host}: {answer}"
                );
                assert!(!answer.contains("connect_refused"), "{host}: {answer}");
            }
        }
    }
    assert_eq!(origin.count_all(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_resolves_inside_is_refused_in_both_families() {
    let here = "http::private::a_name_that_resolves_inside_is_refused_in_both_families";
    if !in_a_network_of_its_own(here).await {
        return;
    }
    let place = Place::shared().await;
    let origin = Origin::start_at("[::]:0".parse().unwrap(), None).await;
    origin.serves("/", |_| Reply::page("secret"));
    let inside = [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "shared"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("198.18.0.1", "unrouted"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("64:ff9b:1::10.0.0.1", "reserved"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:c0a8:1::1", "private"),
        ("2001:0:4136:e378::1", "unrouted"),
        ("2606:4700::5efe:10.0.0.1", "private"),
        ("2606:4700::200:5efe:169.254.169.254", "link-local"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("ff02::1", "multicast"),
    ];
    let name = |n: usize| format!("www.inside{n}.com");
    let names: Vec<_> = (0..inside.len()).map(name).collect();
    let mut known: Vec<_> = names.iter().map(String::as_str).zip(inside).collect();
    // Several addresses of one name: none of them helps another one through.
    known.extend([
        ("www.both.com", ("127.0.0.1", "")),
        ("www.both.com", ("::1", "")),
    ]);
    let known: Vec<_> = known
        .iter()
        .map(|(name, (ip, _))| (*name, ip.parse().unwrap()))
        .collect();
    let hosts = Hosts::start(&place, &known).await;
    let sets = [
        set("origin.allow_private", false),
        set("origin.resolvers", hosts.addr),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let port = origin.addr.port();
    let page = |name: &str| Page::new(&format!("{name}.{port}.nyud.test"), "/");
    for (name, (ip, kind)) in names.iter().zip(inside) {
        let answer = proxy.get(&page(name)).await;
        assert_eq!(answer.status, 403, "{ip}: {}", answer.text());
        let status = answer.field("proxy-status");
        let said = status.contains("destination_ip_prohibited") && status.contains(kind);
        assert!(said, "{ip}: {status}");
    }
    assert_eq!(proxy.get(&page("www.both.com")).await.status, 403);
    assert_eq!(origin.count_all(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_turns_inside_after_the_check_gains_nothing() {
    let here = "http::private::a_name_that_turns_inside_after_the_check_gains_nothing";
    if in_a_network_of_its_own(here).await {
        turning("93.184.216.34/32", "127.0.0.1").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_turns_inside_in_ipv6_gains_nothing_either() {
    let here = "http::private::a_name_that_turns_inside_in_ipv6_gains_nothing_either";
    if in_a_network_of_its_own(here).await {
        turning("2606:4700::6810:1/128", "::1").await;
    }
}

/// A name that is now at the address of `network`, now at `inner`, both of this machine.
async fn turning(network: &str, inner: &str) {
    // A public address, in a network that only this test has.
    let ip = exec::find("ip").unwrap();
    let mut command = exec::command(ip);
    command.args(["address", "add", network, "dev", "lo"]);
    assert_eq!(exec::run(&mut command).await.code, Some(0));
    let (public, _) = network.split_once('/').unwrap();
    let [public, inner] = [public, inner].map(|ip| ip.parse::<IpAddr>().unwrap());
    let place = Place::shared().await;
    let good = Origin::start_at((public, 0).into(), None).await;
    let port = good.addr.port();
    let inside = Origin::start_at((inner, port).into(), None).await;
    for n in 0..40 {
        // Nothing is kept, and no connection used again: each request resolves anew.
        let reply = |body: &str| {
            Reply::page(body.to_owned())
                .header("Cache-Control", "no-store")
                .header("Connection", "close")
        };
        good.serves(&format!("/{n}"), move |_| reply("good"));
        inside.serves(&format!("/{n}"), move |_| reply("secret"));
    }
    let turns = [public, inner, inner, public, public, inner];
    let hosts = Hosts::start_turning(&place, &turns).await;
    let sets = [
        set("origin.allow_private", false),
        set("origin.resolvers", hosts.addr),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let mut seen = [0; 2];
    for n in 0..40 {
        let page = Page::new(
            &format!("www.turning.com.{port}.nyud.test"),
            &format!("/{n}"),
        );
        let answer = proxy.get(&page).await;
        let (refused, text) = (answer.status == 403, answer.text());
        if refused {
            assert!(text.contains("(loopback)"), "{text}");
        } else {
            assert_eq!((answer.status, text.as_str()), (200, "good"));
        }
        seen[usize::from(refused)] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}: both were tried");
    assert_eq!((good.count_all(), inside.count_all()), (seen[0], 0));
}
