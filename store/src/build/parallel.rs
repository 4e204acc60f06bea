//! Jobs shared out among threads.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use crate::error::Error;

/// Runs `run` for `0..jobs` on up to `workers` threads and returns what it gave, in order. After the first error no more
/// jobs are begun.
pub(super) fn parallel<T: Send>(
    workers: usize,
    jobs: usize,
    run: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    if workers.min(jobs) <= 1 {
        return (0..jobs).map(run).collect();
    }
    let next = AtomicUsize::new(0);
    let has_failed = AtomicBool::new(false);
    let work = || {
        let mut done = Vec::new();
        while !has_failed.load(Relaxed) {
            let job = next.fetch_add(1, Relaxed);
            if job >= jobs {
                break;
            }
            match run(job) {
                Ok(result) => done.push((job, result)),
                Err(error) => {
                    has_failed.store(true, Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let mut done = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(jobs)).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        // All are joined before the first error is looked at.
        joined.collect::<Vec<_>>().into_iter().try_fold(Vec::with_capacity(jobs), |mut all, done| {
            all.extend(done?);
            Ok::<_, Error>(all)
        })
    })?;
    done.sort_unstable_by_key(|&(job, _)| job);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
