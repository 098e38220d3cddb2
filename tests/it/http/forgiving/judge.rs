//! nginx before the same origin, as a second opinion.

use std::net::SocketAddr;

use harness::client::{Answer, Ask, Page};
use harness::place::Place;
use harness::web::WebServer;

use super::cases::{Case, Want};

/// nginx as a reverse proxy.
pub(super) struct Nginx {
    server: WebServer,
}

/// What nginx made of a case.
pub(super) struct Judged {
    /// It showed what was meant.
    pub(super) forgives: bool,
    pub(super) text: String,
}

impl Judged {
    pub(super) fn absent() -> Self {
        Self {
            forgives: false,
            text: "not here".to_owned(),
        }
    }
}

impl Nginx {
    /// `None`, and said loudly, where there is none.
    pub(super) async fn before(place: &Place, origin: SocketAddr) -> Option<Self> {
        let location = format!(
            "location / {{ proxy_pass http://{origin}; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; proxy_read_timeout 2s; proxy_next_upstream off; }}"
        );
        let server = WebServer::nginx_with(place, &location).await?;
        Some(Self { server })
    }

    pub(super) async fn judge(&self, path: &str, case: &Case) -> Judged {
        let page = Page::new("judge.test", path);
        match Ask::of(self.server.addr, &page).try_fetch().await {
            Err(error) => Judged {
                forgives: false,
                text: if error.contains("invalid HTTP") {
                    "passes the broken head on".to_owned()
                } else {
                    "ends without an answer".to_owned()
                },
            },
            Ok(answer) => {
                let meant = match &case.want {
                    Want::Kept(_, body) | Want::Shown(_, body) => {
                        answer.body == *body && answer.broken.is_none()
                    }
                    Want::Cut(_) => answer.broken.is_none(),
                    Want::Refused(_) => answer.status != 502 && answer.broken.is_none(),
                };
                let text = verdict(&answer, false).replace(", not kept", "");
                Judged {
                    forgives: meant && answer.status < 500,
                    text: if meant {
                        text
                    } else {
                        format!("{text} (other)")
                    },
                }
            }
        }
    }
}

/// An answer in a few words.
pub(super) fn verdict(answer: &Answer, kept: bool) -> String {
    let reason = answer.field("proxy-status");
    let reason = reason.split("details=").nth(1).unwrap_or_default();
    if answer.broken.is_some() {
        format!("{} cut after {}", answer.status, answer.body.len())
    } else if !reason.is_empty() {
        format!("{} {}", answer.status, reason.trim_matches('"'))
    } else {
        let kept = if kept { "kept" } else { "not kept" };
        format!("{} {} bytes, {kept}", answer.status, answer.body.len())
    }
}
