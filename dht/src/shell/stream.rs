//! Bodies that last: a registered service and a streamed get, a line at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::orders::{AT_ONCE, Engine, Order};
use crate::api::{ErrorDoc, SERVICE_LINE_EVERY, ServiceLine, ValueDoc, ValuesDoc};
use crate::engine::message::Service;
use crate::engine::{Answer, Wish};

/// A registration: the body that lasts as long as its client's connection. A line says that it
/// stands; dropped, it ends.
pub(super) struct Session {
    /// Who is registered elsewhere the sooner the better: at the process that comes next.
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    engine: Engine,
    service: Service,
    ticks: Interval,
    /// It may stand, as far as is known here.
    stands: bool,
}

impl Session {
    /// The first line is due at once.
    pub(super) fn new(engine: Engine, service: Service) -> Self {
        let mut ticks = interval(SERVICE_LINE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = engine.shutdown.clone();
        Self {
            draining: Box::pin(async move { shutdown.draining().await }),
            engine,
            service,
            ticks,
            stands: true,
        }
    }

    /// It was refused: there is nothing to end.
    pub(super) fn refused(mut self) {
        self.stands = false;
    }
}

impl Body for Session {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.draining.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.ticks.poll_tick(context).map(|_| {
            if self.engine.orders.is_closed() {
                return None;
            }
            Some(Ok(Frame::data(line(&ServiceLine { registered: true }))))
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.stands {
            return;
        }
        let wish = Wish::Deregister {
            service: self.service.clone(),
        };
        let (answers, _) = mpsc::channel(1);
        let order = Order {
            wish,
            allowed: AT_ONCE,
            trace: None,
            answers,
        };
        // A deregistration is never lost to a full queue: it waits for its turn.
        if let Err(mpsc::error::TrySendError::Full(order)) = self.engine.orders.try_send(order) {
            let orders = self.engine.orders.clone();
            tokio::spawn(async move { drop(orders.send(order).await) });
        }
    }
}

/// A streamed get: one line per answer until the last.
pub(super) struct Lines {
    pub(super) answers: mpsc::Receiver<Answer>,
}

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.answers.poll_recv(context).map(|answer| {
            let line = match answer? {
                Answer::Values { values, last } => {
                    let values = values.iter().map(ValueDoc::from).collect();
                    line(&ValuesDoc { values, last })
                }
                Answer::Refused(refusal) => line(&ErrorDoc::of(refusal)),
                _ => return None,
            };
            Some(Ok(Frame::data(line)))
        })
    }
}

/// A document and the end of its line.
pub(super) fn line<D: Serialize>(doc: &D) -> Bytes {
    let mut bytes = serde_json::to_vec(doc).unwrap_or_default();
    bytes.push(b'\n');
    Bytes::from(bytes)
}
