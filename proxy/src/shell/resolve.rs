//! Names of origins to addresses, with a deadline and a bounded cache of the resolver's own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver as Hickory, TokioResolver};

use super::connect::is_out_of_sockets;
use crate::engine::reason::FailReason;

/// For one question to one resolver; two attempts make the longest wait.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Addresses of a name that are tried; more are never needed.
const ADDRESSES_MAX: usize = 8;

/// Looks names up.
#[derive(Debug)]
pub(crate) struct Resolver {
    hickory: Option<TokioResolver>,
}

impl Resolver {
    /// A resolver asking `servers`, or the system's if there are none given.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let built = if servers.is_empty() {
            Hickory::builder_tokio()
        } else {
            let groups = servers.iter().map(|server| {
                let mut group = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut group.connections {
                    connection.port = server.port();
                }
                group
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), groups.collect());
            Ok(Hickory::builder_with_config(
                config,
                TokioRuntimeProvider::default(),
            ))
        };
        let hickory = built.and_then(|mut builder| {
            limit(builder.options_mut());
            builder.build()
        });
        if let Err(error) = &hickory {
            tracing::warn!(%error, "no resolver: only origins named by address can be fetched from");
        }
        Self {
            hickory: hickory.ok(),
        }
    }

    /// The addresses of `host`.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, FailReason> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        let hickory = self.hickory.as_ref().ok_or(FailReason::DnsError)?;
        // The final dot: a search list must not turn one site's name into another's.
        let found = hickory
            .lookup_ip(format!("{host}."))
            .await
            .map_err(|error| reason(&error))?;
        let addresses: Vec<_> = found.iter().take(ADDRESSES_MAX).collect();
        if addresses.is_empty() {
            Err(FailReason::DnsName)
        } else {
            Ok(addresses)
        }
    }
}

const fn limit(options: &mut ResolverOpts) {
    options.timeout = QUESTION_TIMEOUT;
    options.attempts = 2;
}

fn reason(error: &NetError) -> FailReason {
    match error {
        NetError::Timeout => FailReason::DnsTimeout,
        NetError::Io(error) if is_out_of_sockets(error) => FailReason::NoSockets,
        other if other.is_no_records_found() || other.is_nx_domain() => FailReason::DnsName,
        _ => FailReason::DnsError,
    }
}
