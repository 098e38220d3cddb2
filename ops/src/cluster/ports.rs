//! Room for a cluster: a base port whose derived ports are all free.
//!
//! Every address is bound once and let go again before anything starts, so that "port in use" is
//! said at once and by name. Two clusters starting at the same moment would both find the same
//! ports free; so a base port is reserved by listening on 127.0.0.1 at that very port, which no
//! member uses, for as long as the cluster lives.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::layout::{Plan, Transport};

/// First base port tried.
pub const FIRST: u16 = 8_080;

/// Distance of one candidate from the next: room for the derived ports.
const STEP: u16 = 10;

/// Last base port tried: below the ports that systems hand out by themselves (from 32768 on).
const LAST: u16 = 32_700;

/// Troubles named in a message; the rest is counted.
const SHOWN: usize = 4;

/// A reserved base port; free again when dropped.
#[derive(Debug)]
pub struct Reserved {
    port: u16,
    _listener: Option<TcpListener>,
}

impl Reserved {
    /// The base port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// An address that cannot be bound.
#[derive(Debug)]
pub struct Trouble {
    /// Who wanted it: `proxy node1`.
    pub who: String,
    /// Over which transport.
    pub transport: Transport,
    /// The address.
    pub addr: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        let Self {
            who, addr, error, ..
        } = self;
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "is in use by another program".to_owned(),
            io::ErrorKind::AddrNotAvailable => {
                format!(
                    "does not exist here (on macOS: sudo ifconfig lo0 alias {})",
                    addr.ip()
                )
            }
            io::ErrorKind::PermissionDenied => "needs privileges (ports below 1024 do)".to_owned(),
            _ => format!("cannot be bound ({error})"),
        };
        write!(f, "{addr} {transport} for {who} {why}")
    }
}

/// Reserves `port`, or without one the first base port from [`FIRST`] on for which `plan` makes a
/// plan whose addresses are all free. Returns it with its plan.
///
/// # Errors
/// What is in the way at the port asked for, or at the first one tried if none will do.
pub fn reserve(
    port: Option<u16>,
    plan: impl Fn(u16) -> Plan,
) -> Result<(Reserved, Plan), Vec<Trouble>> {
    if let Some(port) = port {
        let (plan, listener) = (plan(port), reservation(port).ok());
        let troubles = blocked(&plan);
        // Whoever names a port answers for it; without the reservation nothing is missing.
        let reserved = Reserved {
            port,
            _listener: listener,
        };
        return if troubles.is_empty() {
            Ok((reserved, plan))
        } else {
            Err(troubles)
        };
    }
    let mut first = None;
    for port in (FIRST..=LAST).step_by(usize::from(STEP)) {
        match attempt(port, plan(port)) {
            Ok(found) => return Ok(found),
            Err(troubles) if troubles.iter().any(Trouble::is_lasting) => return Err(troubles),
            Err(troubles) => first = first.or(Some(troubles)),
        }
    }
    Err(first.unwrap_or_default())
}

impl Trouble {
    /// Whether another port would not help.
    fn is_lasting(&self) -> bool {
        !matches!(self.error.kind(), io::ErrorKind::AddrInUse)
    }
}

fn attempt(port: u16, plan: Plan) -> Result<(Reserved, Plan), Vec<Trouble>> {
    let listener = reservation(port).map_err(|trouble| vec![trouble])?;
    let troubles = blocked(&plan);
    if !troubles.is_empty() {
        return Err(troubles);
    }
    Ok((
        Reserved {
            port,
            _listener: Some(listener),
        },
        plan,
    ))
}

fn reservation(port: u16) -> Result<TcpListener, Trouble> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(addr).map_err(|error| {
        let who = "this cluster's reservation".to_owned();
        Trouble {
            who,
            transport: Transport::Tcp,
            addr,
            error,
        }
    })
}

/// Every address of `plan` that cannot be bound now.
#[must_use]
pub fn blocked(plan: &Plan) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for planned in &plan.processes {
        for (transport, addr) in &planned.listens {
            let bound = match transport {
                Transport::Tcp => TcpListener::bind(addr).map(drop),
                Transport::Udp => UdpSocket::bind(addr).map(drop),
            };
            if let Err(error) = bound {
                let who = planned.title();
                troubles.push(Trouble {
                    who,
                    transport: *transport,
                    addr: *addr,
                    error,
                });
            }
        }
    }
    troubles
}

/// The troubles in one sentence, the first few by name.
#[must_use]
pub fn describe(troubles: &[Trouble]) -> String {
    let named: Vec<String> = troubles
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = troubles.len().saturating_sub(SHOWN);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use common::name::Zone;

    use super::super::binaries::Programs;
    use super::super::layout::Wish;
    use super::*;

    fn plan(base_port: u16) -> Plan {
        Plan::of(&Wish {
            zone: Zone::parse("nyud.test").unwrap(),
            nodes: 2,
            dns: 1,
            origin_delay: None,
            base_port,
            allow_private: false,
            proxy_config: None,
            dir: PathBuf::from("/tmp/x"),
            programs: Programs::in_dir(Path::new("/bin"), Path::new("/bin/atoll")),
        })
        .unwrap()
    }

    #[test]
    fn an_address_in_use_is_named_with_who_wanted_it() {
        let (reserved, free) = reserve(None, plan).unwrap();
        let taken = UdpSocket::bind(free.processes[0].addr).unwrap();
        let troubles = blocked(&free);
        assert_eq!(troubles.len(), 1);
        let text = describe(&troubles);
        assert!(text.contains("UDP for dht node1 is in use"), "{text}");
        drop((taken, reserved));
    }

    #[test]
    fn a_reserved_port_is_not_given_twice() {
        let (one, _) = reserve(None, plan).unwrap();
        let (two, _) = reserve(None, plan).unwrap();
        assert_ne!(one.port(), two.port());
    }

    #[test]
    fn a_port_that_is_asked_for_needs_no_reservation() {
        let (held, _) = reserve(None, plan).unwrap();
        assert!(reserve(Some(held.port()), plan).is_ok());
    }
}
