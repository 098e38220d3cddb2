//! The chunked coding (RFC 9112 §7.1), decoded from pieces of any size.
//!
//! Lines may end in LF alone, sizes may have blanks around them, extensions are skipped. After the
//! last chunk the content is whole, whatever becomes of the trailer. A size that parsers read
//! differently (`0x5`, `+5`, none at all) and data that is longer than its chunk are refused.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Form, Unclear, fields};

/// Longest line of a chunk's size with its extensions.
pub const LINE_MAX: usize = 4 << 10;

/// Most bytes of trailer fields that are skipped; beyond it the connection is given up instead.
pub const TRAILER_MAX: usize = 16 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A chunk's size comes next.
    Size,
    /// So many bytes of its data.
    Data(u64),
    /// The line end after its data.
    DataEnd,
    /// Trailer fields, of which so many bytes were skipped.
    Trailer(usize),
    /// It is over.
    Over,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Chunks {
    state: State,
}

/// What the decoder gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Bytes of content.
    Data(Bytes),
    /// The end.
    End,
    /// Nothing before there are more bytes.
    More,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size }
    }
}

impl Chunks {
    /// Whether the last chunk has been seen: all content is here.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.state, State::Trailer(_) | State::Over)
    }

    /// Takes the next piece off `buf`.
    ///
    /// # Errors
    /// [`Unclear::Chunk`].
    pub fn next(&mut self, buf: &mut BytesMut, form: &mut Form) -> Result<Piece, Unclear> {
        loop {
            match self.state {
                State::Size => match line(buf)? {
                    Some(end) => {
                        let size = size(&buf[..end], form).ok_or(Unclear::Chunk)?;
                        buf.advance(end);
                        self.state = match size {
                            0 => State::Trailer(0),
                            size => State::Data(size),
                        };
                    }
                    None => return Ok(Piece::More),
                },
                State::Data(_) if buf.is_empty() => return Ok(Piece::More),
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                    let data = buf.split_to(here).freeze();
                    self.state = match left - here as u64 {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    return Ok(Piece::Data(data));
                }
                State::DataEnd => match (buf.first(), buf.get(1)) {
                    (Some(b'\n'), _) => {
                        form.odd();
                        buf.advance(1);
                        self.state = State::Size;
                    }
                    (Some(b'\r'), Some(b'\n')) => {
                        buf.advance(2);
                        self.state = State::Size;
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(Piece::More),
                    _ => return Err(Unclear::Chunk),
                },
                State::Trailer(skipped) => match self.trailer(skipped, buf, form) {
                    Some(state) => self.state = state,
                    None => return Ok(Piece::More),
                },
                State::Over => return Ok(Piece::End),
            }
        }
    }

    /// Skips a trailer line. `None` if it is not whole yet.
    #[expect(clippy::unused_self, reason = "reads as a step of the decoder")]
    fn trailer(&self, skipped: usize, buf: &mut BytesMut, form: &mut Form) -> Option<State> {
        let end = buf.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buf.len(), |end| end + 1);
        if skipped + length > TRAILER_MAX {
            form.odd();
            return Some(State::Over);
        }
        end?;
        let is_last = matches!(&buf[..length], b"\n" | b"\r\n");
        buf.advance(length);
        Some(if is_last {
            State::Over
        } else {
            State::Trailer(skipped + length)
        })
    }
}

/// The offset after the first line in `buf`, if it is whole.
fn line(buf: &[u8]) -> Result<Option<usize>, Unclear> {
    let end = buf.iter().position(|byte| *byte == b'\n');
    match end {
        Some(end) if end < LINE_MAX => Ok(Some(end + 1)),
        None if buf.len() <= LINE_MAX => Ok(None),
        _ => Err(Unclear::Chunk),
    }
}

/// The size in a chunk's first line.
fn size(line: &[u8], form: &mut Form) -> Option<u64> {
    let text = fields::text_of(line, form).ok()?;
    let start = text.trim_ascii_start();
    if start.len() < text.len() {
        form.odd();
    }
    let digits = start.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (number, rest) = start.split_at(digits);
    let rest = rest.trim_ascii_start();
    if !rest.is_empty() && !rest.starts_with(b";") {
        return None;
    }
    // Sixteen digits are all that fits; more could only be zeros, which nobody sends.
    if !(1..=16).contains(&digits) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()
}
