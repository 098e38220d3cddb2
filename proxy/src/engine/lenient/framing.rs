//! Where a body ends (RFC 9112 §6.3), decided once from the head, which is put right at the same
//! time: what does not hold for the bytes that follow is taken out, so that nobody downstream
//! decides otherwise.

use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderValue, StatusCode, Version};

use super::{Form, Unclear};

/// Where a body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// After its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What the codings of a body are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Codings {
    None,
    Chunked { times: usize },
    Other,
}

/// The framing of a response whose request was a HEAD or not.
///
/// # Errors
/// [`Unclear::Coding`], [`Unclear::Length`] or [`Unclear::Lengths`].
pub fn decide(
    is_head: bool,
    status: StatusCode,
    version: Version,
    headers: &mut HeaderMap,
    form: &mut Form,
) -> Result<Framing, Unclear> {
    let codings = codings(headers, form);
    headers.remove(TRANSFER_ENCODING);
    let stated = length(headers, form);
    if is_head || matches!(status.as_u16(), 204 | 304) {
        // It says what the body would be; what is unclear, or of a 204 (RFC 9110 §8.6), is left out.
        let false_length = status == StatusCode::NO_CONTENT && stated != Ok(None);
        if false_length || stated.is_err() || codings != Codings::None {
            form.odd();
            headers.remove(CONTENT_LENGTH);
        }
        return Ok(Framing::None);
    }
    match codings {
        Codings::Other => Err(Unclear::Coding),
        Codings::Chunked { times } => {
            if headers.remove(CONTENT_LENGTH).is_some() {
                // RFC 9112 §6.3: the coding overrides the length, and the connection is closed.
                form.odd();
            }
            // Said twice it is most likely done once. Before 1.1 there were no chunks: something
            // on the way may have passed the field on and taken the chunks off.
            if times > 1 || version != Version::HTTP_11 {
                form.doubtful();
            }
            Ok(Framing::Chunked)
        }
        Codings::None => Ok(match stated? {
            Some(length) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
                Framing::Length(length)
            }
            None => Framing::UntilClose,
        }),
    }
}

fn codings(headers: &HeaderMap, form: &mut Form) -> Codings {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let mut times = 0;
    for coding in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let coding = coding.trim_ascii();
        if coding.eq_ignore_ascii_case(b"chunked") {
            times += 1;
        } else if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
            // "Identity" was a word for none until RFC 7230.
            form.odd();
        } else {
            return Codings::Other;
        }
    }
    if times == 0 {
        Codings::None
    } else {
        Codings::Chunked { times }
    }
}

/// The length stated, once or several times the same.
fn length(headers: &HeaderMap, form: &mut Form) -> Result<Option<u64>, Unclear> {
    let lines = headers.get_all(CONTENT_LENGTH).iter();
    let mut stated = None;
    for text in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let length = number(text.trim_ascii()).ok_or(Unclear::Length)?;
        match stated {
            Some(other) if other != length => return Err(Unclear::Lengths),
            Some(_) => form.odd(),
            None => stated = Some(length),
        }
    }
    Ok(stated)
}

/// Digits and nothing else: no sign, no prefix, no unit.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
