//! Limits of how many requests of an API key, or for a feature service, may be in progress on a core.
//!
//! A request is in progress from when it begins to the end of the turn in which it is answered; the time for which it waits for
//! rows is in between. Counters outlive catalogs and key tables: a reload does not let twice as many in.

use std::{collections::HashMap, num::NonZeroU32};

use gannet_engine::admission::{InProgress, Permit, Reason, share_of};

use crate::{
    auth::{Granted, KeyRecord, KeyTable},
    plan::Plan,
};

/// What a request holds while it is in progress, of what is limited.
#[derive(Debug, Default)]
pub(super) struct Permits {
    key: Option<Permit>,
    service: Option<Permit>,
}

/// One core's counters.
#[derive(Debug)]
pub(super) struct Concurrency {
    cores: usize,
    /// Of keys with a limit, by position in the key table.
    keys: Vec<Option<InProgress>>,
    /// By [`Plan::service_slot`], as far as they were needed.
    services: Vec<InProgress>,
}

impl Concurrency {
    /// `cores` share every limit.
    pub(super) fn new(cores: usize) -> Self {
        Self { cores, keys: Vec::new(), services: Vec::new() }
    }

    /// Follows a change of the key table; who is in progress stays counted. A core does it between two turns, so it takes no longer
    /// than there are keys.
    pub(super) fn rekey(&mut self, old: &KeyTable, new: &KeyTable) {
        let counted = old.records().iter().zip(self.keys.drain(..));
        let mut known: HashMap<&str, InProgress> =
            counted.filter_map(|(record, key)| Some((record.id.as_str(), key?))).collect();
        let mut of = |record: &KeyRecord| known.remove(record.id.as_str()).unwrap_or_default();
        self.keys = new.records().iter().map(|record| record.concurrency_max.map(|_| of(record))).collect();
    }

    /// Counts one more request with this key.
    pub(super) fn enter_key(&self, granted: Granted) -> Result<Permits, Reason> {
        let Some(max) = granted.concurrency_max else { return Ok(Permits::default()) };
        let Some(Some(key)) = self.keys.get(granted.place) else { return Ok(Permits::default()) };
        match key.enter(share_of(max, self.cores)) {
            Some(permit) => Ok(Permits { key: Some(permit), service: None }),
            None => Err(Reason::KeyConcurrency),
        }
    }

    /// Counts one more request for this service.
    pub(super) fn enter_service(&mut self, plan: &Plan, permits: &mut Permits) -> Result<(), Reason> {
        let Some(max) = plan.concurrency_max else { return Ok(()) };
        permits.service = Some(self.service(plan.service_slot, max).ok_or(Reason::ServiceConcurrency)?);
        Ok(())
    }

    fn service(&mut self, slot: usize, max: NonZeroU32) -> Option<Permit> {
        if self.services.len() <= slot {
            self.services.resize_with(slot + 1, InProgress::default); // once per service, and bounded like the metrics
        }
        self.services[slot].enter(share_of(max, self.cores))
    }
}

impl Permits {
    /// Most requests are limited by nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.key.is_none() && self.service.is_none()
    }
}
