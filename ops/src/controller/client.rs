//! The operator's side of the controller's API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use common::shell::private_file::{self, PrivateFileError};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::agent::shell::call::Controller;
use crate::exchange;
use crate::outcome::Failure;

/// For an answer; a program may take this long to be sent.
const DEADLINE: Duration = Duration::from_secs(120);

/// Largest answer read, in bytes: ten thousand nodes.
const ANSWER_MAX: usize = 64 << 20;

/// Where the controller is, and who asks.
#[derive(Clone, Debug, clap::Args)]
pub struct ControllerArgs {
    /// The controller, as http://HOST:PORT
    #[arg(long, value_name = "URL", env = "ATOLL_CONTROLLER", value_parser = Controller::parse)]
    controller: Controller,
    /// The file with your token (`atoll controller token` makes one), readable by you alone
    #[arg(long, value_name = "FILE", env = "ATOLL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// What an answer is, beside its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl ControllerArgs {
    /// Asks for something that is JSON.
    ///
    /// # Errors
    /// The controller does not answer, or says no.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.ask(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::failed(
                format!("the answer is no JSON: {error}"),
                "is it a controller?",
            )
        })
    }

    /// Sends something.
    ///
    /// # Errors
    /// The controller does not answer, or says no.
    pub async fn put(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer, Failure> {
        self.ask(Method::PUT, path, body.into()).await
    }

    /// Sends something as a POST.
    ///
    /// # Errors
    /// The controller does not answer, or says no.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer, Failure> {
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Failure> {
        let authority = self.controller.authority();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::CONNECTION, "close");
        if let Some(file) = &self.token_file {
            let token = read_token(file)?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| {
            Failure::usage(
                format!("no request: {error}"),
                "use plain names and versions",
            )
        })?;
        let answer = tokio::time::timeout(DEADLINE, answer(authority, request)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let answer = answer.map_err(|error| {
            let what = format!("the controller at {authority} does not answer: {error}");
            Failure::unreachable(what, "check --controller; nodes go on without it")
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let word = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let what = format!(
            "the controller says no: {} ({})",
            word("reason"),
            answer.status.as_u16()
        );
        Err(Failure::failed(what, word("detail")))
    }
}

async fn answer(authority: &str, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|error| error.to_string())?;
    let response = exchange::over(stream, request)
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok(Answer { status, body })
}

fn read_token(path: &Path) -> Result<String, Failure> {
    const TOKEN_MAX: u64 = 1_024;
    let shown = path.display();
    let bytes = private_file::read(path, TOKEN_MAX).map_err(|error| match error {
        PrivateFileError::Io(error) => Failure::failed(
            format!("cannot read {shown}: {error}"),
            "name the token's file",
        ),
        PrivateFileError::Mode(mode) => Failure::failed(
            format!("{shown} has mode {mode:04o}, so others can read it"),
            format!("run `chmod 600 {shown}`"),
        ),
    })?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim().to_owned())
}
