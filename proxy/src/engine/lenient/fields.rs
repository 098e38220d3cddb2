//! The field lines of a head, from well formed to junk (RFC 9112 §5).
//!
//! Lines end in LF, with or without CR. A folded line joins the one before it, space before the
//! colon is dropped, and a line that is no field is left out. Leaving one out is safe only if it
//! was not meant to say where the body ends, and keeping the response only if it was not meant to
//! say how long to keep it: so junk is searched for the names of such fields.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Form, Unclear};

/// Most field lines, dropped ones among them. nginx counts none and Apache reads 100; real heads
/// stay under 60.
pub const FIELDS_MAX: usize = 1_000;

/// Fields that say where a body ends, as letters alone.
const FRAMING: [&[u8]; 2] = [b"contentlength", b"transferencoding"];

/// Fields that say whether and how long to keep a response, as letters alone.
const KEEPING: [&[u8]; 5] = [
    b"cachecontrol",
    b"expires",
    b"pragma",
    b"vary",
    b"setcookie",
];

/// Reads the lines between a status line and the empty line after the head.
///
/// # Errors
/// [`Unclear::ControlByte`], [`Unclear::FramingField`] or [`Unclear::TooManyFields`].
pub fn read(lines: &[u8], form: &mut Form) -> Result<HeaderMap, Unclear> {
    if lines.contains(&0) {
        return Err(Unclear::ControlByte);
    }
    let mut headers = HeaderMap::new();
    let mut current: Option<Bytes> = None;
    // One copy, of which every value is a part: it costs less to make, and nothing to hand on.
    let shared = Bytes::copy_from_slice(lines);
    let lines = shared.split_inclusive(|byte| *byte == b'\n');
    for (count, line) in lines.enumerate() {
        if count >= FIELDS_MAX {
            return Err(Unclear::TooManyFields);
        }
        let line = text_of(line, form)?;
        let folded = line.first().is_some_and(|byte| is_space(*byte));
        match &mut current {
            // RFC 9112 §5.2: a fold is a space.
            Some(before) if folded => {
                form.odd();
                let own = std::mem::take(before).try_into_mut();
                let mut own = own.unwrap_or_else(|shared| BytesMut::from(&*shared));
                own.extend_from_slice(b" ");
                own.extend_from_slice(line.trim_ascii());
                *before = own.freeze();
            }
            _ => {
                if let Some(whole) = current.replace(shared.slice_ref(line)) {
                    field(&whole, &mut headers, form)?;
                }
            }
        }
    }
    if let Some(whole) = current {
        field(&whole, &mut headers, form)?;
    }
    Ok(headers)
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A line without its end. A CR anywhere else ends a line for some readers and not for others.
pub(super) fn text_of<'a>(line: &'a [u8], form: &mut Form) -> Result<&'a [u8], Unclear> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let text = line.strip_suffix(b"\r").unwrap_or_else(|| {
        form.odd();
        line
    });
    if text.contains(&b'\r') {
        return Err(Unclear::ControlByte);
    }
    Ok(text)
}

/// Adds one whole line to the fields, or leaves it out.
fn field(line: &Bytes, headers: &mut HeaderMap, form: &mut Form) -> Result<(), Unclear> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return junk(line, form);
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    // RFC 9112 §5.1: a proxy removes whitespace before the colon.
    let bare = name.trim_ascii_end();
    if bare.len() < name.len() {
        form.odd();
    }
    let value = HeaderValue::from_maybe_shared(line.slice_ref(value));
    match (HeaderName::from_bytes(bare), value) {
        (Ok(name), Ok(value)) => {
            headers.append(name, value);
            Ok(())
        }
        _ => junk(line, form),
    }
}

/// A line that is no field: left out, unless that would change what the response means.
fn junk(line: &[u8], form: &mut Form) -> Result<(), Unclear> {
    form.odd();
    let letters: Vec<u8> = line
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase)
        .collect();
    let mentions = |name: &&[u8]| letters.windows(name.len()).any(|part| part == *name);
    if FRAMING.iter().any(&mentions) {
        return Err(Unclear::FramingField);
    }
    if KEEPING.iter().any(mentions) {
        form.doubtful();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_join_their_own_line_and_no_other() {
        let mut form = Form::default();
        let lines = b"A: 1\r\n 2\r\n\t3\r\nB: 4\r\nC:\r\n 5\r\nD: \r\n";
        let headers = read(lines, &mut form).unwrap();
        let values: Vec<_> = headers.values().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1 2 3"[..], b"4", b"5", b""]);
        assert!(form.odd);
    }
}
