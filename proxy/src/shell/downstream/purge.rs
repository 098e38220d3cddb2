//! A client's PURGE: an order for the page it names, with a token.

use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::Value;

use super::own::own;
use super::{Client, Serving};
use crate::engine::http::key::PrimaryKey;
use crate::engine::purge::order::{Order, OrderId};
use crate::engine::purge::token::PurgeRefusal;
use crate::shell::metrics::Outcome;
use crate::shell::outgoing::Outgoing;
use crate::shell::purge;

impl Client {
    /// Whether this is an order, and orders are taken here at all.
    pub(super) fn orders(&self) -> bool {
        self.method == *purge::METHOD && self.ctx.purge.is_open()
    }

    /// Carries out an order for `key`, if the client may give it.
    pub(super) fn purge(self, key: PrimaryKey) -> Serving {
        Serving::Later(Box::pin(async move {
            let response = match self.order(&key) {
                Ok(order) => {
                    self.ctx.metrics.request(Outcome::Own);
                    let ctx = self.ctx.clone();
                    let receipt = purge::everywhere(ctx, order).await;
                    page(StatusCode::OK, &receipt.to_json())
                }
                Err(refusal) => self.no(refusal),
            };
            self.done(response)
        }))
    }

    fn order(&self, key: &PrimaryKey) -> Result<Order, PurgeRefusal> {
        let id = OrderId(self.ctx.nonce());
        let order = Order::of_page(id, key, purge::words(&self.headers));
        let order = order.map_err(PurgeRefusal::Order)?;
        let authorization = self.headers.get(AUTHORIZATION);
        let authorization = authorization.map(HeaderValue::as_bytes);
        let who = (self.began, self.address);
        self.ctx.purge.judge(who, authorization, &order)?;
        Ok(order)
    }

    fn no(&self, refusal: PurgeRefusal) -> Response<Outgoing> {
        self.ctx.metrics.request(Outcome::Refused);
        self.ctx.metrics.purge(refusal.as_str());
        self.note(Outcome::Refused, refusal.as_str());
        let mut response = page(refusal.status(), &purge::refused(refusal));
        if refusal.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

fn page(status: StatusCode, json: &Value) -> Response<Outgoing> {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    let kind = HeaderValue::from_static("application/json");
    own(status, kind, text + "\n")
}
