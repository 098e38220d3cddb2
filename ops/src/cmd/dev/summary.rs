//! What `atoll dev` says once all is healthy. Pure.

use crate::cluster::layout::{Kind, Plan};

/// What to do with the cluster, with lines that work as pasted.
#[must_use]
pub(super) fn summary(plan: &Plan, host: &str) -> String {
    let count = |kind| plan.of_kind(kind).count();
    let nodes = count(Kind::Proxy);
    let mut lines = vec![format!(
        "\nAtoll is up: {nodes} nodes, {} name servers, zone {}\n",
        count(Kind::Dns),
        plan.zone
    )];
    let mut say = |what: &str, line: String| lines.push(format!("  {what:<8} {line}"));
    if let Some(origin) = plan.origin {
        say("origin", format!("http://{origin}/"));
    }
    if let (Some(proxy), Some(_)) = (plan.of_kind(Kind::Proxy).next(), plan.origin) {
        let (addr, port, ip) = (proxy.addr, proxy.addr.port(), proxy.addr.ip());
        say(
            "fetch",
            format!("curl -i -H 'Host: {host}' http://{addr}/index.html"),
        );
        say(
            "",
            format!("curl -i --resolve {host}:{port}:{ip} http://{host}:{port}/index.html"),
        );
    }
    if let Some(https) = plan.of_kind(Kind::Proxy).find_map(|proxy| proxy.https) {
        let (port, ip) = (https.port(), https.ip());
        let (host, file) = (&plan.zone, plan.authority.display());
        let line =
            format!("curl -i --cacert {file} --resolve {host}:{port}:{ip} https://{host}:{port}/");
        say("https", line);
    }
    if let Some(server) = plan.of_kind(Kind::Dns).next() {
        let (ip, port) = (server.addr.ip(), server.addr.port());
        say("resolve", format!("dig @{ip} -p {port} {host} A"));
    }
    if let Some(proxy) = plan.of_kind(Kind::Proxy).next() {
        say("metrics", format!("curl http://{}/metrics", proxy.admin));
    }
    if let Some(origin) = plan.of_kind(Kind::Origin).next() {
        say(
            "break",
            format!(
                "curl -X POST 'http://{}/delay?ms=2000'   (or /dead, /alive)",
                origin.admin
            ),
        );
    }
    say("look", "atoll status".to_owned());
    say("stop", "Ctrl-C".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use common::name::Zone;

    use super::*;
    use crate::cluster::binaries::Programs;
    use crate::cluster::layout::Wish;

    fn planned(no_origin: bool) -> Plan {
        Plan::of(&Wish {
            zone: Zone::parse("nyud.test").unwrap(),
            nodes: 2,
            dns: 1,
            origin_delay: (!no_origin).then_some(Duration::ZERO),
            base_port: 8080,
            allow_private: !no_origin,
            proxy_config: None,
            dir: PathBuf::from("/tmp/x"),
            programs: Programs::in_dir(Path::new("/bin"), Path::new("/bin/atoll")),
        })
        .unwrap()
    }

    #[test]
    fn the_lines_to_paste_name_a_proxy_and_a_name_server() {
        let plan = planned(false);
        let text = summary(&plan, &plan.sample_host().unwrap());
        let host = "127.0.0.10.8087.nyud.test";
        for line in [
            format!("curl -i -H 'Host: {host}' http://127.0.0.11:8080/index.html"),
            format!("curl -i --resolve {host}:8080:127.0.0.11 http://{host}:8080/index.html"),
            format!("dig @127.0.0.2 -p 8085 {host} A"),
            "curl -i --cacert /tmp/x/authority.pem --resolve nyud.test:8089:127.0.0.11 \
             https://nyud.test:8089/"
                .to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn without_an_origin_there_is_nothing_to_fetch() {
        let plan = planned(true);
        let text = summary(&plan, &plan.sample_host().unwrap());
        assert!(
            !text.contains("index.html") && text.contains("dig @127.0.0.2"),
            "{text}"
        );
    }
}
