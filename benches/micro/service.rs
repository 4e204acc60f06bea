//! A ten-feature request by stage, in turns of 64 requests: what the server spends beyond the ring and the kernel.
//!
//! Goals per request: `decode` (head, key, JSON to a plan, hashes) ≤ 600 ns beyond tokenising, `render` ≤ 600 ns, `whole`
//! ≤ 1.8 µs. Not the goal: the kernel's share (see `benches/compare.sh`).
//!
//! usage: cargo bench -p gannet-benches --bench service [-- USERS]     (default 1000000)
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::time::{Duration, Instant};

use gannet_benches::{Random, request, service::Serving};

/// Requests of a turn: 64 connections with one request in flight each.
const TURN: usize = 64;
const ROUNDS: usize = 15;
const TURNS: usize = 500;

fn main() {
    let users = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), users).unwrap();
    let mut random = Random::new(42);
    let mut rounds: Vec<[f64; 4]> = (0..ROUNDS)
        .map(|_| {
            let mut spent = [Duration::ZERO; 3];
            for _ in 0..TURNS {
                let mut requests: Vec<_> = (0..TURN).map(|_| request(random.below(users))).collect();
                let start = Instant::now();
                serving.begin(&mut requests);
                let begun = Instant::now();
                serving.gather();
                let gathered = Instant::now();
                serving.finish();
                let finished = Instant::now();
                spent[0] += begun - start;
                spent[1] += gathered - begun;
                spent[2] += finished - gathered;
            }
            let ns = spent.map(|time| time.as_secs_f64() * 1e9 / (TURNS * TURN) as f64);
            [ns[0], ns[1], ns[2], ns.iter().sum()]
        })
        .collect();
    println!("ns per ten-feature request in turns of {TURN}, {users} users, median of {ROUNDS} rounds (min, max):");
    for (stage, at) in ["tokenise + decode", "gather", "render", "whole"].iter().zip(0..) {
        rounds.sort_by(|a, b| a[at].total_cmp(&b[at]));
        let (min, median, max) = (rounds[0][at], rounds[ROUNDS / 2][at], rounds[ROUNDS - 1][at]);
        println!("  {stage:<18} {median:>7.0}   ({min:.0}, {max:.0})");
    }
    let last = &serving.rendered()[..serving.rendered().len() / TURN];
    println!("an answer has {} bytes; checksum of the last turn {:x}", last.len(), checksum(serving.rendered()));
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)))
}
