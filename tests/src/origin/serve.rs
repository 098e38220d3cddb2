//! A connection to the origin: requests in, scripted replies out, byte by byte.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::reply::{Ending, Framing, Reply};
use super::{Request, Script};
use crate::wait;

/// Serves one connection until it ends, or a script ends it.
pub(super) async fn connection(stream: impl AsyncRead + AsyncWrite + Reset, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut stream).await {
        let (target, is_head) = (request.target.clone(), request.method == "HEAD");
        let reply = script.answer(request);
        let begins = || script.body_begins(&target);
        match write(stream.get_mut(), reply, is_head, begins).await {
            Ok(Then::Next) => {}
            Ok(Then::Close) => {
                // For TLS, this is what tells a clean end from a cut.
                let _ = stream.get_mut().shutdown().await;
                return;
            }
            Ok(Then::Reset) => return stream.get_ref().reset(),
            Ok(Then::Cut) | Err(_) => return,
        }
    }
}

/// What follows a reply.
enum Then {
    Next,
    Close,
    Cut,
    Reset,
}

impl From<Ending> for Then {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Clean => Self::Close,
            Ending::Cut => Self::Cut,
            Ending::Reset => Self::Reset,
        }
    }
}

/// A connection that can be broken so that the other side hears of it.
pub(super) trait Reset: Unpin {
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // Closed with nothing to linger for, it sends RST.
        let _ = self.set_zero_linger();
    }
}

impl Reset for TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

async fn read(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut parts = line.split_ascii_whitespace();
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (method, target) = (part(), part());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(Request {
        method,
        target,
        headers,
        nth: 0,
    }))
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: Reply,
    is_head: bool,
    begins: impl Fn(),
) -> io::Result<Then> {
    if let Some(hint) = &reply.hint {
        stream.write_all(hint).await?;
        stream.flush().await?;
    }
    if let Some(gate) = &reply.before_head {
        gate.pass().await;
    }
    if !reply.delay.is_zero() {
        wait::pause(reply.delay).await;
    }
    if let Some(raw) = &reply.raw {
        stream.write_all(raw).await?;
        stream.flush().await?;
        return Ok(reply.ending.into());
    }
    stream.write_all(head(&reply).as_bytes()).await?;
    stream.flush().await?;
    let bodiless = is_head || matches!(reply.status, 204 | 304);
    if !bodiless && !body(stream, &reply, begins).await? {
        return Ok(match reply.ending {
            Ending::Reset => Then::Reset,
            Ending::Clean | Ending::Cut => Then::Cut,
        });
    }
    Ok(match reply.framing {
        Framing::Length | Framing::Chunked if reply.ending == Ending::Clean => Then::Next,
        _ => reply.ending.into(),
    })
}

fn head(reply: &Reply) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&match reply.framing {
        Framing::Length if matches!(reply.status, 204 | 304) => String::new(),
        Framing::Length => format!("content-length: {}\r\n", reply.body.len()),
        Framing::Claimed(length) => format!("content-length: {length}\r\n"),
        Framing::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Framing::UntilClose => "connection: close\r\n".to_owned(),
    });
    head + "\r\n"
}

/// Writes the body; says whether all of it, to its proper end.
async fn body(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: &Reply,
    begins: impl Fn(),
) -> io::Result<bool> {
    let length = reply.body.len();
    let end = reply.cut_after.map_or(length, |cut| cut.min(length));
    let mut at = 0;
    while at < end {
        let mut until = end;
        if let Some((held, gate)) = &reply.hold {
            if at == *held {
                stream.flush().await?;
                gate.pass().await;
            } else if at < *held {
                until = until.min(*held);
            }
        }
        if let Some((bytes, pause)) = reply.trickle {
            until = until.min(at + bytes);
            stream.flush().await?;
            wait::pause(pause).await;
        }
        let piece = reply.body.piece(at..until);
        begins();
        if reply.framing == Framing::Chunked {
            stream
                .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            stream.write_all(&piece).await?;
            stream.write_all(b"\r\n").await?;
        } else {
            stream.write_all(&piece).await?;
        }
        at += piece.len() as u64;
    }
    let whole = reply.cut_after.is_none();
    if whole && reply.framing == Framing::Chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    stream.flush().await?;
    Ok(whole)
}
