//! `/api/v1/observability/metrics`: what Tecton's dashboards ask for, by its names, in the OpenMetrics format.

use gannet_engine::metrics::{Counter, Sample};

use super::{
    CODES, Metrics,
    exposition::Series,
    ingest,
    latency::{BOUNDS, Buckets},
    locked,
    rates::Recent,
};
use crate::catalog::service_id;

/// Every metric of this page: name, type, help. The documentation's table is tied to this one by a test.
const OBSERVED: [(&str, &str, &str); 13] = [
    ("feature_service_requests_total_rate", "gauge", "API requests answered per second, over five minutes."),
    ("feature_service_requests_rate", "gauge", "The same by feature service."),
    ("feature_service_total_latency", "summary", "Seconds that answers took; quantiles over five minutes."),
    ("feature_service_latency", "summary", "The same by feature service."),
    ("feature_server_errors_rate", "gauge", "Percent of answers with this HTTP status, over five minutes."),
    UTILIZATION[0],
    UTILIZATION[1],
    UTILIZATION[2],
    ingest::OBSERVED[0],
    ingest::OBSERVED[1],
    ingest::OBSERVED[2],
    ingest::OBSERVED[3],
    ingest::OBSERVED[4],
];

/// Also part of `/metrics`.
pub(super) const UTILIZATION: [(&str, &str, &str); 3] = [
    ("feature_server_utilization", "gauge", "Busy percent of the busiest core, over a second."),
    ("feature_server_average_utilization", "gauge", "Busy percent of all cores, over a second."),
    ("feature_server_minimum_utilization", "gauge", "Busy percent of the idlest core, over a second."),
];

/// Appends the page. `shards` are each shard's own samples.
pub(crate) fn observe(metrics: &Metrics, region: &str, shards: &[Vec<Sample>], now_ns: u64, out: &mut Vec<u8>) {
    let mut text = String::with_capacity(4 << 10);
    let recent = metrics.recent(now_ns).filter(|recent| recent.during_ns > 0);
    for (name, kind, help) in OBSERVED {
        let mut series = Series { name, text: &mut text };
        series.declare(kind, help);
        match (name, &recent) {
            ("feature_service_requests_total_rate", Some(recent)) => {
                series.add(&[("aws_region", region)], recent.rate(recent.answers().iter().sum()));
            }
            ("feature_service_requests_rate", Some(recent)) => services(metrics, recent, region, &mut series),
            ("feature_service_total_latency", _) => latency(metrics, recent.as_ref(), &mut series),
            ("feature_service_latency", _) => latency_by_service(metrics, recent.as_ref(), &mut series),
            ("feature_server_errors_rate", Some(recent)) => errors(recent, &mut series),
            _ if name.starts_with("stream_") => ingest::observe(metrics, recent.as_ref(), region, &mut series),
            _ => utilization(region, shards, &mut series),
        }
    }
    text.push_str("# EOF\n");
    out.extend_from_slice(text.as_bytes());
}

/// One of [`UTILIZATION`]; nothing for any other name.
pub(super) fn utilization(region: &str, shards: &[Vec<Sample>], series: &mut Series<'_>) {
    let busy = |shard: &Vec<Sample>| shard.iter().find(|sample| sample.name == BUSY).map(|sample| sample.value * 100.0);
    let busy: Vec<f64> = shards.iter().filter_map(busy).collect();
    let shown = match UTILIZATION.iter().position(|(name, _, _)| *name == series.name) {
        Some(0) => busy.iter().copied().reduce(f64::max),
        Some(1) => busy.iter().copied().reduce(|a, b| a + b).map(|sum| sum / float(busy.len() as u64)),
        Some(_) => busy.iter().copied().reduce(f64::min),
        None => None,
    };
    if let Some(percent) = shown {
        series.add(&[("aws_region", region)], percent);
    }
}

/// Only those that were ever asked.
fn services(metrics: &Metrics, recent: &Recent, region: &str, series: &mut Series<'_>) {
    for (slot, id, name) in asked(metrics) {
        let answers = recent.counts.services.get(slot).map_or(0, |codes| codes.iter().sum());
        let labels =
            [("aws_region", region), ("feature_service_id", id.as_str()), ("feature_service_name", name.as_str())];
        series.add(&labels, recent.rate(answers));
    }
}

/// Services that were ever asked: place, id and name.
fn asked(metrics: &Metrics) -> Vec<(usize, String, String)> {
    let cores = locked(&metrics.cores);
    let asked = |slot: usize| cores.iter().any(|core| core.services[slot].0.iter().any(|count| count.value() > 0));
    let services = locked(&metrics.services);
    let named = services.iter().filter(|(slot, _, name)| !name.is_empty() && asked(*slot));
    named.map(|(slot, workspace, name)| (slot, service_id(workspace, name), name.to_owned())).collect()
}

fn errors(recent: &Recent, series: &mut Series<'_>) {
    let answers = recent.answers();
    let all: u64 = answers.iter().sum();
    for (code, count) in CODES.iter().zip(answers).filter(|(code, count)| **code >= 400 && *count > 0) {
        series.add(&[("status", &code.to_string())], 100.0 * float(count) / float(all));
    }
}

fn latency(metrics: &Metrics, recent: Option<&Recent>, series: &mut Series<'_>) {
    let cores = locked(&metrics.cores);
    let all = cores.iter().map(|core| &core.latency);
    summary(all, recent.map(|recent| &recent.counts.durations[..]), &[], series);
}

fn latency_by_service(metrics: &Metrics, recent: Option<&Recent>, series: &mut Series<'_>) {
    for (slot, id, name) in asked(metrics) {
        let cores = locked(&metrics.cores);
        let all = cores.iter().map(|core| &core.durations[slot].0);
        let recent = recent.and_then(|recent| recent.counts.service_durations.get(slot));
        let labels = [("feature_service_id", id.as_str()), ("feature_service_name", name.as_str())];
        summary(all, recent.map(|durations| &durations[..]), &labels, series);
    }
}

/// Quantiles of `recent`, sum and count of `all`.
pub(super) fn summary<'b>(
    all: impl Iterator<Item = &'b Buckets>,
    recent: Option<&[u64]>,
    labels: &[(&str, &str)],
    series: &mut Series<'_>,
) {
    for (quantile, share) in [("0.5", 0.5), ("0.9", 0.9), ("0.95", 0.95), ("0.99", 0.99)] {
        if let Some(seconds) = recent.and_then(|recent| seconds_at(share, recent)) {
            series.add(&[labels, &[("quantile", quantile)]].concat(), seconds);
        }
    }
    let (mut sum_ns, mut count) = (0, 0);
    for buckets in all {
        sum_ns += buckets.sum_ns.value();
        count += buckets.counts.iter().map(Counter::value).sum::<u64>();
    }
    series.add_suffixed("_sum", labels, float(sum_ns) / 1e9);
    series.add_suffixed("_count", labels, count);
}

/// How long at most so large a share of answers took, as evenly spread within each bucket; the last has no end and counts as its
/// beginning.
fn seconds_at(share: f64, durations: &[u64]) -> Option<f64> {
    let all: u64 = durations.iter().sum();
    let (wanted, mut below) = (share * float(all), 0);
    let bound = |place: usize| BOUNDS.get(place).map(|(_, ns)| float(*ns) / 1e9);
    for (place, count) in durations.iter().enumerate().filter(|(_, count)| **count > 0) {
        if float(below + count) >= wanted {
            let from = place.checked_sub(1).and_then(bound).unwrap_or(0.0);
            let to = bound(place).unwrap_or(from);
            return Some(from + (to - from) * (wanted - float(below)) / float(*count));
        }
        below += count;
    }
    None
}

impl Recent {
    /// Answers by place of the code.
    fn answers(&self) -> [u64; CODES.len()] {
        let mut sums = [0; CODES.len()];
        for codes in &self.counts.services {
            for (sum, count) in sums.iter_mut().zip(codes) {
                *sum += count;
            }
        }
        sums
    }

    pub(super) fn rate(&self, count: u64) -> f64 {
        float(count) * 1e9 / float(self.during_ns)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float by its format")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Which of a shard's samples utilization is made of.
const BUSY: &str = "gannet_core_utilization_1s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let mut durations = [0; BOUNDS.len() + 1];
        assert_eq!(seconds_at(0.5, &durations), None);
        durations[1] = 100; // 50 to 100 µs
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(seconds_at(0.5, &durations).unwrap(), 0.000_075);
        near(seconds_at(1.0, &durations).unwrap(), 0.000_1);
        durations[BOUNDS.len()] = 100;
        near(seconds_at(0.5, &durations).unwrap(), 0.000_1);
        near(seconds_at(0.99, &durations).unwrap(), 10.0);
    }

    #[test]
    fn the_documented_table_is_what_is_observed() {
        let page = include_str!("../../../docs/metrics.md");
        let section = page.split("\n## For Tecton's dashboards\n").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<_> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                (cells[0].trim_matches('`'), cells[1], cells[3])
            })
            .collect();
        assert_eq!(rows, OBSERVED);
    }

    #[test]
    fn utilization_is_made_of_a_sample_that_shards_have() {
        let shard = gannet_engine::server::ShardMetrics::default();
        let mut found = 0;
        shard.samples(&mut |sample| found += u32::from(sample.name == BUSY));
        assert_eq!(found, 1);
        let sample = |value| {
            let kind = gannet_engine::metrics::Kind::Gauge;
            vec![Sample { name: BUSY, help: "", kind, label: None, value }]
        };
        let shards = [sample(0.25), sample(0.75), sample(0.5)];
        let check = |name, expected: &str| {
            let mut text = String::new();
            utilization("r", &shards, &mut Series { name, text: &mut text });
            assert_eq!(text, expected);
        };
        check("feature_server_utilization", "feature_server_utilization{aws_region=\"r\"} 75\n");
        check("feature_server_average_utilization", "feature_server_average_utilization{aws_region=\"r\"} 50\n");
        check("feature_server_minimum_utilization", "feature_server_minimum_utilization{aws_region=\"r\"} 25\n");
        check("gannet_ready", "");
    }
}
