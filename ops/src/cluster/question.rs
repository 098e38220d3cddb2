//! Asks a name server one question over UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;

/// For an answer from this machine.
const DEADLINE: Duration = Duration::from_secs(1);

/// Largest answer without EDNS (RFC 1035 §4.2.1), with room for servers that send more.
const ANSWER_MAX: usize = 4_096;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The name is no domain name.
    #[error("not a domain name: {0}")]
    Name(String),
    /// The socket failed: most often nobody listens there.
    #[error("no connection: {0}")]
    Socket(#[from] std::io::Error),
    /// What came back is no DNS message, or answers something else.
    #[error("not an answer to the question")]
    Garbled,
    /// The server answered, but not with success.
    #[error("answered {0}")]
    Refused(ResponseCode),
    /// Nothing came back.
    #[error("no answer within {DEADLINE:?}")]
    Deadline,
}

/// The IPv4 addresses `server` gives for `name`.
///
/// # Errors
/// There is no successful answer within a second.
pub async fn addresses(server: SocketAddr, name: &str) -> Result<Vec<Ipv4Addr>, QuestionError> {
    let mut question = Message::query();
    let id = question.metadata.id;
    let name =
        Name::from_ascii(format!("{name}.")).map_err(|e| QuestionError::Name(e.to_string()))?;
    question.add_query(Query::query(name, RecordType::A));
    let bytes = question
        .to_vec()
        .map_err(|error| QuestionError::Name(error.to_string()))?;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; ANSWER_MAX];
    let received = tokio::time::timeout(DEADLINE, socket.recv(&mut buffer)).await;
    let length = received.map_err(|_| QuestionError::Deadline)??;
    read(buffer.get(..length).unwrap_or_default(), id)
}

fn read(bytes: &[u8], id: u16) -> Result<Vec<Ipv4Addr>, QuestionError> {
    let answer = Message::from_vec(bytes).map_err(|_| QuestionError::Garbled)?;
    if answer.metadata.id != id {
        return Err(QuestionError::Garbled);
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(QuestionError::Refused(answer.metadata.response_code));
    }
    let address = |data: &RData| {
        if let RData::A(a) = data {
            Some(a.0)
        } else {
            None
        }
    };
    Ok(answer
        .answers
        .iter()
        .filter_map(|record| address(&record.data))
        .collect())
}
