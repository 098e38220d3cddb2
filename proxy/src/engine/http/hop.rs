//! Which fields cross the proxy, in which direction, and the marks it leaves (RFC 9110 §7.6).
//!
//! Towards an origin only known fields pass: what a client sends beyond them is not part of the
//! cache key, so letting the origin see it would let one client choose what others are served.
//! Towards a client everything passes except fields of the connection and those by which a site
//! speaks for a whole domain: all sites share one parent domain here, and the name in the
//! browser is not the site's own. For the same reason no credentials pass in either direction.
//!
//! Loops show in CDN-Loop (RFC 8586) and Via; what a looping request is answered is not decided
//! here.

use http::Version;
use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL,
    CONNECTION, CONTENT_LENGTH, COOKIE, DNT, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    PRAGMA, REFERER, TRANSFER_ENCODING, USER_AGENT, VIA,
};

use super::field::{self, is_token};

/// CDN-Loop (RFC 8586 §2).
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// How often a request may have passed this CDN, each time through another node, before it counts
/// as looping. One chain of redirectors pointing at each other's coralised names is conceivable;
/// more is not.
pub const OWN_HOPS_MAX: usize = 3;

/// How many intermediaries of any kind a request may have passed. Real chains have under five.
pub const HOPS_MAX: usize = 20;

/// Who this node is in the marks it leaves, made once from the configuration.
#[derive(Clone, Debug)]
pub struct Identity {
    zone: String,
    node: String,
    received_by: String,
    /// Its Via member for HTTP/1.1, which most messages arrive in.
    via: HeaderValue,
    cdn_loop: HeaderValue,
    product: String,
}

/// A zone or node name that cannot stand in a header field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("zone, node name and version may contain letters, digits, dots, hyphens and underscores")]
pub struct IdentityError;

impl Identity {
    /// The identity of node `node` of the CDN under `zone`, running this `version`.
    ///
    /// # Errors
    ///
    /// One of the three is empty or contains bytes that are not letters, digits, `.`, `-` or `_`.
    pub fn new(zone: &str, node: &str, version: &str) -> Result<Self, IdentityError> {
        let plain = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !text.is_empty() && text.bytes().all(fits)
        };
        if ![zone, node, version].into_iter().all(plain) {
            return Err(IdentityError);
        }
        let cdn_loop = HeaderValue::try_from(format!("{zone}; node={node}"));
        let via = HeaderValue::try_from(format!("1.1 {node}.{zone}"));
        Ok(Self {
            zone: zone.to_owned(),
            node: node.to_owned(),
            received_by: format!("{node}.{zone}"),
            via: via.map_err(|_| IdentityError)?,
            cdn_loop: cdn_loop.map_err(|_| IdentityError)?,
            product: format!("Atoll/{version} (+http://{zone}/)"),
        })
    }

    /// This node's name within the CDN, as in Via and Cache-Status: `<node>.<zone>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.received_by
    }

    /// The Via member for a message that arrived in this HTTP version (RFC 9110 §7.6.3).
    fn via(&self, received: Version) -> HeaderValue {
        let version = match received {
            Version::HTTP_09 => "0.9",
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            Version::HTTP_3 => "3",
            _ => return self.via.clone(),
        };
        HeaderValue::try_from(format!("{version} {}", self.received_by))
            .expect("checked to be plain ASCII by `new`")
    }

    fn user_agent(&self, client: Option<&HeaderValue>) -> HeaderValue {
        let own = self.product.as_bytes();
        let value = match client {
            None => HeaderValue::from_bytes(own),
            Some(client) => HeaderValue::from_bytes(&[client.as_bytes(), b" ", own].concat()),
        };
        value.expect("two valid values with a space between are valid")
    }
}

/// Why a request is taken to go round in circles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoopReason {
    /// It has passed this very node.
    OwnNode,
    /// It has passed nodes of this CDN [`OWN_HOPS_MAX`] times.
    OwnCdn,
    /// It has passed more than [`HOPS_MAX`] intermediaries.
    TooManyHops,
}

impl LoopReason {
    /// Name for logs, metrics and the `details` of Proxy-Status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnNode => "own-node",
            Self::OwnCdn => "own-cdn",
            Self::TooManyHops => "too-many-hops",
        }
    }
}

/// Looks for this node, this CDN and long chains in CDN-Loop and Via (RFC 8586 §2, RFC 9110
/// §7.6.3). Members that cannot be read count as hops and nothing else.
///
/// # Errors
///
/// Why the request must not be forwarded.
pub fn check_loop(request: &HeaderMap, identity: &Identity) -> Result<(), LoopReason> {
    let (mut hops, mut own) = (0, 0);
    for member in field::members(request, &CDN_LOOP) {
        hops += 1;
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        if parts
            .next()
            .is_some_and(|id| id.eq_ignore_ascii_case(identity.zone.as_bytes()))
        {
            own += 1;
            if parts.any(|parameter| names_node(parameter, &identity.node)) {
                return Err(LoopReason::OwnNode);
            }
        }
    }
    let mut via_hops = 0;
    for member in field::members(request, &VIA) {
        via_hops += 1;
        let received_by = member
            .split(u8::is_ascii_whitespace)
            .filter(|part| !part.is_empty());
        let ours = identity.received_by.as_bytes();
        if received_by
            .skip(1)
            .take(1)
            .any(|name| name.eq_ignore_ascii_case(ours))
        {
            return Err(LoopReason::OwnNode);
        }
    }
    if own >= OWN_HOPS_MAX {
        return Err(LoopReason::OwnCdn);
    }
    if hops.max(via_hops) > HOPS_MAX {
        return Err(LoopReason::TooManyHops);
    }
    Ok(())
}

/// Whether a CDN-Loop parameter is `node=<name>`, quoted or not.
fn names_node(parameter: &[u8], node: &str) -> bool {
    parameter
        .strip_prefix(b"node=")
        .and_then(field::unquote)
        .is_some_and(|name| name.eq_ignore_ascii_case(node.as_bytes()))
}

/// Whether a field belongs to one connection whatever Connection says (RFC 9110 §7.6.1).
///
/// Trailer is among them because trailers are not forwarded, and so are the fields of proxy
/// authentication, which are for the next hop alone (RFC 9110 §11.7).
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
    )
}

/// Whether a response field speaks for a domain, or for the host name the client sees: cookies,
/// promises about TLS, other addresses of the site. Under a shared parent domain and a borrowed
/// name these would hit other sites, or be untrue.
#[must_use]
pub fn is_site_wide(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "set-cookie"
            | "set-cookie2"
            | "clear-site-data"
            | "alt-svc"
            | "strict-transport-security"
            | "public-key-pins"
            | "public-key-pins-report-only"
    )
}

/// Whether a client's field is removed because it would identify the user to all sites alike.
#[must_use]
pub fn is_credential(name: &HeaderName) -> bool {
    *name == COOKIE || *name == AUTHORIZATION || name.as_str() == "cookie2"
}

/// The fields that Connection lists, in any order (RFC 9110 §7.6.1).
pub fn connection_listed(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    field::members(headers, &CONNECTION)
        .filter(|member| is_token(member))
        .filter_map(|member| HeaderName::from_bytes(member).ok())
}

/// Removes the fields of the connection: the known ones, those Connection lists, and a
/// Content-Length that a Transfer-Encoding overrides (RFC 9110 §7.6.1, RFC 9112 §6.3).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_listed(headers);
    retain(headers, |name| !is_hop_by_hop(name));
}

/// Removes the fields that Connection lists (RFC 9110 §7.6.1). Done to a client's request before a copy is chosen
/// by it: what the origin does not get to see must not select a variant either.
pub fn strip_listed(headers: &mut HeaderMap) {
    let listed: Vec<_> = connection_listed(headers).collect();
    for name in listed {
        headers.remove(name);
    }
}

/// Keeps the fields for which `keep` says so.
fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    let dropped: Vec<_> = headers.keys().filter(|name| !keep(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Client fields that an origin gets to see, unchanged.
///
/// They choose between representations, so a careful origin names them in Vary, or they are what
/// origins log. Cache-Control and Pragma pass because RFC 9111 §5.2 says that they must.
const FORWARDED: [HeaderName; 11] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    DNT,
    ORIGIN,
    PRAGMA,
    REFERER,
    HeaderName::from_static("save-data"),
    HeaderName::from_static("sec-gpc"),
];

/// The header of a request to an origin, made from a client's.
///
/// `host` is the origin's authority. Range and the preconditions stay here, because a fill wants
/// the whole and validates with the cache's own validators; a field that the client's Connection
/// lists does not pass either. `received` is the version of the client's request.
#[must_use]
pub fn to_origin(
    client: &HeaderMap,
    received: Version,
    host: HeaderValue,
    identity: &Identity,
) -> HeaderMap {
    let listed: Vec<_> = connection_listed(client).collect();
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(HOST, host);
    for name in FORWARDED.iter().filter(|name| !listed.contains(name)) {
        for value in client.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    let agent = client
        .get(USER_AGENT)
        .filter(|_| !listed.contains(&USER_AGENT));
    headers.insert(USER_AGENT, identity.user_agent(agent));
    for name in [VIA, CDN_LOOP] {
        for value in client.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    headers.append(VIA, identity.via(received));
    headers.append(CDN_LOOP, identity.cdn_loop.clone());
    headers
}

/// Removes a response's fields of the connection and of the domain.
pub fn strip_to_client(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    retain(headers, |name| !is_site_wide(name));
}

/// Makes a response's fields fit for a client: fields of the connection and of the domain go, Via
/// grows by this node. `received` is the version of the response.
pub fn to_client(headers: &mut HeaderMap, received: Version, identity: &Identity) {
    strip_to_client(headers);
    headers.append(VIA, identity.via(received));
}

#[cfg(test)]
mod tests;
