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
        if self.connections.len() >= self.connections_max && !(self.connections.has_room() && self.drop_oldest_idle()) {
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
    pub(super) fn drop_oldest_idle(&mut self) -> bool {
        let oldest = self.connections.iter().filter(|(_, c)| c.is_idle()).min_by_key(|(_, c)| c.active_ns);
        let Some(token) = oldest.map(|(token, _)| token) else { return false };
        self.metrics.pushed_out.add(1);
        self.drop_connection(token);
        true
    }
}
