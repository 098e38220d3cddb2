//! What stands in a daemon's way when its configuration is in order.

use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

use harness::binaries::Program;
use harness::cluster::{make_secret, set};
use harness::exec::run_ours;
use harness::place::{Place, Port, host};

/// Starts a daemon that must not start; gives what it said.
async fn failing(program: Program, sets: &[String]) -> String {
    let mut args = Vec::new();
    for set in sets {
        args.extend(["--set", set.as_str()]);
    }
    let ran = run_ours(program, &args).await;
    assert_eq!(ran.code, Some(1), "{program:?}: {}", ran.err);
    ran.err
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let place = Place::shared().await;
    let addr = place.at(host::NODE, Port::Http);
    let tcp = TcpListener::bind(addr).unwrap();
    let udp = UdpSocket::bind(addr).unwrap();
    let secret = place.file("secret");
    make_secret(&secret);
    let (zone, secret) = (
        set("zone", "nyud.test"),
        set("network.secret_file", secret.display()),
    );
    let free = |port| place.at(host::NODE + 1, port);
    let cases = [
        (Program::Proxy, "http.listen", vec![zone.clone()]),
        (
            Program::Proxy,
            "admin.listen",
            vec![zone.clone(), set("http.listen", free(Port::Http))],
        ),
        (
            Program::Proxy,
            "peer.listen",
            vec![
                zone.clone(),
                set("http.listen", free(Port::Http)),
                set("index.socket", "/nowhere/index.sock"),
                secret.clone(),
            ],
        ),
        (Program::Dht, "udp.listen", vec![secret.clone()]),
        (
            Program::Dht,
            "admin.listen",
            vec![secret, set("udp.listen", free(Port::Index))],
        ),
        (Program::Dns, "dns.listen", vec![zone]),
    ];
    for (program, key, mut sets) in cases {
        sets.push(set(key, addr));
        let said = failing(program, &sets).await;
        assert!(
            said.contains(&format!("cannot listen on {addr}")),
            "{key}: {said}"
        );
        assert!(
            said.contains("another program listens there"),
            "{key}: {said}"
        );
        assert!(said.contains(key), "{key}: {said}");
    }
    drop((tcp, udp));
}

#[tokio::test]
async fn a_secret_that_is_missing_open_or_foreign_is_refused() {
    let place = Place::shared().await;
    let secret = place.file("secret");
    let sets = |program| {
        let addr = place.at(host::NODE, Port::Http);
        let mut sets = vec![set("network.secret_file", secret.display())];
        match program {
            Program::Dht => sets.push(set("udp.listen", addr)),
            _ => sets.extend([
                set("zone", "nyud.test"),
                set("http.listen", addr),
                set("peer.listen", place.at(host::NODE, Port::Peer)),
                set("index.socket", "/nowhere/index.sock"),
            ]),
        }
        sets
    };
    for program in [Program::Dht, Program::Proxy] {
        let name = secret.display().to_string();
        let said = failing(program, &sets(program)).await;
        assert!(
            said.contains(&format!("atoll secret new --out {name}")),
            "{said}"
        );

        make_secret(&secret);
        fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
        let said = failing(program, &sets(program)).await;
        assert!(
            said.contains("has mode 0644, so others can read it"),
            "{said}"
        );
        assert!(said.contains(&format!("chmod 600 {name}")), "{said}");

        fs::write(&secret, "password\n").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let said = failing(program, &sets(program)).await;
        assert!(said.contains(&name) && !said.contains("password"), "{said}");
        fs::remove_file(&secret).unwrap();
    }
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_explained() {
    let sets = [
        set("zone", "nyud.test"),
        set("http.listen", "192.0.2.1:8080"),
    ];
    let said = failing(Program::Proxy, &sets).await;
    assert!(said.contains("this machine has no such address"), "{said}");
}
