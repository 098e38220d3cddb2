//! TCP, within bounds (RFC 7766): connections at once, time for each question and answer, a
//! lifetime. Questions of one connection are answered in turn, so a client that pipelines gets its
//! answers in order, and one that reads none is waited for with one answer in hand.
//!
//! Hickory's own listener has no bound on connections and no deadline for writing; here a full
//! house of idle connections must not take the descriptors that the checks of proxies need.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::shell::signals::Shutdown;
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::rr::Record;
use hickory_server::proto::serialize::binary::BinEncoder;
use hickory_server::server::{Request, RequestHandler as _, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::handler::{Handler, Traffic};
use super::lock;

/// Longest a connection lives, whatever it does: nobody owns a place for ever.
const LIFETIME_MAX: Duration = Duration::from_secs(120);

/// Bytes of a message header (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// After an accept that failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What one listener needs.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Answers.
    pub handler: Handler,
    /// Counts.
    pub traffic: Arc<Traffic>,
    /// Places for connections, shared by all listeners.
    pub places: Arc<Semaphore>,
    /// Patience for one question or one answer.
    pub idle: Duration,
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The client closed it, or broke off.
    Client,
    /// A question or an answer took too long.
    TimedOut,
    /// It sent something that no answer is known for.
    Hopeless,
}

/// Serves `listener` until the process drains.
pub async fn serve(listener: TcpListener, tcp: Tcp, mut shutdown: Shutdown) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.draining() => return,
        };
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&tcp.places).try_acquire_owned() else {
            Traffic::count(&tcp.traffic.tcp_refused);
            continue;
        };
        Traffic::count(&tcp.traffic.tcp_taken);
        let (tcp, mut shutdown) = (tcp.clone(), shutdown.clone());
        tokio::spawn(async move {
            let talk = timeout(LIFETIME_MAX, converse(stream, from, &tcp));
            let ending = tokio::select! {
                ending = talk => ending.unwrap_or(Ending::TimedOut),
                () = shutdown.draining() => Ending::Client,
            };
            if ending == Ending::TimedOut {
                Traffic::count(&tcp.traffic.tcp_timed_out);
            }
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, from: SocketAddr, tcp: &Tcp) -> Ending {
    loop {
        let question = match within(tcp.idle, read_message(&mut stream)).await {
            Ok(question) => question,
            Err(ending) => return ending,
        };
        let Some(answer) = answer(question, from, tcp).await else {
            return Ending::Hopeless;
        };
        if let Err(ending) = within(tcp.idle, write_message(&mut stream, &answer)).await {
            return ending;
        }
    }
}

async fn within<T>(
    allowed: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Ending> {
    match timeout(allowed, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Ending::Client),
        Err(_) => Err(Ending::TimedOut),
    }
}

/// One message with its length before it (RFC 1035 §4.2.2). The buffer grows with what arrives, not
/// with what is announced.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = Vec::new();
    let read = stream
        .take(u64::from(length))
        .read_to_end(&mut message)
        .await?;
    if read < usize::from(length) {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

/// Length and message in one write, so that they leave in one segment (RFC 7766 §8).
async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

async fn answer(question: Vec<u8>, from: SocketAddr, tcp: &Tcp) -> Option<Vec<u8>> {
    let header: [u8; HEADER] = question.get(..HEADER)?.try_into().ok()?;
    let Ok(request) = Request::from_bytes(question, from, Protocol::Tcp) else {
        return malformed(header);
    };
    let written = Written::default();
    tcp.handler
        .handle_request::<_, TokioTime>(&request, written.clone())
        .await;
    lock(&written.0).take()
}

/// FORMERR: the header of the question as that of an answer, and nothing else; silence to what
/// claims to be an answer.
fn malformed(header: [u8; HEADER]) -> Option<Vec<u8>> {
    const RESPONSE: u8 = 0x80;
    const OPERATION_AND_RECURSION: u8 = 0x79;
    const FORMAT_ERROR: u8 = 1;
    let [id_high, id_low, flags, ..] = header;
    if flags & RESPONSE != 0 {
        return None;
    }
    let flags = RESPONSE | (flags & OPERATION_AND_RECURSION);
    let mut answer = vec![id_high, id_low, flags, FORMAT_ERROR];
    answer.resize(HEADER, 0);
    Some(answer)
}

/// Takes the answer as bytes instead of sending it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Option<Vec<u8>>>>);

#[async_trait::async_trait]
impl ResponseHandler for Written {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::MAX);
        let info = response.destructive_emit(&mut encoder)?;
        *lock(&self.0) = Some(bytes);
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_question_is_told_so_and_an_answer_is_not() {
        let mut header = [0; HEADER];
        header[..3].copy_from_slice(&[7, 9, 0x01]);
        let answer = malformed(header).unwrap();
        assert_eq!(answer[..4], [7, 9, 0x81, 1]);
        header[2] = 0x80;
        assert_eq!(malformed(header), None);
    }
}
