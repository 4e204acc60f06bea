//! Any sequence of writes, freezes and drops, against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put { table: u32, key: u16, event_time_us: i64, text: Option<usize> },
    Freeze,
    Drop,
    Reclaim,
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![1 => Just(None), 4 => (0..40_usize).prop_map(Some), 1 => (0..3000_usize).prop_map(Some)];
    let put = (0..3_u32, prop_oneof![0..5_u16, 0..2000_u16], -3..3_i64, text);
    let put = put.prop_map(|(table, key, event_time_us, text)| Step::Put { table, key, event_time_us, text });
    prop_oneof![200 => put, 1 => Just(Step::Freeze), 1 => Just(Step::Drop), 2 => Just(Step::Reclaim)]
}

/// What is known of a key: event time, and the text unless deleted.
type Model = BTreeMap<(u32, Vec<u8>), (i64, Option<String>)>;

/// The later write wins unless its event time is older.
fn newest(older: Option<&(i64, Option<String>)>, put: (i64, Option<String>)) -> (i64, Option<String>) {
    older.filter(|older| older.0 > put.0).cloned().unwrap_or(put)
}

/// Key 0 is empty.
fn key(number: u16) -> Vec<u8> {
    if number == 0 { Vec::new() } else { format!("key {number}").into_bytes() }
}

proptest! {
    #[test]
    fn readers_see_what_a_map_would_hold(steps in proptest::collection::vec(step(), 1..2000)) {
        let (overlay, mut writer) = Overlay::new(SMALL);
        let reader = overlay.reader();
        let (mut current, mut frozen) = (Model::new(), Model::new());
        let mut part: Option<Frozen> = None;
        for (sequence, step) in (1..).zip(steps) {
            match step {
                Step::Put { table, key: number, event_time_us, text } => {
                    let text = text.map(|length| format!("{sequence}-").repeat(length / 4));
                    let key = key(number);
                    let bytes = row(&key, event_time_us, text.as_deref());
                    let before = current.get(&(table, key.clone())).cloned();
                    let after = newest(before.as_ref(), (event_time_us, text));
                    match writer.put(TableId(table), Sequence(sequence), &bytes).unwrap() {
                        Put::Full => {
                            prop_assert!(writer.is_full() || writer.usage().rows > 300, "{:?}", writer.usage());
                            continue;
                        }
                        Put::New => prop_assert!(before.is_none()),
                        Put::Newer => prop_assert!(before.as_ref().is_some_and(|before| before.0 <= event_time_us)),
                        Put::Older => prop_assert!(before.as_ref().is_some_and(|before| before.0 > event_time_us)),
                    }
                    current.insert((table, key.clone()), after.clone());
                    let shown = newest(frozen.get(&(table, key.clone())), after);
                    prop_assert_eq!(read(&reader, &reader.pin(), TableId(table), &key), Some(shown));
                }
                Step::Freeze => {
                    if let Some(begun) = writer.freeze(Sequence(sequence)) {
                        prop_assert!(part.replace(begun).is_none());
                        frozen = std::mem::take(&mut current);
                    }
                }
                Step::Drop => {
                    if let Some(part) = part.take() {
                        writer.drop_frozen(part);
                        (0..10).for_each(|_| writer.reclaim());
                        frozen.clear();
                    }
                }
                Step::Reclaim => writer.reclaim(),
            }
            prop_assert_eq!(writer.usage().rows, current.len());
        }
        let pin = reader.pin();
        for (table, number) in (0..3).flat_map(|table| (0..2000).map(move |number| (table, number))) {
            let at = (table, key(number));
            let expected = match (current.get(&at), frozen.get(&at)) {
                (Some(current), frozen) => Some(newest(frozen, current.clone())),
                (None, frozen) => frozen.cloned(),
            };
            prop_assert_eq!(read(&reader, &pin, TableId(table), &at.1), expected);
        }
        if let Some(part) = &part {
            for table in 0..3 {
                let expected: Vec<_> = frozen.iter().filter(|((of, _), _)| *of == table).collect();
                let mut rows = part.rows(TableId(table), 99);
                prop_assert_eq!(rows.len(), expected.len());
                let (mut last, mut seen) = (0, BTreeMap::new());
                while let Some((hash, bytes)) = rows.next_row() {
                    prop_assert!(last <= hash.0);
                    last = hash.0;
                    let (_, key, event_time_us) = key_and_time(bytes).unwrap();
                    prop_assert_eq!(crate::Table::hash_with(99, key), hash);
                    seen.insert(key.to_vec(), event_time_us);
                }
                let expected: BTreeMap<_, _> = expected.into_iter().map(|((_, key), row)| (key.clone(), row.0)).collect();
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
