//! The client about itself: whether it, and not the server, was the limit, and what the machine did meanwhile.

use serde::Serialize;

use super::{Percentiles, in_unit};
use crate::{
    clock::{NS_PER_MS, NS_PER_S, NS_PER_US},
    drive::Outcome,
    record::{ROW_NS, jitter::Jitter},
    settings::Settings,
};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Client {
    pub(crate) was_the_limit: bool,
    /// Why; empty if it was not.
    pub(crate) reasons: Vec<String>,
    pub(crate) lateness_us: Percentiles,
    pub(crate) cpu_share: f64,
    pub(crate) busy_share: f64,
    pub(crate) busiest_second_share: f64,
    pub(crate) busy_turns_share: f64,
    pub(crate) turn_us: Percentiles,
    pub(crate) warmup_requests: u64,
    pub(crate) reconnects: u64,
    pub(crate) connect_failures: u64,
    pub(crate) first_error: Option<String>,
}

impl Client {
    pub(super) fn new(settings: &Settings, outcome: &Outcome) -> Self {
        let Outcome { recorder, upsets, cpu_share } = outcome;
        let length_ns = settings.load.length_ns();
        let (busy_share, busiest_second_share) = busy(&recorder.busy_ns, length_ns);
        let reasons = reasons(outcome, settings.lateness_max_ns, busiest_second_share);
        Self {
            was_the_limit: !reasons.is_empty(),
            reasons,
            lateness_us: Percentiles::of(&recorder.lateness_ns),
            cpu_share: *cpu_share,
            busy_share,
            busiest_second_share,
            busy_turns_share: in_unit(recorder.turn_ns.len(), recorder.turns.max(1)),
            turn_us: Percentiles::of(&recorder.turn_ns),
            warmup_requests: recorder.warmup_requests,
            reconnects: upsets.reconnects,
            connect_failures: upsets.connect_failures,
            first_error: recorder.first_error.clone(),
        }
    }
}

/// Share of the time that passed in turns in which anything was done: over all, and of the busiest second (or of the whole,
/// if it was shorter).
fn busy(busy_ns: &[u64], length_ns: u64) -> (f64, f64) {
    let rows = usize::try_from(length_ns / ROW_NS).unwrap_or(usize::MAX).min(busy_ns.len());
    let busy_ns = &busy_ns[..rows];
    if rows == 0 {
        return (0.0, 0.0);
    }
    // A turn counts where it began, so a row may hold a little more than its time.
    let share = |rows: &[u64]| in_unit(rows.iter().sum(), rows.len() as u64 * ROW_NS).min(1.0);
    let a_second = rows.min(ROWS_PER_SECOND);
    (share(busy_ns), busy_ns.windows(a_second).map(share).fold(0.0, f64::max))
}

fn reasons(outcome: &Outcome, lateness_max_ns: u64, busiest_second_share: f64) -> Vec<String> {
    let mut reasons = Vec::new();
    let late_ns = outcome.recorder.lateness_ns.value_at_quantile(0.99);
    if late_ns > lateness_max_ns {
        let (late_us, max_us) = (in_unit(late_ns, NS_PER_US), in_unit(lateness_max_ns, NS_PER_US));
        reasons.push(format!("one request in a hundred left {late_us:.0} µs late or more; allowed are {max_us:.0} µs"));
    }
    if busiest_second_share > BUSY_SHARE_MAX {
        let percent = 100.0 * busiest_second_share;
        reasons.push(format!("its core had no time left: busy for {percent:.1} % of a second"));
    }
    if outcome.cpu_share < CPU_SHARE_MIN {
        let percent = 100.0 * outcome.cpu_share;
        reasons.push(format!("it had its core for {percent:.0} % of the time only: something else ran there"));
    }
    reasons
}

/// What a thread that only watched the clock missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MachineJitter {
    pub(crate) cpu: usize,
    pub(crate) late_us: Percentiles,
    pub(crate) gaps_over_100_us: u64,
    pub(crate) gaps_total_ms: f64,
}

impl MachineJitter {
    pub(super) fn new(cpu: usize, jitter: &Jitter) -> Self {
        Self {
            cpu,
            late_us: Percentiles::of(&jitter.late_ns),
            gaps_over_100_us: jitter.gaps,
            gaps_total_ms: in_unit(jitter.gaps_ns, NS_PER_MS),
        }
    }
}

const ROWS_PER_SECOND: usize = (NS_PER_S / ROW_NS) as usize;

/// Above this an answer that arrives finds the client at work on another, and the queue that it measures is its own.
const BUSY_SHARE_MAX: f64 = 0.98;

/// It never sleeps, so time without CPU is time taken from it.
const CPU_SHARE_MIN: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_found_among_idle_ones() {
        let row = |percent: u64| ROW_NS / 100 * percent;
        let rows: Vec<u64> = (0..40).map(|nth| row(if (15..25).contains(&nth) { 100 } else { 20 })).collect();
        let (all, busiest) = busy(&rows, 4 * NS_PER_S);
        assert!((all - 0.4).abs() < 1e-9 && (busiest - 1.0).abs() < 1e-9, "{all} {busiest}");
        // What was measured behind the end is not part of it, and half a second is as good as it gets.
        let (all, busiest) = busy(&rows[10..], 500 * NS_PER_MS);
        assert!((all - 0.2).abs() < 1e-9 && (busiest - 0.2).abs() < 1e-9, "{all} {busiest}");
        assert_eq!(busy(&[], NS_PER_S), (0.0, 0.0));
    }
}
