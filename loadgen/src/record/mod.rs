//! What is counted during a run, and nothing computed from it: counts and histograms per stream, series over time, and the
//! client's own lateness. It sees each request twice or three times: planned, sent, and when its fate is known.

pub(crate) mod jitter;
mod series;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use serde::Serialize;

use crate::{
    clock::NS_PER_S,
    transport::{Event, Pending},
};
pub(crate) use series::{ROW_NS, ROWS_MAX, Row};

/// What became of requests. `planned = sent + shed + unsent`, and
/// `sent = full + partial + refused + other + errors + unanswered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) planned: u64,
    pub(crate) sent: u64,
    /// Dropped unsent: its caller's patience had ended.
    pub(crate) shed: u64,
    /// Never sent: the client's queue was full, or the run was over.
    pub(crate) unsent: u64,
    pub(crate) full: u64,
    pub(crate) partial: u64,
    pub(crate) refused: u64,
    pub(crate) other: u64,
    pub(crate) errors: u64,
    pub(crate) unanswered: u64,
    pub(crate) late: u64,
    pub(crate) good: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.planned += more.planned;
        self.sent += more.sent;
        self.shed += more.shed;
        self.unsent += more.unsent;
        self.full += more.full;
        self.partial += more.partial;
        self.refused += more.refused;
        self.other += more.other;
        self.errors += more.errors;
        self.unanswered += more.unanswered;
        self.late += more.late;
        self.good += more.good;
    }
}

/// All about one stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamRecord {
    pub(crate) counts: Counts,
    /// Statuses that are neither 200 nor 429.
    pub(crate) other: BTreeMap<u16, u64>,
    /// Of 200s: from the planned time, and from the sending.
    pub(crate) response_ns: Histogram<u64>,
    pub(crate) service_ns: Histogram<u64>,
    /// Of 429s, from the sending.
    pub(crate) refusal_ns: Histogram<u64>,
    pub(crate) rows: Vec<Row>,
}

impl StreamRecord {
    fn new() -> Self {
        Self {
            counts: Counts::default(),
            other: BTreeMap::new(),
            response_ns: histogram(),
            service_ns: histogram(),
            refusal_ns: histogram(),
            rows: Vec::new(),
        }
    }

    /// Takes up another stream's histograms and counts, for the total. Rows stay apart.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        for (status, count) in &other.other {
            *self.other.entry(*status).or_default() += count;
        }
        // All have the same bounds, so nothing can fail to fit.
        for (sum, more) in [
            (&mut self.response_ns, &other.response_ns),
            (&mut self.service_ns, &other.service_ns),
            (&mut self.refusal_ns, &other.refusal_ns),
        ] {
            let _ = sum.add(more);
        }
    }

    fn row(&mut self, nth: usize) -> Option<&mut Row> {
        while self.rows.len() <= nth && self.rows.len() < ROWS_MAX {
            self.rows.push(Row::new());
        }
        self.rows.get_mut(nth)
    }
}

/// What the recorder must know to judge an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge {
    /// Requests planned before this are not counted.
    pub(crate) from_ns: u64,
    /// A 200 that took longer is late.
    pub(crate) budget_ns: Option<u64>,
    pub(crate) expect_timeouts: bool,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    judge: Judge,
    timed_out: Finder<'static>,
    pub(crate) streams: Vec<StreamRecord>,
    pub(crate) warmup_requests: u64,
    /// How long a request that could have been sent was not.
    pub(crate) lateness_ns: Histogram<u64>,
    /// How long turns took in which anything was done. An answer may have lain unread as long.
    pub(crate) turn_ns: Histogram<u64>,
    /// Time spent in such turns, by row.
    pub(crate) busy_ns: Vec<u64>,
    pub(crate) turns: u64,
    pub(crate) first_error: Option<String>,
}

impl Recorder {
    pub(crate) fn new(streams: usize, judge: Judge) -> Self {
        Self {
            judge,
            timed_out: Finder::new(b"\"TIME_OUT\""),
            streams: (0..streams).map(|_| StreamRecord::new()).collect(),
            warmup_requests: 0,
            lateness_ns: histogram(),
            turn_ns: histogram(),
            busy_ns: Vec::new(),
            turns: 0,
            first_error: None,
        }
    }

    /// Counts something of a request, in all and in the row of its planned time. Not during the warm-up.
    fn count(&mut self, stream: u16, planned_ns: u64, change: impl Fn(&mut Counts)) {
        let Some(since_ns) = planned_ns.checked_sub(self.judge.from_ns) else { return };
        let record = &mut self.streams[usize::from(stream)];
        change(&mut record.counts);
        if let Some(row) = record.row(row_of(since_ns)) {
            change(&mut row.counts);
        }
    }

    pub(crate) fn planned(&mut self, stream: u16, planned_ns: u64) {
        if planned_ns < self.judge.from_ns {
            self.warmup_requests += 1;
        }
        self.count(stream, planned_ns, |c| c.planned += 1);
    }

    pub(crate) fn shed(&mut self, stream: u16, planned_ns: u64) {
        self.count(stream, planned_ns, |c| c.shed += 1);
    }

    pub(crate) fn unsent(&mut self, stream: u16, planned_ns: u64) {
        self.count(stream, planned_ns, |c| c.unsent += 1);
    }

    pub(crate) fn unanswered(&mut self, request: &Pending) {
        self.count(request.stream, request.planned_ns, |c| c.unanswered += 1);
    }

    /// Takes up what the transport tells.
    pub(crate) fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Sent { request, free_since_ns } => {
                if request.planned_ns >= self.judge.from_ns {
                    // While no connection was free, not sending was not the client's doing.
                    let possible_ns = request.planned_ns.max(free_since_ns);
                    self.lateness_ns.saturating_record(request.sent_ns.saturating_sub(possible_ns));
                }
                self.count(request.stream, request.planned_ns, |c| c.sent += 1);
            }
            Event::Answered { request, at_ns, status, body } => self.answered(request, at_ns, status, body),
            Event::Failed { request, why } => {
                if self.first_error.is_none() {
                    self.first_error = Some(why.to_owned());
                }
                self.count(request.stream, request.planned_ns, |c| c.errors += 1);
            }
        }
    }

    fn answered(&mut self, request: Pending, at_ns: u64, status: u16, body: &[u8]) {
        let Pending { stream, planned_ns, sent_ns } = request;
        if planned_ns < self.judge.from_ns {
            return;
        }
        let (response_ns, service_ns) = (at_ns - planned_ns, at_ns - sent_ns);
        let record = &mut self.streams[usize::from(stream)];
        match status {
            200 => {
                let partial = self.judge.expect_timeouts && self.timed_out.find(body).is_some();
                let late = self.judge.budget_ns.is_some_and(|budget_ns| service_ns > budget_ns);
                record.response_ns.saturating_record(response_ns);
                record.service_ns.saturating_record(service_ns);
                if let Some(row) = record.row(row_of(planned_ns - self.judge.from_ns)) {
                    row.response_ns.saturating_record(response_ns);
                }
                self.count(stream, planned_ns, |c| {
                    c.full += u64::from(!partial);
                    c.partial += u64::from(partial);
                    c.late += u64::from(late);
                    c.good += u64::from(!late);
                });
            }
            429 => {
                record.refusal_ns.saturating_record(service_ns);
                self.count(stream, planned_ns, |c| c.refused += 1);
            }
            _ => {
                *record.other.entry(status).or_default() += 1;
                self.count(stream, planned_ns, |c| c.other += 1);
            }
        }
    }

    /// A turn in which something was done.
    pub(crate) fn busy(&mut self, start_ns: u64, end_ns: u64) {
        let Some(since_ns) = start_ns.checked_sub(self.judge.from_ns) else { return };
        self.turn_ns.saturating_record(end_ns - start_ns);
        let nth = row_of(since_ns);
        while self.busy_ns.len() <= nth && self.busy_ns.len() < ROWS_MAX {
            self.busy_ns.push(0);
        }
        if let Some(busy_ns) = self.busy_ns.get_mut(nth) {
            *busy_ns += end_ns - start_ns;
        }
    }
}

fn row_of(since_ns: u64) -> usize {
    usize::try_from(since_ns / ROW_NS).unwrap_or(usize::MAX)
}

/// A nanosecond to ten minutes, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "bounds that are written here")]
    Histogram::new_with_bounds(1, 600 * NS_PER_S, 3).expect("bounds of a histogram")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(budget_ns: Option<u64>) -> Recorder {
        Recorder::new(1, Judge { from_ns: 1000, budget_ns, expect_timeouts: true })
    }

    fn answer(recorder: &mut Recorder, planned_ns: u64, status: u16, body: &str) {
        let request = Pending { stream: 0, planned_ns, sent_ns: planned_ns + 10 };
        recorder.planned(0, planned_ns);
        recorder.take(&Event::Sent { request, free_since_ns: planned_ns + 4 });
        recorder.take(&Event::Answered { request, at_ns: planned_ns + 110, status, body: body.as_bytes() });
    }

    #[test]
    fn every_answer_has_its_class() {
        let mut r = recorder(Some(100));
        answer(&mut r, 1000, 200, "{}");
        answer(&mut r, 1000, 200, r#"{"status":"TIME_OUT"}"#);
        answer(&mut r, 1000, 429, "");
        answer(&mut r, 1000, 503, "");
        let counts =
            Counts { planned: 4, sent: 4, full: 1, partial: 1, refused: 1, other: 1, good: 2, ..Counts::default() };
        assert_eq!(r.streams[0].counts, counts);
        assert_eq!(r.streams[0].rows[0].counts, counts);
        assert_eq!(r.streams[0].other, BTreeMap::from([(503, 1)]));
        assert_eq!((r.streams[0].response_ns.max(), r.streams[0].service_ns.max()), (110, 100));
        // A connection was free only four nanoseconds after the planned time.
        assert_eq!(r.lateness_ns.max(), 6);
    }

    #[test]
    fn beyond_the_budget_an_answer_is_late_and_not_good() {
        let mut r = recorder(Some(99));
        answer(&mut r, 1000, 200, "");
        assert_eq!((r.streams[0].counts.late, r.streams[0].counts.good), (1, 0));
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let mut r = recorder(None);
        answer(&mut r, 999, 200, "");
        assert_eq!((r.streams[0].counts, r.warmup_requests), (Counts::default(), 1));
        assert!(r.streams[0].response_ns.is_empty() && r.lateness_ns.is_empty());
    }

    #[test]
    fn a_request_counts_in_the_row_of_its_planned_time() {
        let mut r = recorder(None);
        answer(&mut r, 1000 + 2 * ROW_NS, 200, "");
        let rows: Vec<u64> = r.streams[0].rows.iter().map(|row| row.counts.good).collect();
        assert_eq!(rows, [0, 0, 1]);
        // Beyond the last row the totals go on.
        answer(&mut r, 1000 + ROW_NS * ROWS_MAX as u64, 200, "");
        assert_eq!((r.streams[0].counts.good, r.streams[0].rows.len()), (2, ROWS_MAX));
    }
}
