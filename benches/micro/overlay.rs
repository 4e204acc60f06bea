//! What the overlay costs: a lookup of 4 views × 1 key that meets segments only, against one that meets segments and the overlay; bytes
//! of a row; rows put per second.
//!
//! Goals: at most 1.3 × with the overlay, whether it holds the key or not; at most 1.5 × the row and 48 bytes.
//! Not the goals: parsing, rendering, or data that is not in memory.
//!
//! usage: cargo bench -p gannet-benches --bench overlay [-- USERS RECENT]     (default 1000000 100000)
//!
//! Of `USERS` users in segments the first `RECENT` have rows in the overlay, too, newer ones. Both sides of a comparison run in turns, 15
//! rounds each; medians are shown.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and fails loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::{hint::black_box, sync::Arc, time::Instant};

use gannet_benches::{Random, tables};
use gannet_store::{
    KeyHash, Probed, Row, Table, ValueRef,
    log::Sequence,
    overlay::{Overlay, OverlayHash, OverlayProbe, OverlayReader, OverlaySettings, Put, TableId},
    row::RowLayout,
};

const ROUNDS: usize = 15;
const REQUESTS: usize = 40_000;
const VIEWS: usize = 4;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (users, recent) = match numbers[..] {
        [users, recent] => (users, recent),
        _ => (1_000_000, 100_000),
    };
    let folder = tempfile::tempdir().unwrap();
    let tables = tables::build(folder.path(), users).unwrap();
    tables.iter().for_each(|table| table.verify(&mut |_| {}).unwrap());
    let layouts: Vec<RowLayout> = tables.iter().map(|table| RowLayout::new(table.schema(), "recent")).collect();

    let rows: Vec<Vec<Vec<u8>>> =
        tables.iter().map(|table| (0..recent).map(|user| tables::newer(table, user)).collect()).collect();
    let settings = OverlaySettings { budget_bytes: 1 << 30, seed: 42 };
    let (overlay, mut writer) = Overlay::new(settings);
    let start = Instant::now();
    for user in 0..usize::try_from(recent).unwrap() {
        for (view, rows) in (0..).zip(&rows) {
            let put = writer.put(TableId(view), Sequence(user as u64), &rows[user]).unwrap();
            assert_eq!(put, Put::New);
        }
        if user % 64 == 63 {
            writer.reclaim();
        }
    }
    let put_seconds = start.elapsed().as_secs_f64();
    let usage = writer.usage();
    let (count, bytes) = (usage.rows as f64, usage.row_bytes as f64);
    println!("{:.2} million rows put per second, {:.0} bytes each", count / put_seconds / 1e6, bytes / count);
    let bound = bytes / count * 1.5 + 48.0;
    println!("{:.1} bytes a row of memory; the bound is {bound:.1}", usage.filled_bytes as f64 / count);

    let reader = overlay.reader();
    for (batch, what) in [(1, "one request a turn"), (64, "64 requests a turn")] {
        println!("{what}: ns per 4 views x 1 key");
        for (name, from, below) in [
            ("keys in both", 0, recent),
            ("keys in segments only", recent, users - recent),
            ("keys in neither", users, users),
            ("1,000 keys in both", 0, recent.min(1000)),
        ] {
            let side = Side { tables: &tables, layouts: &layouts, reader: &reader };
            let (mut plain, mut merged, mut sum) = (Vec::new(), Vec::new(), 0_u64);
            let mut random = Random::new(7);
            for _ in 0..ROUNDS {
                let keys: Vec<[u8; 11]> = (0..REQUESTS).map(|_| tables::key(from + random.below(below))).collect();
                plain.push(time(&keys, batch, |keys| sum = sum.wrapping_add(side.segments(keys))));
                merged.push(time(&keys, batch, |keys| sum = sum.wrapping_add(side.both(keys))));
            }
            let (plain, merged) = (median(plain), median(merged));
            println!(
                "  {name:<24} segments {plain:7.0}   with the overlay {merged:7.0}   {:.2} x   ({sum:x})",
                merged / plain
            );
        }
    }
}

fn time(keys: &[[u8; 11]], batch: usize, mut run: impl FnMut(&[[u8; 11]])) -> f64 {
    let start = Instant::now();
    keys.chunks(batch).for_each(|keys| run(black_box(keys)));
    start.elapsed().as_secs_f64() * 1e9 / keys.len() as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

struct Side<'b> {
    tables: &'b [Arc<Table>],
    layouts: &'b [RowLayout],
    reader: &'b OverlayReader,
}

impl Side<'_> {
    fn segments(&self, keys: &[[u8; 11]]) -> u64 {
        let mut hashes = [[KeyHash(0); 64]; VIEWS];
        let mut probes = [[Probed::Absent; 64]; VIEWS];
        for (i, key) in keys.iter().enumerate() {
            for (table, hashes) in self.tables.iter().zip(&mut hashes) {
                hashes[i] = table.hash(key);
                table.prefetch_bucket(hashes[i]);
            }
        }
        for i in 0..keys.len() {
            for (v, table) in self.tables.iter().enumerate() {
                probes[v][i] = table.probe(hashes[v][i]).unwrap();
            }
        }
        let mut sum = 0_u64;
        for (i, key) in keys.iter().enumerate() {
            for (v, table) in self.tables.iter().enumerate() {
                sum = sum.wrapping_add(stored(table, probes[v][i], key).map_or(0, value));
            }
        }
        sum
    }

    /// As a server would: where the overlay may hold a key, its segments are looked into only if it does not, or holds an older row.
    fn both(&self, keys: &[[u8; 11]]) -> u64 {
        let pin = self.reader.pin();
        let sight = self.reader.sight(&pin);
        let mut hashes = [[KeyHash(0); 64]; VIEWS];
        let mut probes = [[Probed::Absent; 64]; VIEWS];
        let mut recent: [[Option<(OverlayHash, OverlayProbe)>; 64]; VIEWS] = [[None; 64]; VIEWS];
        for (i, key) in keys.iter().enumerate() {
            let of_key = sight.hash_key(key);
            for (v, table) in (0..).zip(self.tables) {
                let hash = sight.hash_in(TableId(v), of_key);
                let v = v as usize;
                if sight.prefetch(hash) {
                    recent[v][i] = Some((hash, OverlayProbe::default()));
                } else {
                    hashes[v][i] = table.hash(key);
                    table.prefetch_bucket(hashes[v][i]);
                }
            }
        }
        for (i, key) in keys.iter().enumerate() {
            for (v, table) in self.tables.iter().enumerate() {
                if let Some((hash, probe)) = &mut recent[v][i] {
                    *probe = sight.probe(*hash);
                    if !probe.is_absent() {
                        continue;
                    }
                    hashes[v][i] = table.hash(key);
                }
                probes[v][i] = table.probe(hashes[v][i]).unwrap();
            }
        }
        let (mut sum, mut bytes) = (0_u64, Vec::with_capacity(64));
        for (i, key) in keys.iter().enumerate() {
            bytes.clear();
            for (v, table) in self.tables.iter().enumerate() {
                let mut row = None;
                if let Some((hash, probe)) = recent[v][i].filter(|(_, probe)| !probe.is_absent()) {
                    row = sight.read(hash, probe, key, &mut bytes);
                    if row.as_ref().is_none_or(|row| Some(row.event_time_us) < table.event_time_max_us()) {
                        probes[v][i] = table.probe(table.hash(key)).unwrap();
                    }
                }
                let stored = stored(table, probes[v][i], key);
                let row = row.filter(|row| stored.is_none_or(|stored| stored.event_time_us() <= row.event_time_us));
                sum = sum.wrapping_add(match row {
                    Some(row) if row.is_tombstone => 0,
                    Some(row) => value(row.row(&self.layouts[v], bytes.as_flattened()).unwrap()),
                    None => stored.map_or(0, value),
                });
            }
        }
        sum
    }
}

fn stored<'t>(table: &'t Table, probe: Probed, key: &[u8]) -> Option<Row<'t>> {
    match probe {
        Probed::At(probe) if table.is_resident(probe) => table.row(probe, key).unwrap(),
        Probed::Absent => None,
        cold => panic!("the tables were brought into memory, and then {cold:?}"),
    }
}

fn value(row: Row<'_>) -> u64 {
    match row.value(0).unwrap() {
        ValueRef::Int64(v) => v.unsigned_abs(),
        ValueRef::Float64(v) => v.to_bits(),
        _ => 0,
    }
}
