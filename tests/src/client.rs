//! Clients that see everything: every field, every byte, and whether the body ended as it should.
//!
//! An [`Ask`] is one request on a connection of its own, to an address of the test's choosing. A
//! body that broke off is never taken for a whole one: [`Answer::broken`] says how it ended.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use common::clock::Moment;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::pattern;
use crate::wait::{self, EVENTUALLY, SOON, now};

/// A page as a client names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What stands in Host.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl Page {
    /// The page `path` of `host`.
    #[must_use]
    pub fn new(host: &str, path: &str) -> Self {
        Self {
            host: host.to_owned(),
            path: path.to_owned(),
        }
    }
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Ask {
    to: SocketAddr,
    from: Option<IpAddr>,
    method: Method,
    page: Page,
    headers: HeaderMap,
}

/// An answer whose body is on its way.
#[derive(Debug)]
pub struct Download {
    /// Status code.
    pub status: u16,
    /// Fields.
    pub headers: HeaderMap,
    /// When the request was sent.
    pub asked: Moment,
    /// When the first byte of the body was here.
    pub first_byte: Option<Moment>,
    /// Bytes of the body so far.
    pub received: u64,
    incoming: Incoming,
}

/// An answer to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Fields.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// How the body broke off; `None` if it ended as HTTP says it should.
    pub broken: Option<String>,
    /// From sending the request to the first byte of the body.
    pub first_byte: Option<Duration>,
}

impl Ask {
    /// A GET for `page`, sent to `to`.
    #[must_use]
    pub fn of(to: SocketAddr, page: &Page) -> Self {
        Self {
            to,
            from: None,
            method: Method::GET,
            page: page.clone(),
            headers: HeaderMap::new(),
        }
    }

    /// Sent from this address.
    #[must_use]
    pub const fn from(mut self, from: IpAddr) -> Self {
        self.from = Some(from);
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With another field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Sends it and waits for the answer's head.
    ///
    /// # Errors
    /// No connection, or none that answers with HTTP.
    pub async fn try_open(&self) -> Result<Download, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.to);
        let stream = self.connect().await.map_err(|e| failed(&e))?;
        let handshake = hyper::client::conn::http1::Builder::new()
            .max_buf_size(1 << 20)
            .max_headers(2_000)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|e| failed(&e))?;
        tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.page.path.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&self.page.host).unwrap();
        request.headers_mut().insert(HOST, host);
        let asked = now();
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        let (head, incoming) = response.into_parts();
        Ok(Download {
            status: head.status.as_u16(),
            headers: head.headers,
            asked,
            first_byte: None,
            received: 0,
            incoming,
        })
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let Some(from) = self.from else {
            return TcpStream::connect(self.to).await;
        };
        let socket = match from {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind((from, 0).into())?;
        socket.connect(self.to).await
    }

    /// Sends it and waits for the answer's head, which has to come.
    pub async fn open(&self) -> Download {
        let what = format!("{} {} answers", self.page.host, self.page.path);
        let opened = wait::within(&what, EVENTUALLY, self.try_open()).await;
        opened.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it and takes the whole answer.
    ///
    /// # Errors
    /// As [`try_open`](Self::try_open). A body that breaks off is no error.
    pub async fn try_fetch(&self) -> Result<Answer, String> {
        Ok(self.try_open().await?.finish().await)
    }

    /// Sends it and takes the whole answer, which has to come.
    pub async fn fetch(&self) -> Answer {
        self.open().await.finish().await
    }
}

impl Download {
    /// The next bytes; `None` at the end of the body.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        let next = async {
            loop {
                match self.incoming.frame().await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(format!("{error:?}")),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                        _ => {}
                    },
                }
            }
        };
        let bytes = wait::within("more of a body", EVENTUALLY, next).await?;
        if let Some(bytes) = &bytes {
            self.first_byte.get_or_insert_with(now);
            self.received += bytes.len() as u64;
        }
        Ok(bytes)
    }

    /// Waits until at least `bytes` of the body are here, and drops them.
    pub async fn skip(&mut self, bytes: u64) {
        while self.received < bytes {
            let more = self.next().await.unwrap();
            assert!(more.is_some(), "ended after {} of {bytes}", self.received);
        }
    }

    /// The rest of the answer, kept.
    pub async fn finish(mut self) -> Answer {
        let mut body = Vec::new();
        let broken = loop {
            match self.next().await {
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        Answer {
            status: self.status,
            headers: self.headers,
            body: Bytes::from(body),
            broken,
            first_byte: self.first_byte.map(|at| at.since(self.asked)),
        }
    }

    /// Reads the rest without keeping it: every byte has to be the [`pattern`]'s. Gives the bytes
    /// of the whole body.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn finish_pattern(&mut self) -> Result<u64, String> {
        loop {
            let at = self.received;
            match self.next().await? {
                Some(bytes) => assert!(pattern::matches(at, &bytes), "other bytes after {at}"),
                None => return Ok(self.received),
            }
        }
    }
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A field's values, joined as HTTP allows; empty if it is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        values.join(", ")
    }
}

/// Sends `bytes` as they are and gives what comes back until the connection ends, as text.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        // A server that refuses early may close before it has read all of it.
        let sent = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(!text.is_empty(), "no answer at all: {sent:?}, {read:?}");
        text
    };
    wait::within("a raw exchange ends", SOON, exchange).await
}
