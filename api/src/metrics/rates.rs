//! What happened in the last five minutes: counters that only go up, looked at now and then.
//!
//! A thread that serves nobody keeps what they were every ten seconds; whoever shows a rate subtracts. Serving cores only count.

use std::collections::VecDeque;

use gannet_engine::metrics::Counter;

use super::{CODES, INGESTED, Metrics, ServiceDurations, latency::BOUNDS, locked};
use crate::limits::{RATE_STEP_NS, RATE_WINDOW_NS};

/// The counters at some moments, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    looks: VecDeque<Look>,
}

/// All cores' counters at one moment.
#[derive(Debug, Clone, Default)]
struct Look {
    at_ns: u64,
    counts: Counts,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Answers by place of the service and of the code.
    pub(super) services: Vec<[u64; CODES.len()]>,
    /// Answers by place of the service and duration.
    pub(super) service_durations: Vec<[u64; BOUNDS.len() + 1]>,
    /// Answers by duration.
    pub(super) durations: [u64; BOUNDS.len() + 1],
    /// Answers to writes by place of the code.
    pub(super) writes: [u64; CODES.len()],
    /// Answers to writes by duration.
    pub(super) write_durations: [u64; BOUNDS.len() + 1],
    /// Rows written by place of the view.
    pub(super) written: Vec<u64>,
}

/// What was counted since some moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) counts: Counts,
    pub(super) during_ns: u64,
}

impl Metrics {
    /// Keeps what the counters are, if it is time.
    pub(crate) fn look(&self, now_ns: u64) {
        let mut history = locked(&self.history);
        if history.looks.back().is_some_and(|last| now_ns.saturating_sub(last.at_ns) < RATE_STEP_NS) {
            return;
        }
        history.keep(Look { at_ns: now_ns, counts: self.counts() });
    }

    /// What was counted in the last five minutes, or since the first look; `None` before that.
    pub(super) fn recent(&self, now_ns: u64) -> Option<Recent> {
        let now = self.counts();
        locked(&self.history).since(now_ns, now)
    }

    fn counts(&self) -> Counts {
        let places = locked(&self.services).iter().count();
        let views = locked(&self.views).iter().count();
        let cores = locked(&self.cores);
        let mut counts = Counts {
            services: vec![[0; CODES.len()]; places],
            service_durations: vec![[0; BOUNDS.len() + 1]; places],
            written: vec![0; views],
            ..Counts::default()
        };
        for core in cores.iter() {
            for (sums, lines) in counts.services.iter_mut().zip(&core.services) {
                add(sums, &lines.0);
            }
            for (sums, ServiceDurations(buckets)) in counts.service_durations.iter_mut().zip(&core.durations) {
                add(sums, &buckets.counts);
            }
            add(&mut counts.durations, &core.latency.counts);
            add(&mut counts.writes, &core.ingest.codes);
            add(&mut counts.write_durations, &core.ingest.latency.counts);
            for (sum, line) in counts.written.iter_mut().zip(&core.views) {
                *sum += line.0[INGESTED].value();
            }
        }
        counts
    }
}

impl History {
    fn keep(&mut self, look: Look) {
        let too_old = |old: &Look| look.at_ns.saturating_sub(old.at_ns) > RATE_WINDOW_NS;
        // One that is older stays: the window begins with it until the next is old enough.
        while self.looks.get(1).is_some_and(too_old) {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    fn since(&self, now_ns: u64, now: Counts) -> Option<Recent> {
        let young = |look: &&Look| now_ns.saturating_sub(look.at_ns) <= RATE_WINDOW_NS;
        let from = self.looks.iter().find(young).or_else(|| self.looks.back())?;
        Some(Recent { counts: now.less(&from.counts), during_ns: now_ns.saturating_sub(from.at_ns) })
    }
}

impl Counts {
    /// Places that were not there before began at zero.
    fn less(mut self, before: &Self) -> Self {
        for (sums, old) in self.services.iter_mut().zip(&before.services) {
            take(sums, old);
        }
        for (sums, old) in self.service_durations.iter_mut().zip(&before.service_durations) {
            take(sums, old);
        }
        take(&mut self.durations, &before.durations);
        take(&mut self.writes, &before.writes);
        take(&mut self.write_durations, &before.write_durations);
        take(&mut self.written, &before.written);
        self
    }
}

fn add(sums: &mut [u64], counters: &[Counter]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.value();
    }
}

fn take(sums: &mut [u64], old: &[u64]) {
    for (sum, old) in sums.iter_mut().zip(old) {
        *sum = sum.saturating_sub(*old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn counts(answers: u64) -> Counts {
        let mut services = [0; CODES.len()];
        services[0] = answers;
        Counts { services: vec![services], ..Counts::default() }
    }

    #[test]
    fn a_window_is_five_minutes_or_what_there_was() {
        let mut history = History::default();
        assert_eq!(history.since(5 * S, counts(5)), None);
        // One answer a second, from the first look on.
        for at in (0..=3600).step_by(10) {
            history.keep(Look { at_ns: at * S, counts: counts(at) });
            let Recent { counts: seen, during_ns } = history.since((at + 3) * S, counts(at + 3)).unwrap();
            assert_eq!(seen.services[0][0], during_ns / S, "{at}");
            let expected = if at + 3 <= 300 { at + 3 } else { 293 };
            assert_eq!(during_ns / S, expected, "{at}");
        }
        assert!(history.looks.len() <= 32, "{}", history.looks.len());
    }

    #[test]
    fn a_thread_that_was_away_for_long_makes_the_window_longer_and_not_empty() {
        let mut history = History::default();
        history.keep(Look { at_ns: 0, counts: counts(0) });
        assert_eq!(history.since(900 * S, counts(9)).unwrap().during_ns, 900 * S);
    }

    #[test]
    fn looks_are_taken_every_ten_seconds_and_services_that_come_later_count_from_zero() {
        let metrics = Metrics::default();
        let core = metrics.core();
        metrics.look(S);
        let slot = metrics.service_slot("prod", "s");
        core.answered(slot, 200);
        metrics.look(11 * S - 1);
        let recent = metrics.recent(12 * S).unwrap();
        assert_eq!((recent.counts.services[slot][0], recent.during_ns), (1, 11 * S), "the second look was too early");
        assert_eq!(locked(&metrics.history).looks.len(), 1);
        metrics.look(11 * S);
        assert_eq!(locked(&metrics.history).looks.len(), 2);
    }
}
