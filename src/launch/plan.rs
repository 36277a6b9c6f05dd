//! What a launch is to be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::balance::{Balance, Chooser};
use super::failure::OnFailure;
use super::life::Succession;
use super::notice::Notice;
use super::shards::Shards;
use super::sockets::Sockets;
use crate::runtime::Builder;

/// What all threads of a launch are made by.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    /// Which processor each shard's thread is bound to; none if it is free.
    pub(super) cpus: Option<Vec<usize>>,
    /// Whether a shard that cannot be bound is none.
    pub(super) has_to_pin: bool,
    /// The processors that this process may use.
    pub(super) all_cpus: Arc<[usize]>,
    pub(super) configure: Option<Arc<Configure>>,
    pub(super) on_failure: OnFailure,
    pub(super) drain_limit: Duration,
    pub(super) cut_off_limit: Duration,
    pub(super) is_service: bool,
    pub(super) succession: Succession,
    pub(super) balance: Balance,
    pub(super) chooser: Arc<Chooser>,
    pub(super) shards: Shards,
    pub(super) sockets: Sockets,
    pub(super) tell: Option<Arc<Tell>>,
}

pub(super) type Configure = dyn Fn(usize, Builder) -> Builder + Send + Sync;
pub(super) type Tell = dyn Fn(&Notice<'_>) + Send + Sync;

impl Plan {
    pub(super) fn count(&self) -> usize {
        self.shards.count()
    }

    /// The settings of a shard's loop. Its helpers are to run anywhere: what blocks need not wait for the shard's processor.
    pub(super) fn builder(&self, shard: usize) -> Builder {
        let builder = match &self.configure {
            Some(configure) => configure(shard, Builder::new()),
            None => Builder::new(),
        };
        match &self.cpus {
            Some(_) => builder.helpers_on(Arc::clone(&self.all_cpus)),
            None => builder,
        }
    }

    pub(super) fn tell(&self, notice: &Notice<'_>) {
        // Somebody's code, whose panic is not to be the end of who watches over the shards.
        let told = self.tell.as_ref().map(|tell| catch_unwind(AssertUnwindSafe(|| tell(notice))).is_ok());
        if told != Some(true) {
            notice.say();
        }
    }
}
