//! A shard: one thread, one ring, one listener, the connections it accepted, and the service that answers them.
//!
//! A turn, front to back ([`Shard::turn`]):
//!
//! ```text
//!   enter the kernel once: submit the last turn's sends, take all completions
//!   for each completion     frame its requests, `begin` each             requests borrow receive buffers only here
//!   for each waiting one    `conclude`, if its reads or its time are over its answer leaves in its place
//!   once                    `gather`                                     cache misses of all requests overlap
//!   for each request        `finish`, in the order of arrival            so answers leave in order by construction
//!                           or set it aside with its reads               it waits as a value, see `waiting.rs`
//!   for each connection     queue one send
//! ```
//!
//! A shard takes no lock, shares nothing that it writes, and makes no system call between two enters but when a
//! connection comes or goes, and two a millisecond to learn how busy it was.

mod accept;
mod admit;
mod answers;
mod arrivals;
mod aside;
mod connection;
mod end;
mod metrics;
mod queues;
mod read;
mod room;
mod slots;
mod timers;
mod usage;
mod waiting;
mod watch;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::metrics::ShardMetrics;
use self::{
    aside::{Aside, Parked},
    connection::{Connection, Fate},
    end::Ended,
    queues::Reads,
    room::Room,
    slots::Slots,
    timers::{TICK_NS, Wheel, ns},
    usage::Usage,
};
use crate::{
    admission::{AdmissionConfig, Decision, Gate},
    clock::{Clock, Now},
    http::{CONTINUE, Fault, Persistence, Responses, Status},
    limits::{self, Limits},
    reactor::{Completion, Reactor, Token, Wait},
    service::{Answer, Finished, Form, Limited, Service, Ticket, Waiting},
};

/// What other threads tell a shard; read when it is woken and at least ten times a second.
#[derive(Debug)]
pub(crate) struct Control {
    /// When a drain that was asked for must be over, on the monotonic clock; 0: none was.
    drain_by_ns: AtomicU64,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self { drain_by_ns: AtomicU64::new(0) }
    }

    pub(crate) fn drain_by(&self, monotonic_ns: u64) {
        self.drain_by_ns.store(monotonic_ns.max(1), Ordering::Release);
    }
}

/// Everything a shard is made of; see [`crate::server::ServerConfig`] for what an operator sets.
#[derive(Debug)]
pub(crate) struct ShardParts {
    pub(crate) listener: OwnedFd,
    pub(crate) wake_fd: OwnedFd,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    pub(crate) admission: AdmissionConfig,
    pub(crate) connections_max: usize,
    /// How long to spin before sleeping.
    pub(crate) spin: Duration,
    pub(crate) control: Arc<Control>,
    pub(crate) metrics: Arc<ShardMetrics>,
}

/// One request or fault of the turn, waiting to be answered in order.
#[derive(Debug)]
struct Work {
    token: Token,
    reply: Reply,
    /// When its first byte was seen.
    seen_ns: u64,
    persistence: Persistence,
    /// HEAD: the head alone is sent.
    head_only: bool,
}

#[derive(Debug)]
enum Reply {
    Ticket(Ticket),
    /// Decided by the framing. Where the head could be read, the service has a form for the body.
    Fault {
        fault: Fault,
        form: Option<Form>,
    },
    /// Decided by admission: 429, with this `Retry-After`. The body is the service's.
    Shed {
        retry_after_s: u32,
        form: Form,
    },
    /// `100 Continue`.
    Continue,
}

#[derive(Debug)]
pub(crate) struct Shard<S> {
    reactor: Reactor,
    service: S,
    clock: Clock,
    limits: Limits,
    spin_ns: u64,
    listener: Option<OwnedFd>,
    /// The listener of a shard that drains, until the accept on it has ended.
    closing: Option<OwnedFd>,
    /// An accept is armed, or was and has not reported its end.
    accepting: bool,
    /// Do not accept before this moment: descriptors or memory ran out.
    accept_again_ns: u64,
    /// Those open, and those on their way out.
    connections: Slots<Connection>,
    connections_max: usize,
    /// For what connections keep of their input.
    room: Room,
    wheel: Wheel,
    /// Requests that wait, and their deadlines.
    aside: Aside,
    reads: Reads,
    gate: Gate<Token>,
    usage: Usage,
    control: Arc<Control>,
    metrics: Arc<ShardMetrics>,
    drain_by_ns: Option<u64>,
    responses: Responses,
    /// When this turn began.
    began_ns: u64,
    ticked_ns: u64,
    // The turn's lists. They live here so that a turn allocates nothing.
    completions: Vec<Completion>,
    work: Vec<Work>,
    dirty: Vec<Token>,
    /// Connections with input that last turn could not take.
    ready: Vec<Token>,
    /// Connections whose receive ended and is to be armed again.
    rearm: Vec<Token>,
    /// The same, but not before the next tick: the machine had no memory for it.
    starved: Vec<Token>,
    fired: Vec<(Token, u64)>,
    reminders: Vec<aside::Timer>,
    /// Connections that were held, and what became of their requests.
    released: Vec<(Token, Decision)>,
    /// Waiting requests that are to be answered.
    due: Vec<Waiting>,
    /// Buffers for input and output, so that idle connections hold none.
    pool: Vec<Vec<u8>>,
}

impl<S: Service> Shard<S> {
    /// Makes the ring; to be called on the shard's own thread.
    pub(crate) fn new(parts: ShardParts, service: S) -> io::Result<Self> {
        let now = parts.clock.now();
        let mut shard = Self {
            reactor: Reactor::new(
                parts.connections_max + limits::LEAVING_CONNECTIONS,
                limits::RECEIVE_BUFFERS,
                parts.wake_fd,
            )?,
            service,
            clock: parts.clock,
            limits: parts.limits,
            spin_ns: u64::try_from(parts.spin.as_nanos()).unwrap_or(u64::MAX),
            listener: Some(parts.listener),
            closing: None,
            accepting: false,
            accept_again_ns: 0,
            connections: Slots::new(parts.connections_max + limits::LEAVING_CONNECTIONS),
            connections_max: parts.connections_max,
            room: Room::new(parts.limits.input_bytes_max),
            wheel: Wheel::new(now.monotonic_ns),
            aside: Aside::new(now.monotonic_ns),
            reads: Reads::default(),
            gate: Gate::new(parts.admission, Arc::clone(&parts.metrics.admission), now.monotonic_ns),
            usage: Usage::new(now.monotonic_ns, parts.admission.window),
            control: parts.control,
            metrics: parts.metrics,
            drain_by_ns: None,
            responses: Responses::new(now.unix_us / 1_000_000).with_clock(parts.clock),
            began_ns: now.monotonic_ns,
            ticked_ns: 0,
            completions: Vec::with_capacity(limits::COMPLETIONS as usize),
            work: Vec::with_capacity(1024),
            dirty: Vec::with_capacity(1024),
            ready: Vec::with_capacity(256),
            rearm: Vec::with_capacity(256),
            starved: Vec::new(),
            fired: Vec::with_capacity(256),
            reminders: Vec::with_capacity(256),
            released: Vec::with_capacity(256),
            due: Vec::with_capacity(256),
            pool: Vec::with_capacity(limits::POOLED_BUFFERS),
        };
        shard.accept();
        Ok(shard)
    }

    /// Serves until drained.
    pub(crate) fn run(mut self) -> io::Result<()> {
        loop {
            self.turn()?;
            if let Some(by_ns) = self.drain_by_ns {
                let silent = self.listener.is_none() && self.closing.is_none();
                if (silent && self.connections.len() == 0) || self.clock.now().monotonic_ns >= by_ns {
                    return Ok(());
                }
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = self.clock.now();
        self.began_ns = now.monotonic_ns;
        self.gate.turn_began(now.monotonic_ns, self.usage.idle(now.monotonic_ns));
        self.service.turn(now);
        self.responses.update(now.unix_us / 1_000_000);

        // Input left over from the last turn is older than anything that came since.
        let mut ready = std::mem::take(&mut self.ready);
        for token in ready.drain(..) {
            self.read_on(now, token);
        }
        self.ready.append(&mut ready); // empty, but it brings its capacity back: `read_on` may have pushed to the other

        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            self.take(now, completion);
        }
        self.completions = completions;

        self.release_held(now);
        self.conclude_due(now);
        if !self.work.is_empty() {
            self.service.gather(self.clock.now());
            self.answer();
        }
        self.make_reads(now);
        self.flush(now);
        self.look_at_timers(now); // may answer what never came whole
        self.service.turned(self.clock.now());
        self.metrics.turns.add(1);
        Ok(())
    }

    /// Enters the kernel, once unless spinning. Sleeps only when there is nothing left to do.
    fn wait(&mut self) -> io::Result<()> {
        if !self.ready.is_empty() || !self.due.is_empty() {
            return self.reactor.turn(Wait::No, &mut self.completions);
        }
        // Whatever comes from outside: the next waiting request's time is over, who is held is looked at, timers tick.
        let look_ns = self.gate.look_in_ns().map_or(u64::MAX, |ns| self.began_ns + ns);
        let waits_ns = self.aside.deadlines.next_ns().unwrap_or(u64::MAX);
        let until_ns = waits_ns.min(look_ns).min(self.ticked_ns + TICK_NS);
        if self.spin_ns > 0 && self.spin(until_ns)? {
            return Ok(());
        }
        let time_ns = until_ns.saturating_sub(self.clock.now().monotonic_ns);
        let wait = if time_ns == 0 { Wait::No } else { Wait::AtMost(Duration::from_nanos(time_ns)) };
        self.reactor.turn(wait, &mut self.completions)
    }

    /// Looks for completions without sleeping, until there is one, `until_ns`, or for as long as spinning may last; says whether
    /// there is one.
    fn spin(&mut self, until_ns: u64) -> io::Result<bool> {
        if !self.reactor.is_quiet() {
            self.reactor.turn(Wait::No, &mut self.completions)?;
            if !self.completions.is_empty() {
                return Ok(true);
            }
        }
        let start_ns = self.clock.now().monotonic_ns;
        loop {
            if self.reactor.is_due() {
                self.reactor.turn(Wait::No, &mut self.completions)?;
            }
            let at_ns = self.clock.now().monotonic_ns;
            let spun_ns = at_ns - start_ns;
            if !self.completions.is_empty() || spun_ns >= self.spin_ns || at_ns >= until_ns {
                self.usage.spun(spun_ns);
                return Ok(!self.completions.is_empty());
            }
            std::hint::spin_loop();
        }
    }

    fn take(&mut self, now: Now, completion: Completion) {
        match completion {
            Completion::Received { token, lease, armed } => self.received(now, token, lease, armed),
            Completion::Sent { token, mut buffer, errno } => {
                buffer.clear();
                recycle(&mut self.pool, buffer);
                let Some(connection) = self.connections.of(token) else { return };
                connection.sending = None;
                connection.active_ns = now.monotonic_ns;
                if errno != 0 {
                    self.metrics.resets.add(1);
                    return self.drop_connection(token);
                }
                if connection.answers.may_leave() && !connection.dirty {
                    connection.dirty = true;
                    self.dirty.push(token);
                }
                if connection.unconsumed() > 0 && !connection.ready {
                    connection.ready = true; // unsent output may have stopped the reading
                    self.ready.push(token);
                }
                self.settle(now, token);
            }
            Completion::SendProgressed { token } => {
                if let Some(connection) = self.connections.of(token) {
                    connection.active_ns = now.monotonic_ns;
                }
            }
            Completion::ReceiveEnded { token, errno } => {
                let Some(connection) = self.connections.of(token) else { return };
                connection.receiving = false;
                connection.pausing = false;
                match Ended::by(errno) {
                    Ended::Peer => {
                        connection.peer_done = true;
                        self.end_of_input(now, token);
                    }
                    Ended::Again => {
                        self.metrics.rearmed.add(1);
                        self.rearm.push(token);
                    }
                    Ended::Later => {
                        self.metrics.receive_failed.add(1);
                        self.starved.push(token);
                        if connection.fate == Fate::Open {
                            return; // `settle` would arm it at once
                        }
                    }
                    Ended::Failed => {
                        self.metrics.resets.add(1);
                        self.drop_connection(token);
                    }
                }
                self.settle(now, token);
            }
            Completion::Accepted { fd, armed } => {
                self.accepting = armed;
                self.admit(now, fd);
                self.accept();
                self.close_listener(now);
            }
            Completion::AcceptEnded { errno } => {
                self.accepting = false;
                match errno {
                    libc::ECANCELED => {}
                    libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => {
                        self.metrics.accept_failed.add(1);
                        self.accept_again_ns = now.monotonic_ns + TICK_NS;
                    }
                    _ => self.accept(),
                }
                self.close_listener(now);
            }
            Completion::ReadOver { lease, tag, outcome } => self.read_over(now, lease, tag, outcome),
            Completion::Woken => self.look_at_control(now),
        }
    }

    /// Renders every answer of the turn, in the order in which the requests came; sets those aside that have to wait.
    fn answer(&mut self) {
        let Self { service, connections, work, dirty, pool, responses, clock, metrics, aside, gate, .. } = self;
        for Work { token, reply, seen_ns, persistence, head_only } in work.drain(..) {
            let Some(connection) = connections.of(token) else {
                // The connection went while its request was under way: the service still forgets it in `turned`.
                continue;
            };
            if connection.fate == Fate::Dropped {
                continue;
            }
            connection.begun = connection.begun.saturating_sub(1);
            // While draining, the last answer that is owed closes: nothing may follow an answer that says so.
            let closing = self.drain_by_ns.is_some() && connection.begun == 0 && !connection.held;
            let close = closing || !persistence.keep_alive;
            let out = connection.answers.next(pool);
            match reply {
                Reply::Ticket(ticket) => {
                    let mark = responses.begin(out);
                    match service.finish(clock.now(), ticket, out) {
                        Finished::Answer(mut answer) => {
                            if let Some(Limited { criticality, reason }) = answer.limited {
                                answer.retry_after_s = Some(gate.refused_further_on(criticality, reason));
                            }
                            responses.finish(out, mark, &answer, persistence, head_only, close);
                        }
                        Finished::Waits { waiting, until_ns } => {
                            out.truncate(mark.start());
                            connection.begun += 1;
                            let request = Parked { token, seen_ns, persistence, head_only };
                            aside.park(&mut connection.answers, waiting, until_ns, request);
                            metrics.waiting.set(aside.number() as u64);
                            metrics.waited.add(1);
                            continue;
                        }
                    }
                    if close {
                        connection.fate = connection.fate.max(Fate::Closing);
                    }
                }
                Reply::Fault { fault, form } => {
                    metrics.fault(fault).add(1);
                    match form {
                        None => responses.fault(out, fault, persistence, head_only, close),
                        Some(form) => {
                            let mark = responses.begin(out);
                            service.refused(fault, form, out);
                            responses.finish(out, mark, &Answer::json(fault.status()), persistence, head_only, close);
                        }
                    }
                    if close {
                        connection.fate = connection.fate.max(Fate::Closing);
                    }
                }
                Reply::Shed { retry_after_s, form } => {
                    let mark = responses.begin(out);
                    service.overloaded(clock.now(), form, out);
                    let answer =
                        Answer { retry_after_s: Some(retry_after_s), ..Answer::json(Status::TOO_MANY_REQUESTS) };
                    responses.finish(out, mark, &answer, persistence, head_only, close);
                    if close {
                        connection.fate = connection.fate.max(Fate::Closing);
                    }
                }
                Reply::Continue => out.extend_from_slice(CONTINUE),
            }
            if !connection.dirty && connection.answers.may_leave() {
                connection.dirty = true;
                dirty.push(token);
            }
        }
    }

    /// Queues one send for each connection that has something to say and none in flight, and arms receives again.
    fn flush(&mut self, now: Now) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for token in dirty.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            connection.dirty = false;
            connection.active_ns = now.monotonic_ns;
            if connection.sending.is_some() || !connection.answers.may_leave() || connection.fate > Fate::Closing {
                continue; // its completion looks again
            }
            let out = connection.answers.leave();
            connection.sending = Some(out.len());
            self.metrics.sent_bytes.add(out.len() as u64);
            self.reactor.send(token, &connection.fd, out);
            let stall_ns = now.monotonic_ns + ns(self.limits.write_stall_max);
            self.wheel.arm(token, stall_ns, &mut connection.standing);
        }
        self.dirty = dirty;

        let mut rearm = std::mem::take(&mut self.rearm);
        for token in rearm.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            let full = connection.held || connection.unconsumed() > self.limits.unsent_bytes_max;
            let full = connection.fate == Fate::Open && full && !connection.may_begin(&self.limits);
            if connection.receiving || connection.peer_done || connection.fate == Fate::Dropped || full {
                continue; // a full connection receives again once its input was taken: see `settle`
            }
            connection.receiving = true;
            self.reactor.receive(token, &connection.fd);
        }
        self.rearm = rearm;
    }
}

/// A buffer to render into.
fn pooled(pool: &mut Vec<Vec<u8>>) -> Vec<u8> {
    pool.pop().unwrap_or_else(|| Vec::with_capacity(limits::POOLED_BUFFER_BYTES))
}

/// Back to the pool, unless it grew beyond what is worth keeping or the pool is full.
fn recycle(pool: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    let keep = buffer.capacity() > 0 && buffer.capacity() <= limits::POOLED_BUFFER_BYTES_MAX;
    if keep && pool.len() < limits::POOLED_BUFFERS {
        buffer.clear();
        pool.push(buffer);
    }
}
