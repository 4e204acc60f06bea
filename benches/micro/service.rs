//! A ten-feature request by stage, in turns of 64 requests: what the server spends beyond the ring and the kernel; without writes, with
//! a place for writes that holds none, and with newer rows in it of all who are asked for. The same for ten aggregates of one view: thirty
//! tiles in a file, and those with one more in the overlay, folded together.
//!
//! Goals per request: `decode` (head, key, JSON to a plan, hashes) ≤ 600 ns beyond tokenising, `render` ≤ 600 ns, `whole`
//! ≤ 1.8 µs; at most 3 % more where writes are taken and none came, and at most 1.3 × for keys that were written lately. Not the goal: the
//! kernel's share (see `benches/compare.sh`).
//!
//! On 2026-11-27, beside compilers: 1.15 × for rows that were written lately (medians of five runs; 1.11 × by their minima), 1.16 × for
//! aggregates.
//!
//! usage: cargo bench -p gannet-benches --bench service [-- USERS [SIDE]]     (default 1000000, and all six sides; 0 to 5 for one
//! alone, whose instructions are to be counted)
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::time::{Duration, Instant};

use gannet_benches::{
    Random, request,
    service::{Serving, Written},
    tables, tiles,
};

/// Requests of a turn: 64 connections with one request in flight each.
const TURN: usize = 64;
const ROUNDS: usize = 15;
const TURNS: usize = 500;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let users = numbers.first().copied().unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let tables = tables::build(folder.path(), users).unwrap();
    tables.iter().for_each(|table| table.verify(&mut |_| {}).unwrap());
    let recent = users.min(100_000);
    let tiles = tiles::build(folder.path(), recent).unwrap();
    let newest = Written::Recently { users: recent };
    let rows = |written| Serving::over(&tables, written);
    let folded = |written| Serving::over_tiles(&tiles, written);
    let sides: [(_, &dyn Fn(Written) -> Serving, _, _); 6] = [
        ("segments only, no writes taken", &rows, Written::Never, users),
        ("segments only, writes are taken", &rows, Written::Nothing, users),
        ("segments only, of keys with writes later", &rows, Written::Never, recent),
        ("segments, and newer rows in the overlay", &rows, newest, recent),
        ("aggregates, of tiles in a segment", &folded, Written::Never, recent),
        ("aggregates, of tiles in a segment and in the overlay", &folded, newest, recent),
    ];
    let chosen = sides.iter().zip(0..).filter(|(_, side)| numbers.get(1).is_none_or(|only| only == side));
    let mut sides: Vec<Side> =
        chosen.map(|((name, over, written, below), _)| Side::new(name, over(*written), *below)).collect();
    for _ in 0..ROUNDS {
        sides.iter_mut().for_each(Side::round);
    }
    println!("ns per ten-feature request in turns of {TURN}, {users} users, median of {ROUNDS} rounds (min, max):");
    for side in &mut sides {
        side.show();
    }
}

/// A way to serve, and what it took.
struct Side {
    name: &'static str,
    serving: Serving,
    /// Users that are asked for.
    below: u64,
    random: Random,
    rounds: Vec<[f64; 4]>,
}

impl Side {
    fn new(name: &'static str, serving: Serving, below: u64) -> Self {
        Self { name, serving, below, random: Random::new(42), rounds: Vec::new() }
    }

    fn round(&mut self) {
        let mut spent = [Duration::ZERO; 3];
        for _ in 0..TURNS {
            let mut requests: Vec<_> = (0..TURN).map(|_| request(self.random.below(self.below))).collect();
            let start = Instant::now();
            self.serving.begin(&mut requests);
            let begun = Instant::now();
            self.serving.gather();
            let gathered = Instant::now();
            self.serving.finish();
            let finished = Instant::now();
            spent[0] += begun - start;
            spent[1] += gathered - begun;
            spent[2] += finished - gathered;
        }
        let ns = spent.map(|time| time.as_secs_f64() * 1e9 / (TURNS * TURN) as f64);
        self.rounds.push([ns[0], ns[1], ns[2], ns.iter().sum()]);
    }

    fn show(&mut self) {
        println!("{}, {} of them asked for:", self.name, self.below);
        for (stage, at) in ["tokenise + decode", "gather", "render", "whole"].iter().zip(0..) {
            self.rounds.sort_by(|a, b| a[at].total_cmp(&b[at]));
            let (min, median, max) = (self.rounds[0][at], self.rounds[ROUNDS / 2][at], self.rounds[ROUNDS - 1][at]);
            println!("  {stage:<18} {median:>7.0}   ({min:.0}, {max:.0})");
        }
        let rendered = self.serving.rendered();
        println!("  an answer has {} bytes; checksum of the last turn {:x}", rendered.len() / TURN, checksum(rendered));
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)))
}
