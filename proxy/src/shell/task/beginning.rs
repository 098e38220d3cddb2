//! Going on from where an earlier fetch broke off for good: what is kept of it, and how the origin's
//! answer becomes a whole with it. What may be kept is judged by the engine's
//! [`beginnings`](crate::engine::beginnings).

use std::sync::Arc;

use http::{Method, StatusCode};

use super::answers::received;
use super::{Step, Task};
use crate::engine::beginnings::LetGo;
use crate::engine::http::conditional;
use crate::engine::pursuit::News;
use crate::engine::reason::FailReason;
use crate::engine::splice::Intake;
use crate::shell::body::SharedBody;
use crate::shell::fill::{Headed, Source, Stage};
use crate::shell::transfer::{Beginning, Transfer, join_origin};
use crate::shell::upstream::Upstream;

impl Task {
    /// Keeps what there is of a body that could not be completed.
    pub(super) fn keep_beginning(&self, broken: Beginning, reason: FailReason) {
        let (ctx, weight) = (&self.ctx, broken.object.body.weight());
        if !self.plan.shared {
            return;
        }
        let kept = ctx
            .flow()
            .beginnings()
            .keep(ctx.now(), broken, weight, reason);
        let outcome = kept.map_or_else(LetGo::as_str, |()| "kept");
        ctx.metrics.beginning(outcome);
        let url = &self.asker.key;
        tracing::debug!(%url, outcome, "a body broke off for good");
    }

    /// Looks for something to go on from, before the origin is asked for the first byte.
    pub(super) fn look_for_beginning(&mut self) {
        let (ctx, asker) = (&self.ctx, &self.asker);
        if self.transfer.is_none() && self.plan.shared && asker.method == Method::GET {
            let mut flow = ctx.flow();
            let beginnings = flow.beginnings();
            self.beginning = beginnings.of(ctx.now(), &asker.key, &asker.headers);
        }
    }

    /// The origin answered a request for the rest. Gives the answer back if it is one to a request for
    /// the whole.
    pub(super) async fn go_on_from(
        &mut self,
        beginning: Beginning,
        upstream: Box<Upstream>,
    ) -> Result<Step, Box<Upstream>> {
        match upstream.head.status {
            StatusCode::PARTIAL_CONTENT => match self.join_on(&beginning, &upstream) {
                Some(intake) => {
                    let taken = self.take_body(upstream, intake, false).await;
                    Ok(self.conclude(taken, None))
                }
                None => Ok(self.ask_anew(upstream)),
            },
            StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(self.ask_anew(upstream))
            }
            // It may be itself again in a moment.
            status if status.is_server_error() => Err(upstream),
            _ => {
                self.ctx.flow().beginnings().remove(&self.asker.key);
                Err(upstream)
            }
        }
    }

    /// What was kept leads nowhere: it goes, and the origin is asked for the whole.
    fn ask_anew(&self, upstream: Box<Upstream>) -> Step {
        tokio::spawn(upstream.body.discard());
        self.ctx.flow().beginnings().remove(&self.asker.key);
        Step::News(News::Unconfirmed)
    }

    /// Joins a part on to what is here, and shows the head of the whole. `None` if it does not fit, or
    /// the whole may not be kept any more.
    fn join_on(&mut self, beginning: &Beginning, upstream: &Upstream) -> Option<Intake> {
        let (ctx, head) = (&self.ctx, &upstream.head);
        let Beginning { object, splice } = beginning;
        let intake = join_origin(object, splice, head).ok()?;
        let (body, writer) = SharedBody::going_on_from(&object.body, Some(ctx.spill.clone()))?;
        let mut headers = object.headers();
        conditional::merge(&mut headers, &head.headers, upstream.wall);
        let policy = ctx.flow().policy().clone();
        let request = &self.asker.headers;
        let whole = object.updated(&received(upstream), &headers, request, &policy, body);
        if head.doubtful || self.may_go_on_sharing(&whole).is_err() {
            return None;
        }
        // From here on nobody else writes to what both would go on with.
        if !ctx.flow().beginnings().take(object) {
            return None;
        }
        ctx.metrics.beginning("completed");
        self.share_or_not(&whole, Ok(()));
        self.transfer = Some(Transfer::new(
            Arc::clone(&whole),
            writer,
            (**splice).clone(),
        ));
        self.fill.reach(Stage::Headed(Headed {
            object: whole,
            source: Source::Completed,
            shared: Ok(()),
            drawing: self.drawing,
            timing: self.timing(),
        }));
        Some(intake)
    }
}
