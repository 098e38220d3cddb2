//! HTTP to the controller: reports go there, documents and programs come back.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock, WallTime};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::net::TcpStream;

use crate::agent::engine::contact::CallReason;
use crate::engine::document::DOCUMENT_MAX;
use crate::exchange;

/// For a connection, and for the head of an answer that need not wait for news.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the controller is: `http://HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Controller(String);

/// What a report was answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Document(Bytes),
    Nothing,
    Failure(CallReason),
}

impl Controller {
    /// Reads `http://HOST:PORT`.
    ///
    /// # Errors
    /// It is anything else; the text says what to write.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        let authority: Option<http::uri::Authority> = rest.and_then(|rest| rest.parse().ok());
        match authority {
            Some(found) if found.port().is_some() => Ok(Self(found.to_string())),
            Some(_) | None => Err("write it as http://HOST:PORT".to_owned()),
        }
    }

    /// Its host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0
    }

    /// Sends a report, and waits for news as long as it says. With the answer comes by how many seconds the
    /// controller's calendar is ahead of ours, if it says.
    pub(super) async fn report(&self, report: String, wait: Duration) -> (Answer, Option<i64>) {
        let called = self.post("/v1/checkin", report);
        let answered = tokio::time::timeout(PATIENCE + wait, called).await;
        answered.unwrap_or((Answer::Failure(CallReason::Late), None))
    }

    async fn post(&self, path: &str, body: String) -> (Answer, Option<i64>) {
        match self.send(Method::POST, path, body).await {
            Ok(response) => {
                let ahead_s = ahead_s(&response, SystemClock::new().wall());
                (Self::read(response).await, ahead_s)
            }
            Err(reason) => (Answer::Failure(reason), None),
        }
    }

    async fn read(response: http::Response<Incoming>) -> Answer {
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return Answer::Nothing,
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                return Answer::Failure(CallReason::UnknownNode);
            }
            _ => return Answer::Failure(CallReason::Error),
        }
        match Limited::new(response.into_body(), DOCUMENT_MAX)
            .collect()
            .await
        {
            Ok(body) => Answer::Document(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Answer::Failure(CallReason::TooLarge)
            }
            Err(_) => Answer::Failure(CallReason::Broken),
        }
    }

    /// Gets something that has a body.
    ///
    /// # Errors
    /// There is no such answer in time.
    pub(super) async fn get(&self, path: &str) -> io::Result<Incoming> {
        let sent = self.send(Method::GET, path, String::new());
        let response = match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => return Err(io::Error::other(reason.as_str())),
            Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut)),
        };
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(io::Error::other(format!("the controller answers {status}"))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<http::Response<Incoming>, CallReason> {
        let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(&self.0)).await;
        let stream = connected.map_err(|_| CallReason::Late)?;
        let stream = stream.map_err(|_| CallReason::Connect)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.0)
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| CallReason::Broken)?;
        let response = exchange::over(stream, request).await;
        response.map_err(|_| CallReason::Broken)
    }
}

/// By how many seconds the calendar that an answer was dated by is ahead of `ours`.
fn ahead_s<B>(response: &http::Response<B>, ours: WallTime) -> Option<i64> {
    let date = response.headers().get(header::DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    let theirs = theirs.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(
        i64::try_from(theirs.as_secs())
            .ok()?
            .saturating_sub(ours.unix()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendars_are_compared_by_the_date_of_the_answer() {
        let ours = WallTime::from_unix(1_800_000_000);
        let dated = |date: &str| {
            http::Response::builder()
                .header("date", date)
                .body(())
                .unwrap()
        };
        let ahead = |date: &str| ahead_s(&dated(date), ours);
        let three_days = WallTime::from_unix(1_800_000_000 + 3 * 86_400);
        assert_eq!(ahead(&three_days.to_http()), Some(3 * 86_400));
        assert_eq!(
            ahead(&WallTime::from_unix(1_799_999_990).to_http()),
            Some(-10)
        );
        assert_eq!(ahead("yesterday"), None);
        assert_eq!(ahead_s(&http::Response::new(()), ours), None);
    }

    #[test]
    fn a_controller_is_a_host_and_a_port() {
        for good in [
            "http://127.0.0.1:7000",
            "http://[::1]:7000/",
            "http://ctl.example:80",
        ] {
            assert!(Controller::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "127.0.0.1:7000",
            "https://a:1",
            "http://a",
            "http://a:1/b",
            "http://a b:1",
        ] {
            assert!(Controller::parse(wrong).is_err(), "{wrong}");
        }
    }
}
