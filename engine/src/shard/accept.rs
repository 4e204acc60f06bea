//! New connections: when to accept, and what to do when there is no room.

use std::os::fd::OwnedFd;

use super::{Shard, connection::Connection};
use crate::{clock::Now, service::Service};

impl<S: Service> Shard<S> {
    /// Arms the accept unless it is armed, there is no room, or we are draining.
    pub(super) fn accept(&mut self) {
        if let Some(listener) = &self.listener
            && !self.accepting
            && self.connections.has_room()
            && self.clock.now().monotonic_ns >= self.accept_again_ns
        {
            self.accepting = true;
            self.reactor.accept(listener);
        }
    }

    pub(super) fn admit(&mut self, now: Now, fd: OwnedFd) {
        self.metrics.accepted.add(1);
        if self.connections.len() >= self.connections_max && !(self.connections.has_room() && self.make_room()) {
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

    /// Makes room by ending a connection: one that is idle, or else one that is held. Nobody knows yet whether who asks for it is an operator,
    /// and operators are let in.
    fn make_room(&mut self) -> bool {
        let makes_room = self.drop_oldest_idle() || self.drop_held();
        self.metrics.pushed_out.add(u64::from(makes_room));
        makes_room
    }

    /// Ends the connection that has been idle longest. Rare, so it may look at all of them.
    fn drop_oldest_idle(&mut self) -> bool {
        let oldest = self.connections.iter().filter(|(_, c)| c.is_idle()).min_by_key(|(_, c)| c.active_ns);
        let Some(token) = oldest.map(|(token, _)| token) else { return false };
        self.drop_connection(token);
        true
    }

    /// Ends the connection that is missed least of those that are held.
    fn drop_held(&mut self) -> bool {
        let Self { gate, connections, .. } = self;
        let lives = |token| connections.get(token).is_some_and(Connection::is_held);
        let Some(token) = gate.push_out(lives) else { return false };
        self.drop_connection(token);
        true
    }
}
