//! What is taken away is noticed every second, whatever else is being done.

use std::fs::OpenOptions;

use gannet_store::table::{Lock, MapOptions};

use super::*;
use crate::serving::replaced::tests::opened;

/// One that is to keep these, by a clock that the test has.
fn work(tables: &[Arc<Table>], populate: Populate) -> Work {
    let named = |table| ("prod/v".to_owned(), Arc::downgrade(table));
    let settings = MemorySettings { populate, lock: Lock::Never, huge_pages: false, ..MemorySettings::default() };
    let tables = tables.iter().map(named).collect();
    let mut work = Work::default();
    work.adopt(Adopted { tables, settings, budget_bytes: u64::MAX, lock_refused: None });
    work
}

/// Takes all pages of a table away, as reclaim would: a file that is cut has none, and gets none by being as long as before.
fn evict(table: &Table) {
    for segment in table.residency() {
        let file = OpenOptions::new().write(true).open(segment.file).unwrap();
        let bytes = file.metadata().unwrap().len();
        file.set_len(0).unwrap();
        file.set_len(bytes).unwrap();
    }
}

fn evicted(table: &Table) -> u64 {
    table.residency().map(|segment| segment.evicted_total).sum()
}

#[test]
fn what_is_taken_away_is_noticed_while_other_tables_come_in() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [first, second] = folders.each_ref().map(opened);
    let mut work = work(&[Arc::clone(&first), Arc::clone(&second)], Populate::All);
    work.step(0.0);
    assert_eq!((resident(&first), resident(&second)), (first.index_bytes(), 0), "one slice a step, indexes first");
    evict(&first);
    work.step(0.5);
    assert_eq!((evicted(&first), resident(&second)), (0, second.index_bytes()), "it is looked every second");
    work.step(1.1);
    assert_eq!(evicted(&first), first.index_bytes());
    for _ in 0..10 {
        work.step(1.2);
    }
    assert!(work.settled);
    for table in [&first, &second] {
        assert_eq!(resident(table), table.index_bytes() + table.rows_bytes(), "and it is back");
    }
}

#[test]
fn what_is_there_is_watched_though_nothing_is_brought_in() {
    let folder = tempfile::tempdir().unwrap();
    let table = opened(&folder);
    table.bring_in(MapOptions { populate: Populate::All, lock: false, huge_pages: false }).unwrap();
    let mut work = work(&[Arc::clone(&table)], Populate::None);
    work.step(0.0);
    assert_eq!(resident(&table), table.index_bytes() + table.rows_bytes());
    evict(&table);
    for now_seconds in [1.0, 1.5, 2.0] {
        work.step(now_seconds);
        assert_eq!((resident(&table), work.settled), (0, true), "noticed, and not brought in");
    }
    assert_eq!(evicted(&table), table.index_bytes() + table.rows_bytes());
}
