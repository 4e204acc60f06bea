//! Looking up one key in the four views of `fraud_bench`, in stages over a turn's worth of keys, as the server does.
//!
//! Goals: at most 1 µs for 4 views × 1 key over 10⁷ rows each, amortised in batches; at most 4 × the cost at 10⁴ rows.
//! Not the goals: parsing, rendering, or data that is not in memory.
//!
//! usage: cargo bench -p gannet-benches --bench lookup [-- ROWS...]     (default 10000 1000000 10000000)
//!
//! Prints, per number of rows, the median over 15 rounds of the cost of one lookup (one key in one view) and of four, for
//! uniform keys (cold: beyond 10⁶ rows nearly every line comes from memory), for a hot set of 1,000 keys, for absent keys,
//! and without stages (key after key), which shows what the overlap is worth.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{hint::black_box, sync::Arc, time::Instant};

use gannet_benches::{Random, tables};
use gannet_store::{KeyHash, Probed, Table, ValueRef};

/// Requests of a turn: 64 connections with one request in flight each.
const BATCH: usize = 64;
const ROUNDS: usize = 15;
const BATCHES: usize = 2000;

fn main() {
    let rows: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let rows = if rows.is_empty() { vec![10_000, 1_000_000, 10_000_000] } else { rows };
    println!("median ns per lookup (and per 4 views x 1 key), batches of {BATCH} keys x {} views", tables::VIEWS.len());
    println!("{:>10}  {:>16} {:>16} {:>16} {:>16}   checksum", "rows", "uniform", "hot 1000", "absent", "unstaged");
    for users in rows {
        let folder = tempfile::tempdir().unwrap();
        let tables = tables::build(folder.path(), users).unwrap();
        for table in &tables {
            table.verify(&mut |_| {}).unwrap();
        }
        let mut sum = 0;
        let uniform = measure(&tables, users, 0, staged, &mut sum);
        let hot = measure(&tables, users.min(1000), 0, staged, &mut sum);
        let absent = measure(&tables, users, users, staged, &mut sum);
        let unstaged = measure(&tables, users, 0, one_by_one, &mut sum);
        let show = |ns: f64| format!("{ns:.1} ({:.0})", ns * 4.0);
        println!(
            "{users:>10}  {:>16} {:>16} {:>16} {:>16}   {sum:x}",
            show(uniform),
            show(hot),
            show(absent),
            show(unstaged)
        );
    }
}

type Keys = [[u8; 11]; BATCH];

fn measure(tables: &[Arc<Table>], users: u64, from: u64, run: fn(&[Arc<Table>], &Keys) -> u64, sum: &mut u64) -> f64 {
    let mut random = Random::new(42);
    let mut costs: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let keys: Vec<Keys> =
                (0..BATCHES).map(|_| std::array::from_fn(|_| tables::key(from + random.below(users)))).collect();
            let start = Instant::now();
            for keys in &keys {
                *sum = sum.wrapping_add(run(tables, black_box(keys)));
            }
            start.elapsed().as_secs_f64() * 1e9 / (BATCHES * BATCH * tables.len()) as f64
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs[ROUNDS / 2]
}

/// As the server: hash and prefetch all, probe all, then read all.
fn staged(tables: &[Arc<Table>], keys: &Keys) -> u64 {
    let mut hashes = [[KeyHash(0); BATCH]; 4];
    let mut probes = [[Probed::Absent; BATCH]; 4];
    for (key, i) in keys.iter().zip(0..) {
        for (table, v) in tables.iter().zip(0..) {
            let hash: KeyHash = table.hash(key);
            table.prefetch_bucket(hash);
            hashes[v][i] = hash;
        }
    }
    for i in 0..BATCH {
        for (table, v) in tables.iter().zip(0..) {
            probes[v][i] = table.probe(hashes[v][i]).unwrap();
        }
    }
    let mut sum = 0u64;
    for (key, i) in keys.iter().zip(0..) {
        for (table, v) in tables.iter().zip(0..) {
            let row = match probes[v][i] {
                Probed::At(probe) if table.is_resident(probe) => table.row(probe, key).unwrap(),
                Probed::Absent => None,
                cold => panic!("the tables were brought into memory, and then {cold:?}"),
            };
            if let Some(row) = row {
                sum = sum.wrapping_add(first(row.value(0).unwrap()));
            }
        }
    }
    sum
}

fn one_by_one(tables: &[Arc<Table>], keys: &Keys) -> u64 {
    let mut sum = 0u64;
    for key in keys {
        for table in tables {
            if let Some(row) = table.lookup(key).unwrap() {
                sum = sum.wrapping_add(first(row.value(0).unwrap()));
            }
        }
    }
    sum
}

fn first(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Int64(v) => v.unsigned_abs(),
        ValueRef::Float64(v) => v.to_bits(),
        _ => 0,
    }
}
