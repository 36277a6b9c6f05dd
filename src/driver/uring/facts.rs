//! What a ring's set-up got, for whoever asks: nothing of it is looked at while the ring works.

use super::Ring;
use super::setup::{Delivery, Given};
use crate::driver::RingFacts;

impl Given {
    /// Each flag that makes a ring better, and whether the kernel took it. What only another delivery has is left out.
    fn flags(self) -> Vec<(&'static str, bool)> {
        let is_deferred = self.delivery == Delivery::Deferred;
        let mut flags = vec![("SINGLE_ISSUER", is_deferred), ("DEFER_TASKRUN", is_deferred)];
        if !is_deferred {
            flags.push(("COOP_TASKRUN", self.delivery == Delivery::Cooperative));
        }
        flags.extend([("SUBMIT_ALL", self.submit_all), ("NO_SQARRAY", self.no_array)]);
        flags
    }
}

impl Ring {
    pub(crate) fn facts(&self) -> RingFacts {
        let got = self.queues.ring().params();
        let features = [
            ("NODROP", got.is_feature_nodrop()),
            ("SUBMIT_STABLE", got.is_feature_submit_stable()),
            ("RW_CUR_POS", got.is_feature_rw_cur_pos()),
            ("FAST_POLL", got.is_feature_fast_poll()),
            ("EXT_ARG", got.is_feature_ext_arg()),
            ("SINGLE_MMAP", got.is_feature_single_mmap()),
            ("POLL_32BITS", got.is_feature_poll_32bits()),
            ("NATIVE_WORKERS", got.is_feature_native_workers()),
            ("RSRC_TAGS", got.is_feature_resource_tagging()),
            ("CQE_SKIP", got.is_feature_skip_cqe_on_success()),
            ("LINKED_FILE", got.is_feature_linked_file()),
            ("RECVSEND_BUNDLE", got.is_feature_recvsend_bundle()),
            ("MIN_TIMEOUT", got.is_feature_min_timeout()),
            ("NO_IOWAIT", got.is_feature_no_iowait()),
        ];
        RingFacts {
            entries: got.sq_entries(),
            completions: got.cq_entries(),
            flags: self.given.flags(),
            features: features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect(),
            is_registered: self.name.is_registered(),
            picks: self.buffers.as_ref().is_some_and(|buffers| buffers.is_offered()),
            is_direct: self.direct.is_some(),
            known: self.known,
        }
    }
}
