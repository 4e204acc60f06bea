//! What is counted of writes, and what Tecton's dashboards ask of it.

use gannet_engine::metrics::Counter;

use super::{
    CODES, INGESTED, Metrics, exposition::Series, latency::Buckets, locked, observability::summary, rates::Recent,
};
use crate::{catalog::service_id, ingest::Reason};

/// One core's counters of requests that write.
#[derive(Debug, Default)]
pub(crate) struct IngestMetrics {
    pub(super) codes: [Counter; CODES.len()],
    pub(super) latency: Buckets,
    pub(super) records: Counter,
    pub(super) rejected: [Counter; Reason::LABELS.len()],
}

impl IngestMetrics {
    /// A request was answered, that took so long.
    pub(crate) fn answered(&self, status: u16, nanoseconds: u64) {
        self.shed(status);
        self.latency.count(nanoseconds);
    }

    /// One was answered before it was looked at.
    pub(crate) fn shed(&self, status: u16) {
        let code = CODES.iter().position(|code| *code == status);
        debug_assert!(code.is_some(), "a status without a place: {status}");
        if let Some(code) = code {
            self.codes[code].add(1);
        }
    }

    /// Records that are durable, whatever their number of views.
    pub(crate) fn took(&self, records: u32) {
        self.records.add(records.into());
    }

    /// Records that were not taken, by reason.
    pub(crate) fn rejected(&self, counts: &[u32; Reason::LABELS.len()]) {
        for (counter, count) in self.rejected.iter().zip(counts) {
            counter.add((*count).into());
        }
    }
}

/// By Tecton's names: name, type, help.
pub(super) const OBSERVED: [(&str, &str, &str); 5] = [
    ("stream_ingestapi_request_rate", "gauge", "Requests that write or delete answered per second, over five minutes."),
    (
        "stream_ingestapi_request_processing_latency",
        "summary",
        "Seconds that answers to them took; quantiles over five minutes.",
    ),
    (
        "stream_ingestapi_request_processing_error_rate",
        "gauge",
        "Those of them per second that were told of an error, over five minutes.",
    ),
    (
        "stream_ingestapi_online_store_write_rate",
        "gauge",
        "Rows written per second by feature view, over five minutes.",
    ),
    ("stream_ingestapi_offline_store_write_rate", "gauge", "Always 0: there is no offline store."),
];

/// Adds the series of one of [`OBSERVED`].
pub(super) fn observe(metrics: &Metrics, recent: Option<&Recent>, region: &str, series: &mut Series<'_>) {
    let here = ("aws_region", region);
    match (series.name, recent) {
        ("stream_ingestapi_request_processing_latency", _) => {
            let cores = locked(&metrics.cores);
            let all = cores.iter().map(|core| &core.ingest.latency);
            summary(all, recent.map(|recent| &recent.counts.write_durations[..]), &[here], series);
        }
        ("stream_ingestapi_request_rate", Some(recent)) => {
            series.add(&[here], recent.rate(recent.counts.writes.iter().sum()));
        }
        ("stream_ingestapi_request_processing_error_rate", Some(recent)) => {
            for (class, label) in [(4, "4xx"), (5, "5xx")] {
                let of_class = CODES.iter().zip(recent.counts.writes).filter(|(code, _)| **code / 100 == class);
                let count = of_class.map(|(_, count)| count).sum();
                series.add(&[here, ("error_code", label)], recent.rate(count));
            }
        }
        ("stream_ingestapi_online_store_write_rate", Some(recent)) => {
            let rows = |slot: usize| recent.counts.written.get(slot).copied().unwrap_or_default();
            views(metrics, |slot| recent.rate(rows(slot)), series);
        }
        ("stream_ingestapi_offline_store_write_rate", _) => views(metrics, |_| 0.0, series),
        _ => {}
    }
}

/// A figure of each view that was ever written to.
fn views(metrics: &Metrics, figure: impl Fn(usize) -> f64, series: &mut Series<'_>) {
    let cores = locked(&metrics.cores);
    let written = |slot: usize| cores.iter().any(|core| core.views[slot].0[INGESTED].value() > 0);
    for (slot, workspace, view) in locked(&metrics.views).iter().filter(|(slot, ..)| written(*slot)) {
        let id = service_id(workspace, view);
        let labels = [("workspace", workspace), ("feature_view_name", view), ("feature_view_id", id.as_str())];
        series.add(&labels, figure(slot));
    }
}
