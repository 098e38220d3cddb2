//! Proxy-Status: why an answer is this proxy's own and not the origin's (RFC 9209).

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::cache_status::append_member;
use super::structured::{into_value, push_item, push_string};

/// Proxy-Status (RFC 9209 §2).
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// What went wrong: those of the registered types that occur here (RFC 9209 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProxyError {
    /// The resolver did not answer (§2.3.1).
    DnsTimeout,
    /// The resolver answered with an error (§2.3.2).
    DnsError,
    /// There is no way to tell where the request should go (§2.3.3).
    DestinationNotFound,
    /// The origin is known to be down and not tried (§2.3.4).
    DestinationUnavailable,
    /// The origin's address is private or otherwise not allowed (§2.3.5).
    DestinationIpProhibited,
    /// There is no route to it (§2.3.6).
    DestinationIpUnroutable,
    /// It refused the connection (§2.3.7).
    ConnectionRefused,
    /// It closed the connection before the response was whole (§2.3.8).
    ConnectionTerminated,
    /// It did not accept the connection in time (§2.3.9).
    ConnectionTimeout,
    /// It sent nothing for too long (§2.3.10).
    ConnectionReadTimeout,
    /// It took nothing for too long (§2.3.11).
    ConnectionWriteTimeout,
    /// All connections that may be open to it are in use (§2.3.12).
    ConnectionLimitReached,
    /// The TLS handshake failed (§2.3.13).
    TlsProtocolError,
    /// Its certificate was not accepted (§2.3.14).
    TlsCertificateError,
    /// The client's request is malformed or not supported (§2.3.16).
    HttpRequestError,
    /// The client's request is not allowed (§2.3.17).
    HttpRequestDenied,
    /// The response ended too early (§2.3.18).
    HttpResponseIncomplete,
    /// The response's header is too large as a whole (§2.3.19).
    HttpResponseHeaderSectionSize,
    /// The response's transfer coding cannot be read (§2.3.24).
    HttpResponseTransferCoding,
    /// The response did not come in time (§2.3.26).
    HttpResponseTimeout,
    /// The response is not HTTP (§2.3.28).
    HttpProtocolError,
    /// This proxy failed (§2.3.30).
    ProxyInternalError,
    /// The request came back to this CDN (§2.3.32).
    ProxyLoopDetected,
}

impl ProxyError {
    /// The token of the `error` parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsTimeout => "dns_timeout",
            Self::DnsError => "dns_error",
            Self::DestinationNotFound => "destination_not_found",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::DestinationIpProhibited => "destination_ip_prohibited",
            Self::DestinationIpUnroutable => "destination_ip_unroutable",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionTerminated => "connection_terminated",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionReadTimeout => "connection_read_timeout",
            Self::ConnectionWriteTimeout => "connection_write_timeout",
            Self::ConnectionLimitReached => "connection_limit_reached",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::TlsCertificateError => "tls_certificate_error",
            Self::HttpRequestError => "http_request_error",
            Self::HttpRequestDenied => "http_request_denied",
            Self::HttpResponseIncomplete => "http_response_incomplete",
            Self::HttpResponseHeaderSectionSize => "http_response_header_section_size",
            Self::HttpResponseTransferCoding => "http_response_transfer_coding",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpProtocolError => "http_protocol_error",
            Self::ProxyInternalError => "proxy_internal_error",
            Self::ProxyLoopDetected => "proxy_loop_detected",
        }
    }

    /// The status code to answer with, as RFC 9209 recommends it; for a loop the more telling 508
    /// (RFC 5842 §7.2).
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::DnsTimeout
            | Self::ConnectionTimeout
            | Self::ConnectionReadTimeout
            | Self::ConnectionWriteTimeout
            | Self::HttpResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::DestinationUnavailable | Self::ConnectionLimitReached => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DnsError
            | Self::DestinationIpProhibited
            | Self::DestinationIpUnroutable
            | Self::ConnectionRefused
            | Self::ConnectionTerminated
            | Self::TlsProtocolError
            | Self::TlsCertificateError
            | Self::HttpResponseIncomplete
            | Self::HttpResponseHeaderSectionSize
            | Self::HttpResponseTransferCoding
            | Self::HttpProtocolError => StatusCode::BAD_GATEWAY,
            Self::DestinationNotFound | Self::ProxyInternalError => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::HttpRequestError => StatusCode::BAD_REQUEST,
            Self::HttpRequestDenied => StatusCode::FORBIDDEN,
            Self::ProxyLoopDetected => StatusCode::LOOP_DETECTED,
        }
    }
}

/// One member: what this node met.
#[derive(Clone, Copy, Debug)]
pub struct ProxyStatus<'a> {
    /// The proxy's name: [`Identity::name`](super::hop::Identity::name).
    pub proxy: &'a str,
    /// What went wrong; absent when the proxy only reports about an answer that is the origin's.
    pub error: Option<ProxyError>,
    /// Where the request was going (§2.1.2).
    pub next_hop: Option<&'a str>,
    /// The status that the next hop gave (§2.1.4).
    pub received_status: Option<StatusCode>,
    /// More about it, for people (§2.1.5).
    pub details: Option<&'a str>,
}

impl ProxyStatus<'_> {
    /// The member as a field value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mut out = String::with_capacity(64);
        push_item(&mut out, self.proxy);
        if let Some(error) = self.error {
            out.push_str("; error=");
            out.push_str(error.as_str());
        }
        if let Some(next_hop) = self.next_hop {
            out.push_str("; next-hop=");
            push_item(&mut out, next_hop);
        }
        if let Some(status) = self.received_status {
            out.push_str("; received-status=");
            out.push_str(status.as_str());
        }
        if let Some(details) = self.details {
            out.push_str("; details=");
            push_string(&mut out, details);
        }
        into_value(out)
    }
}

/// Adds this node's member after those received, if they can be kept (RFC 9209 §2).
pub fn append(headers: &mut HeaderMap, own: &ProxyStatus<'_>) {
    append_member(headers, &PROXY_STATUS, own.value());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::headers;
    use super::super::structured::is_list;
    use super::*;

    const TIMEOUT: ProxyStatus<'_> = ProxyStatus {
        proxy: "n1.nyud.test",
        error: Some(ProxyError::ConnectionTimeout),
        next_hop: None,
        received_status: None,
        details: None,
    };

    #[test]
    fn members_say_what_went_wrong() {
        let full = ProxyStatus {
            next_hop: Some("192.0.2.1:80"),
            received_status: Some(StatusCode::BAD_GATEWAY),
            details: Some("timeout"),
            ..TIMEOUT
        };
        let rows: &[(&str, ProxyStatus<'_>, &str)] = &[
            (
                "9209 2.1.1",
                TIMEOUT,
                "n1.nyud.test; error=connection_timeout",
            ),
            (
                "9209 2.1",
                full,
                "n1.nyud.test; error=connection_timeout; next-hop=\"192.0.2.1:80\"; \
                 received-status=502; details=\"timeout\"",
            ),
            (
                "9209 2 no error",
                ProxyStatus {
                    error: None,
                    ..TIMEOUT
                },
                "n1.nyud.test",
            ),
        ];
        for (section, status, expected) in rows {
            assert_eq!(status.value(), *expected, "{section}");
        }
    }

    #[test]
    fn our_member_comes_after_those_received() {
        let mut map = headers(&[("proxy-status", "a; error=dns_error")]);
        append(&mut map, &TIMEOUT);
        assert_eq!(map.get_all(PROXY_STATUS).iter().count(), 2, "9209 2");
    }

    #[test]
    fn errors_have_the_recommended_status() {
        assert_eq!(ProxyError::DnsTimeout.status(), 504, "9209 2.3.1");
        assert_eq!(ProxyError::DnsError.status(), 502, "9209 2.3.2");
        assert_eq!(
            ProxyError::DestinationUnavailable.status(),
            503,
            "9209 2.3.4"
        );
        assert_eq!(ProxyError::HttpRequestDenied.status(), 403, "9209 2.3.17");
        assert_eq!(ProxyError::ProxyLoopDetected.status(), 508, "5842 7.2");
    }

    proptest! {
        #[test]
        fn the_field_stays_readable(next_hop in ".{0,40}", details in ".{0,40}") {
            let status =
                ProxyStatus { next_hop: Some(&next_hop), details: Some(&details), ..TIMEOUT };
            prop_assert!(is_list(status.value().as_bytes()));
        }
    }
}
