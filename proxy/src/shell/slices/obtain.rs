//! One slice for one reader: from memory, from disk, from a fetch under way, or from one begun now.

use std::sync::Arc;

use super::{Large, fetch};
use crate::engine::flow::SliceLookup;
use crate::engine::reason::FailReason;
use crate::shell::fill::{Fill, Response, Seat, Source};
use crate::shell::store;

/// How often a reader looks again when the fetch that it waited for was given up by others.
const ROUNDS_MAX: usize = 4;

/// Where a slice came from, for its reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// It was kept here.
    Here,
    /// Another proxy; the word says at which level of the index.
    Peer(&'static str),
    /// The origin.
    Origin,
}

/// A slice, or what there is of it, and its reader's interest in the rest.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) slice: Arc<Response>,
    pub(super) seat: Option<Seat>,
    pub(crate) from: From,
    /// It was being fetched already.
    pub(crate) collapsed: bool,
}

/// What one look gave.
enum Look {
    Found(Found),
    Wait(Arc<Fill>, Seat, bool),
    Shelved,
}

impl Large {
    /// Slice `n`: all of it, or its beginning and the rest as it comes.
    pub(crate) async fn obtain(&self, n: u64) -> Result<Found, FailReason> {
        let mut read = None;
        let mut last = FailReason::Abandoned;
        for _ in 0..ROUNDS_MAX {
            let (fill, seat, collapsed) = match self.look(n, read.as_deref())? {
                Look::Found(found) => return Ok(found),
                Look::Shelved => {
                    let key = self.manifest.slice(n);
                    read = Some(store::reader::load(&self.ctx, &key).await);
                    continue;
                }
                Look::Wait(fill, seat, collapsed) => (fill, seat, collapsed),
            };
            match fill.answer().await {
                Ok(headed) if headed.object.body.is_joinable() => {
                    return Ok(Found {
                        from: match headed.source {
                            Source::Peer(word, _) => From::Peer(word),
                            Source::Origin
                            | Source::Completed
                            | Source::Revalidated
                            | Source::Stale(_) => From::Origin,
                        },
                        slice: headed.object,
                        seat: Some(seat),
                        collapsed,
                    });
                }
                Ok(_) => {}
                Err(failure) if failure.reason == FailReason::Abandoned => {}
                // What somebody else's fetch met may be over; what one's own did is not.
                Err(failure) if collapsed => last = failure.reason,
                Err(failure) => return Err(failure.reason),
            }
            read = Some(Arc::default());
        }
        Err(last)
    }

    fn look(&self, n: u64, read: Option<&[Arc<Response>]>) -> Result<Look, FailReason> {
        let key = self.manifest.slice(n);
        let mut flow = self.ctx.flow();
        let mut found = flow.slice(&key, read, Fill::new);
        if let SliceLookup::Here(slice) = &found
            && slice.body.is_spoilt()
        {
            flow.forget(&key);
            found = flow.slice(&key, Some(&[]), Fill::new);
        }
        let (fill, collapsed, id) = match found {
            SliceLookup::Here(slice) => {
                return Ok(Look::Found(Found {
                    slice,
                    seat: None,
                    from: From::Here,
                    collapsed: false,
                }));
            }
            SliceLookup::Shelved => return Ok(Look::Shelved),
            SliceLookup::Busy => return Err(FailReason::NodeBusy),
            SliceLookup::Join(fill) => (fill, true, None),
            SliceLookup::Start(fill, id) => (fill, false, Some(id)),
        };
        // Seated under the lock, or it might be given up meanwhile.
        let seat = fill.seat();
        drop(flow);
        if let Some(id) = id {
            fetch::start(self.clone(), Arc::clone(&fill), id, n);
        }
        Ok(Look::Wait(fill, seat, collapsed))
    }
}
