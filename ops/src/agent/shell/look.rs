//! Looking at daemons' pages, as a monitor would.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::Scheme;
use http::{Method, StatusCode};

use crate::admin;
use crate::agent::engine::report::Pages;
use crate::agent::engine::tally::{self, Look};
use crate::engine::document::words::{DaemonName, Digest};
use crate::engine::retiring::Retiring;
use crate::figures::Figures;

/// Longest URL of a test page, in bytes, as reports take them.
const URL_MAX: usize = 256;

/// For a test page to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page that the own proxy is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestPage {
    url: String,
    host: String,
    path: String,
}

impl TestPage {
    /// Reads `http://HOST/PATH`.
    ///
    /// # Errors
    /// It is anything else; the text says what to write.
    pub fn parse(url: &str) -> Result<Self, String> {
        let found: Option<http::Uri> = url.parse().ok();
        let found = found.filter(|uri| uri.scheme() == Some(&Scheme::HTTP) && url.len() <= URL_MAX);
        let parts = found
            .as_ref()
            .and_then(|uri| Some((uri.authority()?, uri.path_and_query()?)));
        let (host, path) = parts.ok_or("write it as http://HOST/PATH, with at most 256 letters")?;
        Ok(Self {
            url: url.to_owned(),
            host: host.to_string(),
            path: path.to_string(),
        })
    }
}

/// Looks at all of them at once; who does not answer is not ready.
pub(super) async fn look(all: Vec<Pages>) -> Vec<(DaemonName, Look)> {
    let mut looks = tokio::task::JoinSet::new();
    for pages in all {
        looks.spawn(async move { (pages.name.clone(), one(&pages).await) });
    }
    looks.join_all().await
}

/// Asks the proxy at `addr` for pages as a client would, one after the other.
pub(super) async fn inject(addr: SocketAddr, pages: &[TestPage]) -> Vec<(String, Option<Digest>)> {
    let mut came = Vec::new();
    for page in pages {
        let (host, path) = (&page.host, &page.path);
        let answer = admin::fetch(addr, Method::GET, host, path, PATIENCE)
            .await
            .ok();
        let answer = answer.filter(|answer| answer.status == StatusCode::OK);
        came.push((
            page.url.clone(),
            answer.map(|answer| Digest::of(&answer.body)),
        ));
    }
    came
}

async fn one(pages: &Pages) -> Look {
    let addr = pages.addr;
    let ready = admin::page(addr, "/readyz").await;
    let ready = ready.is_ok_and(|page| page.status.is_success());
    let counts = admin::page(addr, "/metrics").await.ok();
    let counts = counts.filter(|page| page.status.is_success());
    let counted = counts.map(|page| tally::read(pages.program, &Figures::parse(&page.text())));
    let state = match pages.leaves {
        true => admin::page(addr, "/state").await.ok(),
        false => None,
    };
    let retiring = state.and_then(|page| Retiring::read(&page.json()));
    Look {
        ready,
        counted,
        leaving: retiring.map(|retiring| retiring.reported()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_page_is_a_plain_url() {
        let page = TestPage::parse("http://www.example.com.nyud.test/a?b").unwrap();
        assert_eq!(
            (&*page.host, &*page.path),
            ("www.example.com.nyud.test", "/a?b")
        );
        for wrong in ["", "/a", "https://a/", "a.b/c"] {
            assert!(TestPage::parse(wrong).is_err(), "{wrong}");
        }
    }
}
