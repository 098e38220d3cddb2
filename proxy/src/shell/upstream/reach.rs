//! Which of two peers can be reached: a connection to the first, and after a moment to the second as
//! well. The idea is that of RFC 8305, between machines instead of between a machine's addresses.
//!
//! Only connections are raced, not requests: they cost a datagram or two and wake nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Client, Destination};
use crate::engine::reason::FailReason;

/// Before the second is tried as well: most peers of a network are nearer than that.
const SECOND_AFTER: Duration = Duration::from_millis(150);

impl Client {
    /// The one of two peers that a connection is open to first; it is kept for the next exchange. So
    /// is the other's, should it open later.
    ///
    /// # Errors
    /// Neither can be reached, for these reasons.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        first: SocketAddr,
        second: SocketAddr,
    ) -> Result<SocketAddr, [FailReason; 2]> {
        // Tasks of their own: whoever is late is connected for the next who comes.
        let mut one = tokio::spawn(Arc::clone(self).warm(first));
        let at_first = tokio::select! {
            biased;
            opened = &mut one => Some(settled(opened)),
            () = sleep(SECOND_AFTER) => None,
        };
        let mut two = match at_first {
            Some(Ok(())) => return Ok(first),
            Some(Err(why)) => {
                let opened = settled(tokio::spawn(Arc::clone(self).warm(second)).await);
                return opened.map(|()| second).map_err(|also| [why, also]);
            }
            None => tokio::spawn(Arc::clone(self).warm(second)),
        };
        tokio::select! {
            biased;
            opened = &mut one => match settled(opened) {
                Ok(()) => Ok(first),
                Err(why) => settled(two.await).map(|()| second).map_err(|also| [why, also]),
            },
            opened = &mut two => match settled(opened) {
                Ok(()) => Ok(second),
                Err(also) => settled(one.await).map(|()| first).map_err(|why| [why, also]),
            },
        }
    }

    /// Sees to it that a connection to `peer` is at hand.
    async fn warm(self: Arc<Self>, peer: SocketAddr) -> Result<(), FailReason> {
        let to = Destination::Peer(peer);
        let connection = match self.take_idle(&to.pool_key()) {
            Some(connection) => connection,
            None => self.connect(&to).await?,
        };
        self.give_back(to.pool_key(), connection);
        Ok(())
    }
}

fn settled(
    opened: Result<Result<(), FailReason>, tokio::task::JoinError>,
) -> Result<(), FailReason> {
    opened.unwrap_or(Err(FailReason::ConnectError))
}
