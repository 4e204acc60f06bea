//! How long requests take: a recorder that one core writes, and the buckets it is added to now and then.

use gannet_engine::metrics::Counter;
use hdrhistogram::Histogram;

use crate::limits::{DURATION_NS_MAX, PUBLISH_EVERY_NS};

/// Upper bounds as they are shown, in seconds, and the same in nanoseconds. Below 5 ms they are ours, above the usual ones.
pub(super) const BOUNDS: [(&str, u64); 20] = [
    ("0.00005", 50_000),
    ("0.0001", 100_000),
    ("0.00025", 250_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.05", 50_000_000),
    ("0.075", 75_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("0.5", 500_000_000),
    ("0.75", 750_000_000),
    ("1", 1_000_000_000),
    ("2.5", 2_500_000_000),
    ("5", 5_000_000_000),
    ("7.5", 7_500_000_000),
    ("10", 10_000_000_000),
];

/// Requests by duration: each counter holds those above the bound before its own; the last has no bound.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    pub(super) counts: [Counter; BOUNDS.len() + 1],
    pub(super) sum_ns: Counter,
}

impl Buckets {
    pub(super) fn count(&self, nanoseconds: u64) {
        self.counts[bucket_of(nanoseconds)].add(1);
        self.sum_ns.add(nanoseconds);
    }
}

/// The place of a duration among [`Buckets::counts`].
fn bucket_of(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|(_, bound)| *bound < nanoseconds)
}

/// One core's recorder, exact to two digits: 15 KiB, so that adding it up takes the core few microseconds.
#[derive(Debug)]
pub(crate) struct Recorder {
    recent: Histogram<u32>,
    recent_sum_ns: u64,
    published_ns: u64,
}

impl Recorder {
    /// `None` if the bounds of durations contradict each other.
    pub(crate) fn new() -> Option<Self> {
        let recent = Histogram::new_with_bounds(1, DURATION_NS_MAX, 2).ok()?;
        Some(Self { recent, recent_sum_ns: 0, published_ns: 0 })
    }

    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.recent.saturating_record(nanoseconds);
        self.recent_sum_ns = self.recent_sum_ns.saturating_add(nanoseconds);
    }

    /// Adds what was recorded to the published buckets, if it is time.
    pub(crate) fn publish(&mut self, now_ns: u64, buckets: &Buckets) {
        if self.recent.is_empty() || now_ns.saturating_sub(self.published_ns) < PUBLISH_EVERY_NS {
            return;
        }
        self.published_ns = now_ns;
        let mut counts = [0u64; BOUNDS.len() + 1];
        for value in self.recent.iter_recorded() {
            // The recorder rounds up to two digits; a duration exactly on a bound must not fall behind it.
            let lowest = self.recent.lowest_equivalent(value.value_iterated_to());
            counts[bucket_of(lowest)] += value.count_since_last_iteration();
        }
        for (counter, count) in buckets.counts.iter().zip(counts) {
            counter.add(count);
        }
        buckets.sum_ns.add(self.recent_sum_ns);
        self.recent_sum_ns = 0;
        self.recent.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn durations_fall_into_their_buckets_with_bounds_included() {
        let core = Metrics::default().core();
        let mut recorder = Recorder::new().unwrap();
        for (_, bound) in BOUNDS {
            recorder.record(bound);
        }
        recorder.record(0);
        recorder.record(u64::MAX / 2);
        recorder.publish(PUBLISH_EVERY_NS - 1, &core.latency);
        assert!(core.latency.counts.iter().all(|count| count.value() == 0), "too early");
        recorder.publish(PUBLISH_EVERY_NS, &core.latency);
        let counts: Vec<u64> = core.latency.counts.iter().map(Counter::value).collect();
        assert_eq!(counts[0], 2);
        assert!(counts[1..].iter().all(|count| *count == 1), "{counts:?}");
    }

    #[test]
    fn bounds_rise_and_are_spelt_as_they_are() {
        assert!(BOUNDS.is_sorted_by_key(|(_, bound)| *bound));
        for (text, bound) in BOUNDS {
            let nanoseconds = u32::try_from(bound / 1000).map(f64::from).unwrap() * 1000.0;
            assert!((text.parse::<f64>().unwrap() * 1e9 - nanoseconds).abs() < 0.5, "{text}");
        }
    }
}
