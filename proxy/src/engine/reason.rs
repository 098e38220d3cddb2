//! Every way in which the proxy says no, and every way in which a fetch fails: closed enums that
//! reach the log, the metrics and the answer with the same word.

use ::http::StatusCode;
use common::name::NameError;

use super::head::fault::HeadFault;
use super::http::proxy_status::ProxyError;
use super::lenient::Unclear;
use super::policy::AddressRefusal;

/// Why a request was not served: the client's side of things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefuseReason {
    /// Only GET and HEAD are served (and OPTIONS answered).
    Method,
    /// A tunnel was asked for; this is not a general proxy.
    Tunnel,
    /// No Host field and no absolute target.
    NoHost,
    /// More than one Host field: each reader might believe another one.
    ManyHosts,
    /// The Host field is not text of a host.
    BadHost,
    /// The host does not lie under our zone.
    NotOurs,
    /// The host is neither the one that was asked for when the connection began nor one of the
    /// certificate shown on it (RFC 9110 §7.4).
    Misdirected,
    /// The host lies under our zone and is no coralised name.
    BadName(NameError),
    /// A hashed label: only its site knows what it stands for.
    HashedName,
    /// A service name that nothing here answers to.
    NoService,
    /// The target is longer than 8 KiB.
    UrlTooLong,
    /// The header fields are larger than 64 KiB.
    FieldsTooLarge,
    /// The head can be read in two ways, or in none.
    Head(HeadFault),
    /// The head did not come in time.
    HeadTimeout,
    /// A body larger than is read and dropped.
    BodyTooLarge,
    /// The origin's port is not one that sites use.
    Port,
    /// The request came back to where it had been.
    Loop,
    /// The client wanted a stored copy only, and there is none.
    OnlyIfCached,
    /// As many requests are under way as this node carries.
    Busy,
    /// The page, or its client, is on the block list.
    Blocked,
    /// The client asks too often.
    ClientRate,
    /// More visitors come than the node can serve, and this one has waited at the door long enough.
    Crowded,
}

impl RefuseReason {
    /// All of them, for documents and tests; of those that hold another reason, one.
    pub const ALL: [Self; 22] = [
        Self::Method,
        Self::Tunnel,
        Self::NoHost,
        Self::ManyHosts,
        Self::BadHost,
        Self::NotOurs,
        Self::Misdirected,
        Self::BadName(NameError::EmptyLabel),
        Self::HashedName,
        Self::NoService,
        Self::UrlTooLong,
        Self::FieldsTooLarge,
        Self::Head(HeadFault::Nul),
        Self::HeadTimeout,
        Self::BodyTooLarge,
        Self::Port,
        Self::Loop,
        Self::OnlyIfCached,
        Self::Busy,
        Self::Blocked,
        Self::ClientRate,
        Self::Crowded,
    ];

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method | Self::Tunnel => StatusCode::METHOD_NOT_ALLOWED,
            Self::Head(HeadFault::Version) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::NoHost | Self::ManyHosts | Self::BadHost | Self::BadName(_) | Self::Head(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotOurs | Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HashedName | Self::NoService => StatusCode::NOT_FOUND,
            Self::UrlTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Port | Self::Blocked => StatusCode::FORBIDDEN,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::OnlyIfCached => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy | Self::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Self::ClientRate => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Tunnel => "tunnel",
            Self::NoHost => "no_host",
            Self::ManyHosts => "many_hosts",
            Self::BadHost => "bad_host",
            Self::NotOurs => "not_ours",
            Self::Misdirected => "misdirected",
            Self::BadName(_) => "bad_name",
            Self::HashedName => "hashed_name",
            Self::NoService => "no_service",
            Self::UrlTooLong => "url_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::Head(fault) => fault.as_str(),
            Self::HeadTimeout => "head_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::Port => "port",
            Self::Loop => "loop",
            Self::OnlyIfCached => "only_if_cached",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
            Self::ClientRate => "client_rate",
            Self::Crowded => "crowded",
        }
    }

    /// The type of RFC 9209 that says it best.
    #[must_use]
    pub const fn proxy_error(self) -> ProxyError {
        match self {
            Self::NoHost
            | Self::ManyHosts
            | Self::BadHost
            | Self::BadName(_)
            | Self::UrlTooLong
            | Self::FieldsTooLarge
            | Self::Head(_)
            | Self::HeadTimeout
            | Self::BodyTooLarge => ProxyError::HttpRequestError,
            Self::Method | Self::Tunnel | Self::NotOurs | Self::Misdirected | Self::Port => {
                ProxyError::HttpRequestDenied
            }
            Self::HashedName | Self::NoService => ProxyError::DestinationNotFound,
            Self::Loop => ProxyError::ProxyLoopDetected,
            Self::OnlyIfCached => ProxyError::DestinationUnavailable,
            Self::Busy | Self::Crowded => ProxyError::ConnectionLimitReached,
            Self::ClientRate | Self::Blocked => ProxyError::HttpRequestDenied,
        }
    }

    /// One sentence for people: what is wrong and what to do. `zone` is ours.
    #[must_use]
    pub fn advice(self, zone: &str) -> String {
        match self {
            Self::Method => {
                "Only GET and HEAD are served here; send anything else to the site itself.".into()
            }
            Self::Tunnel => format!(
                "This is no general proxy: ask for http://example.com.{zone}/ instead of a tunnel."
            ),
            Self::NoHost => "The request has no Host field, so the site is unknown.".into(),
            Self::ManyHosts => "The request has more than one Host field.".into(),
            Self::BadHost => "The Host field is not a host name.".into(),
            Self::NotOurs => format!(
                "Only names under {zone} are served: for http://example.com/ ask for \
                 http://example.com.{zone}/."
            ),
            Self::Misdirected => {
                "This connection was made for another name: connect anew for this one.".into()
            }
            Self::BadName(error) => {
                format!("This is no name of a site under {zone}: {error}.")
            }
            Self::HashedName => {
                "This hashed name is not known here; use the dotted form of the name.".into()
            }
            Self::NoService => format!("Nothing is served under this name of {zone}."),
            Self::UrlTooLong => "The address is longer than 8 KiB.".into(),
            Self::FieldsTooLarge => "The header fields are larger than 64 KiB.".into(),
            Self::Head(fault) => format!("The request {}.", fault.what()),
            Self::HeadTimeout => "The request's header did not come in time.".into(),
            Self::BodyTooLarge => {
                "Requests have no use for a body here, let alone a large one.".into()
            }
            Self::Port => "Sites are fetched from ports 80, 443 and above 1023 only, and not from \
                           ports of other services."
                .into(),
            Self::Loop => "The request has been through this CDN before: the site sends its \
                           visitors here and its own answers too."
                .into(),
            Self::OnlyIfCached => "No stored copy, and the request forbids fetching one.".into(),
            Self::Blocked => "This is not served here, by decision of this node's operator.".into(),
            Self::ClientRate => {
                "Too many requests from this client's network; a little later will do.".into()
            }
            Self::Busy | Self::Crowded => {
                "This proxy is busy; another one or a later try will do.".into()
            }
        }
    }
}

/// Why a fetch from an origin or a peer failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailReason {
    /// The name does not exist or has no address.
    DnsName,
    /// The resolver did not answer in time.
    DnsTimeout,
    /// The resolver failed.
    DnsError,
    /// The address is one that strangers' requests are not sent to.
    Address(AddressRefusal),
    /// Nothing listens there.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// No route, or another failure to connect.
    ConnectError,
    /// The TLS handshake failed.
    Tls,
    /// Its certificate is not for this name, or not trusted.
    Certificate,
    /// No response header in time.
    HeaderTimeout,
    /// The connection broke before a response header.
    Broken,
    /// What a peer sent, or what came after a break, does not fit what is here.
    Malformed,
    /// The origin's response could mean several things.
    Unclear(Unclear),
    /// This machine is out of descriptors or memory for sockets: no fault of the origin.
    NoSockets,
    /// There was no room in memory for what was to be fetched.
    NoMemory,
    /// The body ended before it was whole.
    Truncated,
    /// The body stalled.
    BodyTimeout,
    /// The body is not what its sender said it is.
    Digest,
    /// The origin answered with this server error (5xx) while a stale copy is held.
    ServerError(StatusCode),
    /// The peer refused: it has no copy, or must not give it.
    PeerRefused,
    /// Nobody waited for it any more.
    Abandoned,
    /// There was no room to keep it for a reader that fell behind.
    ReaderTooSlow,
    /// What was read from disk is not what had been written.
    Damaged,
    /// The address is on the block list.
    Blocked,
    /// The page is another one than when its first bytes were sent.
    Changed,
    /// The origin sends the whole where a part was asked for, though it said that it knows parts.
    RangeIgnored,
    /// As many fetches from this site are under way as it may have.
    SiteBusy,
    /// As many fetches are under way as this node carries.
    NodeBusy,
}

impl FailReason {
    /// All of them, for documents and tests; of those that hold another reason, one.
    pub const ALL: [Self; 28] = [
        Self::DnsName,
        Self::DnsTimeout,
        Self::DnsError,
        Self::Address(AddressRefusal::Own),
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectError,
        Self::Tls,
        Self::Certificate,
        Self::HeaderTimeout,
        Self::Broken,
        Self::Malformed,
        Self::Unclear(Unclear::NotHttp),
        Self::NoSockets,
        Self::NoMemory,
        Self::Truncated,
        Self::BodyTimeout,
        Self::Digest,
        Self::ServerError(StatusCode::BAD_GATEWAY),
        Self::PeerRefused,
        Self::Abandoned,
        Self::ReaderTooSlow,
        Self::Damaged,
        Self::Blocked,
        Self::Changed,
        Self::RangeIgnored,
        Self::SiteBusy,
        Self::NodeBusy,
    ];

    /// The status of the answer when nothing else helps.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Address(_) | Self::Blocked => StatusCode::FORBIDDEN,
            Self::ConnectTimeout | Self::HeaderTimeout | Self::DnsTimeout | Self::BodyTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::NoSockets | Self::NoMemory | Self::SiteBusy | Self::NodeBusy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// The word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsName => "dns_name",
            Self::DnsTimeout => "dns_timeout",
            Self::DnsError => "dns_error",
            Self::Address(_) => "address",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectError => "connect_error",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::HeaderTimeout => "header_timeout",
            Self::Broken => "broken",
            Self::Malformed => "malformed",
            Self::Unclear(why) => why.as_str(),
            Self::NoSockets => "no_sockets",
            Self::NoMemory => "no_memory",
            Self::Truncated => "truncated",
            Self::BodyTimeout => "body_timeout",
            Self::Digest => "digest",
            Self::ServerError(_) => "server_error",
            Self::PeerRefused => "peer_refused",
            Self::Abandoned => "abandoned",
            Self::ReaderTooSlow => "reader_too_slow",
            Self::Damaged => "damaged",
            Self::Blocked => "blocked",
            Self::Changed => "changed",
            Self::RangeIgnored => "range_ignored",
            Self::SiteBusy => "site_busy",
            Self::NodeBusy => "node_busy",
        }
    }

    /// The type of RFC 9209 that says it best.
    #[must_use]
    pub const fn proxy_error(self) -> ProxyError {
        match self {
            Self::DnsTimeout => ProxyError::DnsTimeout,
            Self::DnsName | Self::DnsError => ProxyError::DnsError,
            Self::Address(_) | Self::Blocked => ProxyError::DestinationIpProhibited,
            Self::ConnectRefused => ProxyError::ConnectionRefused,
            Self::ConnectTimeout => ProxyError::ConnectionTimeout,
            Self::ConnectError => ProxyError::DestinationIpUnroutable,
            Self::Tls => ProxyError::TlsProtocolError,
            Self::Certificate => ProxyError::TlsCertificateError,
            Self::HeaderTimeout | Self::BodyTimeout => ProxyError::HttpResponseTimeout,
            Self::Broken => ProxyError::ConnectionTerminated,
            Self::Malformed | Self::Unclear(_) | Self::RangeIgnored => {
                ProxyError::HttpProtocolError
            }
            Self::NoSockets | Self::NoMemory | Self::SiteBusy | Self::NodeBusy => {
                ProxyError::ConnectionLimitReached
            }
            Self::Truncated | Self::Changed => ProxyError::HttpResponseIncomplete,
            Self::ServerError(_) => ProxyError::DestinationUnavailable,
            Self::Digest
            | Self::PeerRefused
            | Self::Abandoned
            | Self::ReaderTooSlow
            | Self::Damaged => ProxyError::ProxyInternalError,
        }
    }

    /// Whether the origin as a whole is in trouble, so that others need not find out for
    /// themselves. A refused address is policy, and a broken body is one object's affair.
    #[must_use]
    pub const fn shuts_the_gate(self) -> bool {
        matches!(
            self,
            Self::DnsName
                | Self::DnsTimeout
                | Self::DnsError
                | Self::ConnectRefused
                | Self::ConnectTimeout
                | Self::ConnectError
                | Self::Tls
                | Self::Certificate
                | Self::HeaderTimeout
        )
    }

    /// One sentence for people about the site at `origin`.
    #[must_use]
    pub fn advice(self, origin: &str) -> String {
        let what = match self {
            Self::DnsName => "has no address: check the spelling of the name",
            Self::DnsTimeout | Self::DnsError => "could not be looked up at the moment",
            Self::Address(why) => {
                let kind = why.as_str();
                return format!(
                    "The site {origin} is at an address that is not fetched from ({kind})."
                );
            }
            Self::ConnectRefused => "refuses connections: it seems to be down",
            Self::ConnectTimeout | Self::ConnectError => "cannot be reached: it seems to be down",
            Self::Tls => "failed in the TLS handshake",
            Self::Certificate => "has a certificate that cannot be trusted",
            Self::HeaderTimeout => "did not answer in time: it seems to be overloaded",
            Self::Broken => "broke the connection before it answered",
            Self::Malformed => "sent an answer that cannot be understood",
            Self::Unclear(why) => why.advice(),
            Self::Blocked => "is not fetched from, by decision of this node's operator",
            Self::SiteBusy => "is being fetched from as much as is borne",
            Self::NoSockets | Self::NoMemory | Self::NodeBusy => {
                return "This proxy is out of room at the moment; another one or a later try will \
                        do."
                .to_owned();
            }
            Self::ServerError(_) => "has an error of its own",
            Self::Truncated | Self::BodyTimeout => "sent only a part of the page",
            Self::Changed => "has changed the page meanwhile: ask again",
            Self::RangeIgnored => "sends other parts of the page than it is asked for",
            Self::Digest
            | Self::PeerRefused
            | Self::Abandoned
            | Self::ReaderTooSlow
            | Self::Damaged => "could not be fetched",
        };
        format!("The site {origin} {what}.")
    }
}
