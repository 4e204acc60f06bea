//! What counts as resident, slice by slice, and what no longer does.

use std::process::Command;

use super::{
    super::{Expected, Segment},
    damage::Sample,
    *,
};
use crate::{
    limits::BLOCK_BYTES,
    row::tests::schema,
    table::{Lock, Probed},
};

/// Some megabytes in two segments: rows of 40 KiB, and among them short ones and two of nearly the longest.
fn table_of_megabytes(folder: &Path) -> (TableEntry, Table, Vec<TestRow>) {
    let text_bytes = |number: u32| match number {
        50 | 51 => (1 << 20) - 100,
        _ if number.is_multiple_of(3) => 200,
        _ => 40_000,
    };
    let row = |number: u32| TestRow {
        key: number.to_be_bytes().to_vec(),
        event_time_us: 0,
        values: vec![Value::String("t".repeat(text_bytes(number)))],
    };
    let rows: Vec<TestRow> = (0..200).map(row).collect();
    let entry = build(folder, &schema(vec![ColumnType::String]), &rows, 7, 2).unwrap();
    let table = open(folder, &entry).unwrap();
    (entry, table, rows)
}

/// Rows that may be read in place. Each lies below what its segment says is in memory, to its last byte.
fn resident(table: &Table, rows: &[TestRow]) -> usize {
    let segments: Vec<_> = table.residency().collect();
    let in_place = rows.iter().filter(|row| {
        let Probed::At(probe) = table.probe(table.hash(&row.key)).unwrap() else { panic!("the index is in memory") };
        let is_resident = table.is_resident(probe);
        if is_resident {
            let (segment, start) = probe.place();
            let end = start + table.row(probe, &row.key).unwrap().unwrap().bytes() as u64;
            assert!(end <= BLOCK_BYTES as u64 + segments[segment].rows_resident_bytes, "{row:?} ends at {end}");
        }
        is_resident
    });
    in_place.count()
}

#[test]
fn rows_count_as_resident_only_when_all_of_them_are_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (_, table, rows) = table_of_megabytes(folder.path());
    assert!(matches!(table.probe(table.hash(&rows[0].key)).unwrap(), Probed::Cold(_)));
    let brought = table.bring_in_index(Lock::Never, false).unwrap();
    assert_eq!((brought.bytes, brought.locked_bytes), (table.index_bytes(), 0));
    assert_eq!(table.bring_in_index(Lock::Never, false).unwrap().bytes, 0, "it is there");

    let (mut counts, mut bytes) = (vec![resident(&table, &rows)], 0);
    loop {
        // An odd size, of which whole blocks are used.
        let brought = table.bring_in_rows(100_000, Lock::Never, false).unwrap().bytes;
        assert!(brought <= 100_000);
        bytes += brought;
        if brought == 0 {
            break;
        }
        counts.push(resident(&table, &rows));
    }
    assert!(counts.is_sorted() && counts[0] == 0);
    assert!(counts.iter().any(|count| (1..rows.len()).contains(count)), "some before others");
    assert_eq!(counts.last(), Some(&rows.len()));
    assert_eq!(bytes, table.rows_bytes());
    check_all(&table, &rows);
}

#[test]
fn indexes_come_in_one_by_one_as_far_as_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (_, table, _) = table_of_megabytes(folder.path());
    let sizes: Vec<u64> = table.residency().map(|segment| segment.index_bytes).collect();
    let next = |room| table.bring_in_next_index(room, Lock::Never, false).unwrap().bytes;
    assert_eq!(next(sizes[0].min(sizes[1]) - 1), 0);
    assert_eq!([next(u64::MAX), next(u64::MAX), next(u64::MAX)], [sizes[0], sizes[1], 0]);
}

#[test]
fn released_rows_are_not_read_in_place_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_, table, rows) = table_of_megabytes(folder.path());
    table.bring_in_index(Lock::Never, false).unwrap();
    for keep in [u64::MAX, 5_000_000, 3_000_000, 4096, 0] {
        // A few megabytes are within any limit on locked memory.
        table.bring_in_rows(u64::MAX, Lock::Required, false).unwrap();
        assert_eq!(resident(&table, &rows), rows.len());
        assert!(table.residency().all(|segment| segment.rows_resident_bytes == segment.rows_bytes));
        table.release_rows(keep);
        let kept: u64 = table.residency().map(|segment| segment.rows_resident_bytes).sum();
        assert!(kept <= keep && kept + BLOCK_BYTES as u64 > keep.min(table.rows_bytes()), "{kept} of {keep}");
        assert_eq!(resident(&table, &rows) == rows.len(), keep == u64::MAX);
        check_all(&table, &rows);
        table.finish_release().unwrap();
        check_all(&table, &rows);
    }
}

#[test]
fn locked_says_that_all_that_is_resident_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_, table, _) = table_of_megabytes(folder.path());
    let locked = || table.residency().all(|segment| segment.locked);
    assert!(!locked(), "nothing is resident");
    let brought = table.bring_in_index(Lock::Required, false).unwrap();
    assert_eq!(brought.locked_bytes, table.index_bytes());
    assert!(locked());
    table.bring_in_rows(1 << 20, Lock::IfAllowed, false).unwrap();
    assert!(locked());
    table.bring_in_rows(u64::MAX, Lock::Never, true).unwrap();
    assert!(!locked());
    table.release_rows(1 << 20);
    assert!(locked(), "what is left is");
}

/// A segment with everything in memory, and what `take` takes away from it.
fn check_eviction(take: impl Fn(&Segment), expected: impl Fn(&Segment)) {
    let sample = Sample::new(40_000);
    let entry = &sample.entry;
    let expectation =
        Expected { entry: &entry.segments[0], schema: &entry.schema, seed: entry.seed, partition: 0, partitions: 1 };
    let segment = Segment::open(&sample.path(), expectation).unwrap();
    let mut brought = crate::table::Brought::default();
    segment.bring_in_index(Lock::Never, false, &mut brought).unwrap();
    segment.bring_in_rows(usize::MAX, Lock::Never, false, &mut brought).unwrap();
    assert_eq!(segment.watch().unwrap(), 0, "nobody took anything");
    take(&segment);
    if segment.map.resident_bytes(&(0..segment.map.bytes().len())).unwrap() == segment.map.bytes().len() {
        // A file system in memory, for one, has nowhere to take pages to.
        return eprintln!("skipped: this file system's pages stay in memory");
    }
    expected(&segment);
}

#[test]
fn rows_that_were_evicted_count_no_longer() {
    let middle = |segment: &Segment| {
        let middle = (segment.rows.start + segment.rows.len() / 2) / BLOCK_BYTES * BLOCK_BYTES;
        middle..segment.rows.end.next_multiple_of(BLOCK_BYTES)
    };
    check_eviction(
        |segment| segment.map.forget(&middle(segment)).unwrap(),
        |segment| {
            let middle = middle(segment);
            assert!(segment.row_is_resident(u32::try_from(middle.end / 4 - 100).unwrap()));
            let evicted = segment.watch().unwrap();
            let told = segment.residency();
            assert!(evicted >= BLOCK_BYTES && evicted <= middle.len(), "{evicted}");
            assert_eq!(told.evicted_total, evicted as u64);
            assert_eq!(told.index_resident_bytes, told.index_bytes);
            // Pages come in larger units than blocks, so what is left ends near where it was taken from.
            let left = segment.rows.start + usize::try_from(told.rows_resident_bytes).unwrap();
            assert!((middle.start..middle.end).contains(&left), "{left} is not in {middle:?}");
            assert!(!segment.row_is_resident(u32::try_from(middle.end / 4 - 100).unwrap()));
            assert_eq!(segment.watch().unwrap(), 0, "told once");
            segment.bring_in_rows(usize::MAX, Lock::Never, false, &mut crate::table::Brought::default()).unwrap();
            assert_eq!(segment.watch().unwrap(), 0);
            assert_eq!(segment.residency().rows_resident_bytes, told.rows_bytes);
        },
    );
}

#[test]
fn an_index_that_was_evicted_counts_no_longer() {
    check_eviction(
        |segment| segment.map.forget(&(0..segment.map.bytes().len())).unwrap(),
        |segment| {
            assert!(segment.index_is_resident());
            assert!(segment.watch().unwrap() > segment.rows_bytes());
            assert!(!segment.index_is_resident());
            assert_eq!(segment.residency().rows_resident_bytes, 0);
            segment.bring_in_index(Lock::Never, false, &mut crate::table::Brought::default()).unwrap();
            assert!(segment.index_is_resident());
        },
    );
}

/// Runs `test` of this module again in a process of its own that may lock one page. False if there is no way to do so here.
fn run_with_one_page_to_lock(test: &str) -> bool {
    let this = std::env::current_exe().unwrap();
    let name = format!("segment::tests::residency::{test}");
    // The capability to lock regardless of limits is taken away, too, where there is one to take.
    let limited = ["prlimit", "--memlock=4096:4096"];
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(&this).args(["--exact", &name]).env(CHILD, "1").output()
    };
    let outcome = match run("setpriv", &[&["--bounding-set=-ipc_lock"], &limited[..]].concat()) {
        Ok(output) if output.status.success() => return true,
        _ => run(limited[0], &limited[1..]),
    };
    let Ok(output) = outcome else { return false };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    true
}

#[test]
fn a_refusal_to_lock_is_told_and_leaves_everything_in_memory() {
    if std::env::var_os(CHILD).is_none() {
        if !run_with_one_page_to_lock("a_refusal_to_lock_is_told_and_leaves_everything_in_memory") {
            eprintln!("skipped: there is no prlimit here");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (entry, table, rows) = table_of_megabytes(folder.path());
    table.bring_in_index(Lock::Never, false).unwrap();
    assert!(matches!(table.bring_in_rows(1 << 20, Lock::Required, false), Err(Error::Lock { .. })));
    let brought = table.bring_in_rows(u64::MAX, Lock::IfAllowed, false).unwrap();
    assert!(matches!(brought.lock_refused, Some(Error::Lock { .. })));
    assert_eq!((brought.bytes, brought.locked_bytes), (table.rows_bytes(), 0));
    assert_eq!(resident(&table, &rows), rows.len());
    assert!(table.residency().all(|segment| !segment.locked));

    let again = open(folder.path(), &entry).unwrap();
    let asked = again.bring_in(MapOptions { populate: Populate::All, lock: true, huge_pages: false });
    assert!(matches!(asked, Err(Error::Lock { .. })));
    assert_eq!(resident(&again, &rows), rows.len());
}

const CHILD: &str = "GANNET_TEST_CHILD";
