//! The cache of cold rows: finding a row that is there, one that is not, and taking one in, with 256 MiB and rows of 100 bytes.
//!
//! Goal: finding costs at most two waits for memory, one for a row that is not there. Not the goal: hit rates, which are
//! asserted beside the cache.
//!
//! Ids come in no order: of all rows, so that nearly every line comes from memory, and of 1,000 rows again and again. Making
//! the id is part of each figure. Measured (two cores of a Xeon under other load, 4 KiB pages), medians: 1.1 µs to find one of
//! all, 42 ns one of 1,000, 0.4 µs to miss, 1.1 µs to take one in and drop another.

use divan::{Bencher, black_box};
use gannet_benches::Random;
use gannet_store::cache::{RowCache, RowId};

fn main() {
    divan::main();
}

const CACHE_BYTES: usize = 256 << 20;
const ROW: [u8; 100] = [7; 100];

/// Fewer than fit, so all of them are there.
const ROWS: u64 = 1_900_000;

fn id(row: u64) -> RowId {
    RowId { segment: row >> 20, key: u32::try_from(row & 0xf_ffff).unwrap_or(0) * 25 }
}

fn filled() -> RowCache {
    let mut cache = RowCache::new(CACHE_BYTES);
    (0..ROWS).for_each(|row| cache.insert(id(row), &ROW));
    assert_eq!(cache.stats().rows, ROWS);
    cache
}

fn first_bytes(cache: &mut RowCache, id: RowId) -> u64 {
    match cache.find(id) {
        Some(place) => u64::from(cache.bytes(place)[0]),
        None => 0,
    }
}

#[divan::bench(args = [ROWS, 1000])]
fn find_hit(bencher: Bencher<'_, '_>, rows: u64) {
    let (mut cache, mut random) = (filled(), Random::new(1));
    bencher.bench_local(|| first_bytes(&mut cache, id(black_box(random.below(rows)))));
}

#[divan::bench]
fn find_miss(bencher: Bencher<'_, '_>) {
    let (mut cache, mut random) = (filled(), Random::new(1));
    bencher.bench_local(|| first_bytes(&mut cache, id(black_box(ROWS + random.below(ROWS)))));
}

/// Into a full cache, so that each row displaces another.
#[divan::bench]
fn insert(bencher: Bencher<'_, '_>) {
    let mut cache = filled();
    let mut row = ROWS;
    bencher.bench_local(|| {
        row += 1;
        cache.insert(id(black_box(row)), black_box(&ROW));
    });
}
