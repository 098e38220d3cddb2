//! A link that loses what it carries, by the kernel's packet filter, in a network of the test's own.
//!
//! What is lost is lost where it arrives, unnoticed by who sent it. Admin pages are spared: they are the
//! test's own eyes.

use std::fs;
use std::net::IpAddr;

use crate::place::{Place, Port};
use crate::{exec, skip};

/// How long the kernel waits at most before it sends again (in milliseconds). By itself it doubles the wait up to
/// two minutes: one segment in thousands is lost so often that whoever waits for it gives up first, with reason.
const AGAIN_WITHIN: (&str, &str) = ("/proc/sys/net/ipv4/tcp_rto_max_ms", "2000");

/// Bounds how long the kernel waits before it sends again, for what listens and connects from now on: who accepts
/// has it from who listens. Of this network alone; kernels before 6.15 cannot.
pub fn bound_waits() {
    let _ = fs::write(AGAIN_WITHIN.0, AGAIN_WITHIN.1);
}

/// Of a hundred packets from and to `node` in this network, `percent` are lost from now on. Whether
/// they are; if not, that is said loudly. Only [inside](crate::network) a network of the test's own.
pub async fn link(place: &Place, node: u8, percent: u8) -> bool {
    let Some(nft) = exec::find("nft") else {
        skip::loudly("a lossy link needs nft");
        return false;
    };
    let ip: IpAddr = place.ip(node);
    let admins = [Port::ProxyAdmin, Port::IndexAdmin].map(|port| place.at(node, port).port());
    let [proxy, index] = admins;
    let spare = |side: &str| format!("tcp {side} {{ {proxy}, {index} }} accept;");
    let lose = |side: &str| format!("ip {side} {ip} numgen random mod 100 < {percent} drop;");
    let chain = [
        "type filter hook input priority 0;".to_owned(),
        spare("dport"),
        spare("sport"),
        lose("daddr"),
        // What it sends itself is lost once.
        format!("ip daddr != {ip} {}", lose("saddr")),
    ];
    let rules = format!("table ip link {{ chain in {{ {} }}; }}", chain.join(" "));
    let ran = exec::run(exec::command(nft).arg(&rules)).await;
    if ran.code != Some(0) {
        skip::loudly(&format!("no lossy link here: {}", ran.err.trim()));
    }
    ran.code == Some(0)
}

/// Nothing is lost any more.
pub async fn mend() {
    if let Some(nft) = exec::find("nft") {
        let _ = exec::run(exec::command(nft).args(["delete", "table", "ip", "link"])).await;
    }
}
