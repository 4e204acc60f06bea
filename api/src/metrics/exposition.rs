//! `/metrics` in the Prometheus text format.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use gannet_engine::metrics::{Counter, Kind, Sample};
use gannet_store::Table;

use super::{
    CACHE_FIGURES, CODES, CoreMetrics, DELETED, DENIALS, INGESTED, Metrics, OUTCOMES,
    latency::{BOUNDS, Buckets},
    locked,
    observability::{UTILIZATION, utilization},
    storage,
};
use crate::{Catalog, State, StorageFigures, ingest::Reason};

/// Every metric of this crate: name, type, help. The documentation's table is tied to this one by a test.
pub(super) const DECLARED: [(&str, &str, &str); 36] = [
    ("gannet_build_info", "gauge", "Always 1; the label says which version runs."),
    ("gannet_ready", "gauge", "1 if /readyz answers 200."),
    ("gannet_generation", "gauge", "Number of the generation that is served; 0 if there is none."),
    ("gannet_feature_services", "gauge", "Feature services that are served."),
    ("gannet_requests_total", "counter", "API requests answered, by feature service and status code."),
    ("gannet_request_duration_seconds", "histogram", "From the turn that saw a request's first byte to its answer."),
    ("gannet_feature_view_lookups_total", "counter", "Keys looked up, by feature view and what was found."),
    ("gannet_authentication_failures_total", "counter", "Requests refused for their key, by reason."),
    ("gannet_request_decode_errors_total", "counter", "Request bodies that could not be understood."),
    ("gannet_request_context_keys_ignored_total", "counter", "Keys of request contexts that no feature view expects."),
    ("gannet_corrupt_reads_total", "counter", "Requests that failed because stored bytes were damaged."),
    (
        "gannet_aggregate_sum_overflows_total",
        "counter",
        "Sums of int64 values that were null because 64 bits do not hold them.",
    ),
    (
        "gannet_feature_view_rows",
        "gauge",
        "Rows in the files that are served, by level; a key with rows in both is in both.",
    ),
    ("gannet_feature_view_bytes", "gauge", "Bytes on disk of the table that is served, index included."),
    ("gannet_feature_view_index_bytes", "gauge", "Bytes of the index of the table that is served."),
    (
        "gannet_feature_view_event_time_max_seconds",
        "gauge",
        "Newest event time in the table, in Unix time; age is time() minus it.",
    ),
    ("gannet_keys", "gauge", "API keys that are neither revoked nor expired."),
    ("gannet_cold_read_duration_seconds", "histogram", "From when a row had to be read to when it was there."),
    ("gannet_segment_bytes", "gauge", "Bytes of a segment's index and of its rows."),
    ("gannet_segment_resident_bytes", "gauge", "How much of them is kept in memory; the rest is read when asked for."),
    ("gannet_segment_evicted_total", "counter", "Bytes that the kernel took back of what was to be kept of a segment."),
    ("gannet_ingest_requests_total", "counter", "Requests that write or delete answered, by status code."),
    (
        "gannet_ingest_request_duration_seconds",
        "histogram",
        "From when a request that writes or deletes was seen to its answer.",
    ),
    ("gannet_ingest_records_total", "counter", "Records that were taken and are durable."),
    ("gannet_ingest_records_rejected_total", "counter", "Records that were not taken, by reason."),
    ("gannet_ingest_rows_total", "counter", "Rows that were written, by feature view."),
    ("gannet_deleted_keys_total", "counter", "Keys that were deleted, by feature view."),
    CACHE_FIGURES[0],
    CACHE_FIGURES[1],
    CACHE_FIGURES[2],
    CACHE_FIGURES[3],
    CACHE_FIGURES[4],
    CACHE_FIGURES[5],
    UTILIZATION[0],
    UTILIZATION[1],
    UTILIZATION[2],
];

/// What the gauges show.
#[derive(Debug)]
pub(crate) struct Standing<'s> {
    pub(crate) state: &'s State,
    pub(crate) catalog: Option<&'s Catalog>,
    pub(crate) keys: usize,
    pub(crate) region: &'s str,
    /// Absent where nothing takes writes.
    pub(crate) storage: Option<&'s StorageFigures>,
}

/// Appends all metrics: this crate's, summed over cores, then each shard's own with a label `core`.
pub(crate) fn expose(metrics: &Metrics, standing: &Standing<'_>, shards: &[Vec<Sample>], out: &mut Vec<u8>) {
    let mut text = String::with_capacity(16 << 10);
    let cores = locked(&metrics.cores);
    for (name, kind, help) in DECLARED {
        let mut series = Series { name, text: &mut text };
        series.declare(kind, help);
        match name {
            "gannet_build_info" => series.add(&[("version", env!("CARGO_PKG_VERSION"))], 1),
            "gannet_ready" => series.add(&[], u64::from(standing.is_ready())),
            "gannet_generation" => series.add(&[], standing.catalog.map_or(0, Catalog::generation)),
            "gannet_feature_services" => series.add(&[], standing.catalog.map_or(0, Catalog::services)),
            "gannet_keys" => series.add(&[], standing.keys),
            "gannet_requests_total" => requests(metrics, &cores, &mut series),
            "gannet_request_duration_seconds" => durations(&cores, |core| &core.latency, &mut series),
            "gannet_cold_read_duration_seconds" => durations(&cores, |core| &core.read_latency, &mut series),
            "gannet_ingest_requests_total" => {
                for (place, code) in CODES.iter().enumerate() {
                    let count = sum(&cores, |core| &core.ingest.codes[place]);
                    if count > 0 || *code == 200 {
                        series.add(&[("code", &code.to_string())], count);
                    }
                }
            }
            "gannet_ingest_request_duration_seconds" => durations(&cores, |core| &core.ingest.latency, &mut series),
            "gannet_ingest_records_total" => series.add(&[], sum(&cores, |core| &core.ingest.records)),
            "gannet_ingest_records_rejected_total" => {
                for (place, reason) in Reason::LABELS.iter().enumerate() {
                    series.add(&[("reason", reason)], sum(&cores, |core| &core.ingest.rejected[place]));
                }
            }
            "gannet_ingest_rows_total" => writes(metrics, &cores, INGESTED, &mut series),
            "gannet_deleted_keys_total" => writes(metrics, &cores, DELETED, &mut series),
            "gannet_feature_view_lookups_total" => lookups(metrics, &cores, &mut series),
            "gannet_authentication_failures_total" => {
                for (place, reason) in DENIALS.iter().enumerate() {
                    series.add(&[("reason", reason)], sum(&cores, |core| &core.denied[place]));
                }
            }
            "gannet_request_decode_errors_total" => series.add(&[], sum(&cores, |core| &core.decode_errors)),
            "gannet_request_context_keys_ignored_total" => series.add(&[], sum(&cores, |core| &core.context_keys)),
            "gannet_corrupt_reads_total" => series.add(&[], sum(&cores, |core| &core.corrupt)),
            "gannet_aggregate_sum_overflows_total" => series.add(&[], sum(&cores, |core| &core.sum_overflows)),
            "gannet_segment_bytes" | "gannet_segment_resident_bytes" | "gannet_segment_evicted_total" => {
                segments(standing.catalog, &mut series);
            }
            _ => match CACHE_FIGURES.iter().position(|(cache, _, _)| *cache == name) {
                Some(place) => series.add(&[], sum(&cores, |core| &core.cache[place])),
                None if name.starts_with("feature_server_") => utilization(standing.region, shards, &mut series),
                None => tables(standing.catalog, &mut series),
            },
        }
    }
    drop(cores);
    if let Some(figures) = standing.storage {
        storage::expose(figures, &mut text);
    }
    shard_samples(shards, &mut text);
    out.extend_from_slice(text.as_bytes());
}

impl Standing<'_> {
    pub(crate) fn is_ready(&self) -> bool {
        *self.state == State::Ready && self.catalog.is_some()
    }
}

fn sum(cores: &[Arc<CoreMetrics>], counter: impl Fn(&CoreMetrics) -> &Counter) -> u64 {
    cores.iter().map(|core| counter(core).value()).sum()
}

fn requests(metrics: &Metrics, cores: &[Arc<CoreMetrics>], series: &mut Series<'_>) {
    for (slot, workspace, service) in locked(&metrics.services).iter() {
        for (place, code) in CODES.iter().enumerate() {
            let count = sum(cores, |core| &core.services[slot].0[place]);
            let expected = *code == 200 && !service.is_empty(); // there from the start, so that rates have a beginning
            if count > 0 || expected {
                series
                    .add(&[("workspace", workspace), ("feature_service", service), ("code", &code.to_string())], count);
            }
        }
    }
}

fn lookups(metrics: &Metrics, cores: &[Arc<CoreMetrics>], series: &mut Series<'_>) {
    for (slot, workspace, view) in locked(&metrics.views).iter().filter(|(_, _, view)| !view.is_empty()) {
        for (place, status) in OUTCOMES.iter().enumerate() {
            let count = sum(cores, |core| &core.views[slot].0[place]);
            series.add(&[("workspace", workspace), ("feature_view", view), ("status", status)], count);
        }
    }
}

/// Of views that were written to.
fn writes(metrics: &Metrics, cores: &[Arc<CoreMetrics>], place: usize, series: &mut Series<'_>) {
    for (slot, workspace, view) in locked(&metrics.views).iter().filter(|(_, _, view)| !view.is_empty()) {
        let count = sum(cores, |core| &core.views[slot].0[place]);
        if count > 0 {
            series.add(&[("workspace", workspace), ("feature_view", view)], count);
        }
    }
}

fn durations(cores: &[Arc<CoreMetrics>], of: impl Fn(&CoreMetrics) -> &Buckets, series: &mut Series<'_>) {
    let mut below = 0;
    let bounds = BOUNDS.iter().map(|(text, _)| *text).chain(["+Inf"]);
    for (place, bound) in bounds.enumerate() {
        below += sum(cores, |core| &of(core).counts[place]);
        series.add_suffixed("_bucket", &[("le", bound)], below);
    }
    let nanoseconds = sum(cores, |core| &of(core).sum_ns);
    let seconds = format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    series.add_suffixed("_sum", &[], seconds);
    series.add_suffixed("_count", &[], below);
}

fn tables(catalog: Option<&Catalog>, series: &mut Series<'_>) {
    for named in catalog.into_iter().flat_map(Catalog::tables) {
        let labels = [("workspace", &*named.workspace), ("feature_view", &*named.view)];
        if named.files().next().is_none() {
            continue;
        }
        let sum = |figure: fn(&Table) -> u64| named.files().map(|file| figure(file)).sum::<u64>();
        match series.name {
            // Added up they would be no number of keys.
            "gannet_feature_view_rows" => {
                for (level, file) in [("delta", &named.delta), ("base", &named.base)] {
                    if let Some(file) = file {
                        series.add(&[labels[0], labels[1], ("level", level)], file.rows());
                    }
                }
            }
            "gannet_feature_view_bytes" => series.add(&labels, sum(|file| file.disk_bytes().0)),
            "gannet_feature_view_index_bytes" => series.add(&labels, sum(|file| file.disk_bytes().1)),
            _ => {
                if let Some(unix_us) = named.files().filter_map(|file| file.newest_event_us()).max() {
                    let (seconds, rest) = (unix_us.div_euclid(1_000_000), unix_us.rem_euclid(1_000_000));
                    // A float would lose microseconds; negative times (before 1970) need no fraction to be old.
                    let shown = if seconds < 0 { seconds.to_string() } else { format!("{seconds}.{rest:06}") };
                    series.add(&labels, shown);
                }
            }
        }
    }
}

fn segments(catalog: Option<&Catalog>, series: &mut Series<'_>) {
    for named in catalog.into_iter().flat_map(Catalog::tables) {
        let numbered = |file: &Arc<Table>, level: &str| {
            let segments: Vec<_> = file.residency().collect();
            segments.into_iter().enumerate().map(|(at, segment)| (format!("{level}{at}"), segment)).collect::<Vec<_>>()
        };
        let base = named.base.iter().flat_map(|base| numbered(base, ""));
        for (number, segment) in base.chain(named.delta.iter().flat_map(|delta| numbered(delta, "delta "))) {
            let labels =
                [("workspace", &*named.workspace), ("feature_view", &*named.view), ("segment", number.as_str())];
            let (index, rows) = match series.name {
                "gannet_segment_bytes" => (segment.index_bytes, segment.rows_bytes),
                "gannet_segment_resident_bytes" => (segment.index_resident_bytes, segment.rows_resident_bytes),
                _ => {
                    series.add(&labels, segment.evicted_total);
                    continue;
                }
            };
            let [workspace, view, segment] = labels;
            series.add(&[workspace, view, segment, ("part", "index")], index);
            series.add(&[workspace, view, segment, ("part", "rows")], rows);
        }
    }
}

/// A metric must be declared once and its series stand together, so samples are grouped by name first.
fn shard_samples(shards: &[Vec<Sample>], text: &mut String) {
    let mut by_name: BTreeMap<&str, Vec<(usize, &Sample)>> = BTreeMap::new();
    for (core, samples) in shards.iter().enumerate() {
        for sample in samples {
            by_name.entry(sample.name).or_default().push((core, sample));
        }
    }
    for (name, samples) in by_name {
        let mut series = Series { name, text };
        let Some((_, first)) = samples.first() else { continue };
        series.declare(
            match first.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            },
            first.help,
        );
        for (core, sample) in &samples {
            let core = core.to_string();
            let mut labels = vec![("core", core.as_str())];
            labels.extend(sample.label);
            series.add(&labels, sample.value);
        }
    }
}

/// The lines of one metric.
pub(super) struct Series<'m> {
    pub(super) name: &'m str,
    pub(super) text: &'m mut String,
}

impl Series<'_> {
    pub(super) fn declare(&mut self, kind: &str, help: &str) {
        let Self { name, text } = self;
        let _infallible = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.add_suffixed("", labels, value);
    }

    pub(super) fn add_suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '"' => self.text.push_str("\\\""),
                    '\\' => self.text.push_str("\\\\"),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _infallible = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use gannet_engine::{admission::Reason, server::ShardMetrics};

    use super::*;

    /// Rows of the documentation's tables: name, type, labels, meaning.
    fn documented() -> Vec<[&'static str; 4]> {
        let page = include_str!("../../../docs/metrics.md");
        let page = page.split("\n## For Tecton's dashboards\n").next().unwrap_or_default();
        let ours = |line: &&str| line.starts_with("| `gannet_") || line.starts_with("| `feature_server_");
        let rows = page.lines().filter(ours);
        rows.map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim());
            let mut row = [""; 4];
            row.fill_with(|| cells.next().unwrap_or_default());
            row[0] = row[0].trim_matches('`');
            row
        })
        .collect()
    }

    #[test]
    fn the_documented_table_is_the_declared_one() {
        let documented: Vec<_> = documented().iter().map(|row| (row[0], row[1], row[3])).collect();
        assert_eq!(documented.get(..DECLARED.len()), Some(&DECLARED[..]));
    }

    /// What is only sampled once it happened is looked for by itself.
    #[test]
    fn the_documented_table_of_shards_is_what_they_expose() {
        const LATER: [(&str, &str, &str); 5] = [
            ("gannet_http_faults_total", "`core`, `rule`", include_str!("../../../engine/src/shard/metrics.rs")),
            ("gannet_shed_critical_total", "`core`, `reason`", GATE),
            ("gannet_shed_default_total", "`core`, `reason`", GATE),
            ("gannet_shed_sheddable_total", "`core`, `reason`", GATE),
            ("gannet_admission_held_total", "`core`, `criticality`", GATE),
        ];
        const GATE: &str = include_str!("../../../engine/src/admission/metrics.rs");
        let later = |name: &str| LATER.iter().any(|(known, ..)| *known == name);
        let mut exposed: Vec<(&str, &str, &str, Vec<&str>)> = Vec::new();
        ShardMetrics::default().samples(&mut |sample| {
            assert!(!later(sample.name), "{}", sample.name);
            let kind = if sample.kind == Kind::Counter { "counter" } else { "gauge" };
            if exposed.last().is_none_or(|(name, ..)| *name != sample.name) {
                exposed.push((sample.name, kind, sample.help, vec!["core"]));
            }
            if let (Some((_, _, _, labels)), Some((label, value))) = (exposed.last_mut(), sample.label) {
                if labels.len() == 1 {
                    labels.push(label);
                }
                labels.push(value);
            }
        });
        let documented = documented().split_off(DECLARED.len());
        let (faults, others): (Vec<&[&str; 4]>, Vec<&[&str; 4]>) = documented.iter().partition(|row| later(row[0]));
        let others: Vec<_> = others
            .iter()
            .map(|row| (row[0], row[1], row[3], row[2].split('`').skip(1).step_by(2).collect::<Vec<_>>()))
            .collect();
        assert_eq!(others, exposed);
        assert_eq!(faults.len(), LATER.len());
        for ([name, kind, labels, meaning], (expected, with, source)) in faults.into_iter().zip(LATER) {
            let labels_only = labels.split(':').next().unwrap_or_default();
            assert_eq!((*name, *kind, labels_only), (expected, "counter", with));
            assert!(source.contains(&format!("\"{name}\"")) && source.contains(&format!("\"{meaning}\"")), "{name}");
        }
    }

    #[test]
    fn every_reason_of_a_refusal_is_documented() {
        let documented = documented();
        let [_, _, labels, _] = documented.iter().find(|row| row[0] == "gannet_shed_critical_total").unwrap();
        let (_, reasons) = labels.split_once(':').unwrap();
        let reasons: Vec<&str> = reasons.split('`').skip(1).step_by(2).collect();
        assert_eq!(reasons, Reason::ALL.map(Reason::label));
    }

    #[test]
    fn the_documented_table_of_the_storage_plane_is_the_declared_one() {
        let page = include_str!("../../../docs/metrics.md");
        let (_, page) = page.split_once("\n## The storage plane\n").unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `gannet_"));
        let documented: Vec<(String, String, String)> = rows
            .map(|line| {
                let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
                (cells[0].trim_matches('`').to_owned(), cells[1].to_owned(), cells[3].to_owned())
            })
            .collect();
        let declared = storage::DECLARED.map(|(name, kind, help)| (name.to_owned(), kind.to_owned(), help.to_owned()));
        assert_eq!(documented, declared);
        let mut text = String::new();
        storage::expose(&StorageFigures::default(), &mut text);
        for (name, ..) in storage::DECLARED {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} has no value");
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut text = String::new();
        Series { name: "m", text: &mut text }.add(&[("l", "a\"b\\c\nd"), ("k", "")], 1);
        assert_eq!(text, "m{l=\"a\\\"b\\\\c\\nd\",k=\"\"} 1\n");
    }
}
