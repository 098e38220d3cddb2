//! An error page as HTML: no script, nothing loaded from elsewhere.

use std::fmt::Write as _;

use super::{Page, tried};

pub(super) fn text(page: &Page<'_>) -> String {
    let title = escape(page.status.canonical_reason().unwrap_or("Error"));
    let mut more = String::new();
    // A String takes whatever is written to it.
    if let Some(steps) = tried(page.tried) {
        more.push_str("<p>What was tried:</p>\n<ol>\n");
        for step in steps {
            let _ = writeln!(more, "<li>{}</li>", escape(&step));
        }
        more.push_str("</ol>\n");
    }
    if let Some(saved) = page.saved {
        let _ = writeln!(more, "<p>{}</p>", escape(&saved.sentence()));
    }
    if let Some(home) = page.home {
        let home = escape(home);
        let _ = writeln!(
            more,
            "<p><a rel=\"nofollow\" href=\"{home}\">Try the page at its own site</a></p>"
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{code} {title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:38em;margin:12vh auto;\
         padding:0 1em;color:#123}}h1{{font-size:1.4em}}small{{color:#678}}</style></head>\n\
         <body><h1>{title}</h1>\n<p>{advice}</p>\n{more}\
         <p><small>{code} · {reason} · {node}</small></p></body></html>\n",
        code = page.status.as_u16(),
        advice = escape(page.advice),
        reason = escape(page.reason),
        node = escape(page.node),
    )
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
