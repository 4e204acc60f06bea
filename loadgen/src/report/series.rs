//! The run over time, per 100 ms and per second. Every figure is about the requests planned in that stretch.

use serde::Serialize;

use super::in_unit;
use crate::{
    clock::{NS_PER_MS, NS_PER_S, NS_PER_US},
    record::{Counts, ROW_NS, ROWS_MAX, Recorder, Row},
    workload::Stream,
};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Series {
    /// The run was longer than what is kept.
    pub(crate) truncated: bool,
    /// Share of each 100 ms in which this client was busy.
    pub(crate) client_busy_per_100ms: Vec<f64>,
    pub(crate) streams: Vec<StreamSeries>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StreamSeries {
    pub(crate) name: String,
    pub(crate) per_second: Vec<Stretch>,
    pub(crate) per_100ms: Vec<Stretch>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Stretch {
    pub(crate) start_ms: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
    pub(crate) max_us: f64,
}

impl Stretch {
    fn new(row: &Row, start_ms: u64) -> Self {
        let at = |share| in_unit(row.response_ns.value_at_quantile(share), NS_PER_US);
        let (counts, max_us) = (row.counts, in_unit(row.response_ns.max(), NS_PER_US));
        Self { start_ms, counts, p50_us: at(0.5), p99_us: at(0.99), p99_9_us: at(0.999), max_us }
    }
}

impl Series {
    pub(super) fn new(streams: &[Stream], recorder: &Recorder, length_ns: u64) -> Self {
        let busy_rows = usize::try_from(length_ns.div_ceil(ROW_NS)).unwrap_or(usize::MAX).min(recorder.busy_ns.len());
        let rows = |stream: &Stream, rows: &[Row]| StreamSeries {
            name: stream.name.clone(),
            per_second: stretches(rows, NS_PER_S),
            per_100ms: stretches(rows, ROW_NS),
        };
        Self {
            truncated: length_ns > ROWS_MAX as u64 * ROW_NS,
            client_busy_per_100ms: recorder.busy_ns[..busy_rows].iter().map(|ns| in_unit(*ns, ROW_NS)).collect(),
            streams: streams.iter().zip(&recorder.streams).map(|(s, record)| rows(s, &record.rows)).collect(),
        }
    }
}

fn stretches(rows: &[Row], length_ns: u64) -> Vec<Stretch> {
    let rows_each = usize::try_from(length_ns / ROW_NS).unwrap_or(1);
    let starts_ms = (0..).step_by(usize::try_from(length_ns / NS_PER_MS).unwrap_or(1));
    rows.chunks(rows_each).zip(starts_ms).map(|(rows, start_ms)| Stretch::new(&Row::sum(rows), start_ms)).collect()
}
