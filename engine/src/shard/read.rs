//! From received bytes to requests begun: framing what came, keeping what is not whole, stopping when enough is under way.

use super::{
    Reply, Shard, ShardMetrics, Work,
    admit::decide,
    connection::{Connection, Fate},
    recycle,
    room::Room,
};
use crate::{
    admission::{Decision, Gate},
    clock::Now,
    http::{Fault, Inbound, Method, Persistence, Phase, Request, Step},
    limits::Limits,
    reactor::{Token, buffers::Lease},
    service::Service,
};

impl<S: Service> Shard<S> {
    /// Bytes came: in the common case whole requests, read where the kernel put them.
    pub(super) fn received(&mut self, now: Now, token: Token, lease: Lease, armed: bool) {
        let Some(connection) = self.connections.of(token) else {
            return self.reactor.give_back(lease);
        };
        if !armed {
            connection.receiving = false;
            self.rearm.push(token);
        }
        let Self { reactor, service, gate, limits, work, metrics, pool, room, .. } = self;
        let bytes = reactor.bytes(&lease);
        metrics.received_bytes.add(bytes.len() as u64);
        let mut fits = true;
        if connection.fate != Fate::Open {
            connection.discarded += bytes.len();
        } else if connection.unconsumed() == 0 {
            connection.received_ns = now.monotonic_ns;
            let used = frame(now, limits, connection, token, bytes, service, gate, work, metrics);
            if connection.fate == Fate::Open && used < bytes.len() {
                fits = keep(connection, &bytes[used..], limits, pool, room);
            }
        } else {
            connection.received_ns = now.monotonic_ns;
            fits = keep(connection, bytes, limits, pool, room);
            if fits {
                frame_input(now, limits, connection, token, service, gate, work, metrics, pool, room);
            }
        }
        reactor.give_back(lease);
        if !fits {
            self.refuse_for_room(now, token);
        }
        self.after_reading(now, token);
    }

    /// Frames what an earlier turn left over.
    pub(super) fn read_on(&mut self, now: Now, token: Token) {
        let Self { service, gate, limits, work, metrics, pool, room, .. } = self;
        let Some(connection) = self.connections.of(token) else { return };
        connection.ready = false;
        frame_input(now, limits, connection, token, service, gate, work, metrics, pool, room);
        self.after_reading(now, token);
    }

    /// Decides what a connection waits for, now that its input was framed as far as it goes.
    pub(super) fn after_reading(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        let more = std::mem::replace(&mut connection.was_held, connection.held);
        let unconsumed = connection.unconsumed();
        if connection.fate == Fate::Open && unconsumed > 0 {
            if !connection.may_begin(&self.limits) {
                // More than this turn's share: next turn, if it is neither output that holds it up (then: when it is sent)
                // nor requests that wait (then: when one is concluded).
                let full = connection.begun >= self.limits.requests_in_process_max;
                if full && connection.answers.waiting() < self.limits.requests_in_process_max && !connection.ready {
                    connection.ready = true;
                    self.ready.push(token);
                }
                // A held connection need not send more than what it is held for; that it does shows once more bytes came.
                let enough = unconsumed > self.limits.unsent_bytes_max || (connection.held && more);
                if enough && connection.receiving && !connection.pausing {
                    connection.pausing = true;
                    self.reactor.cancel_receive(token);
                }
            } else if connection.message_since_ns.is_none() && connection.inbound.phase(unconsumed) != Phase::Idle {
                connection.message_since_ns = Some(now.monotonic_ns);
                connection.rate_window = None;
                let (deadline_ns, _) = connection.deadline(&self.limits);
                self.wheel.arm(token, deadline_ns, &mut connection.standing);
            }
        }
        if connection.fate == Fate::Open && connection.peer_done {
            self.end_of_input(now, token);
        }
        if self.connections.of(token).is_some_and(|c| c.fate >= Fate::Lingering) {
            self.settle(now, token);
        }
    }

    /// The peer sends no more: whatever is not a whole request never will be.
    pub(super) fn end_of_input(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        let more_to_frame = connection.unconsumed() > 0 && !connection.may_begin(&self.limits);
        if connection.fate != Fate::Open || connection.ready || more_to_frame {
            return; // what is left is looked at first; `read_on` comes back here
        }
        if let Some(fault) = connection.inbound.end(connection.unconsumed()) {
            self.refuse_unfinished(now, token, fault);
        } else if connection.begun == 0 {
            connection.fate = Fate::Closing;
            self.settle(now, token);
        } else {
            connection.fate = Fate::Closing; // the answers of this turn are still owed
        }
    }
}

impl<S: Service> Shard<S> {
    /// A message will never be whole. If its head alone is reason to refuse it, that is what its sender is told: whether it may
    /// ask comes before whether it asked well.
    pub(super) fn refuse_unfinished(&mut self, now: Now, token: Token, fault: Fault) {
        let Some(connection) = self.connections.of(token) else { return };
        let bytes = connection.input.get(connection.consumed..).unwrap_or_default();
        let head = connection.inbound.unfinished(&self.limits, bytes);
        let head_only = head.is_some_and(|head| head.method == Method::Head);
        let refused = head.and_then(|head| self.service.refuse_early(now, &head));
        let form = head.map(|head| self.service.form(&head));
        let reply = refused.map_or(Reply::Fault { fault, form }, Reply::Ticket);
        connection.begun += 1; // as for every answer that is owed
        // Told once: no timer runs for it any more, and no more of it is parsed.
        connection.message_since_ns = None;
        connection.inbound.close();
        let seen_ns = now.monotonic_ns;
        self.work.push(Work { token, reply, seen_ns, persistence: Persistence::CLOSE, head_only });
    }

    /// There is no room for more of what a connection sends. It is told so and closed, rather than left waiting for room: if all did that, none
    /// would become whole and make any.
    fn refuse_for_room(&mut self, now: Now, token: Token) {
        self.metrics.input_refused.add(1);
        self.refuse_unfinished(now, token, Fault::NoRoom);
        let Some(connection) = self.connections.of(token) else { return };
        connection.fate = Fate::Closing; // a place that it has in the gate's line finds nobody
        connection.held = false;
        let input = std::mem::take(&mut connection.input);
        connection.consumed = 0;
        connection.arrivals.clear();
        self.room.let_go(&input);
        recycle(&mut self.pool, input);
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
    gate: &mut Gate<Token>,
    work: &mut Vec<Work>,
    metrics: &ShardMetrics,
) -> usize {
    let mut at = 0;
    while at < bytes.len() && connection.may_begin(limits) {
        let mut head_only = false;
        let mut seen_ns = connection.received_ns;
        let (reply, persistence, consumed) = match connection.inbound.next(limits, &mut bytes[at..]) {
            Step::NeedMore => break,
            Step::Request { head, body, consumed, persistence } => {
                head_only = head.method == Method::Head;
                let mut asked = false;
                let place = connection.consumed + at;
                seen_ns = connection.arrivals.seen_ns(place).unwrap_or(seen_ns);
                // What says something about itself is listened to.
                let plain = head.criticality.is_none() && head.latency_budget_ms.is_none();
                let decision = match connection.decided.take() {
                    Some(decision) => decision,
                    None if plain && gate.is_calm() => {
                        gate.admit_quietly(seen_ns);
                        Decision::Admit
                    }
                    None => {
                        asked = true;
                        decide(now, gate, service, seen_ns, token, &head)
                    }
                };
                let reply = match decision {
                    Decision::Admit => {
                        metrics.requests.add(1);
                        let request = Request { head, body, seen_ns, asked };
                        Reply::Ticket(service.begin(now, request))
                    }
                    Decision::Shed { retry_after_s, .. } => Reply::Shed { retry_after_s, form: service.form(&head) },
                    Decision::Hold => {
                        let length = body.len();
                        connection.inbound = Inbound::again(limits, &bytes[at..], consumed, length);
                        connection.held = true;
                        break;
                    }
                };
                (reply, persistence, consumed)
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
            Step::Fault { fault, consumed, persistence, head_only: only, head } => {
                head_only = only;
                let form = head.map(|head| service.form(&head));
                (Reply::Fault { fault, form }, persistence, consumed.unwrap_or(0))
            }
        };
        let goes_on = matches!(reply, Reply::Continue);
        work.push(Work { token, reply, seen_ns, persistence, head_only });
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
    gate: &mut Gate<Token>,
    work: &mut Vec<Work>,
    metrics: &ShardMetrics,
    pool: &mut Vec<Vec<u8>>,
    room: &mut Room,
) {
    let mut input = std::mem::take(&mut connection.input);
    let used = frame(now, limits, connection, token, &mut input[connection.consumed..], service, gate, work, metrics);
    connection.consumed += used;
    if connection.may_begin(limits) {
        connection.arrivals.is_one_message(connection.consumed); // it stopped for want of bytes
    }
    if connection.consumed == input.len() {
        connection.consumed = 0;
        connection.arrivals.clear();
        input.clear();
        room.let_go(&input);
        recycle(pool, input);
        return;
    }
    if connection.consumed > input.len() / 2 {
        connection.arrivals.forget(connection.consumed);
        input.drain(..connection.consumed); // moves less than was consumed, so each byte is moved once on average
        connection.consumed = 0;
    }
    connection.input = input;
}

/// Keeps bytes that are not a whole request yet; false if there is no room for them.
fn keep(connection: &mut Connection, bytes: &[u8], limits: &Limits, pool: &mut Vec<Vec<u8>>, room: &mut Room) -> bool {
    if connection.input.capacity() == 0 {
        connection.input = room.take(pool);
    }
    if !room.grow(&mut connection.input, bytes.len(), limits.message_bytes_max()) {
        return false;
    }
    connection.arrivals.add(connection.input.len(), connection.received_ns);
    connection.input.extend_from_slice(bytes);
    true
}
