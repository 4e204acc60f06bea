//! The run: one thread that looks at the clock, sends what is due and takes what has come, without ever sleeping.

use std::{collections::VecDeque, io};

use crate::{
    clock::{Clock, NS_PER_MS, thread_cpu_ns},
    pacing::Schedule,
    record::{Judge, Recorder},
    settings::{Load, Settings},
    transport::{Transport, Upsets},
    workload::Workload,
};

/// A request whose time has come.
#[derive(Debug, Clone, Copy)]
struct Due {
    planned_ns: u64,
    key: u64,
    stream: u16,
}

#[derive(Debug)]
enum Pace {
    Open(Schedule),
    Closed { end_ns: u64 },
}

/// What a run leaves behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) recorder: Recorder,
    pub(crate) upsets: Upsets,
    /// CPU time of this thread per time that passed, while measuring.
    pub(crate) cpu_share: f64,
}

struct Drive<'a> {
    clock: Clock,
    pace: Pace,
    workload: &'a mut Workload,
    transport: Transport,
    recorder: Recorder,
    /// By pool, requests that wait because every connection of theirs is full.
    backlogs: Vec<VecDeque<Due>>,
    backlog_max: usize,
    shed_after_ns: u64,
}

pub(crate) fn run(
    settings: &Settings,
    workload: &mut Workload,
    transport: Transport,
    clock: Clock,
) -> io::Result<Outcome> {
    let start_ns = clock.now_ns() + LEAD_NS;
    let from_ns = start_ns + settings.warmup_ns;
    let end_ns = from_ns + settings.load.length_ns();
    let pace = match &settings.load {
        Load::Closed { .. } => Pace::Closed { end_ns },
        Load::Open { steps, spread } => {
            let mut steps = steps.clone();
            if let Some(first) = steps.first().copied() {
                steps.insert(0, crate::pacing::Step { length_ns: settings.warmup_ns, ..first });
            }
            Pace::Open(Schedule::new(start_ns, steps, *spread, settings.seed))
        }
    };
    let judge = Judge { from_ns, budget_ns: settings.budget_ns, expect_timeouts: settings.expect_timeouts };
    let mut drive = Drive {
        clock,
        pace,
        recorder: Recorder::new(workload.streams().len(), judge),
        workload,
        transport,
        backlogs: settings.pools.iter().map(|_| VecDeque::new()).collect(),
        backlog_max: settings.backlog_max,
        shed_after_ns: settings.shed_after_ns.unwrap_or(u64::MAX),
    };
    while drive.turn(from_ns)? {}
    let cpu_from_ns = thread_cpu_ns();
    let counted_from_ns = clock.now_ns();
    while drive.turn(end_ns)? {}
    let cpu_share = share(thread_cpu_ns() - cpu_from_ns, clock.now_ns() - counted_from_ns);
    let stop_ns = end_ns + settings.drain_ns;
    while drive.is_unfinished() && drive.turn(stop_ns)? {}
    drive.account_for_the_rest();
    Ok(Outcome { upsets: drive.transport.upsets(), recorder: drive.recorder, cpu_share })
}

impl Drive<'_> {
    /// One turn, unless `until_ns` has come.
    fn turn(&mut self, until_ns: u64) -> io::Result<bool> {
        let start_ns = self.clock.now_ns();
        if start_ns >= until_ns {
            return Ok(false);
        }
        self.transport.reopen(start_ns);
        let sent = self.send_due(start_ns);
        let ready = self.transport.wait(None)?;
        for nth in 0..ready {
            let recorder = &mut self.recorder;
            self.transport.handle(nth, &mut |event| recorder.take(&event));
            // What became due meanwhile does not wait for the rest of the answers.
            let now_ns = self.clock.now_ns();
            self.send_due(now_ns);
        }
        self.recorder.turns += 1;
        if sent || ready > 0 {
            self.recorder.busy(start_ns, self.clock.now_ns());
        }
        Ok(true)
    }

    /// Sends what is due as far as connections have room; says whether there was anything.
    fn send_due(&mut self, now_ns: u64) -> bool {
        self.shed_impatient(now_ns);
        let mut any = false;
        match &mut self.pace {
            Pace::Open(schedule) => {
                while let Some(planned_ns) = schedule.take_due(now_ns) {
                    any = true;
                    let (stream, key) = self.workload.draw();
                    self.recorder.planned(stream, planned_ns);
                    let backlog = &mut self.backlogs[self.workload.streams()[usize::from(stream)].pool];
                    if backlog.len() < self.backlog_max {
                        backlog.push_back(Due { planned_ns, key, stream });
                    } else {
                        self.recorder.unsent(stream, planned_ns);
                    }
                }
            }
            Pace::Closed { end_ns } => {
                while now_ns < *end_ns && self.transport.has_room(0) {
                    any = true;
                    let (stream, key) = self.workload.draw();
                    self.recorder.planned(stream, now_ns);
                    let unix_us = self.clock.unix_us(now_ns);
                    self.transport.take(0, stream, now_ns, |out| self.workload.render(stream, key, unix_us, out));
                }
            }
        }
        self.shed_impatient(now_ns);
        for (pool, backlog) in self.backlogs.iter_mut().enumerate() {
            while let Some(Due { planned_ns, key, stream }) = backlog.front().copied() {
                let unix_us = self.clock.unix_us(now_ns);
                let render = |out: &mut Vec<u8>| self.workload.render(stream, key, unix_us, out);
                if !self.transport.take(pool, stream, planned_ns, render) {
                    break;
                }
                any = true;
                backlog.pop_front();
            }
        }
        let recorder = &mut self.recorder;
        self.transport.flush(&mut |event| recorder.take(&event));
        any
    }

    /// Drops what has waited longer than its caller would have.
    fn shed_impatient(&mut self, now_ns: u64) {
        for backlog in &mut self.backlogs {
            while let Some(due) = backlog.front()
                && now_ns.saturating_sub(due.planned_ns) > self.shed_after_ns
            {
                self.recorder.shed(due.stream, due.planned_ns);
                backlog.pop_front();
            }
        }
    }

    fn is_unfinished(&self) -> bool {
        // A client that was kept from its core at the very end still has requests to plan.
        let planned_all = !matches!(&self.pace, Pace::Open(schedule) if !schedule.is_over());
        !planned_all || self.backlogs.iter().any(|b| !b.is_empty()) || self.transport.pending().next().is_some()
    }

    /// Counts what the end has overtaken: nothing that the plan holds is forgotten.
    fn account_for_the_rest(&mut self) {
        if let Pace::Open(schedule) = &mut self.pace {
            while let Some(planned_ns) = schedule.take_due(u64::MAX) {
                let (stream, _) = self.workload.draw();
                self.recorder.planned(stream, planned_ns);
                self.recorder.unsent(stream, planned_ns);
            }
        }
        for due in self.backlogs.iter().flatten() {
            self.recorder.unsent(due.stream, due.planned_ns);
        }
        for request in self.transport.pending() {
            self.recorder.unanswered(request);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, for people")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// From the making of the plan to its beginning.
const LEAD_NS: u64 = NS_PER_MS;
