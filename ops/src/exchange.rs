//! One request over a connection of its own. How long that may take, how much of a body is read and what a failure
//! means is for those who ask to say.

use std::error::Error;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends `request` over `stream`, and waits for the head of its answer. The connection ends with the answer's body.
///
/// # Errors
/// The connection broke, or what came over it was not HTTP.
pub async fn over<B>(
    stream: TcpStream,
    request: Request<B>,
) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}
