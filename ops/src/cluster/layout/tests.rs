//! Plans and what is refused.

use std::collections::BTreeSet;

use super::*;

fn wish() -> Wish {
    Wish {
        zone: Zone::parse("nyud.test").unwrap(),
        nodes: 5,
        dns: 2,
        origin_delay: Some(Duration::from_millis(200)),
        base_port: 8080,
        allow_private: true,
        proxy_config: None,
        dir: PathBuf::from("/tmp/atoll-x"),
        programs: Programs::in_dir(Path::new("/bin"), Path::new("/bin/atoll")),
    }
}

#[test]
fn proxies_differ_in_address_and_share_the_port() {
    let plan = Plan::of(&wish()).unwrap();
    let proxies: Vec<String> = plan
        .of_kind(Kind::Proxy)
        .map(|p| p.addr.to_string())
        .collect();
    assert_eq!(proxies[0], "127.0.0.11:8080");
    assert_eq!(proxies[4], "127.0.0.15:8080");
    assert_eq!(plan.origin.unwrap().to_string(), "127.0.0.10:8087");
    assert_eq!(plan.sample_host().unwrap(), "127.0.0.10.8087.nyud.test");
}

#[test]
fn nodes_roll_over_to_the_next_network() {
    assert_eq!(node_ip(1), Ipv4Addr::new(127, 0, 0, 11));
    assert_eq!(node_ip(240), Ipv4Addr::new(127, 0, 0, 250));
    assert_eq!(node_ip(241), Ipv4Addr::new(127, 0, 1, 1));
    let all: BTreeSet<Ipv4Addr> = (1..=NODES_MAX).map(node_ip).collect();
    assert_eq!(all.len(), usize::from(NODES_MAX));
}

#[test]
fn nothing_is_bound_twice() {
    let large = Wish {
        nodes: 300,
        dns: DNS_MAX,
        ..wish()
    };
    let plan = Plan::of(&large).unwrap();
    let all: Vec<_> = plan
        .processes
        .iter()
        .flat_map(|p| p.listens.clone())
        .collect();
    let distinct: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len());
}

#[test]
fn command_lines_name_addresses_socket_and_secret() {
    let plan = Plan::of(&wish()).unwrap();
    let line = |kind: Kind| plan.of_kind(kind).next().unwrap().args.join(" ");
    assert_eq!(
        line(Kind::Dht),
        "--set node.name=node1 --set admin.listen=127.0.0.11:8084 \
         --set udp.listen=127.0.0.11:8083 \
         --set join.seeds=127.0.0.12:8083,127.0.0.13:8083,127.0.0.14:8083 \
         --set local.socket=/tmp/atoll-x/node1/index.sock --set state.dir=/tmp/atoll-x/node1 \
         --set network.secret_file=/tmp/atoll-x/secret"
    );
    assert_eq!(
        line(Kind::Proxy),
        "--set node.name=node1 --set admin.listen=127.0.0.11:8082 --set zone=nyud.test \
         --set http.listen=127.0.0.11:8080 --set https.listen=127.0.0.11:8089 \
         --set https.certificates=/tmp/atoll-x/certificate.pem --set peer.listen=127.0.0.11:8081 \
         --set index.socket=/tmp/atoll-x/node1/index.sock \
         --set network.secret_file=/tmp/atoll-x/secret \
         --set store.dir=/tmp/atoll-x/node1/store --set origin.allow_private=true"
    );
    assert_eq!(
        line(Kind::Dns),
        "--set node.name=ns1 --set admin.listen=127.0.0.2:8086 --set zone=nyud.test \
         --set zone.ns=ns1=127.0.0.2,ns2=127.0.0.3 --set dns.listen=127.0.0.2:8085 \
         --set index.socket=/tmp/atoll-x/node1/index.sock"
    );
    assert_eq!(
        line(Kind::Origin),
        "origin --listen=127.0.0.10:8087 --admin=127.0.0.10:8088 --delay=200ms \
         --dir=/tmp/atoll-x/site"
    );
}

#[test]
fn private_origins_are_refused_unless_asked_for() {
    let plan = Plan::of(&Wish {
        allow_private: false,
        origin_delay: None,
        ..wish()
    })
    .unwrap();
    let proxy = plan.of_kind(Kind::Proxy).next().unwrap();
    assert!(!proxy.args.iter().any(|arg| arg.contains("allow_private")));
    assert_eq!(plan.sample_host().unwrap(), "192.0.2.1.nyud.test");
}

#[test]
fn extra_settings_come_before_the_ones_that_must_hold() {
    let file = Some(PathBuf::from("extra.toml"));
    let plan = Plan::of(&Wish {
        proxy_config: file,
        ..wish()
    })
    .unwrap();
    let proxy = plan.of_kind(Kind::Proxy).next().unwrap();
    assert_eq!(proxy.args[..2], ["--config", "extra.toml"]);
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let refused = |wish: Wish| Plan::of(&wish).unwrap_err();
    assert_eq!(refused(Wish { nodes: 0, ..wish() }), LayoutError::Nodes(0));
    let many = NODES_MAX + 1;
    assert_eq!(
        refused(Wish {
            nodes: many,
            ..wish()
        }),
        LayoutError::Nodes(many)
    );
    assert_eq!(refused(Wish { dns: 9, ..wish() }), LayoutError::Dns(9));
    let high = Wish {
        base_port: u16::MAX,
        ..wish()
    };
    assert_eq!(refused(high), LayoutError::BasePort(u16::MAX));
    let deep = Wish {
        dir: PathBuf::from("/").join("d".repeat(100)),
        ..wish()
    };
    assert!(matches!(refused(deep), LayoutError::SocketPath(_)));
}

#[test]
fn name_servers_share_nodes_when_there_are_fewer() {
    let plan = Plan::of(&Wish { nodes: 1, ..wish() }).unwrap();
    for server in plan.of_kind(Kind::Dns) {
        assert!(
            server
                .args
                .iter()
                .any(|arg| arg.ends_with("node1/index.sock"))
        );
    }
}
