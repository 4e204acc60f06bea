//! What operators ask: readiness and metrics.

use std::sync::Arc;

use gannet_engine::{Answer, Content, Now, metrics::Sample};

use super::{Core, answer, refuse};
use crate::{
    ShardSamples, State,
    auth::KeyRecord,
    error::Fault,
    metrics::{self, Standing},
};

impl Core {
    pub(super) fn readyz(&self, body: &mut Vec<u8>) -> Answer {
        let reason = match &*self.state {
            State::Ready if self.catalog.is_some() => {
                body.extend_from_slice(b"{\"status\":\"ready\"}");
                return answer(200, Content::Json);
            }
            State::Ready => "no generation is served",
            State::Starting(reason) | State::Draining(reason) => reason,
        };
        refuse(&Fault::NotReady { reason }, body)
    }

    pub(super) fn expose(&self, now: Now, body: &mut Vec<u8>) -> Answer {
        let valid = |key: &&KeyRecord| !key.revoked && key.expires_at_us.is_none_or(|at| at > now.unix_us);
        let storage = self.shared.storage.load();
        let standing = Standing {
            state: &self.state,
            catalog: self.catalog.as_deref(),
            keys: self.keys.records().iter().filter(valid).count(),
            region: &self.settings.aws_region,
            storage: storage.as_deref(),
        };
        metrics::expose(&self.shared.metrics, &standing, &self.shard_samples(), body);
        answer(200, Content::Metrics)
    }

    pub(super) fn observability(&self, now: Now, body: &mut Vec<u8>) -> Answer {
        let region = &self.settings.aws_region;
        metrics::observe(&self.shared.metrics, region, &self.shard_samples(), now.monotonic_ns, body);
        answer(200, Content::OpenMetrics)
    }

    fn shard_samples(&self) -> Vec<Vec<Sample>> {
        let samples = |shard: &Arc<dyn ShardSamples>| {
            let mut samples = Vec::new();
            shard.samples(&mut |sample| samples.push(sample));
            samples
        };
        self.shared.shards.iter().map(samples).collect()
    }
}
