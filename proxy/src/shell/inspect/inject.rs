//! Requests injected by the admin listener: answered as any client's, from here, with nobody's connection
//! behind them.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;

use common::shell::admin::Ordered;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::engine::http::key::Scheme;
use crate::engine::steps::receive::Seen;
use crate::shell::context::Context;
use crate::shell::downstream::{Entry, Visit, serve};
use crate::shell::guard::Link;
use crate::shell::traces::WARRANT;

const METHOD: HeaderName = HeaderName::from_static("atoll-inject");
const AUTHORITY: HeaderName = HeaderName::from_static("atoll-inject-host");
const TARGET: HeaderName = HeaderName::from_static("atoll-inject-target");

/// Bytes of a body that are read and hashed; of more, this is the beginning.
const BODY_MAX: u64 = 64 << 20;

/// Carries out the injection that `headers` describe.
pub(super) fn ordered(ctx: Arc<Context>, headers: &HeaderMap) -> Ordered {
    let request = request(headers);
    Box::pin(async move {
        match request {
            Some(request) => (StatusCode::OK, carry_out(ctx, request).await),
            None => {
                let what = "say method, host and target, the method GET or HEAD";
                (StatusCode::BAD_REQUEST, json!({ "refused": what }))
            }
        }
    })
}

/// The request meant.
fn request(headers: &HeaderMap) -> Option<Request<()>> {
    let method = match headers.get(METHOD)?.as_bytes() {
        b"GET" => Method::GET,
        b"HEAD" => Method::HEAD,
        _ => return None,
    };
    let target = headers.get(TARGET)?.to_str().ok()?;
    let host: HeaderValue = headers.get(AUTHORITY)?.clone();
    let mut request = Request::builder().method(method).uri(target);
    request = request.header(HOST, host);
    if let Some(warrant) = headers.get(WARRANT) {
        request = request.header(WARRANT, warrant);
    }
    request.body(()).ok()
}

async fn carry_out(ctx: Arc<Context>, request: Request<()>) -> Value {
    let began = ctx.now();
    let entry = Entry {
        scheme: Scheme::Http,
        local_port: Scheme::Http.default_port(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        shown: None,
    };
    let visit = Visit {
        last: false,
        refused: None,
        // An operator is not counted among the visitors.
        asked: Some(Ok(())),
    };
    let link = Arc::new(Link::default());
    let mut seen = Seen::default();
    let (response, _duties) = serve(&ctx, &entry, visit, request, &mut seen, &link).await;
    let head = ctx.now().since(began);
    let (parts, body) = response.into_parts();
    let mut body = pin!(body);
    let (mut hasher, mut bytes, mut whole) = (blake3::Hasher::new(), 0_u64, true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    hasher.update(data);
                    bytes += data.len() as u64;
                }
            }
            Err(_) => whole = false,
        }
        if bytes > BODY_MAX {
            whole = false;
        }
        if !whole {
            break;
        }
    }
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let fields: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            [
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            ]
        })
        .collect();
    json!({
        "schema": 1, "node": ctx.identity.name(), "status": parts.status.as_u16(), "fields": fields,
        "bytes": bytes, "whole": whole, "digest": hasher.finalize().to_hex().as_str(),
        "head_us": micros(head), "took_us": micros(ctx.now().since(began)),
    })
}
