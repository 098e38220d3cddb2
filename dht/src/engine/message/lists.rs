//! Counts and lists of services as they go over the wire, in more than one kind of message.

use std::net::SocketAddr;

use common::wire::codec::{DecodeError, Reader, Writer, addr_len};

use super::{SERVICES_MAX, Service};
use crate::api::SERVICE_NAME_MAX;

pub(super) fn service_len((name, addr): &Service) -> usize {
    1 + name.len() + addr_len(*addr)
}

pub(super) fn write_count(w: &mut Writer, count: usize) {
    w.u8(u8::try_from(count).unwrap_or(u8::MAX));
}

pub(super) fn read_count(
    r: &mut Reader<'_>,
    most: usize,
    what: &'static str,
) -> Result<u8, DecodeError> {
    let count = r.u8(what)?;
    if usize::from(count) > most {
        Err(r.error(what))
    } else {
        Ok(count)
    }
}

/// Count and services.
pub(super) fn write_service_list(w: &mut Writer, services: &[Service]) {
    write_count(w, services.len());
    for (name, addr) in services {
        write_count(w, name.len());
        w.put(name.as_bytes()).addr(*addr);
    }
}

/// Count and services.
pub(super) fn read_service_list(r: &mut Reader<'_>) -> Result<Vec<Service>, DecodeError> {
    let count = read_count(r, SERVICES_MAX, "services")?;
    let mut services = Vec::new();
    for _ in 0..count {
        let len = read_count(r, SERVICE_NAME_MAX, "service name")?;
        let name = std::str::from_utf8(r.take(usize::from(len), "service name")?);
        let name = name.map_err(|_| r.error("service name"))?.to_owned();
        let addr: SocketAddr = r.addr("service address")?;
        services.push((name, addr));
    }
    Ok(services)
}
