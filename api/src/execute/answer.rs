//! What is told of a request: its answer rendered from what is there, or a refusal; and until when that is worth something.

use gannet_engine::{Answer, Content, Now, http::Status};

use super::{
    batch::{Deadline, Features, Found, Unreadable},
    folding::{Tiles, fold},
    levels::Rows,
};
use crate::{
    Catalog,
    aggregates::Folded,
    error::{Fault, Refusal},
    limits::{ANSWER_RESERVE_NS, TIMED_OUT_AFTER_NS},
    metrics::{CoreMetrics, Recorder},
    render::Stamp,
    tecton::response::{self, Outcome, SloInfo, StoreTime},
};

/// Memory of rendering, kept from answer to answer.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    /// Of the answer's views, in the plan's order.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) stamp: Stamp,
    pub(super) folded: Folded,
    /// Sums of the answer that are null because 64 bits do not hold them.
    pub(super) overflows: u64,
}

/// Appends an answer of these rows.
pub(super) fn render<'t>(
    now: Now,
    catalog: &Catalog,
    features: &Features,
    rows: &impl Rows<'t>,
    store: StoreTime,
    rendering: &mut Rendering,
    body: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let plan = catalog.plan(features.plan);
    let Rendering { outcomes, stamp, folded, overflows } = rendering;
    outcomes.clear();
    *overflows = 0;
    let mut store_bytes = 0;
    response::open(body);
    for (place, view) in plan.views.iter().enumerate() {
        let Some(aggregates) = &view.aggregates else {
            let (outcome, live) = match rows.newest(place, &mut store_bytes)? {
                Found::Row(row) => {
                    let event_time_us = row.event_time_us();
                    let lives_at_us = || catalog.tables()[view.table].lives_at_us(now.unix_us);
                    let live = is_live(event_time_us, view.ttl_us, lives_at_us);
                    if live { (Outcome::Present { event_time_us }, Some(row)) } else { (Outcome::Expired, None) }
                }
                Found::Absent => (Outcome::Missing, None),
                Found::Late => (Outcome::TimedOut, None),
            };
            outcomes.push(outcome);
            response::values(plan, view, live, body).map_err(Unreadable::Now)?;
            continue;
        };
        let tiles = Tiles::find(rows, place, aggregates, &mut store_bytes)?;
        let table = &catalog.tables()[view.table];
        let (outcome, has_values) = fold(now, table, aggregates, features.folding, &tiles, folded)?;
        outcomes.push(outcome);
        if has_values {
            *overflows += folded.overflows();
            response::folded(plan, view, folded, tiles.rows(), body).map_err(Unreadable::Now)?;
        } else {
            response::nulls(view, body);
        }
    }
    let slo = SloInfo { server_ns: now.monotonic_ns.saturating_sub(features.seen.at_ns), store, store_bytes };
    response::close(plan, features.options, outcomes, slo, stamp, body);
    // After the last byte was read: a file that shrank under its mapping reads as zeros, which must not get out.
    let tables = catalog.tables();
    let mut files = plan.views.iter().flat_map(|view| tables[view.table].files());
    files.try_for_each(|file| file.check_mapping()).map_err(Unreadable::Now)
}

impl Deadline {
    /// The end of a budget, or of Tecton's patience where there is none.
    pub(super) fn of(budget_us: Option<u32>, seen_ns: u64) -> Self {
        match budget_us.map(|us| u64::from(us) * 1000) {
            Some(budget_ns) => {
                // What rendering, sending and the way back take, so that the answer is there when the budget ends.
                let reserve_ns = ANSWER_RESERVE_NS.min(budget_ns / 4);
                Self { at_ns: seen_ns + budget_ns - reserve_ns, partial: true }
            }
            None => Self { at_ns: Self::end_ns(None, seen_ns), partial: false },
        }
    }

    /// When nobody waits any more.
    pub(super) fn end_ns(budget_us: Option<u32>, seen_ns: u64) -> u64 {
        seen_ns + budget_us.map_or(TIMED_OUT_AFTER_NS, |us| u64::from(us) * 1000)
    }
}

/// Whether a value of this time is still served.
fn is_live(event_time_us: i64, ttl_us: Option<i64>, lives_at_us: impl FnOnce() -> i64) -> bool {
    ttl_us.is_none_or(|ttl_us| event_time_us > lives_at_us().saturating_sub(ttl_us))
}

pub(super) fn answered(
    metrics: &CoreMetrics,
    recorder: &mut Option<Recorder>,
    now: Now,
    service_slot: usize,
    status: Status,
    seen_ns: u64,
) {
    let took_ns = now.monotonic_ns.saturating_sub(seen_ns);
    metrics.answered(service_slot, status.0);
    metrics.took(service_slot, took_ns);
    if let Some(recorder) = recorder {
        recorder.record(took_ns);
    }
}

pub(super) fn refuse(fault: &Fault<'_>, body: &mut Vec<u8>) -> Answer {
    let refusal = fault.refusal();
    response::error(fault.to_string().as_bytes(), refusal.code, body);
    refused(refusal)
}

pub(super) const fn answer(status: u16, content: Content) -> Answer {
    Answer { content, ..Answer::json(Status(status)) }
}

pub(super) const fn refused(refusal: Refusal) -> Answer {
    Answer {
        allow: refusal.allow,
        retry_after_s: refusal.retry_after_s,
        authenticate: refusal.authenticate,
        accept_encoding: refusal.accept_encoding,
        ..Answer::json(Status(refusal.status))
    }
}
