//! What a gate tells about itself.

use super::{Criticality, Reason, load::Load};
use crate::metrics::{Counter, Kind, Sample};

const CLASSES: usize = Criticality::ALL.len();

/// Counters of one gate. Its core writes, anyone reads. Aligned so that two cores' counters share no cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct AdmissionMetrics {
    shed: [[Counter; CLASSES]; Reason::ALL.len()],
    held: [Counter; CLASSES],
    held_now: Counter,
    oldest_ns: Counter,
    predicted_wait_ns: Counter,
    in_progress: Counter,
    /// In millionths.
    busy: Counter,
    /// In millionths.
    busy_1s: Counter,
    answer_ns: Counter,
    refusal_ns: Counter,
    turn_ns: Counter,
    /// In millionths.
    refusing: Counter,
    /// In millionths.
    offered: Counter,
}

/// The turn that just ended, as far as it is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    pub(super) in_progress: u64,
    pub(super) predicted_wait_ns: u64,
    pub(super) oldest_ns: u64,
    pub(super) held: u64,
}

impl AdmissionMetrics {
    pub(super) fn shed(&self, reason: Reason, criticality: Criticality) -> &Counter {
        &self.shed[reason.index()][criticality.index()]
    }

    pub(super) fn held(&self, criticality: Criticality) -> &Counter {
        &self.held[criticality.index()]
    }

    pub(super) fn publish(&self, load: &Load, last: &Last) {
        self.held_now.set(last.held);
        self.oldest_ns.set(last.oldest_ns);
        self.predicted_wait_ns.set(last.predicted_wait_ns);
        self.in_progress.set(last.in_progress);
        self.busy.set(millionths(load.busy));
        self.busy_1s.set(millionths(load.busy_1s));
        self.answer_ns.set(whole(load.answer_ns));
        self.refusal_ns.set(whole(load.refusal_ns));
        self.turn_ns.set(whole(load.turn_ns));
        self.refusing.set(millionths(load.refused));
        self.offered.set(millionths((load.operations + load.offered.iter().sum::<f64>()) / load.had()));
    }

    /// Everything this gate exposes; refusals and holds that never happened are left out.
    #[expect(clippy::cast_precision_loss, reason = "a metric is a float by its format")]
    pub fn samples(&self, each: &mut dyn FnMut(Sample)) {
        let mut put = |name, help, kind, label, value: f64| each(Sample { name, help, kind, label, value });
        let count = |c: &Counter| c.value() as f64;
        let help = "Busy share of the core over the admission window (10 ms unless set otherwise; as long as sixty answers take, where that is longer), without spinning.";
        put("gannet_core_utilization", help, Kind::Gauge, None, count(&self.busy) / 1e6);
        let help = "Busy share of the core over a second, without spinning.";
        put("gannet_core_utilization_1s", help, Kind::Gauge, None, count(&self.busy_1s) / 1e6);
        let help = "What requests seen over the admission window would take of the core, as far as others leave it, if all were answered.";
        put("gannet_admission_offered", help, Kind::Gauge, None, count(&self.offered) / 1e6);
        let help = "Share of the core that saying 429 takes.";
        put("gannet_admission_refusing", help, Kind::Gauge, None, count(&self.refusing) / 1e6);
        let help = "What one more answer costs the core lately, from receive to send, while it runs.";
        put("gannet_admission_answer_seconds", help, Kind::Gauge, None, count(&self.answer_ns) / 1e9);
        let help = "What a refusal costs the core lately, from receive to send.";
        put("gannet_admission_refusal_seconds", help, Kind::Gauge, None, count(&self.refusal_ns) / 1e9);
        let help = "What a turn costs the core by itself lately, however many requests it takes on.";
        put("gannet_admission_turn_seconds", help, Kind::Gauge, None, count(&self.turn_ns) / 1e9);
        let help = "How long a request that was admitted last waited for those of its turn before it.";
        put("gannet_admission_predicted_wait_seconds", help, Kind::Gauge, None, count(&self.predicted_wait_ns) / 1e9);
        let help = "Age of the oldest request that is not answered, those that wait or are held among them.";
        put("gannet_admission_oldest_seconds", help, Kind::Gauge, None, count(&self.oldest_ns) / 1e9);
        let help =
            "Requests in progress: those of the last turn, and those that wait for rows or for writes to be durable.";
        put("gannet_admission_in_progress", help, Kind::Gauge, None, count(&self.in_progress));
        let help = "Connections held now: not read, with a request neither admitted nor refused.";
        put("gannet_admission_held", help, Kind::Gauge, None, count(&self.held_now));
        for criticality in Criticality::ALL {
            for reason in Reason::ALL {
                let n = count(self.shed(reason, criticality));
                if n > 0.0 {
                    put(shed_name(criticality), SHED_HELP, Kind::Counter, Some(("reason", reason.label())), n);
                }
            }
            let n = count(self.held(criticality));
            if n > 0.0 {
                let help = "Times a connection was held instead of refused, by the request's criticality.";
                let label = Some(("criticality", criticality.label()));
                put("gannet_admission_held_total", help, Kind::Counter, label, n);
            }
        }
    }
}

const SHED_HELP: &str = "Requests of this criticality refused with 429, by reason.";

/// A sample has one label of its own, and the reason is it.
fn shed_name(criticality: Criticality) -> &'static str {
    match criticality {
        Criticality::Critical => "gannet_shed_critical_total",
        Criticality::Default => "gannet_shed_default_total",
        Criticality::Sheddable => "gannet_shed_sheddable_total",
    }
}

fn millionths(share: f64) -> u64 {
    whole(share * 1e6)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and costs, and conversion saturates"
)]
fn whole(n: f64) -> u64 {
    n as u64
}
