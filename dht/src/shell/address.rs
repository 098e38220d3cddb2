//! At which address others reach this node, when the settings do not say.
//!
//! A node that listens on every address of its machine asks the system from which of them it
//! speaks to each of its seeds. If all agree, that is it: datagrams will come from there, and the
//! node's id must follow from where they come from. If they do not, or if there is no seed, nothing
//! here can know, and the node does not start with a wrong id. An address translated on the way is
//! not seen from here either; then no peer ever answers, and `udp.advertise` is to be set.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use common::shell::cli::StartError;

use super::udp::source_towards;

/// The address to advertise for a socket bound at `bound`.
///
/// # Errors
/// It is bound to every address, and the seeds do not tell which one others see.
pub(super) fn advertised(
    bound: SocketAddr,
    seeds: &[SocketAddr],
) -> Result<SocketAddr, StartError> {
    if !bound.ip().is_unspecified() {
        return Ok(SocketAddr::new(bound.ip().to_canonical(), bound.port()));
    }
    let reachable = seeds
        .iter()
        .filter(|seed| bound.is_ipv6() || seed.is_ipv4());
    let sources: BTreeSet<IpAddr> = reachable
        .filter_map(|seed| source_towards(*seed).ok())
        .collect();
    let mut sources = sources.into_iter();
    match (sources.next(), sources.next()) {
        (Some(ip), None) => Ok(SocketAddr::new(ip, bound.port())),
        (Some(one), Some(other)) => Err(StartError::Runtime(format!(
            "udp.listen is {bound}, every address of this machine, and it speaks to its seeds from \
             {one} and from {other}: set udp.advertise to the one that others reach it at"
        ))),
        (None, _) => Err(StartError::Runtime(format!(
            "udp.listen is {bound}, every address of this machine, and there is no way to any of \
             join.seeds: set udp.advertise to the address that others reach it at"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(bound: &str, seeds: &[&str]) -> Result<String, String> {
        let seeds: Vec<SocketAddr> = seeds.iter().map(|seed| seed.parse().unwrap()).collect();
        advertised(bound.parse().unwrap(), &seeds)
            .map(|addr| addr.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_bound_address_is_the_nodes_own() {
        let own = learnt("192.0.2.1:7400", &[]);
        assert_eq!(own, Ok("192.0.2.1:7400".to_owned()));
    }

    #[test]
    fn on_every_address_the_way_to_the_seeds_tells() {
        let own = learnt("0.0.0.0:7400", &["127.0.0.1:1"]);
        assert_eq!(own, Ok("127.0.0.1:7400".to_owned()));
        let own = learnt("[::]:7400", &["[::1]:1"]);
        assert_eq!(own, Ok("[::1]:7400".to_owned()));
        let own = learnt("[::]:7400", &["127.0.0.1:1"]);
        assert_eq!(own, Ok("127.0.0.1:7400".to_owned()));
    }

    #[test]
    fn what_cannot_be_known_is_not_guessed() {
        let said = learnt("[::]:7400", &["127.0.0.1:1", "[::1]:1"]).unwrap_err();
        assert!(said.contains("127.0.0.1 and from ::1"), "{said}");
        for seeds in [&[][..], &["[::1]:1"]] {
            let said = learnt("0.0.0.0:7400", seeds).unwrap_err();
            assert!(said.contains("set udp.advertise"), "{said}");
        }
    }
}
