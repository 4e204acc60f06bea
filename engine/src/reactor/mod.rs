//! One ring, driven by the one thread that made it. The only modules that name io-uring, and all of this crate's `unsafe`.
//!
//! ```text
//!   receive ─► [ provided buffers ] ─► Received { lease } ─► give_back(lease)
//!   send(Vec) ─► [ kept here while the kernel reads it ] ─► Sent { buffer: Vec }
//!   read(Read) ─► [ aligned buffers ] ─► ReadOver { lease } ─► give_back_read(lease)
//! ```
//!
//! The contract that makes the interface safe: memory that the kernel may touch is owned by the [`Reactor`] for as long as
//! it may. A send's bytes are moved in and come back with its completion; a receive buffer is handed out as a [`Lease`] only
//! after the kernel filled it and let go of it, and returns to the kernel by value; a file is read into a buffer that is leased
//! out in the same way once the read is over. Dropping the reactor first cancels and
//! reaps everything in flight; what cannot be reaped is leaked, never freed under the kernel.
//!
//! Why a ring at all, and why these flags: see docs/adr/0001 (5.4 µs of CPU per request against 8 and more for readiness).
#![expect(unsafe_code, reason = "ring entries point at memory, and sockets are set up by system calls")]

pub(crate) mod buffers;
pub(crate) mod program;
pub(crate) mod reads;
pub(crate) mod system;

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    time::Duration,
};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use self::{
    buffers::{Buffers, Lease},
    reads::{Read, ReadBuffers, ReadLease},
};
use crate::limits;

/// Names a connection to the ring: its slot, and how often that slot was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) slot: u32,
    /// Only the low 28 bits travel.
    pub(crate) generation: u32,
}

/// What the kernel reports.
#[derive(Debug)]
pub(crate) enum Completion {
    /// `armed`: more will follow without a new accept.
    Accepted { fd: OwnedFd, armed: bool },
    /// The multishot accept is over; arm it again, later if `errno` says that resources are short.
    AcceptEnded { errno: i32 },
    /// Bytes came. `armed`: more will follow without a new receive.
    Received { token: Token, lease: Lease, armed: bool },
    /// The receive is over without bytes. 0 is the peer's end of stream; `ENOBUFS` is ordinary: arm it again.
    ReceiveEnded { token: Token, errno: i32 },
    /// A send took some of its bytes and goes on by itself.
    SendProgressed { token: Token },
    /// A send is over; its buffer comes back.
    Sent { token: Token, buffer: Vec<u8>, errno: i32 },
    /// A file read is over, with as many bytes as the lease holds or with an error. `tag` is the read's own.
    ReadOver { lease: ReadLease, tag: u64, outcome: Result<(), i32> },
    /// Another thread called [`system::Waker::wake`].
    Woken,
}

/// How long [`Reactor::turn`] may wait for the first completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submit, take what is there.
    No,
    /// Sleep in the kernel until something completes, or this long.
    AtMost(Duration),
}

#[derive(Debug)]
struct Sending {
    fd: RawFd,
    buffer: Vec<u8>,
    sent: usize,
}

/// The ring of one shard.
pub(crate) struct Reactor {
    ring: IoUring,
    /// `None` only after a drop that had to leak them.
    buffers: Option<Buffers>,
    /// By slot: what the kernel is reading from.
    sending: Vec<Option<Sending>>,
    /// What the kernel is reading files into.
    reads: ReadBuffers,
    /// Entries of the next submission.
    queued: Vec<squeue::Entry>,
    /// Operations submitted or queued that have not reported their last completion.
    in_flight: usize,
    wake_fd: OwnedFd,
    /// The kernel writes the eventfd's count here; boxed so that it does not move with `self`.
    wake_count: Box<[u8; 8]>,
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

const BUFFER_GROUP: u16 = 0;

const KIND_SHIFT: u32 = 60;
const KIND_ACCEPT: u64 = 1;
const KIND_RECEIVE: u64 = 2;
const KIND_SEND: u64 = 3;
const KIND_WAKE: u64 = 4;
const KIND_CANCEL: u64 = 5;
const KIND_READ: u64 = 6;
const GENERATION_MASK: u32 = (1 << 28) - 1;

/// An enter that brings fewer completions has left nobody out: the kernel runs at most twenty pieces of deferred work at a time (Linux 6.18;
/// forty in an enter that submits as well).
const ENTER_RECEIVES: usize = 20;

fn user_data(kind: u64, token: Token) -> u64 {
    kind << KIND_SHIFT | u64::from(token.generation & GENERATION_MASK) << 32 | u64::from(token.slot)
}

#[expect(clippy::cast_possible_truncation, reason = "the masks and shifts select the fields")]
fn token_of(user_data: u64) -> Token {
    Token { slot: user_data as u32, generation: (user_data >> 32) as u32 & GENERATION_MASK }
}

impl Reactor {
    /// Makes the ring on the calling thread, which is the only one that may use it. `slots` bounds tokens.
    pub(crate) fn new(slots: usize, buffers: u16, wake_fd: OwnedFd) -> io::Result<Self> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag() // lets a spinning core see that work is due without entering the kernel
            .setup_submit_all()
            .setup_cqsize(limits::COMPLETIONS)
            .build(limits::SUBMISSIONS)?;
        let mut sending = Vec::new();
        sending.resize_with(slots, || None);
        let mut reactor = Self {
            buffers: Some(Buffers::register(&ring.submitter(), buffers, BUFFER_GROUP)?),
            ring,
            sending,
            reads: ReadBuffers::new(),
            queued: Vec::with_capacity(limits::SUBMISSIONS as usize),
            in_flight: 0,
            wake_fd,
            wake_count: Box::new([0; 8]),
        };
        reactor.arm_wake();
        Ok(reactor)
    }

    /// Accepts connections on `listener` until further notice.
    pub(crate) fn accept(&mut self, listener: &OwnedFd) {
        let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        self.queue(entry.user_data(KIND_ACCEPT << KIND_SHIFT));
    }

    /// Ends the multishot accept; an [`Completion::AcceptEnded`] follows.
    pub(crate) fn cancel_accept(&mut self) {
        self.cancel(KIND_ACCEPT << KIND_SHIFT);
    }

    /// Receives on a connection until further notice.
    pub(crate) fn receive(&mut self, token: Token, fd: &OwnedFd) {
        let entry = opcode::RecvMulti::new(types::Fd(fd.as_raw_fd()), BUFFER_GROUP).build();
        self.queue(entry.user_data(user_data(KIND_RECEIVE, token)));
    }

    /// Ends the multishot receive; a [`Completion::ReceiveEnded`] with `ECANCELED` follows, perhaps after more bytes.
    pub(crate) fn cancel_receive(&mut self, token: Token) {
        self.cancel(user_data(KIND_RECEIVE, token));
    }

    /// Sends all of `buffer`. At most one send per connection may be in flight.
    pub(crate) fn send(&mut self, token: Token, fd: &OwnedFd, buffer: Vec<u8>) {
        let place = &mut self.sending[token.slot as usize];
        assert!(place.is_none(), "one send in flight per connection");
        let sending = place.insert(Sending { fd: fd.as_raw_fd(), buffer, sent: 0 });
        let entry = send_entry(sending).user_data(user_data(KIND_SEND, token));
        self.queue(entry);
    }

    /// The bytes of a lease; theirs who holds it, to read and to overwrite.
    pub(crate) fn bytes(&mut self, lease: &Lease) -> &mut [u8] {
        self.buffers.as_mut().expect("buffers live as long as the reactor").bytes(lease)
    }

    /// Returns a buffer to the kernel (seen by it at the next [`Self::turn`]).
    pub(crate) fn give_back(&mut self, lease: Lease) {
        self.buffers.as_mut().expect("buffers live as long as the reactor").give_back(lease);
    }

    /// Takes a buffer for a read; `None` if every one that its file may have is in use, and nothing was done.
    pub(crate) fn claim_read(&mut self, read: &Read) -> io::Result<Option<u32>> {
        self.reads.claim(read)
    }

    /// Makes a read that has a buffer.
    pub(crate) fn make_read(&mut self, slot: u32) {
        let entry = self.reads.entry(slot).user_data(KIND_READ << KIND_SHIFT | u64::from(slot));
        self.queue(entry);
    }

    /// The bytes that a read brought.
    pub(crate) fn read_bytes(&mut self, lease: &ReadLease) -> &[u8] {
        self.reads.bytes(lease)
    }

    /// Returns a read's buffer to the pool.
    pub(crate) fn give_back_read(&mut self, lease: ReadLease) {
        self.reads.give_back(lease);
    }

    /// Reads in flight.
    pub(crate) fn reads_in_flight(&self) -> usize {
        self.reads.busy()
    }

    /// Whether the kernel has something for us: completions, or work to be run in an enter. No system call.
    pub(crate) fn is_due(&mut self) -> bool {
        let completions = !self.ring.completion().is_empty();
        completions || self.ring.submission().taskrun()
    }

    /// Nothing is queued for submission.
    pub(crate) fn is_quiet(&self) -> bool {
        self.queued.is_empty()
    }

    /// The turn's one system call: submits everything queued, waits as told, appends what completed to `out`.
    ///
    /// Where much has come it is more than one: an enter takes up only some tens of receives, and whoever is left out would wait unseen,
    /// in a queue that admission does not know of.
    pub(crate) fn turn(&mut self, wait: Wait, out: &mut Vec<Completion>) -> io::Result<()> {
        self.buffers.as_mut().expect("buffers live as long as the reactor").publish();
        self.push_queued()?;
        let mut entered = match wait {
            Wait::No => self.ring.submitter().submit(),
            Wait::AtMost(time) => {
                let time = types::Timespec::from(time);
                self.ring.submitter().submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
        };
        loop {
            match entered {
                Ok(_) => {}
                Err(e) if passes(&e) => {}
                Err(e) => return Err(e),
            }
            let before = out.len();
            self.take_completions(out);
            let full = out.len() - before >= ENTER_RECEIVES && out.len() < limits::RECEIVE_BUFFERS.into();
            if !full || !self.ring.submission().taskrun() {
                return Ok(());
            }
            entered = self.ring.submitter().submit();
        }
    }

    fn queue(&mut self, entry: squeue::Entry) {
        self.in_flight += 1;
        self.queued.push(entry);
    }

    fn cancel(&mut self, user_data: u64) {
        self.queue(opcode::AsyncCancel::new(user_data).build().user_data(KIND_CANCEL << KIND_SHIFT));
    }

    fn arm_wake(&mut self) {
        let fd = types::Fd(self.wake_fd.as_raw_fd());
        let entry = opcode::Read::new(fd, self.wake_count.as_mut_ptr(), 8).build().user_data(KIND_WAKE << KIND_SHIFT);
        self.queue(entry);
    }

    fn push_queued(&mut self) -> io::Result<()> {
        let mut from = 0;
        while from < self.queued.len() {
            let mut submission = self.ring.submission();
            let room = submission.capacity() - submission.len();
            let to = self.queued.len().min(from + room);
            // SAFETY: every pointer in an entry is to memory that `self` owns until the operation's last completion was
            // taken: provided buffers, `sending`, `reads`, `wake_count`. (`room` was just read, so the push cannot be refused.)
            let pushed = unsafe { submission.push_multiple(&self.queued[from..to]) };
            drop(submission);
            debug_assert!(pushed.is_ok());
            from = to;
            if from < self.queued.len()
                && let Err(e) = self.ring.submitter().submit()
                && !passes(&e)
            {
                return Err(e);
            }
        }
        self.queued.clear();
        Ok(())
    }

    fn take_completions(&mut self, out: &mut Vec<Completion>) {
        loop {
            // Copied out in batches: taking one may queue another (a short send goes on), which needs all of `self`.
            let mut batch = [const { MaybeUninit::uninit() }; 64];
            let batch = self.ring.completion().fill(&mut batch);
            for completion in batch.iter() {
                if let Some(completion) = self.take(completion) {
                    out.push(completion);
                }
            }
            if batch.len() < 64 {
                return;
            }
        }
    }

    fn take(&mut self, completion: &cqueue::Entry) -> Option<Completion> {
        let (result, flags, data) = (completion.result(), completion.flags(), completion.user_data());
        let more = cqueue::more(flags);
        if !more {
            self.in_flight -= 1;
        }
        let token = token_of(data);
        match data >> KIND_SHIFT {
            KIND_RECEIVE if result > 0 => {
                let id = cqueue::buffer_select(flags).expect("a receive with bytes names its buffer");
                let lease = self.buffers.as_mut().expect("buffers live as long as the reactor").lease(id, result);
                Some(Completion::Received { token, lease, armed: more })
            }
            KIND_RECEIVE => Some(Completion::ReceiveEnded { token, errno: -result }),
            KIND_SEND => self.take_sent(token, result),
            KIND_ACCEPT if result >= 0 => {
                // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
                let fd = unsafe { OwnedFd::from_raw_fd(result) };
                Some(Completion::Accepted { fd, armed: more })
            }
            KIND_ACCEPT => Some(Completion::AcceptEnded { errno: -result }),
            KIND_READ => {
                let (lease, tag, outcome) = self.reads.complete(token.slot, result);
                Some(Completion::ReadOver { lease, tag, outcome })
            }
            KIND_WAKE => {
                self.arm_wake();
                Some(Completion::Woken)
            }
            _ => None, // a cancel's own completion: what it cancelled reports for itself
        }
    }

    fn take_sent(&mut self, token: Token, result: i32) -> Option<Completion> {
        let place = &mut self.sending[token.slot as usize];
        let sending = place.as_mut().expect("a send completes once");
        if result > 0 {
            sending.sent += result.unsigned_abs() as usize;
            if sending.sent < sending.buffer.len() {
                let entry = send_entry(sending).user_data(user_data(KIND_SEND, token));
                self.queue(entry);
                return Some(Completion::SendProgressed { token });
            }
        }
        let buffer = place.take().map(|s| s.buffer).unwrap_or_default();
        let errno = if result > 0 { 0 } else { result.abs().max(libc::EPIPE) };
        Some(Completion::Sent { token, buffer, errno })
    }
}

/// ETIME: the wait is over; EINTR: a signal; EBUSY and EAGAIN: completions must be taken first. All: go on.
fn passes(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

fn send_entry(sending: &Sending) -> squeue::Entry {
    let rest = &sending.buffer[sending.sent..];
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX); // the remainder goes with the next, as after any short send
    opcode::Send::new(types::Fd(sending.fd), rest.as_ptr(), length).flags(libc::MSG_NOSIGNAL).build()
}

impl Drop for Reactor {
    fn drop(&mut self) {
        let mut spill = Vec::new();
        let give_up = Duration::from_millis(50);
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build().user_data(KIND_CANCEL << KIND_SHIFT);
        self.queue(entry);
        for _ in 0..20 {
            // The wake read re-arms itself and short sends go on; both are cancelled by the next round.
            if self.turn(Wait::AtMost(give_up), &mut spill).is_err() || self.in_flight <= self.queued.len() {
                break;
            }
            if self.queued.is_empty() {
                let again = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
                self.queue(again.user_data(KIND_CANCEL << KIND_SHIFT));
            }
        }
        if self.in_flight > self.queued.len() {
            std::mem::forget(self.buffers.take());
            std::mem::forget(std::mem::take(&mut self.sending));
            std::mem::forget(std::mem::replace(&mut self.reads, ReadBuffers::new()));
            std::mem::forget(std::mem::replace(&mut self.wake_count, Box::new([0; 8])));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use super::*;

    /// Whoever is left out waits where nobody sees it.
    #[test]
    fn all_that_has_come_is_taken_up_in_one_turn() {
        let (_waker, wake_fd) = system::Waker::new().unwrap();
        let mut reactor = Reactor::new(256, limits::RECEIVE_BUFFERS, wake_fd).unwrap();
        let (mut peers, mut ours) = (Vec::new(), Vec::new());
        let mut out = Vec::new();
        for slot in 0..256 {
            let (peer, own) = UnixStream::pair().unwrap();
            let own = OwnedFd::from(own);
            reactor.receive(Token { slot, generation: 0 }, &own);
            peers.push(peer);
            ours.push(own);
        }
        reactor.turn(Wait::No, &mut out).unwrap();
        assert!(out.is_empty(), "{out:?}");
        for peer in &mut peers {
            peer.write_all(b"GET").unwrap();
        }
        reactor.turn(Wait::AtMost(Duration::from_secs(1)), &mut out).unwrap();
        assert_eq!(out.len(), 256);
        for completion in out {
            let Completion::Received { lease, .. } = completion else { panic!("{completion:?}") };
            reactor.give_back(lease);
        }
    }
}
