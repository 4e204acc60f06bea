//! What the ring cannot set up: listening sockets, the wake-up descriptor, a thread's place and its CPU time.

#[cfg(test)]
mod tests;

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// Wakes a shard from any thread: it looks what is ready in its next turn.
#[derive(Debug, Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// The waker, and the descriptor that the shard's ring reads.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        // SAFETY: makes a descriptor; the result is checked.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
        // SAFETY: just made, owned by nobody else.
        let ours = unsafe { OwnedFd::from_raw_fd(fd) };
        let theirs = ours.try_clone()?;
        Ok((Self(Arc::new(ours)), theirs))
    }

    /// One system call.
    pub fn wake(&self) {
        let one = 1u64.to_le_bytes(); // any eight bytes that are not zero wake it
        // SAFETY: writes eight bytes of a live array to a live descriptor. A full counter (EAGAIN) means it is awake anyway.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

/// A listening socket that shares its port with the other shards' (`SO_REUSEPORT`). Accepted sockets inherit
/// `TCP_NODELAY`, and give up on a peer that acknowledges nothing for `user_timeout_ms`.
pub(crate) fn listen(address: SocketAddr, share: bool, user_timeout_ms: u32) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: makes a descriptor; the result is checked.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if share {
        set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    set_option(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    let user_timeout_ms = libc::c_int::try_from(user_timeout_ms).unwrap_or(libc::c_int::MAX);
    set_option(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, user_timeout_ms)?;
    bind(fd.as_raw_fd(), address)?;
    // SAFETY: a live socket; the result is checked.
    check(unsafe { libc::listen(fd.as_raw_fd(), crate::limits::ACCEPT_BACKLOG) })?;
    Ok(fd)
}

/// The address a socket is bound to (the port that 0 became).
pub(crate) fn local_address(fd: &OwnedFd) -> io::Result<SocketAddr> {
    std::net::TcpListener::from(fd.try_clone()?).local_addr()
}

/// Ends one or both directions of a connection; a receive in flight then reports its end.
pub(crate) fn shut_down(fd: &OwnedFd, how: Shutdown) {
    let how = match how {
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: a live descriptor. ENOTCONN only says that the peer was faster.
    unsafe { libc::shutdown(fd.as_raw_fd(), how) };
}

/// Which directions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shutdown {
    Write,
    Both,
}

/// From now on the kernel begins no new connection on a listener, as if what asks for one had been lost on the way, and finishes those
/// that it began: a packet filter drops whatever has the SYN flag. A kernel that refuses the filter goes on accepting.
pub(crate) fn begin_no_more(listener: &OwnedFd) {
    let step = |code: u32, jump: [u8; 2], k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a small constant"),
        jt: jump[0],
        jf: jump[1],
        k,
    };
    let (flags_at, syn) = (13, 0x02); // of the TCP header, where a filter of a TCP socket begins
    let mut program = [
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, [0, 0], flags_at),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, [0, 1], syn),
        step(libc::BPF_RET | libc::BPF_K, [0, 0], 0),
        step(libc::BPF_RET | libc::BPF_K, [0, 0], u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    let bytes = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).expect("a small struct");
    let place = (&raw const filter).cast();
    // SAFETY: a live socket; a live program with its length, which the kernel copies.
    unsafe { libc::setsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, place, bytes) };
}

/// Takes one connection that is already queued on a listener, if there is one.
pub(crate) fn accept_queued(listener: &OwnedFd) -> Option<OwnedFd> {
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd; a timeout of zero never waits.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } != 1 {
        return None;
    }
    // SAFETY: a listening socket that has a connection queued; no address is asked for.
    let fd =
        unsafe { libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC) };
    // SAFETY: just made, owned by nobody else (the check comes first).
    check(fd).ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ties the calling thread to one CPU.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: `cpu` is below the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: a live set and its size; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })?;
    Ok(())
}

/// Keeps the calling thread, and threads it makes, off these CPUs; false if there are no others.
pub fn keep_off(cpus: &[usize]) -> bool {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let mut left = false;
    for cpu in allowed_cpus().into_iter().filter(|cpu| !cpus.contains(cpu)) {
        // SAFETY: allowed CPUs are below the set's size.
        unsafe { libc::CPU_SET(cpu, &mut set) };
        left = true;
    }
    // SAFETY: a live set and its size; 0 is the calling thread.
    left && unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } == 0
}

/// The CPUs that this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: all zeroes is an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live set and its size; 0 is the calling thread.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return vec![0];
    }
    // SAFETY: every index is below the set's size.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Lets the calling thread's timers fire when they are due: by default the kernel may put them off by 50 µs to save wakeups.
pub(crate) fn fire_timers_on_time() {
    let nanoseconds: libc::c_ulong = 1; // 0 would mean the default
    // SAFETY: changes a number of the calling thread; a kernel that refuses leaves timers later, nothing else.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
}

/// From now on the calling thread works when nobody else wants its core or the disk. What a kernel refuses of it, or does not
/// know, is left as it was.
pub fn work_in_the_background() {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: a live parameter; 0 is the calling thread. An idle thread is interrupted as soon as another one wakes up.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const no_priority) };
    let (this_thread, idle_class) = (1, 3 << 13);
    // SAFETY: passes three numbers; 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_ioprio_set, this_thread, 0, idle_class) };
}

/// Page faults of the calling thread for which the kernel had to read from a disk.
pub(crate) fn thread_major_faults() -> u64 {
    // SAFETY: all zeroes is a valid rusage: it holds numbers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a live rusage; the calling thread always exists.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_majflt.unsigned_abs()
}

/// What the kernel counts of one thread.
#[derive(Debug)]
pub(crate) struct ThreadTimes {
    /// `/proc/thread-self/schedstat`; none on a kernel that does not count it.
    schedule: Option<OwnedFd>,
}

impl ThreadTimes {
    /// Of the calling thread, and to be asked by it alone.
    pub(crate) fn of_this_thread() -> Self {
        let path = c"/proc/thread-self/schedstat";
        // SAFETY: a string that ends in zero; the result is checked.
        let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) });
        // SAFETY: just made, owned by nobody else.
        Self { schedule: fd.ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }) }
    }

    /// CPU time, user and system.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a live timespec; this clock exists on every Linux we start on.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
    }

    /// How long the thread could have run and was not let: behind other threads, or throttled by a control group. 0 on a kernel that does
    /// not count it.
    pub(crate) fn delayed_ns(&self) -> u64 {
        let Some(schedule) = &self.schedule else { return 0 };
        let mut text = [0u8; 64]; // three numbers of at most twenty digits
        // SAFETY: a live descriptor, and a live array with its length.
        let length = unsafe { libc::pread(schedule.as_raw_fd(), text.as_mut_ptr().cast(), text.len(), 0) };
        let read = text.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
        let delay = read.split(|b| b.is_ascii_whitespace()).nth(1).unwrap_or_default();
        delay.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0xf))
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set_option(fd: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let bytes = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four");
    // SAFETY: a live descriptor and a live int with its size.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), bytes) })?;
    Ok(())
}

fn bind(fd: RawFd, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("a small constant"),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            bind_raw(fd, &raw)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::sa_family_t::try_from(libc::AF_INET6).expect("a small constant"),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            bind_raw(fd, &raw)
        }
    }
}

fn bind_raw<A>(fd: RawFd, address: &A) -> io::Result<()> {
    let bytes = libc::socklen_t::try_from(size_of::<A>()).expect("an address is small");
    // SAFETY: a live socket; `A` is the sockaddr struct of its family, with its own size.
    check(unsafe { libc::bind(fd, (&raw const *address).cast(), bytes) })?;
    Ok(())
}
