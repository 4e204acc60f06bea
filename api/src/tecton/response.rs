//! Answers as this dialect spells them.

use gannet_store::{Corrupt, Row};

use crate::{
    aggregates::{Folded, Row as Tiles},
    limits::{SLO_STORE_BYTES_MAX, SLO_STORE_NS_MAX},
    plan::{Plan, PlanView},
    render::{self, Stamp},
    tecton::{MetadataOptions, values},
};

/// What happened to one view's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Present {
        event_time_us: i64,
    },
    /// No row; or a null join key, which reads nothing.
    Missing,
    /// A row whose time to live is over. Told as missing, counted on its own.
    Expired,
    /// The row did not come within the budget.
    TimedOut,
}

/// What an answer says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SloInfo {
    pub(crate) server_ns: u64,
    pub(crate) store: StoreTime,
    pub(crate) store_bytes: u64,
}

/// What an answer's reads took.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreTime {
    /// The slowest, be it over or cut off.
    pub(crate) max_ns: u64,
    /// All together, though they overlap.
    pub(crate) sum_ns: u64,
    /// The slowest of those that were over. One that a budget cut off makes nobody ineligible: the published sample says so.
    pub(crate) over_max_ns: u64,
}

impl StoreTime {
    /// Rows in memory are found together, in one stage, which counts once.
    pub(crate) fn of_stage(ns: u64) -> Self {
        Self { max_ns: ns, sum_ns: ns, over_max_ns: ns }
    }

    /// Counts a read that is over.
    pub(crate) fn add(&mut self, ns: u64) {
        self.add_cut_off(ns);
        self.over_max_ns = self.over_max_ns.max(ns);
    }

    /// Counts a read that had not come after so long, when the answer was made without it.
    pub(crate) fn add_cut_off(&mut self, ns: u64) {
        self.max_ns = self.max_ns.max(ns);
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }
}

/// Opens an answer: what follows are the vector's values.
pub(crate) fn open(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"result\":{\"features\":[");
}

/// Appends one view's values, from its live row if it has one.
#[inline(always)]
pub(crate) fn values(plan: &Plan, view: &PlanView, row: Option<Row<'_>>, out: &mut Vec<u8>) -> Result<(), Corrupt> {
    for place in view.slots.clone() {
        if place > 0 {
            out.push(b',');
        }
        match (row, plan.slots[place].column) {
            (Some(row), Some(column)) => values::value(row.value(column)?, out)?,
            _ => out.extend_from_slice(b"null"),
        }
    }
    Ok(())
}

/// Appends nulls for all of one view's values.
pub(crate) fn nulls(view: &PlanView, out: &mut Vec<u8>) {
    for place in view.slots.clone() {
        out.extend_from_slice(if place > 0 { b",null".as_slice() } else { b"null" });
    }
}

/// Appends one view's values that were folded of `rows`.
pub(crate) fn folded(
    plan: &Plan,
    view: &PlanView,
    folded: &Folded,
    rows: &[Tiles<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    for place in view.slots.clone() {
        if place > 0 {
            out.push(b',');
        }
        let slot = &plan.slots[place];
        match slot.column.and_then(|column| folded.values().get(column)) {
            Some(item) => values::item(*item, &slot.layouts, folded, rows, out)?,
            None => out.extend_from_slice(b"null"),
        }
    }
    Ok(())
}

/// Closes an answer, with metadata if any was asked for. `outcomes` in the order of the plan's views.
pub(crate) fn close(
    plan: &Plan,
    options: MetadataOptions,
    outcomes: &[Outcome],
    slo: SloInfo,
    stamp: &mut Stamp,
    out: &mut Vec<u8>,
) {
    if options.is_empty() {
        return out.extend_from_slice(b"]}}");
    }
    out.extend_from_slice(b"]},\"metadata\":{\"features\":[");
    let template = plan.template(options);
    for (view, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Present { event_time_us } => template.append_live(view, stamp.text(*event_time_us), out),
            Outcome::Missing | Outcome::Expired => template.append_missing(view, out),
            Outcome::TimedOut => template.append_late(view, out),
        }
    }
    out.push(b']');
    if options.has(MetadataOptions::SLO_INFO) {
        slo_info(slo, out);
    }
    out.extend_from_slice(b"}}");
}

fn slo_info(slo: SloInfo, out: &mut Vec<u8>) {
    let too_large = slo.store_bytes > SLO_STORE_BYTES_MAX;
    let too_slow = slo.store.over_max_ns > SLO_STORE_NS_MAX;
    out.extend_from_slice(if too_large || too_slow {
        b",\"sloInfo\":{\"sloEligible\":false,\"sloServerTimeSeconds\":"
    } else {
        b",\"sloInfo\":{\"sloEligible\":true,\"sloServerTimeSeconds\":"
    });
    render::seconds(slo.server_ns, out); // no transforms to subtract
    out.extend_from_slice(b",\"storeMaxLatency\":");
    render::seconds(slo.store.max_ns, out);
    out.extend_from_slice(b",\"storeTimeSeconds\":");
    render::seconds(slo.store.sum_ns, out);
    out.extend_from_slice(b",\"storeResponseSizeBytes\":");
    render::unsigned(slo.store_bytes, out);
    out.extend_from_slice(b",\"dynamodbResponseSizeBytes\":");
    render::unsigned(slo.store_bytes, out);
    out.extend_from_slice(b",\"serverTimeSeconds\":");
    render::seconds(slo.server_ns, out);
    match (too_large, too_slow) {
        (false, false) => {}
        (true, false) => out.extend_from_slice(b",\"sloIneligibilityReasons\":[\"DYNAMODB_RESPONSE_SIZE_LIMIT_EXCEEDED\"]"),
        (false, true) => out.extend_from_slice(b",\"sloIneligibilityReasons\":[\"REDIS_LATENCY_LIMIT_EXCEEDED\"]"),
        (true, true) => out.extend_from_slice(
            b",\"sloIneligibilityReasons\":[\"DYNAMODB_RESPONSE_SIZE_LIMIT_EXCEEDED\",\"REDIS_LATENCY_LIMIT_EXCEEDED\"]",
        ),
    }
    out.push(b'}');
}

/// Appends the body of every error.
pub(crate) fn error(message: &[u8], code: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    let start = out.len();
    render::string(message, out);
    let end = out.len();
    out.extend_from_slice(b",\"message\":");
    out.extend_from_within(start..end);
    out.extend_from_slice(b",\"code\":");
    render::unsigned(code.into(), out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_too_slow_is_not_eligible_and_says_why() {
        let check = |store_bytes, store_ns, eligible, reasons: &[&str]| {
            let mut out = b"{\"x\":0".to_vec();
            slo_info(SloInfo { server_ns: 30_000_000, store: StoreTime::of_stage(store_ns), store_bytes }, &mut out);
            out.push(b'}');
            let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let slo = &shown["sloInfo"];
            assert_eq!(slo["sloEligible"], eligible);
            assert_eq!(slo["serverTimeSeconds"], 0.03);
            assert_eq!(slo["storeResponseSizeBytes"], store_bytes);
            assert_eq!(slo["storeResponseSizeBytes"], slo["dynamodbResponseSizeBytes"]);
            let told: Option<Vec<String>> =
                slo.get("sloIneligibilityReasons").map(|list| serde_json::from_value(list.clone()).unwrap());
            assert_eq!(told.unwrap_or_default(), reasons);
        };
        check(2_097_152, 25_000_000, true, &[]);
        check(2_097_153, 0, false, &["DYNAMODB_RESPONSE_SIZE_LIMIT_EXCEEDED"]);
        check(0, 25_000_001, false, &["REDIS_LATENCY_LIMIT_EXCEEDED"]);
        let both = ["DYNAMODB_RESPONSE_SIZE_LIMIT_EXCEEDED", "REDIS_LATENCY_LIMIT_EXCEEDED"];
        check(u64::MAX, u64::MAX, false, &both);
    }

    #[test]
    fn the_slowest_read_and_the_sum_of_all_are_told_and_one_that_was_cut_off_makes_nobody_ineligible() {
        let mut store = StoreTime::default();
        store.add(3_000_000);
        store.add(2_000_000);
        store.add_cut_off(40_000_000);
        let mut out = b"{\"x\":0".to_vec();
        slo_info(SloInfo { server_ns: 41_000_000, store, store_bytes: 1 }, &mut out);
        out.push(b'}');
        let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let slo = &shown["sloInfo"];
        assert_eq!((&slo["storeMaxLatency"], &slo["storeTimeSeconds"]), (&0.04.into(), &0.045.into()));
        assert_eq!(slo["sloEligible"], true);
        store.add(26_000_000);
        assert_eq!((store.max_ns, store.sum_ns, store.over_max_ns), (40_000_000, 71_000_000, 26_000_000));
    }
}
