//! What is said where the kernel has no io_uring, or none for us.

use std::{collections::BTreeMap, thread};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::{
    data::world,
    gannet::{Run, World},
};

/// Runs it where making a ring fails with such an error. The filter holds for the thread that applies it, and for the
/// processes that this thread starts.
fn run_without_rings(world: &World, error: u32, arguments: &[&str]) -> Run {
    let rules = BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let refuse = SeccompAction::Errno(error);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            seccompiler::apply_filter(&program).unwrap();
            world.run(arguments)
        });
        run.join().unwrap()
    })
}

#[track_caller]
fn check(error: u32, expected: &str) {
    let world = world();
    for arguments in [["serve", "--listen", "127.0.0.1:0"], ["quickstart", "--listen", "127.0.0.1:0"]] {
        let run = run_without_rings(&world, error, &arguments);
        assert_eq!(run.code, Some(1), "{arguments:?}: {run:?}");
        assert_eq!((run.out.as_str(), run.err.as_str()), ("", expected), "{arguments:?}");
    }
}

#[test]
fn a_kernel_without_io_uring_is_told_in_one_line() {
    check(
        ENOSYS,
        "error: cannot serve: this kernel lacks what the ring needs (Function not implemented (os error 38)); \
         Linux 6.1 or newer is required\n",
    );
}

#[test]
fn a_kernel_that_forbids_io_uring_is_told_in_one_line() {
    check(
        EPERM,
        "error: cannot serve: io_uring is forbidden here (Operation not permitted (os error 1)); look at the sysctl \
         kernel.io_uring_disabled (must be 0) and at seccomp profiles of containers\n",
    );
}

/// The system call and the errors, as x86_64 Linux numbers them.
const IO_URING_SETUP: i64 = 425;
const ENOSYS: u32 = 38;
const EPERM: u32 = 1;
