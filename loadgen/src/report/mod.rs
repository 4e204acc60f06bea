//! What a run comes to: everything that is shown or written, computed once from what was recorded. Its fields are those of
//! the JSON, which docs/loadgen.md explains.

pub(crate) mod client;
pub(crate) mod series;
pub(crate) mod table;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{
    clock::{NS_PER_MS, NS_PER_S, NS_PER_US},
    drive::Outcome,
    pacing::Spread,
    record::{Counts, StreamRecord, jitter::Jitter},
    settings::{Load, Settings},
    workload::{Stream, Workload},
};
use client::{Client, MachineJitter};
use series::Series;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) tool: Tool,
    pub(crate) settings: Asked,
    /// How long requests were planned for, behind the warm-up.
    pub(crate) measured_s: f64,
    pub(crate) total: StreamReport,
    pub(crate) streams: Vec<StreamReport>,
    pub(crate) client: Client,
    pub(crate) machine_jitter: Option<MachineJitter>,
    pub(crate) series: Series,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// The settings that decide what the figures mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Asked {
    pub(crate) url: String,
    pub(crate) mode: &'static str,
    pub(crate) schedule: Option<&'static str>,
    pub(crate) steps: Vec<AskedStep>,
    pub(crate) seed: u64,
    pub(crate) connections: usize,
    pub(crate) pipeline: usize,
    pub(crate) backlog_max: usize,
    pub(crate) shed_after_ms: Option<f64>,
    pub(crate) budget_ms: Option<f64>,
    pub(crate) expect_timeouts: bool,
    pub(crate) warmup_s: f64,
    pub(crate) cpu: Option<usize>,
    pub(crate) lateness_max_us: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AskedStep {
    pub(crate) rate_per_s: f64,
    pub(crate) length_s: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StreamReport {
    pub(crate) name: String,
    pub(crate) weight: f64,
    pub(crate) counts: Counts,
    pub(crate) other_statuses: BTreeMap<u16, u64>,
    pub(crate) planned_per_s: f64,
    pub(crate) sent_per_s: f64,
    pub(crate) good_per_s: f64,
    pub(crate) response_time_us: Percentiles,
    pub(crate) service_time_us: Percentiles,
    pub(crate) refusal_time_us: Percentiles,
}

/// Of a histogram in nanoseconds, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) p99_99: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    pub(crate) fn of(ns: &Histogram<u64>) -> Self {
        let at = |share| in_unit(ns.value_at_quantile(share), NS_PER_US);
        Self {
            count: ns.len(),
            mean: ns.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: in_unit(ns.max(), NS_PER_US),
        }
    }
}

impl Report {
    pub(crate) fn new(settings: &Settings, workload: &Workload, outcome: &Outcome, jitter: Option<&Jitter>) -> Self {
        let length_ns = settings.load.length_ns();
        let records = &outcome.recorder.streams;
        let mut total = records[0].clone();
        records[1..].iter().for_each(|record| total.add(record));
        let named =
            |(stream, record): (&Stream, &StreamRecord)| stream_report(&stream.name, stream.weight, record, length_ns);
        Self {
            tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            settings: asked(settings),
            measured_s: in_unit(length_ns, NS_PER_S),
            total: stream_report("total", workload.streams().iter().map(|s| s.weight).sum(), &total, length_ns),
            streams: workload.streams().iter().zip(records).map(named).collect(),
            client: Client::new(settings, outcome),
            machine_jitter: settings.jitter_cpu.zip(jitter).map(|(cpu, jitter)| MachineJitter::new(cpu, jitter)),
            series: Series::new(workload.streams(), &outcome.recorder, length_ns),
        }
    }
}

fn asked(settings: &Settings) -> Asked {
    let (mode, schedule, steps) = match &settings.load {
        Load::Closed { .. } => ("closed", None, &[][..]),
        Load::Open { steps, spread: Spread::Constant } => ("open", Some("constant"), &steps[..]),
        Load::Open { steps, spread: Spread::Poisson } => ("open", Some("poisson"), &steps[..]),
    };
    let steps = steps.iter();
    let steps = steps.map(|s| AskedStep { rate_per_s: s.rate_per_s, length_s: in_unit(s.length_ns, NS_PER_S) });
    Asked {
        url: settings.url.clone(),
        mode,
        schedule,
        steps: steps.collect(),
        seed: settings.seed,
        connections: settings.connections,
        pipeline: settings.pipeline,
        backlog_max: settings.backlog_max,
        shed_after_ms: settings.shed_after_ns.map(|ns| in_unit(ns, NS_PER_MS)),
        budget_ms: settings.budget_ns.map(|ns| in_unit(ns, NS_PER_MS)),
        expect_timeouts: settings.expect_timeouts,
        warmup_s: in_unit(settings.warmup_ns, NS_PER_S),
        cpu: settings.cpu,
        lateness_max_us: in_unit(settings.lateness_max_ns, NS_PER_US),
    }
}

fn stream_report(name: &str, weight: f64, record: &StreamRecord, length_ns: u64) -> StreamReport {
    let per_s = |count: u64| in_unit(count, 1) / in_unit(length_ns, NS_PER_S);
    StreamReport {
        name: name.to_owned(),
        weight,
        counts: record.counts,
        other_statuses: record.other.clone(),
        planned_per_s: per_s(record.counts.planned),
        sent_per_s: per_s(record.counts.sent),
        good_per_s: per_s(record.counts.good),
        response_time_us: Percentiles::of(&record.response_ns),
        service_time_us: Percentiles::of(&record.service_ns),
        refusal_time_us: Percentiles::of(&record.refusal_ns),
    }
}

/// Whole units become numbers for people.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and shown with fewer digits")]
pub(crate) fn in_unit(number: u64, unit: u64) -> f64 {
    number as f64 / unit as f64
}
