//! What people see when there is no page to show: HTML for browsers, problem details (RFC 9457) for
//! programs that ask for them, one line for everyone else.
//!
//! It says whose fault it is, what was tried, how old the copy is that may not be shown, and what to
//! do. Nothing that a client or origin sent stands in it unescaped.

mod html;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use serde_json::json;

use super::http::accept;
use super::http::verdict::StaleBan;
use super::trail::Trail;

/// A page of an error.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Status of the answer.
    pub status: StatusCode,
    /// The closed word for what happened.
    pub reason: &'a str,
    /// One or two sentences for people.
    pub advice: &'a str,
    /// What was tried before.
    pub tried: &'a Trail,
    /// A copy that is kept and may not be shown.
    pub saved: Option<Saved>,
    /// The page at its own site, if that may help.
    pub home: Option<&'a str>,
    /// Name of this node.
    pub node: &'a str,
}

/// A copy that is kept and may not be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Its age.
    pub age: Duration,
    /// What forbids to show it; `None` if only this request does.
    pub ban: Option<StaleBan>,
}

/// How a page looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For browsers.
    Html,
    /// Problem details (RFC 9457).
    Problem,
    /// One line.
    Line,
}

/// Content-Type and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Content-Type.
    pub kind: HeaderValue,
    /// The text.
    pub body: String,
}

impl Form {
    /// The form that a client asks for by name; the line for those who take anything.
    #[must_use]
    pub fn wanted(request: &HeaderMap) -> Self {
        const OFFERS: [(&str, Form); 5] = [
            ("text/html", Form::Html),
            ("application/xhtml+xml", Form::Html),
            ("application/problem+json", Form::Problem),
            ("application/json", Form::Problem),
            ("text/plain", Form::Line),
        ];
        let named = accept::preferred(request, &OFFERS.map(|(name, _)| name));
        named.map_or(Self::Line, |at| OFFERS[at].1)
    }
}

impl Saved {
    fn sentence(self) -> String {
        let age = span(self.age);
        match self.ban {
            None => format!("A copy that is {age} old is kept here."),
            Some(StaleBan::TooStale) => {
                format!("A copy that is {age} old is kept here: too old to be shown.")
            }
            Some(ban) => format!(
                "A copy that is {age} old is kept here, but its site forbids to show it now ({}).",
                ban.as_str()
            ),
        }
    }
}

/// Renders `page`.
#[must_use]
pub fn render(page: &Page<'_>, form: Form) -> Rendered {
    let (kind, body) = match form {
        Form::Html => ("text/html; charset=utf-8", html::text(page)),
        Form::Problem => ("application/problem+json", problem(page)),
        Form::Line => ("text/plain; charset=utf-8", line(page)),
    };
    let kind = HeaderValue::from_static(kind);
    Rendered { kind, body }
}

fn line(page: &Page<'_>) -> String {
    let Page {
        status,
        reason,
        advice,
        node,
        ..
    } = page;
    let advice = visible(advice);
    let mut out = format!("atoll {node}: {status} ({reason}): {advice}");
    // A String takes whatever is written to it.
    if let Some(tried) = tried(page.tried) {
        let _ = write!(out, " Tried: {}.", tried.join("; "));
    }
    if let Some(saved) = page.saved {
        let _ = write!(out, " {}", saved.sentence());
    }
    if let Some(home) = page.home {
        let _ = write!(out, " The page itself: {}", visible(home));
    }
    out.push('\n');
    out
}

/// A problem without a type of its own (RFC 9457 §4.2.1): `reason` is what programs look at.
fn problem(page: &Page<'_>) -> String {
    let steps = page.tried.steps().iter();
    let steps: Vec<_> = steps
        .map(|step| json!({ "source": step.source(), "outcome": step.outcome() }))
        .collect();
    let mut problem = json!({
        "type": "about:blank",
        "title": page.status.canonical_reason().unwrap_or("Error"),
        "status": page.status.as_u16(),
        "detail": page.advice,
        "reason": page.reason,
        "node": page.node,
    });
    if !steps.is_empty() {
        problem["tried"] = steps.into();
        problem["tried_more"] = page.tried.more().into();
    }
    if let Some(saved) = page.saved {
        problem["saved_copy"] = json!({
            "age_seconds": saved.age.as_secs(),
            "withheld": saved.ban.map(StaleBan::as_str),
        });
    }
    if let Some(home) = page.home {
        problem["home"] = home.into();
    }
    format!("{problem}\n")
}

/// The sentences of a trail, without their ends; `None` of an empty one.
fn tried(trail: &Trail) -> Option<Vec<String>> {
    let mut sentences: Vec<_> = trail.steps().iter().map(|step| step.sentence()).collect();
    if trail.more() > 0 {
        sentences.push(format!("and {} more", trail.more()));
    }
    (!sentences.is_empty()).then_some(sentences)
}

/// Text without characters that a terminal takes for commands.
fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A time in its largest whole unit.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let fitting = units.into_iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = fitting.unwrap_or((1, "second"));
    let count = seconds / unit;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

#[cfg(test)]
mod tests;
