use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn input() -> impl Strategy<Value = Input> {
    let payload = prop_oneof![9 => 0..60_usize, 1 => 0..9000_usize];
    (0..120_u32, -2..3_i64, payload, any::<u8>()).prop_map(|(key, event_time_us, bytes, fill)| Input {
        key: format!("{:1$}", key, key as usize % 9), // also keys that start with each other
        event_time_us,
        payload: vec![b'a' + fill % 26; bytes],
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_newest_row_of_each_key_is_kept_whatever_the_memory_the_sinks_and_the_workers(
        inputs in prop::collection::vec(input(), 0..700),
        memory_bytes in prop_oneof![Just(0), 8_000..200_000_usize, Just(64 << 20)],
        sinks in 1..4_usize,
        workers in 1..4_usize,
    ) {
        let folder = TempDir::new().unwrap();
        let (entry, summary) = build(options(folder.path(), memory_bytes, workers), &inputs, sinks).unwrap();
        let expected = model(&inputs);
        let kept = read(folder.path(), &entry);
        prop_assert_eq!(&kept, &expected);

        let event_times = || expected.values().map(|(event_time_us, _)| *event_time_us);
        prop_assert_eq!((entry.event_time_min_us, entry.event_time_max_us), (event_times().min(), event_times().max()));
        let raw_bytes: usize = expected.iter().map(|(key, (_, payload))| key.len() + 8 + payload.len()).sum();
        prop_assert_eq!((entry.rows, entry.raw_bytes, entry.built_at_us), (kept.len() as u64, raw_bytes as u64, 77));
        prop_assert_eq!((summary.rows_in, summary.rows_kept), (inputs.len() as u64, kept.len() as u64));
        prop_assert_eq!(summary.disk_bytes, entry.segments.iter().map(|segment| segment.bytes).sum::<u64>());
        prop_assert!(memory_bytes < 1 << 20 || summary.runs_spilled == 0, "what fits is not spilled");
        let segments: Vec<_> = entry.segments.iter().map(|segment| segment.file.clone()).collect();
        prop_assert_eq!(files(folder.path()), segments, "nothing else is left");
    }
}

#[test]
fn spilled_and_resident_rows_give_the_same_table() {
    let inputs = numbered(60_000, 20_000);
    let folder = TempDir::new().unwrap();
    let (spilled, summary) = build(options(folder.path(), 300_000, 2), &inputs, 3).unwrap();
    assert!(summary.runs_spilled > 20, "{summary:?}");
    let (resident, summary) = build(options(folder.path(), 1 << 30, 2), &inputs, 3).unwrap();
    assert_eq!(summary.runs_spilled, 0);
    assert_eq!(read(folder.path(), &spilled), read(folder.path(), &resident));
    assert_eq!(spilled.raw_bytes, resident.raw_bytes);
    assert_ne!(spilled.segments[0].file, resident.segments[0].file, "names are not used twice");
}

#[test]
fn more_runs_than_can_be_read_at_a_time_are_merged_in_passes() {
    let inputs = numbered(30_000, 30_000);
    let folder = TempDir::new().unwrap();
    let options = options(folder.path(), 40_000, 2);
    let builder = TableBuilder::new(schema(), options.clone()).unwrap();
    let fan_in = builder.build.fan_in();
    let (entry, summary) = build(options, &inputs, 2).unwrap();
    assert!(summary.runs_spilled > (fan_in * fan_in * fan_in) as u64, "{summary:?}, fan-in {fan_in}");
    assert_eq!(read(folder.path(), &entry), model(&inputs));
}

#[test]
fn many_rows_are_spread_over_a_segment_per_worker() {
    let inputs = numbered(450_000, 1_000_000);
    for memory_bytes in [8 << 20, 1 << 30] {
        let folder = TempDir::new().unwrap();
        let (entry, _) = build(options(folder.path(), memory_bytes, 3), &inputs, 2).unwrap();
        assert_eq!(entry.segments.len(), 3);
        assert!(entry.segments.iter().all(|segment| segment.rows > 100_000));
        assert_eq!(read(folder.path(), &entry), model(&inputs));
    }
}

#[test]
fn memory_of_sinks_stays_within_what_was_given() {
    let inputs = numbered(100_000, 100_000);
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 4 << 20, 2)).unwrap();
    let sinks = push_all(&builder, &inputs, 2).unwrap();
    let held = sinks.into_iter().map(|sink| sink.into_parts().0);
    let bytes: usize = held.map(|resident| resident.arena.reserved_bytes() + resident.entries.capacity() * 32).sum();
    assert!(bytes <= 3 << 20, "{bytes}");
    assert!(bytes > 2 << 20, "{bytes} leaves much unused");
}

#[test]
fn an_empty_table_is_a_table() {
    let folder = TempDir::new().unwrap();
    let (entry, summary) = build(options(folder.path(), 1 << 20, 2), &[], 1).unwrap();
    assert_eq!((entry.segments.len(), entry.rows, entry.event_time_max_us), (1, 0, None));
    assert_eq!(summary.rows_kept, 0);
    assert!(read(folder.path(), &entry).is_empty());
}

#[test]
fn progress_ends_at_all_rows() {
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 64 << 20, 2)).unwrap();
    let sinks = push_all(&builder, &numbered(250_000, 1000), 2).unwrap();
    let told = std::sync::Mutex::new(Vec::new());
    builder.finish(sinks, &|merged, rows| told.lock().unwrap().push((merged, rows))).unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.len() > 3 && told.contains(&(250_000, 250_000)), "{told:?}");
}

#[test]
fn memory_made_for_long_rows_or_for_fewer_sinks_is_given_back() {
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 1 << 20, 1)).unwrap();
    let mut sink = builder.sink();
    let mut writer = RowWriter::new(&schema());
    let long = |index: u32| Input {
        key: index.to_string(),
        event_time_us: 0,
        payload: vec![b'x'; 4000 + 50 * index as usize],
    };
    let mut push = |input: &Input| sink.push(encode(&mut writer, input), 0).unwrap();
    (0..2000).for_each(|index| push(&long(index)));
    let others = [builder.sink(), builder.sink(), builder.sink()];
    numbered(20_000, 20_000).iter().for_each(&mut push);
    let (resident, runs) = sink.into_parts();
    let bytes = resident.arena.reserved_bytes() + resident.entries.capacity() * 32;
    assert!(bytes <= (1 << 20) / 4 * 3 / 4, "{bytes}");
    assert!(runs.len() > 100);
    drop(others);
}
