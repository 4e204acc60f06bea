//! Arming, cancelling and expiring deadlines in engine's wheel, beside a binary heap and an ordered map doing the same.
//!
//! Goal: with 10,000 armed, at most 20 ns to arm or cancel, and 150 ns from arming to expiry. Not the goals: sleeping, or what the owner of a deadline does when it comes.
//!
//! usage: cargo bench -p gannet-benches --bench deadlines [-- ARMED...]     (default 100 10000 100000)
//!
//! Each works on a standing population with deadlines of 1 to 50 ms (the budgets of requests). Prints the median over 15 rounds of:
//!
//! - `arm`, `cancel`: a request comes and is answered in time, the ordinary case: arm one, cancel the one armed longest ago;
//! - `expire`: a request that waits to its deadline, per deadline, including arming it and moving it down the levels; time goes
//!   in steps of one wake-up each, as `next_ns` says.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    hint::black_box,
    time::Instant,
};

use gannet_benches::Random;
use gannet_engine::deadlines::{Deadlines, Handle};

const ROUNDS: usize = 15;
/// Operations between two looks at the clock, so that looking costs nothing.
const BATCH: usize = 64;
const MS: u64 = 1_000_000;

fn main() {
    let armed: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let armed = if armed.is_empty() { vec![100, 10_000, 100_000] } else { armed };
    println!("median ns per operation");
    println!("{:>10} {:>8}  {:>8} {:>8} {:>8}   checksum", "armed", "", "arm", "cancel", "expire");
    for armed in armed {
        report::<Deadlines<u64>>("wheel", armed);
        report::<Heap>("heap", armed);
        report::<Map>("map", armed);
    }
}

/// What the three have in common.
trait Queue {
    type Name: Copy;
    fn new() -> Self;
    fn arm(&mut self, at_ns: u64, value: u64) -> Self::Name;
    fn cancel(&mut self, name: Self::Name) -> Option<u64>;
    fn next_ns(&self) -> Option<u64>;
    fn expire(&mut self, now_ns: u64, out: &mut Vec<u64>);
}

impl Queue for Deadlines<u64> {
    type Name = Handle;
    fn new() -> Self {
        Self::new(0)
    }
    fn arm(&mut self, at_ns: u64, value: u64) -> Handle {
        self.arm(at_ns, value)
    }
    fn cancel(&mut self, name: Handle) -> Option<u64> {
        self.cancel(name)
    }
    fn next_ns(&self) -> Option<u64> {
        self.next_ns()
    }
    fn expire(&mut self, now_ns: u64, out: &mut Vec<u64>) {
        self.expire(now_ns, out);
    }
}

/// A binary heap. What is cancelled stays until it comes to the top, marked in a slab beside.
#[derive(Default)]
struct Heap {
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// The value and how often the place was used.
    places: Vec<(Option<u64>, u32)>,
    free: Vec<usize>,
}

impl Queue for Heap {
    type Name = (usize, u32);
    fn new() -> Self {
        Self::default()
    }
    fn arm(&mut self, at_ns: u64, value: u64) -> (usize, u32) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((None, 0));
            self.places.len() - 1
        });
        let (held, uses) = &mut self.places[place];
        *held = Some(value);
        *uses += 1;
        self.heap.push(Reverse((at_ns, place)));
        (place, *uses)
    }
    fn cancel(&mut self, (place, uses): (usize, u32)) -> Option<u64> {
        let (held, now) = &mut self.places[place];
        if *now == uses { held.take() } else { None }
    }
    fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_ns, _))| *at_ns)
    }
    fn expire(&mut self, now_ns: u64, out: &mut Vec<u64>) {
        while let Some(Reverse((at_ns, place))) = self.heap.peek().copied() {
            if at_ns > now_ns {
                return;
            }
            self.heap.pop();
            out.extend(self.places[place].0.take());
            self.free.push(place);
        }
    }
}

/// An ordered map by moment and number.
#[derive(Default)]
struct Map {
    map: BTreeMap<(u64, u64), u64>,
    number: u64,
}

impl Queue for Map {
    type Name = (u64, u64);
    fn new() -> Self {
        Self::default()
    }
    fn arm(&mut self, at_ns: u64, value: u64) -> (u64, u64) {
        self.number += 1;
        self.map.insert((at_ns, self.number), value);
        (at_ns, self.number)
    }
    fn cancel(&mut self, name: (u64, u64)) -> Option<u64> {
        self.map.remove(&name)
    }
    fn next_ns(&self) -> Option<u64> {
        self.map.keys().next().map(|(at_ns, _)| *at_ns)
    }
    fn expire(&mut self, now_ns: u64, out: &mut Vec<u64>) {
        while let Some(first) = self.map.first_entry().filter(|first| first.key().0 <= now_ns) {
            out.push(first.remove());
        }
    }
}

fn report<Q: Queue>(name: &str, armed: usize) {
    let mut sum = 0;
    let mut costs: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        let (arm, cancel) = answered_in_time::<Q>(armed, round as u64, &mut sum);
        let expire = waited_to_the_end::<Q>(armed, round as u64, &mut sum);
        for (costs, cost) in costs.iter_mut().zip([arm, cancel, expire]) {
            costs.push(cost);
        }
    }
    let [arm, cancel, expire] = costs.map(|mut costs| {
        costs.sort_by(f64::total_cmp);
        costs[ROUNDS / 2]
    });
    println!("{armed:>10} {name:>8}  {arm:>8.1} {cancel:>8.1} {expire:>8.1}   {sum:x}");
}

fn after_ns(random: &mut Random) -> u64 {
    MS + random.below(49 * MS)
}

/// Time goes on so that the population turns over in 10 ms: a fifth of it comes due before it is cancelled.
fn answered_in_time<Q: Queue>(armed: usize, seed: u64, sum: &mut u64) -> (f64, f64) {
    let mut random = Random::new(seed + 1);
    let (mut queue, mut now_ns, mut out) = (Q::new(), 0, Vec::new());
    let mut names: VecDeque<Q::Name> = (0..armed as u64).map(|value| queue.arm(after_ns(&mut random), value)).collect();
    let batches = (4 * armed / BATCH).max(2000);
    let (mut arm_s, mut cancel_s) = (0.0, 0.0);
    for _ in 0..batches {
        now_ns += 10 * MS * BATCH as u64 / armed as u64;
        queue.expire(now_ns, &mut out);
        *sum = out.drain(..).fold(*sum, u64::wrapping_add);
        let moments: [u64; BATCH] = std::array::from_fn(|_| now_ns + after_ns(&mut random));
        let start = Instant::now();
        for at_ns in moments {
            names.push_back(queue.arm(black_box(at_ns), at_ns));
        }
        arm_s += start.elapsed().as_secs_f64();
        let start = Instant::now();
        for name in names.drain(..BATCH) {
            *sum = sum.wrapping_add(queue.cancel(black_box(name)).unwrap_or(0));
        }
        cancel_s += start.elapsed().as_secs_f64();
    }
    let each = |seconds: f64| seconds * 1e9 / (batches * BATCH) as f64;
    (each(arm_s), each(cancel_s))
}

fn waited_to_the_end<Q: Queue>(armed: usize, seed: u64, sum: &mut u64) -> f64 {
    let mut random = Random::new(seed + 1);
    let (mut queue, mut out) = (Q::new(), Vec::new());
    for value in 0..armed as u64 {
        queue.arm(after_ns(&mut random), value);
    }
    let wanted = (4 * armed).max(100_000);
    let mut fired = 0;
    let start = Instant::now();
    while fired < wanted {
        let now_ns = queue.next_ns().unwrap();
        queue.expire(now_ns, &mut out);
        fired += out.len();
        for value in out.drain(..) {
            *sum = sum.wrapping_add(value);
            queue.arm(now_ns + after_ns(&mut random), value);
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / fired as f64
}
