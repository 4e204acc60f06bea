use std::cell::Cell;

use gannet_store::{
    ColumnType, Field, KeyType, Schema, Value,
    build::{BuildOptions, TableBuilder},
    row::RowWriter,
    schema::KeyPart,
    table::{MapOptions, Populate},
};

use super::*;

/// A table with everything in memory.
fn table(folder: &tempfile::TempDir) -> Arc<Table> {
    let table = opened(folder);
    table.bring_in(MapOptions { populate: Populate::All, lock: false, huge_pages: false }).unwrap();
    table
}

/// A table of which nothing is in memory.
pub(in crate::serving) fn opened(folder: &tempfile::TempDir) -> Arc<Table> {
    let key = vec![KeyPart { name: "k".to_owned(), key_type: KeyType::String }];
    let columns = vec![Field { name: "x".to_owned(), column_type: ColumnType::String }];
    let schema = Arc::new(Schema { key, columns });
    let (root, name) = (folder.path().to_owned(), "prod/v".to_owned());
    let options = BuildOptions { root, table: name, memory_bytes: 64 << 20, workers: 1, now_us: 0 };
    let builder = TableBuilder::new(Arc::clone(&schema), options).unwrap();
    let (mut sink, mut writer) = (builder.sink(), RowWriter::new(&schema));
    for number in 0..200_u64 {
        writer.begin(&number.to_be_bytes(), 0);
        writer.value(0, &Value::String("x".repeat(1000)));
        sink.push(writer.finish().unwrap(), number).unwrap();
    }
    let (entry, _) = builder.finish(vec![sink], &|_, _| {}).unwrap();
    Arc::new(Table::open(folder.path(), &entry).unwrap())
}

/// Two cores, one of which had its turns long before the other.
fn turned(replaced: &mut Replaced, wanted: bool, turns: [u64; 2]) -> Way {
    replaced.give_way(wanted, &|| turns.to_vec())
}

fn rows_in_memory(table: &Table) -> u64 {
    table.residency().map(|segment| segment.rows_resident_bytes).sum()
}

#[test]
fn rows_give_way_when_no_core_can_be_using_them() {
    let folder = tempfile::tempdir().unwrap();
    let old = table(&folder);
    let (all, rows) = (taken(&old), rows_in_memory(&old));
    assert!(rows > 200_000 && rows == old.rows_bytes());
    let mut replaced = Replaced::default();
    replaced.add(vec![Arc::downgrade(&old)], &|| vec![10, 70]);
    for turns in [[10, 70], [999, 71], [11, 999]] {
        assert!(turned(&mut replaced, true, turns).under_way);
        assert_eq!((rows_in_memory(&old), replaced.taken()), (rows, all), "a core may begin requests with it");
    }
    assert!(turned(&mut replaced, true, [12, 72]).under_way);
    for turns in [[13, 74], [14, 73]] {
        assert!(turned(&mut replaced, true, turns).under_way);
        assert_eq!((rows_in_memory(&old), replaced.taken()), (0, all), "a core may still be reading them");
    }
    let way = turned(&mut replaced, true, [14, 74]);
    assert!(!way.under_way && way.bytes == rows && way.failed.is_none(), "{way:?}");
    assert_eq!(replaced.taken(), all - rows, "the index stays");
    assert_eq!(turned(&mut replaced, true, [99, 99]).bytes, 0, "once");
}

/// The counters are looked at after rows ceased to count: what a core began before is over two turns later, not what it began since
/// the last look.
#[test]
fn turns_count_from_when_rows_no_longer_do() {
    let folder = tempfile::tempdir().unwrap();
    let old = table(&folder);
    let mut replaced = Replaced::default();
    replaced.add(vec![Arc::downgrade(&old)], &|| vec![0]);
    let seen = Cell::new(0);
    let turns = || {
        seen.set(seen.get() + if rows_in_memory(&old) > 0 { 5 } else { 1 });
        vec![seen.get()]
    };
    assert!(replaced.give_way(true, &turns).under_way);
    assert_eq!(rows_in_memory(&old), 0);
    assert_eq!(replaced.give_way(true, &turns).bytes, old.rows_bytes());
}

#[test]
fn with_room_for_all_nothing_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let old = table(&folder);
    let mut replaced = Replaced::default();
    replaced.add(vec![Arc::downgrade(&old)], &|| vec![0, 0]);
    for turn in [0, 2, 4, 1000] {
        assert!(!turned(&mut replaced, false, [turn, turn]).under_way);
    }
    assert_eq!((rows_in_memory(&old), replaced.taken()), (old.rows_bytes(), taken(&old)));
}

#[test]
fn what_is_gone_or_served_again_is_forgotten() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [gone, live] = folders.each_ref().map(table);
    let mut replaced = Replaced::default();
    replaced.add(vec![Arc::downgrade(&gone), Arc::downgrade(&live)], &|| vec![0]);
    drop(gone);
    replaced.forget(|_| false);
    assert_eq!(replaced.taken(), taken(&live));
    replaced.forget(|table| table.ptr_eq(&Arc::downgrade(&live)));
    assert_eq!(replaced.taken(), 0);
    replaced.give_way(true, &|| vec![9]);
    assert_eq!(rows_in_memory(&live), live.rows_bytes());
}
