//! What the kernel counts of a thread is what the thread did: it sleeps, it burns, it shares its core. Only relations between counters are
//! asserted, which hold however busy the machine is.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::{ThreadTimes, allowed_cpus, pin_to};
use crate::clock::{Clock, Origin};

/// CPU time of the calling thread by another way to ask for it, which is behind by what the kernel has not added up yet.
fn rusage_ns() -> u64 {
    // SAFETY: all zeroes is a valid rusage: it holds numbers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a live rusage; the calling thread always exists.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    let ns = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// The clocks are not of one crystal: what one says may be a little more by another.
fn nearly(ns: u64) -> u64 {
    ns - ns / 100
}

/// A thread of its own: what others did before is not counted.
fn alone<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(run).join().unwrap()
}

const STRETCH_NS: u64 = 20_000_000;

#[test]
fn sleep_is_neither_running_nor_waiting_to_run() {
    alone(|| {
        let (clock, times) = (Clock::new(Origin::now()), ThreadTimes::of_this_thread());
        let began_ns = clock.now().monotonic_ns;
        let needed_before_ns = times.cpu_ns() + times.delayed_ns();
        thread::sleep(Duration::from_nanos(STRETCH_NS));
        let needed_ns = times.cpu_ns() + times.delayed_ns() - needed_before_ns;
        let wall_ns = clock.now().monotonic_ns - began_ns;
        assert!(nearly(needed_ns) <= wall_ns, "{needed_ns} of {wall_ns}");
        assert!(wall_ns - nearly(needed_ns) >= nearly(STRETCH_NS), "{needed_ns} of {wall_ns}");
    });
}

#[test]
fn burning_is_running() {
    alone(|| {
        let (clock, times) = (Clock::new(Origin::now()), ThreadTimes::of_this_thread());
        let (began_ns, cpu_before_ns) = (clock.now().monotonic_ns, times.cpu_ns());
        let mut said_ns = rusage_ns();
        let until_ns = said_ns + STRETCH_NS;
        while said_ns < until_ns {
            said_ns = rusage_ns();
            let counted_ns = times.cpu_ns();
            assert!(counted_ns >= said_ns, "{counted_ns} behind {said_ns}");
        }
        let burned_ns = times.cpu_ns() - cpu_before_ns;
        let wall_ns = clock.now().monotonic_ns - began_ns;
        assert!(nearly(burned_ns) <= wall_ns, "{burned_ns} in {wall_ns}");
    });
}

/// What the one runs on their core, the other waits.
#[test]
fn who_shares_a_core_waits_for_as_long_as_the_other_runs() {
    let core = allowed_cpus()[0];
    let (others_cpu_ns, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let together = Arc::new(Barrier::new(2));
    let other = thread::spawn({
        let (cpu_ns, over, together) = (Arc::clone(&others_cpu_ns), Arc::clone(&over), Arc::clone(&together));
        move || {
            pin_to(core).unwrap();
            let times = ThreadTimes::of_this_thread();
            together.wait();
            while !over.load(Ordering::Relaxed) {
                cpu_ns.store(times.cpu_ns(), Ordering::Relaxed);
            }
        }
    });
    let (waited_ns, ran_ns) = alone(move || {
        pin_to(core).unwrap();
        let times = ThreadTimes::of_this_thread();
        together.wait();
        let before_ns = times.delayed_ns();
        let from_ns = others_cpu_ns.load(Ordering::Relaxed);
        let mut ran_ns = 0;
        while ran_ns < STRETCH_NS {
            ran_ns = others_cpu_ns.load(Ordering::Relaxed) - from_ns;
        }
        let waited_ns = times.schedule.as_ref().map(|_| times.delayed_ns() - before_ns);
        over.store(true, Ordering::Relaxed);
        (waited_ns, ran_ns)
    });
    other.join().unwrap();
    // A kernel that does not count it says nothing. Half: the other may have been on the way to say what it ran before.
    assert!(waited_ns.is_none_or(|waited_ns| waited_ns >= ran_ns / 2), "{waited_ns:?} while the other ran {ran_ns}");
}
