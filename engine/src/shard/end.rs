//! How connections end: after their last answer, lingering so that the peer reads it, or at once.

use super::{Shard, connection::Fate, recycle};
use crate::{
    clock::Now,
    limits,
    reactor::{
        Token,
        system::{self, Shutdown},
    },
    service::Service,
};

/// What it means that a receive has ended without bytes, by its error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The peer sends no more.
    Peer,
    /// Every buffer was in use when bytes came, or we paused it: ordinary. What has come waits in the socket.
    Again,
    /// The machine had no memory to spare for receiving. Nothing was taken from the socket, and it is tried again in a while.
    Later,
    /// The connection is broken.
    Failed,
}

impl Ended {
    pub(super) fn by(errno: i32) -> Self {
        match errno {
            0 => Self::Peer,
            libc::ENOBUFS | libc::ECANCELED => Self::Again,
            libc::ENOMEM => Self::Later,
            _ => Self::Failed,
        }
    }
}

impl<S: Service> Shard<S> {
    /// Moves a connection along once nothing holds it where it is.
    pub(super) fn settle(&mut self, now: Now, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        if !connection.receiving && !connection.peer_done && connection.fate == Fate::Open {
            self.rearm.push(token); // it was paused; `flush` decides whether it may go on
        }
        let idle = connection.sending.is_none() && !connection.answers.may_leave() && connection.begun == 0;
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
    pub(super) fn drop_connection(&mut self, token: Token) {
        let Some(connection) = self.connections.of(token) else { return };
        if connection.fate != Fate::Dropped {
            connection.fate = Fate::Dropped;
            self.abandon_waiting(token);
            let Some(connection) = self.connections.of(token) else { return };
            if !connection.is_released() {
                system::shut_down(&connection.fd, Shutdown::Both); // what is in flight now completes
            }
        }
        if self.connections.of(token).is_some_and(|connection| connection.is_released()) {
            self.forget(token);
        }
    }

    pub(super) fn forget(&mut self, token: Token) {
        if let Some(mut connection) = self.connections.remove(token) {
            self.room.let_go(&connection.input);
            recycle(&mut self.pool, connection.input);
            recycle(&mut self.pool, connection.answers.leave());
            self.metrics.open.set(self.connections.len() as u64);
            self.accept();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_memory_breaks_no_connection() {
        let check = |errno, expected| assert_eq!(Ended::by(errno), expected, "{errno}");
        check(0, Ended::Peer);
        check(libc::ENOBUFS, Ended::Again);
        check(libc::ECANCELED, Ended::Again);
        check(libc::ENOMEM, Ended::Later);
        check(libc::ECONNRESET, Ended::Failed);
        check(libc::ETIMEDOUT, Ended::Failed);
    }
}
