//! Admission in the shard's turn: what becomes of a request whose head is read, and of connections that are held.
//!
//! A held connection has a whole request that is neither begun nor refused. Its bytes stay where they are, decoded if they were chunked, nothing
//! behind them is parsed, and what the peer sends on top makes us stop receiving: from then on TCP slows it down.

use super::{Shard, connection::Connection};
use crate::{
    admission::{Ask, Decision, Gate},
    clock::Now,
    http::Head,
    reactor::Token,
    service::{Asked, Service},
};

/// What becomes of a request, when it is worth asking.
#[cold]
pub(super) fn decide<S: Service>(
    now: Now,
    gate: &mut Gate<Token>,
    service: &mut S,
    seen_ns: u64,
    token: Token,
    head: &Head<'_>,
) -> Decision {
    match service.asks(now, head) {
        Asked::Operation => {
            gate.operation();
            Decision::Admit
        }
        Asked::Features { criticality, budget_ns } => {
            gate.decide(now.monotonic_ns, token, Ask { seen_ns, criticality, budget_ns })
        }
    }
}

impl<S: Service> Shard<S> {
    /// Takes up held connections whose turn has come. After all requests of the turn were decided: those go first.
    pub(super) fn release_held(&mut self, now: Now) {
        if !self.gate.holds() {
            return;
        }
        let mut released = std::mem::take(&mut self.released);
        if self.drain_by_ns.is_some() {
            self.gate.release_all(&mut released); // nobody new comes, and who is here is owed an answer
        } else {
            let Self { gate, connections, .. } = self;
            let lives = |token| connections.get(token).is_some_and(Connection::is_held);
            gate.release(now.monotonic_ns, lives, &mut released);
        }
        for (token, decision) in released.drain(..) {
            let Some(connection) = self.connections.of(token) else { continue };
            if !connection.is_held() {
                continue;
            }
            connection.held = false;
            connection.decided = Some(decision);
            self.read_on(now, token);
        }
        self.released = released;
    }
}
