//! Which core a thread runs on, and how many files the process may open.

use std::io;

use rustix::{
    process::{Resource, Rlimit},
    thread::CpuSet,
};

/// Pins the calling thread.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Whether this process may run there.
pub(crate) fn may_run_on(cpu: usize) -> bool {
    cpu < CpuSet::MAX_CPU && rustix::thread::sched_getaffinity(None).is_ok_and(|set| set.is_set(cpu))
}

/// Raises the limit of open files as far as allowed; says how many there may be.
pub(crate) fn raise_open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(Resource::Nofile, raised); // the limit then stays what it was
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
