//! Reading a daemon's admin pages.

use std::net::SocketAddr;

use crate::client::{Answer, Ask, Page};

/// A page of the admin listener at `admin`.
pub async fn page(admin: SocketAddr, path: &str) -> Answer {
    Ask::of(admin, &Page::new("admin", path)).fetch().await
}

/// Whether the daemon at `admin` says that it is ready. One that is not there is not.
pub async fn is_ready(admin: SocketAddr) -> bool {
    let page = Page::new("admin", "/readyz");
    let answer = Ask::of(admin, &page).try_fetch().await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The value of one series such as `atoll_proxy_fetches_total{source="peer"}`; zero if there is
/// none, which is how a counter that never counted looks.
pub async fn value(admin: SocketAddr, series: &str) -> u64 {
    find(&page(admin, "/metrics").await.text(), series).unwrap_or(0)
}

fn find(text: &str, series: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix(series)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\na_total{x=\"1\"} 3\na_total{x=\"2\"} 4\nb 5\n# EOF\n";
        assert_eq!(find(text, "a_total{x=\"2\"}"), Some(4));
        assert_eq!(find(text, "b"), Some(5));
        assert_eq!(find(text, "a_total"), None);
    }
}
