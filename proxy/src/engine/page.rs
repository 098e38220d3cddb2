//! What people see when there is no page to show: HTML for browsers, one line for everyone else.
//!
//! The text says whose fault it is and what to do. Nothing that a client or origin sent stands in
//! it unescaped.

use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};

/// An error page's parts.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Status of the answer.
    pub status: StatusCode,
    /// The closed word for what happened.
    pub reason: &'a str,
    /// One or two sentences for people.
    pub advice: &'a str,
    /// The page at its own site, if that may help.
    pub home: Option<&'a str>,
    /// Name of this node.
    pub node: &'a str,
}

/// Content-Type and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Content-Type.
    pub kind: HeaderValue,
    /// The text.
    pub body: String,
}

/// Whether the client shows HTML: it says so by name.
#[must_use]
pub fn wants_html(request: &HeaderMap) -> bool {
    let html = |value: &HeaderValue| value.as_bytes().windows(9).any(|part| part == b"text/html");
    request.get_all(ACCEPT).iter().any(html)
}

/// Renders `page` for a client that shows HTML or not.
#[must_use]
pub fn render(page: &Page<'_>, html: bool) -> Rendered {
    if html {
        render_html(page)
    } else {
        render_line(page)
    }
}

fn render_line(page: &Page<'_>) -> Rendered {
    let home = page
        .home
        .map(|home| format!(" The page itself: {home}"))
        .unwrap_or_default();
    let Page {
        status,
        reason,
        advice,
        node,
        ..
    } = page;
    Rendered {
        kind: HeaderValue::from_static("text/plain; charset=utf-8"),
        body: format!("atoll {node}: {status} ({reason}): {advice}{home}\n"),
    }
}

fn render_html(page: &Page<'_>) -> Rendered {
    let title = escape(page.status.canonical_reason().unwrap_or("Error"));
    let home = page.home.map(|home| {
        let home = escape(home);
        format!("<p><a rel=\"nofollow\" href=\"{home}\">Try the page at its own site</a></p>\n")
    });
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{code} {title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:38em;margin:12vh auto;\
         padding:0 1em;color:#123}}h1{{font-size:1.4em}}small{{color:#678}}</style></head>\n\
         <body><h1>{title}</h1>\n<p>{advice}</p>\n{home}\
         <p><small>{code} · {reason} · {node}</small></p></body></html>\n",
        code = page.status.as_u16(),
        advice = escape(page.advice),
        home = home.unwrap_or_default(),
        reason = escape(page.reason),
        node = escape(page.node),
    );
    Rendered {
        kind: HeaderValue::from_static("text/html; charset=utf-8"),
        body,
    }
}

/// Text that can stand in HTML, also within a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page<'static> = Page {
        status: StatusCode::BAD_GATEWAY,
        reason: "connect_refused",
        advice: "The site refuses connections.",
        home: Some("http://example.com/?a=<script>\"'"),
        node: "n1.nyud.test",
    };

    #[test]
    fn one_line_for_curl() {
        let rendered = render(&PAGE, false);
        assert_eq!(rendered.body.lines().count(), 1);
        assert!(
            rendered.body.contains("502 Bad Gateway (connect_refused)"),
            "{rendered:?}"
        );
    }

    #[test]
    fn a_page_for_browsers_without_a_way_in_for_scripts() {
        let body = render(&PAGE, true).body;
        assert!(
            body.contains("http://example.com/?a=&lt;script&gt;&quot;&#39;"),
            "{body}"
        );
        assert!(!body.contains("<script>"));
    }

    #[test]
    fn a_browser_is_who_asks_for_html() {
        let mut headers = HeaderMap::new();
        assert!(!wants_html(&headers));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        assert!(!wants_html(&headers));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("text/html,application/xhtml+xml"),
        );
        assert!(wants_html(&headers));
    }
}
