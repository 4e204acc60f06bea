//! Sound segments: every key is found, no other key is.

use super::*;

#[test]
fn every_key_is_found_and_no_other() {
    for (count, partitions) in [(0, 1), (1, 1), (1, 4), (6, 1), (1000, 1), (1000, 3), (20_000, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<TestRow> = (0..count).map(fraud_row).collect();
        let entry = build(folder.path(), &fraud_schema(), &rows, 7, partitions).unwrap();
        let table = open(folder.path(), &entry).unwrap();
        check_all(&table, &rows);
        for absent in (count..count + 1000).map(fraud_row) {
            assert_eq!(read(&table, &absent.key).unwrap(), None);
        }
        assert_eq!(table.event_time_max_us(), rows.iter().map(|row| row.event_time_us).max());
        assert_eq!(read(&table, b"").unwrap(), None);
        assert_eq!(read(&table, &[b'x'; 5000]).unwrap(), None);
    }
}
