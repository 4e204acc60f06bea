//! A shard: one thread, one ring, one listener, the connections it accepted, and the service that answers them.
//!
//! A turn, front to back ([`Shard::turn`]):
//!
//! ```text
//!   enter the kernel once: submit the last turn's sends, take all completions
//!   for each completion     frame its requests, `begin` each             requests borrow receive buffers only here
//!   once                    `gather`                                     cache misses of all requests overlap
//!   for each request        `finish`, in the order of arrival            so answers leave in order by construction
//!   for each connection     queue one send
//! ```
//!
//! A shard takes no lock, shares nothing that it writes, and makes no system call between two enters but when a
//! connection comes or goes.

mod connection;
mod metrics;
mod slots;
mod timers;

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
    connection::{Connection, Expiry, Fate},
    slots::Slots,
    timers::{TICK_NS, Wheel, ns},
};
use crate::{
    clock::{Clock, Now},
    http::{CONTINUE, Fault, Method, Persistence, Phase, Request, Responses, Step},
    limits::{self, Limits},
    reactor::{
        Completion, Reactor, Token, Wait,
        system::{self, Shutdown},
    },
    service::{Service, Ticket},
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
pub(crate) struct ShardParts<S> {
    pub(crate) listener: OwnedFd,
    pub(crate) wake_fd: OwnedFd,
    pub(crate) service: S,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
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
    persistence: Persistence,
    /// HEAD: the head alone is sent.
    head_only: bool,
}

#[derive(Debug)]
enum Reply {
    Ticket(Ticket),
    /// Decided by the framing.
    Fault(Fault),
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
    accepting: bool,
    /// Do not accept before this moment: descriptors or memory ran out.
    accept_again_ns: u64,
    /// Those open, and those on their way out.
    connections: Slots<Connection>,
    connections_max: usize,
    wheel: Wheel,
    control: Arc<Control>,
    metrics: Arc<ShardMetrics>,
    drain_by_ns: Option<u64>,
    responses: Responses,
    ticked_ns: u64,
    slept: Slept,
    // The turn's lists. They live here so that a turn allocates nothing.
    completions: Vec<Completion>,
    work: Vec<Work>,
    dirty: Vec<Token>,
    /// Connections with input that last turn could not take.
    ready: Vec<Token>,
    /// Connections whose receive ended and is to be armed again.
    rearm: Vec<Token>,
    fired: Vec<(Token, u64)>,
    /// Buffers for input and output, so that idle connections hold none.
    pool: Vec<Vec<u8>>,
}

/// Time not spent on work, for the busy share of this core.
#[derive(Debug, Default)]
struct Slept {
    spun_ns: u64,
}

impl<S: Service> Shard<S> {
    /// Makes the ring; to be called on the shard's own thread.
    pub(crate) fn new(parts: ShardParts<S>) -> io::Result<Self> {
        let now = parts.clock.now();
        let mut shard = Self {
            reactor: Reactor::new(
                parts.connections_max + limits::LEAVING_CONNECTIONS,
                limits::RECEIVE_BUFFERS,
                parts.wake_fd,
            )?,
            service: parts.service,
            clock: parts.clock,
            limits: parts.limits,
            spin_ns: u64::try_from(parts.spin.as_nanos()).unwrap_or(u64::MAX),
            listener: Some(parts.listener),
            accepting: false,
            accept_again_ns: 0,
            connections: Slots::new(parts.connections_max + limits::LEAVING_CONNECTIONS),
            connections_max: parts.connections_max,
            wheel: Wheel::new(now.monotonic_ns),
            control: parts.control,
            metrics: parts.metrics,
            drain_by_ns: None,
            responses: Responses::new(now.unix_us / 1_000_000),
            ticked_ns: 0,
            slept: Slept::default(),
            completions: Vec::with_capacity(limits::COMPLETIONS as usize),
            work: Vec::with_capacity(1024),
            dirty: Vec::with_capacity(1024),
            ready: Vec::with_capacity(256),
            rearm: Vec::with_capacity(256),
            fired: Vec::with_capacity(256),
            pool: Vec::with_capacity(limits::POOLED_BUFFERS),
        };
        shard.accept();
        Ok(shard)
    }

    /// Serves until drained.
    pub(crate) fn run(mut self) -> io::Result<()> {
        loop {
            self.turn()?;
            if let Some(by_ns) = self.drain_by_ns
                && (self.connections.len() == 0 || self.clock.now().monotonic_ns >= by_ns)
            {
                return Ok(());
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        let now = self.clock.now();
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

        if !self.work.is_empty() {
            self.service.gather();
            self.answer();
        }
        self.flush(now);
        self.look_at_timers(now);
        self.metrics.turns.add(1);
        Ok(())
    }

    /// Enters the kernel, once unless spinning. Sleeps only when there is nothing left to do.
    fn wait(&mut self) -> io::Result<()> {
        if !self.ready.is_empty() {
            return self.reactor.turn(Wait::No, &mut self.completions);
        }
        if self.spin_ns > 0 {
            if !self.reactor.is_quiet() {
                self.reactor.turn(Wait::No, &mut self.completions)?;
                if !self.completions.is_empty() {
                    return Ok(());
                }
            }
            let start_ns = self.clock.now().monotonic_ns;
            loop {
                if self.reactor.is_due() {
                    self.reactor.turn(Wait::No, &mut self.completions)?;
                }
                let spun_ns = self.clock.now().monotonic_ns - start_ns;
                if !self.completions.is_empty() || spun_ns >= self.spin_ns {
                    self.slept.spun_ns += spun_ns;
                    break;
                }
                std::hint::spin_loop();
            }
            if !self.completions.is_empty() {
                return Ok(());
            }
        }
        self.reactor.turn(Wait::AtMost(Duration::from_nanos(TICK_NS)), &mut self.completions)
    }

    fn take(&mut self, now: Now, completion: Completion) {
        match completion {
            Completion::Received { token, lease, armed } => {
                let Some(connection) = self.connections.of(token) else {
                    return self.reactor.give_back(lease);
                };
                if !armed {
                    connection.receiving = false;
                    self.rearm.push(token);
                }
                let Self { reactor, service, limits, work, metrics, pool, .. } = self;
                let bytes = reactor.bytes(&lease);
                metrics.received_bytes.add(bytes.len() as u64);
                if connection.fate != Fate::Open {
                    connection.discarded += bytes.len();
                } else if connection.unconsumed() == 0 {
                    // The common case: whole requests in one buffer, read where the kernel put them.
                    let used = frame(now, limits, connection, token, bytes, service, work, metrics);
                    if connection.fate == Fate::Open && used < bytes.len() {
                        keep(connection, &bytes[used..], pool);
                    }
                } else {
                    keep(connection, bytes, pool);
                    frame_input(now, limits, connection, token, service, work, metrics, pool);
                }
                reactor.give_back(lease);
                self.after_reading(now, token);
            }
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
                if !connection.out.is_empty() && !connection.dirty {
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
                match errno {
                    0 => {
                        connection.peer_done = true;
                        self.end_of_input(now, token);
                    }
                    // Every buffer was in use when bytes came, or we paused it: ordinary.
                    libc::ENOBUFS | libc::ECANCELED => {
                        self.metrics.rearmed.add(1);
                        self.rearm.push(token);
                    }
                    _ => {
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
            }
            Completion::Woken => self.look_at_control(now),
        }
    }

    /// Arms the accept unless it is armed, there is no room, or we are draining.
    fn accept(&mut self) {
        if let Some(listener) = &self.listener
            && !self.accepting
            && self.connections.has_room()
            && self.clock.now().monotonic_ns >= self.accept_again_ns
        {
            self.accepting = true;
            self.reactor.accept(listener);
        }
    }

    fn admit(&mut self, now: Now, fd: OwnedFd) {
        self.metrics.accepted.add(1);
        if self.connections.len() >= self.connections_max && !(self.drop_oldest_idle() && self.connections.has_room()) {
            self.metrics.refused_full.add(1);
            if self.accepting {
                self.reactor.cancel_accept(); // armed again when a connection goes; until then the kernel's queue holds them
            }
            return; // dropping the descriptor closes the connection
        }
        let connection = Connection::new(fd, now.monotonic_ns);
        let Some(token) = self.connections.insert(connection) else { return };
        let Some(connection) = self.connections.of(token) else { return };
        connection.receiving = true;
        self.reactor.receive(token, &connection.fd);
        let (deadline_ns, _) = connection.deadline(&self.limits);
        self.wheel.arm(token, deadline_ns, &mut connection.standing);
        self.metrics.open.set(self.connections.len() as u64);
    }

    /// Makes room by ending the connection that has been idle longest. Rare, so it may look at all of them.
    fn drop_oldest_idle(&mut self) -> bool {
        let idle = |c: &Connection| c.fate == Fate::Open && c.message_since_ns.is_none() && c.sending.is_none();
        let oldest = self.connections.iter().filter(|(_, c)| idle(c)).min_by_key(|(_, c)| c.active_ns);
        let Some(token) = oldest.map(|(token, _)| token) else { return false };
        self.metrics.pushed_out.add(1);
        self.drop_connection(token);
        true
    }

    /// Frames what an earlier turn left over.
    fn read_on(&mut self, now: Now, token: Token) {
        let Self { service, limits, work, metrics, pool, .. } = self;
        let Some(connection) = self.connections.of(token) else { return };
        connection.ready = false;
        frame_input(now, limits, connection, token, service, work, metrics, pool);
        self.after_reading(now, token);
    }

    /// Decides what a connection waits for, now that its input was framed as far as it goes.
    fn after_reading(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        let unconsumed = connection.unconsumed();
        if connection.fate == Fate::Open && unconsumed > 0 {
            if !connection.may_begin(&self.limits) {
                // More than this turn's share: next turn, if only output is not what holds it up (then: when it is sent).
                if connection.begun >= self.limits.requests_in_process_max && !connection.ready {
                    connection.ready = true;
                    self.ready.push(token);
                }
                if unconsumed > self.limits.unsent_bytes_max && connection.receiving && !connection.pausing {
                    connection.pausing = true;
                    self.reactor.cancel_receive(token);
                }
            } else if connection.message_since_ns.is_none() {
                connection.message_since_ns = Some(now.monotonic_ns);
                connection.rate_mark = (0, 0);
                let (deadline_ns, _) = connection.deadline(&self.limits);
                self.wheel.arm(token, deadline_ns, &mut connection.standing);
            }
            if connection.peer_done {
                self.end_of_input(now, token);
            }
        }
        if self.connections.of(token).is_some_and(|c| c.fate == Fate::Lingering) {
            self.settle(now, token);
        }
    }

    /// The peer sends no more: whatever is not a whole request never will be.
    fn end_of_input(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        if connection.fate != Fate::Open || connection.ready || !connection.may_begin(&self.limits) {
            return; // what is left is looked at first; `read_on` comes back here
        }
        if let Some(fault) = connection.inbound.end(connection.unconsumed()) {
            let persistence = Persistence::CLOSE;
            let reply = Reply::Fault(fault);
            self.work.push(Work { token, reply, persistence, head_only: false });
        } else if connection.begun == 0 {
            connection.fate = Fate::Closing;
            self.settle(now, token);
        } else {
            connection.fate = Fate::Closing; // the answers of this turn are still owed
        }
    }

    /// Renders every answer of the turn, in the order in which the requests came.
    fn answer(&mut self) {
        let Self { service, connections, work, dirty, pool, responses, clock, metrics, .. } = self;
        for Work { token, reply, persistence, head_only } in work.drain(..) {
            let Some(connection) = connections.of(token) else {
                // The connection went while its request was under way: the service still forgets it in `turned`.
                continue;
            };
            if connection.fate == Fate::Dropped {
                continue;
            }
            if connection.out.capacity() == 0 {
                connection.out = pool.pop().unwrap_or_else(|| Vec::with_capacity(limits::POOLED_BUFFER_BYTES));
            }
            let out = &mut connection.out;
            let closing = self.drain_by_ns.is_some();
            match reply {
                Reply::Ticket(ticket) => {
                    let mark = responses.begin(out);
                    let answer = service.finish(clock.now(), ticket, out);
                    let close = closing || !persistence.keep_alive;
                    responses.finish(out, mark, &answer, persistence, head_only, close);
                    if close {
                        connection.fate = connection.fate.max(Fate::Closing);
                    }
                }
                Reply::Fault(fault) => {
                    metrics.fault(fault).add(1);
                    let close = closing || !persistence.keep_alive;
                    responses.fault(out, fault, persistence, head_only, close);
                    if close {
                        connection.fate = connection.fate.max(Fate::Closing);
                    }
                }
                Reply::Continue => out.extend_from_slice(CONTINUE),
            }
            connection.begun = 0;
            if !connection.dirty {
                connection.dirty = true;
                dirty.push(token);
            }
        }
        let now = clock.now();
        service.turned(now);
    }

    /// Queues one send for each connection that has something to say and none in flight, and arms receives again.
    fn flush(&mut self, now: Now) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for token in dirty.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            connection.dirty = false;
            connection.active_ns = now.monotonic_ns;
            if connection.sending.is_some() || connection.out.is_empty() || connection.fate > Fate::Closing {
                continue; // its completion looks again
            }
            let out = std::mem::take(&mut connection.out);
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
            let full = connection.fate == Fate::Open && connection.unconsumed() > self.limits.unsent_bytes_max;
            let full = full && !connection.may_begin(&self.limits);
            if connection.receiving || connection.peer_done || connection.fate == Fate::Dropped || full {
                continue; // a full connection receives again once its input was taken: see `resume`
            }
            connection.receiving = true;
            self.reactor.receive(token, &connection.fd);
        }
        self.rearm = rearm;
    }

    /// Moves a connection along once nothing holds it where it is.
    fn settle(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        if !connection.receiving && !connection.peer_done && connection.fate == Fate::Open {
            self.rearm.push(token); // it was paused; `flush` decides whether it may go on
        }
        let idle = connection.sending.is_none() && connection.out.is_empty() && connection.begun == 0;
        if connection.fate == Fate::Closing && idle {
            connection.active_ns = now.monotonic_ns;
            if connection.peer_done {
                return self.drop_connection(token);
            }
            connection.fate = Fate::Lingering;
            system::shut_down(&connection.fd, Shutdown::Write);
            let (deadline_ns, _) = connection.deadline(&self.limits);
            self.wheel.arm(token, deadline_ns, &mut connection.standing);
            return;
        }
        let heard_enough = connection.peer_done || connection.discarded > limits::LINGER_BYTES_MAX;
        if connection.fate == Fate::Lingering && heard_enough {
            return self.drop_connection(token);
        }
        if connection.fate == Fate::Dropped && connection.is_released() {
            self.forget(token);
        }
    }

    /// Ends a connection without another word.
    fn drop_connection(&mut self, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        if connection.fate != Fate::Dropped {
            connection.fate = Fate::Dropped;
            if !connection.is_released() {
                system::shut_down(&connection.fd, Shutdown::Both); // what is in flight now completes
            }
        }
        if connection.is_released() {
            self.forget(token);
        }
    }

    fn forget(&mut self, token: Token) {
        if let Some(connection) = self.connections.remove(token) {
            recycle(&mut self.pool, connection.input);
            recycle(&mut self.pool, connection.out);
            self.metrics.open.set(self.connections.len() as u64);
            self.accept();
        }
    }

    fn look_at_timers(&mut self, now: Now) {
        let now_ns = now.monotonic_ns;
        if now_ns - self.ticked_ns < TICK_NS {
            return;
        }
        self.ticked_ns = now_ns;
        self.clock.look_at_the_wall();
        self.service.tick(now);
        self.metrics.cpu_ns.set(system::thread_cpu_ns().saturating_sub(self.slept.spun_ns));
        self.look_at_control(now);
        self.accept();
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(now_ns, &mut fired);
        for (token, tick) in fired.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            if connection.standing != tick {
                continue; // it moved to an earlier tick, and fired there
            }
            connection.standing = timers::NOWHERE;
            self.look_at_connection(now, token);
        }
        self.fired = fired;
        self.flush(now); // a 408 was rendered
    }

    /// A timer came: act if the deadline of the connection's phase is over, else set it again.
    fn look_at_connection(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        let (mut deadline_ns, expiry) = connection.deadline(&self.limits);
        if expiry == Expiry::Body && deadline_ns <= now.monotonic_ns {
            // Past its first deadline a body must keep a minimum rate, judged over a window each time we look.
            let received = match connection.inbound.phase(connection.unconsumed()) {
                Phase::Body { received, .. } => received,
                Phase::Idle | Phase::Head | Phase::Closed => 0,
            };
            let (_, before) = connection.rate_mark;
            let wanted =
                usize::try_from(limits::BODY_BYTES_PER_SECOND_MIN * limits::BODY_RATE_WINDOW.as_secs()).unwrap_or(0);
            let first = connection.rate_mark == (0, 0);
            if first || received.saturating_sub(before) >= wanted {
                connection.rate_mark = (now.monotonic_ns + ns(limits::BODY_RATE_WINDOW), received);
                deadline_ns = connection.rate_mark.0;
            }
        }
        if deadline_ns > now.monotonic_ns {
            self.wheel.arm(token, deadline_ns, &mut connection.standing);
            return;
        }
        self.metrics.expired(expiry).add(1);
        match expiry {
            Expiry::Idle | Expiry::WriteStall | Expiry::Linger => self.drop_connection(token),
            Expiry::Head | Expiry::Body | Expiry::Request => {
                let reply = Reply::Fault(Fault::Stalled);
                self.work.push(Work { token, reply, persistence: Persistence::CLOSE, head_only: false });
                self.answer();
                if let Some(connection) = self.connections.of(token) {
                    let (deadline_ns, _) = connection.deadline(&self.limits);
                    self.wheel.arm(token, deadline_ns, &mut connection.standing);
                }
            }
        }
    }

    fn look_at_control(&mut self, now: Now) {
        let by_ns = self.control.drain_by_ns.load(Ordering::Acquire);
        if by_ns == 0 || self.drain_by_ns.is_some() {
            return;
        }
        self.drain_by_ns = Some(by_ns);
        // What the kernel already accepted on our behalf is ours to answer: closing the listener would reset it.
        if let Some(listener) = self.listener.take() {
            self.reactor.cancel_accept();
            while let Some(fd) = system::accept_queued(&listener) {
                self.admit(now, fd);
            }
        }
    }
}

/// Frames every whole request in `bytes` and begins each; returns how many bytes are done with.
#[expect(clippy::too_many_arguments, reason = "the shard's parts, borrowed apart")]
fn frame<S: Service>(
    now: Now,
    limits: &Limits,
    connection: &mut Connection,
    token: Token,
    bytes: &mut [u8],
    service: &mut S,
    work: &mut Vec<Work>,
    metrics: &ShardMetrics,
) -> usize {
    let mut at = 0;
    while at < bytes.len() && connection.may_begin(limits) {
        let mut head_only = false;
        let (reply, persistence, consumed) = match connection.inbound.next(limits, &mut bytes[at..]) {
            Step::NeedMore => break,
            Step::Request { head, body, consumed, persistence } => {
                head_only = head.method == Method::Head;
                metrics.requests.add(1);
                let request = Request { head, body, seen_ns: now.monotonic_ns };
                (Reply::Ticket(service.begin(now, request)), persistence, consumed)
            }
            Step::Expect(head) => match service.refuse_early(now, &head) {
                // The client may or may not send the body now: nothing after this can be framed.
                Some(ticket) => {
                    head_only = head.method == Method::Head;
                    (Reply::Ticket(ticket), Persistence::CLOSE, 0)
                }
                None => {
                    connection.inbound.continued();
                    (Reply::Continue, Persistence { keep_alive: true, say_keep_alive: false }, 0)
                }
            },
            Step::Fault { fault, consumed, persistence, head_only: only } => {
                head_only = only;
                (Reply::Fault(fault), persistence, consumed.unwrap_or(0))
            }
        };
        let goes_on = matches!(reply, Reply::Continue);
        work.push(Work { token, reply, persistence, head_only });
        connection.begun += 1;
        at += consumed;
        if !persistence.keep_alive {
            connection.fate = Fate::Closing;
            connection.inbound.close();
            at = bytes.len(); // discarded, never parsed
        } else if goes_on {
            break;
        } else {
            connection.message_since_ns = None;
        }
    }
    at
}

/// Frames what a connection has kept, and forgets what that consumed.
#[expect(clippy::too_many_arguments, reason = "the shard's parts, borrowed apart")]
fn frame_input<S: Service>(
    now: Now,
    limits: &Limits,
    connection: &mut Connection,
    token: Token,
    service: &mut S,
    work: &mut Vec<Work>,
    metrics: &ShardMetrics,
    pool: &mut Vec<Vec<u8>>,
) {
    let mut input = std::mem::take(&mut connection.input);
    let used = frame(now, limits, connection, token, &mut input[connection.consumed..], service, work, metrics);
    connection.consumed += used;
    if connection.consumed == input.len() {
        connection.consumed = 0;
        input.clear();
        recycle(pool, input);
        return;
    }
    if connection.consumed > input.len() / 2 {
        input.drain(..connection.consumed); // moves less than was consumed, so each byte is moved once on average
        connection.consumed = 0;
    }
    connection.input = input;
}

/// Keeps bytes that are not a whole request yet.
fn keep(connection: &mut Connection, bytes: &[u8], pool: &mut Vec<Vec<u8>>) {
    if connection.input.capacity() == 0 {
        connection.input = pool.pop().unwrap_or_else(|| Vec::with_capacity(limits::POOLED_BUFFER_BYTES));
    }
    connection.input.extend_from_slice(bytes);
}

/// Back to the pool, unless it grew beyond what is worth keeping or the pool is full.
fn recycle(pool: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    let keep = buffer.capacity() > 0 && buffer.capacity() <= limits::POOLED_BUFFER_BYTES_MAX;
    if keep && pool.len() < limits::POOLED_BUFFERS {
        buffer.clear();
        pool.push(buffer);
    }
}
