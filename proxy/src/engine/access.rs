//! One line of the access log: what was asked, what was answered, and how it ended.
//!
//! Two forms. `combined` is what log analysers read, with more behind the user agent: seconds in
//! all, seconds to the first byte, outcome, reason, ending. `json` is one object a line with a name
//! for each. What a client sent stands in it as printable ASCII: control characters, quotes and
//! everything beyond ASCII are escaped, so that no client writes lines of its own or speaks to the
//! operator's terminal. Nothing is written here.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use common::clock::WallTime;
use common::config::FromSetting;
use http::header::{HOST, HeaderMap, HeaderValue, REFERER, USER_AGENT};
use http::{Method, StatusCode, Uri, Version};

use crate::engine::http::key::Scheme;

/// Bytes of a field that are logged; the rest is left out. An address has 8 KiB at most anyway.
pub const FIELD_MAX: usize = 1_024;

/// How the lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The combined format of Apache and nginx, with five words more.
    Combined,
    /// JSON lines.
    Json,
}

/// The setting: a form, or no log at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice(pub Option<Form>);

impl FromSetting for Choice {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            "combined" => Ok(Self(Some(Form::Combined))),
            "json" => Ok(Self(Some(Form::Json))),
            other => Err(format!("\"{other}\" is none of off, combined, json")),
        }
    }
}

/// How an answer ended, as far as this side of the socket can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// All of it was handed to the system.
    Complete,
    /// The client left, or was cut off, before the end.
    Left,
    /// The source broke off, so the client's connection was broken too.
    Broken,
}

impl Ending {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Left => "cut_by_client",
            Self::Broken => "cut_by_source",
        }
    }
}

/// What is known of a request when the head of its answer is made.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asked.
    pub client: IpAddr,
    /// Over what.
    pub scheme: Scheme,
    /// How. `None` if the head was refused before it was read: there is no telling what it meant.
    pub request: Option<(Method, Uri, Version)>,
    /// What it said of itself.
    pub fields: Fields,
    /// Status of the answer.
    pub status: StatusCode,
    /// From the request's head to the answer's.
    pub first_byte: Duration,
    /// Where the answer came from.
    pub outcome: &'static str,
    /// Why it was refused, failed, bounced or stale; empty otherwise.
    pub reason: &'static str,
}

/// The fields that are logged; the others are let go of before the answer begins.
#[derive(Clone, Default, Debug)]
pub struct Fields {
    host: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

impl Fields {
    /// Those of a request; the first of each name.
    #[must_use]
    pub fn of(mut headers: HeaderMap) -> Self {
        Self {
            host: headers.remove(HOST),
            referer: headers.remove(REFERER),
            user_agent: headers.remove(USER_AGENT),
        }
    }
}

/// What is known when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When.
    pub at: WallTime,
    /// From the request's head to the last byte.
    pub after: Duration,
    /// Bytes of the body that went out.
    pub sent: u64,
    /// How.
    pub ending: Ending,
}

impl Asked {
    /// Writes the line, its end included.
    pub fn line(&self, form: Form, ended: &Ended, out: &mut String) {
        match form {
            Form::Combined => self.combined(ended, out),
            Form::Json => self.json(ended, out),
        }
    }

    fn combined(&self, ended: &Ended, out: &mut String) {
        // A String takes whatever is written to it.
        let _ = write!(out, "{} - - [", self.client);
        Calendar::of(ended.at).combined(out);
        out.push_str("] \"");
        match &self.request {
            Some((method, uri, version)) => {
                escape(method.as_str().as_bytes(), out, hex);
                out.push(' ');
                self.url(uri, out, hex);
                let _ = write!(out, " {version:?}");
            }
            None => out.push('-'),
        }
        let _ = write!(out, "\" {} {} \"", self.status.as_u16(), ended.sent);
        field(self.fields.referer.as_ref(), out, hex);
        out.push_str("\" \"");
        field(self.fields.user_agent.as_ref(), out, hex);
        out.push_str("\" ");
        seconds(ended.after, out);
        out.push(' ');
        seconds(self.first_byte, out);
        let reason = if self.reason.is_empty() {
            "-"
        } else {
            self.reason
        };
        let ending = ended.ending.as_str();
        let _ = writeln!(out, " {} {reason} {ending}", self.outcome);
    }

    fn json(&self, ended: &Ended, out: &mut String) {
        out.push_str("{\"time\":\"");
        Calendar::of(ended.at).iso(out);
        let _ = write!(out, "\",\"client\":\"{}\"", self.client);
        if let Some((method, uri, version)) = &self.request {
            out.push_str(",\"method\":\"");
            escape(method.as_str().as_bytes(), out, unicode);
            out.push_str("\",\"url\":\"");
            self.url(uri, out, unicode);
            let _ = write!(out, "\",\"version\":\"{version:?}\"");
        }
        let _ = write!(
            out,
            ",\"status\":{},\"bytes\":{},\"seconds\":",
            self.status.as_u16(),
            ended.sent
        );
        seconds(ended.after, out);
        out.push_str(",\"first_byte_seconds\":");
        seconds(self.first_byte, out);
        let _ = write!(out, ",\"outcome\":\"{}\"", self.outcome);
        if !self.reason.is_empty() {
            let _ = write!(out, ",\"reason\":\"{}\"", self.reason);
        }
        let _ = write!(out, ",\"ending\":\"{}\"", ended.ending.as_str());
        for (name, value) in [
            ("referer", &self.fields.referer),
            ("user_agent", &self.fields.user_agent),
        ] {
            if let Some(value) = value {
                let _ = write!(out, ",\"{name}\":\"");
                escape(clip(value.as_bytes()), out, unicode);
                out.push('"');
            }
        }
        out.push_str("}\n");
    }

    /// The address as the client meant it: with the host, which the request line usually lacks.
    fn url(&self, uri: &Uri, out: &mut String, odd: Odd) {
        if uri.authority().is_none()
            && let Some(host) = &self.fields.host
        {
            out.push_str(self.scheme.as_str());
            out.push_str("://");
            escape(clip(host.as_bytes()), out, odd);
        } else if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
            out.push_str(scheme);
            out.push_str("://");
            escape(authority.as_str().as_bytes(), out, odd);
        }
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        escape(target.as_bytes(), out, odd);
    }
}

/// A field's value, or `-`.
fn field(value: Option<&HeaderValue>, out: &mut String, odd: Odd) {
    match value {
        Some(value) => escape(clip(value.as_bytes()), out, odd),
        None => out.push('-'),
    }
}

fn clip(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(FIELD_MAX)]
}

/// Seconds with six digits behind the point.
fn seconds(time: Duration, out: &mut String) {
    let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
}

/// Writes a byte that may not stand as it is.
type Odd = fn(u8, &mut String);

/// As nginx and Apache write it.
fn hex(byte: u8, out: &mut String) {
    let _ = write!(out, "\\x{byte:02X}");
}

/// As JSON writes it; a byte beyond ASCII as the character of that number, so that none is lost.
fn unicode(byte: u8, out: &mut String) {
    let _ = write!(out, "\\u{byte:04x}");
}

/// Writes `bytes` such that they neither end the quoted text they stand in nor mean anything to a
/// terminal.
fn escape(bytes: &[u8], out: &mut String, odd: Odd) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => odd(byte, out),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => odd(byte, out),
        }
    }
}

/// A wall time taken apart, in UTC.
struct Calendar {
    year: i64,
    /// 1 to 12.
    month: usize,
    day: i64,
    second_of_day: i64,
}

impl Calendar {
    /// Days to date in the Gregorian calendar, in which years are taken to begin in March so that
    /// the leap day is a year's last.
    fn of(time: WallTime) -> Self {
        let days = time.unix().div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month).unwrap_or(1),
            day,
            second_of_day: time.unix().rem_euclid(86_400),
        }
    }

    fn clock(&self) -> (i64, i64, i64) {
        let second = self.second_of_day;
        (second / 3_600, second / 60 % 60, second % 60)
    }

    fn combined(&self, out: &mut String) {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let (hour, minute, second) = self.clock();
        let Self {
            year, month, day, ..
        } = self;
        let month = MONTHS[month - 1];
        let _ = write!(
            out,
            "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000"
        );
    }

    fn iso(&self, out: &mut String) {
        let (hour, minute, second) = self.clock();
        let Self {
            year, month, day, ..
        } = self;
        let _ = write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        );
    }
}

#[cfg(test)]
mod tests;
