//! Group commits of a write log on a plain thread and on a glommio executor, alone and with a compaction beside them.
//!
//! Goal: what an executor gives the storage plane here, in one run: docs/adr/0021. Not a goal: a log; both sides write the same blocks.
//!
//! usage: commits FOLDER [SECONDS]
//!
//! A commit is a direct write of as many 4096-byte blocks as there are writes at hand, at the next place of a file of zeros, and
//! fdatasync. `paced` hands over 1,000 writes a second from another thread, open-loop; latency is from the planned time to the end of the
//! sync. `closed` keeps 64 under way. The compaction checksums blocks and writes them out, synced every 64 MiB: on the thread's side from
//! a second thread with nice 10, on glommio's from a task queue with a tenth of the shares, yielding every 64 KiB.

use glommio::{
    io::{DmaFile, OpenOptions},
    CpuSet, Latency, LocalExecutorBuilder, Placement, Shares,
};
use std::{
    alloc::{alloc_zeroed, Layout},
    collections::VecDeque,
    fs::File,
    future::poll_fn,
    io::Write,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        Arc, Mutex,
    },
    task::{Poll, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

const BLOCK: usize = 4096;
const FILE_BYTES: u64 = 64 << 20;
const GROUP_MAX: usize = 64;
const COMPACTED_AT_ONCE: usize = 64 << 10;

/// Writes that wait, and how the one who commits them is woken.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<Instant>>,
    thread: Mutex<Option<Thread>>,
    waker: Mutex<Option<Waker>>,
    done: AtomicU64,
    latencies: Mutex<Vec<u32>>,
    stop: AtomicBool,
    compacted: AtomicU64,
}

impl Queue {
    fn wake(&self) {
        if let Some(thread) = &*self.thread.lock().unwrap() {
            thread.unpark();
        }
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    fn push(&self, at: Instant) {
        self.waiting.lock().unwrap().push_back(at);
        self.wake();
    }

    fn take(&self) -> Vec<Instant> {
        let mut waiting = self.waiting.lock().unwrap();
        let count = waiting.len().min(GROUP_MAX);
        waiting.drain(..count).collect()
    }

    fn committed(&self, group: &[Instant]) {
        let mut latencies = self.latencies.lock().unwrap();
        latencies.extend(group.iter().map(|at| at.elapsed().as_micros() as u32));
        self.done.fetch_add(group.len() as u64, SeqCst);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("usage: commits FOLDER [SECONDS]"));
    let seconds = arguments.next().map_or(5, |text| text.parse().unwrap());
    println!("{:<28} {:>9} {:>7} {:>7} {:>7} {:>7} {:>12}", "", "commits/s", "p50", "p99", "p99.9", "max", "compacted");
    for is_paced in [true, false] {
        for is_compacting in [false, true] {
            for (name, start) in [("thread", on_thread as fn(_, _, _)), ("glommio", on_glommio)] {
                let queue = Arc::new(Queue::default());
                let path = folder.join(format!("{name}.log"));
                make_file(&path);
                let running = {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || start(queue, path, is_compacting))
                };
                thread::sleep(Duration::from_millis(300)); // an executor's first sleeps take longer
                queue.latencies.lock().unwrap().clear();
                let (compacted, started) = (queue.compacted.load(SeqCst), Instant::now());
                drive(&queue, is_paced, Duration::from_secs(seconds));
                let took = started.elapsed().as_secs_f64();
                let megabytes = (queue.compacted.load(SeqCst) - compacted) as f64 / 1e6 / took;
                queue.stop.store(true, SeqCst);
                queue.wake();
                running.join().unwrap();
                let mut latencies = std::mem::take(&mut *queue.latencies.lock().unwrap());
                latencies.sort_unstable();
                let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
                let what = format!(
                    "{name} {} {}",
                    if is_paced { "paced" } else { "closed" },
                    if is_compacting { "compacting" } else { "alone" }
                );
                println!(
                    "{what:<28} {:>9.0} {:>7} {:>7} {:>7} {:>7} {:>7.0} MB/s",
                    latencies.len() as f64 / took,
                    at(0.5),
                    at(0.99),
                    at(0.999),
                    at(1.0),
                    megabytes
                );
            }
        }
    }
}

fn drive(queue: &Queue, is_paced: bool, duration: Duration) {
    let started = Instant::now();
    let mut handed_over = 0_u64;
    while started.elapsed() < duration {
        if is_paced {
            let due = started + Duration::from_micros(1000 * handed_over);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            queue.push(due);
            handed_over += 1;
        } else if handed_over - queue.done.load(SeqCst) < GROUP_MAX as u64 {
            queue.push(Instant::now());
            handed_over += 1;
        } else {
            thread::sleep(Duration::from_micros(20));
        }
    }
    while queue.done.load(SeqCst) < handed_over {
        thread::sleep(Duration::from_millis(1));
    }
}

fn make_file(path: &Path) {
    let mut file = File::create(path).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES >> 20 {
        file.write_all(&zeros).unwrap();
    }
    file.sync_all().unwrap();
}

fn checksum(bytes: &[u8], seed: u64) -> u64 {
    bytes.chunks_exact(8).fold(seed, |sum, word| {
        (sum ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    })
}

fn on_thread(queue: Arc<Queue>, path: PathBuf, is_compacting: bool) {
    let compacting = is_compacting.then(|| {
        let (queue, path) = (Arc::clone(&queue), path.with_extension("compacted"));
        thread::spawn(move || {
            // SAFETY: no pointer is handed over.
            unsafe { libc::nice(10) };
            let mut bytes = vec![7_u8; COMPACTED_AT_ONCE];
            let (mut at, file) = (0, File::create(&path).unwrap());
            while !queue.is_stopped() {
                let sum = checksum(&bytes, at);
                bytes[..8].copy_from_slice(&sum.to_le_bytes());
                file.write_all_at(&bytes, at % FILE_BYTES).unwrap();
                at += bytes.len() as u64;
                if at.is_multiple_of(FILE_BYTES) {
                    file.sync_data().unwrap();
                }
                queue.compacted.fetch_add(bytes.len() as u64, SeqCst);
            }
        })
    });
    *queue.thread.lock().unwrap() = Some(thread::current());
    let file = std::fs::OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).unwrap();
    let layout = Layout::from_size_align(GROUP_MAX * BLOCK, BLOCK).unwrap();
    // SAFETY: the layout is not empty, and all of it is zeroed; it is never given back.
    let blocks = unsafe { std::slice::from_raw_parts_mut(alloc_zeroed(layout), GROUP_MAX * BLOCK) };
    let mut at = 0;
    while !queue.is_stopped() {
        let group = queue.take();
        if group.is_empty() {
            thread::park_timeout(Duration::from_millis(100));
            continue;
        }
        let bytes = &mut blocks[..group.len() * BLOCK];
        bytes.fill(at as u8);
        if at + bytes.len() as u64 > FILE_BYTES {
            at = 0;
        }
        file.write_all_at(bytes, at).unwrap();
        file.sync_data().unwrap();
        at += bytes.len() as u64;
        queue.committed(&group);
    }
    compacting.into_iter().for_each(|thread| thread.join().unwrap());
}

fn on_glommio(queue: Arc<Queue>, path: PathBuf, is_compacting: bool) {
    let _ = CpuSet::online();
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("plane")
        .preempt_timer(Duration::from_millis(1))
        .make()
        .unwrap();
    executor.run(async move {
        let log = glommio::executor().create_task_queue(
            Shares::Static(1000),
            Latency::Matters(Duration::from_millis(1)),
            "log",
        );
        let work = glommio::executor().create_task_queue(Shares::Static(100), Latency::NotImportant, "compaction");
        let compacting = is_compacting.then(|| {
            let (queue, path) = (Arc::clone(&queue), path.with_extension("compacted"));
            glommio::spawn_local_into(compact(queue, path), work).unwrap()
        });
        let committing = glommio::spawn_local_into(commit(queue, path), log).unwrap();
        committing.await;
        if let Some(compacting) = compacting {
            compacting.await;
        }
    });
}

async fn compact(queue: Arc<Queue>, path: PathBuf) {
    let file: DmaFile = OpenOptions::new().write(true).create(true).truncate(true).dma_open(&path).await.unwrap();
    let (mut at, mut sum) = (0_u64, 0);
    while !queue.is_stopped() {
        let mut bytes = file.alloc_dma_buffer(COMPACTED_AT_ONCE);
        bytes.as_bytes_mut().fill(7);
        sum = checksum(bytes.as_bytes(), sum);
        bytes.as_bytes_mut()[..8].copy_from_slice(&sum.to_le_bytes());
        glommio::yield_if_needed().await;
        at += file.write_at(bytes, at % FILE_BYTES).await.unwrap() as u64;
        if at.is_multiple_of(FILE_BYTES) {
            file.fdatasync().await.unwrap();
        }
        queue.compacted.fetch_add(COMPACTED_AT_ONCE as u64, SeqCst);
        glommio::yield_if_needed().await;
    }
    file.close().await.unwrap();
}

async fn commit(queue: Arc<Queue>, path: PathBuf) {
    let file = Rc::new(OpenOptions::new().read(true).write(true).dma_open(&path).await.unwrap());
    let mut at = 0_u64;
    while !queue.is_stopped() {
        let group = queue.take();
        if group.is_empty() {
            poll_fn(|context| {
                *queue.waker.lock().unwrap() = Some(context.waker().clone());
                let is_ready = queue.is_stopped() || !queue.waiting.lock().unwrap().is_empty();
                if is_ready { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            continue;
        }
        let mut bytes = file.alloc_dma_buffer(group.len() * BLOCK);
        bytes.as_bytes_mut().fill(at as u8);
        if at + bytes.len() as u64 > FILE_BYTES {
            at = 0;
        }
        let length = bytes.len() as u64;
        file.write_at(bytes, at).await.unwrap();
        file.fdatasync().await.unwrap();
        at += length;
        queue.committed(&group);
    }
    file.close_rc().await.unwrap();
}
