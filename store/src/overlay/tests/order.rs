//! The same writes in another order, and more than once, give the same rows.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_log_read_in_any_order_and_twice_gives_the_same_rows(
        writes in proptest::collection::vec((0..4_u8, -2..2_i64, any::<bool>()), 1..40),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let rows: Vec<Vec<u8>> = writes
            .iter()
            .zip(1..)
            .map(|(&(key, time, is_row), sequence)| row(&[key], time, is_row.then_some(&format!("{sequence}"))))
            .collect();
        let shown = |order: &[usize]| {
            let (overlay, mut writer) = Overlay::new(SMALL);
            for &at in order {
                prop_assert_ne!(writer.put(TABLE, Sequence(at as u64 + 1), &rows[at]).unwrap(), Put::Full);
                writer.reclaim();
            }
            let reader = overlay.reader();
            let pin = reader.pin();
            Ok((0..4).map(|key| read(&reader, &pin, TABLE, &[key])).collect::<Vec<_>>())
        };
        let once: Vec<usize> = (0..rows.len()).collect();
        // Some of them, some twice, before all of them backwards, and all of them once more.
        let some = order.iter().map(|index| index.index(rows.len()));
        let shuffled: Vec<usize> = some.chain(once.iter().rev().copied()).chain(once.clone()).collect();
        prop_assert_eq!(shown(&once)?, shown(&shuffled)?);
    }
}

#[test]
fn equal_event_times_go_to_the_later_sequence() {
    let check = |writes: &[(u64, i64, &str)], expected: (i64, &str)| {
        let (overlay, mut writer) = Overlay::new(SMALL);
        for &(sequence, time, text) in writes {
            writer.put(TABLE, Sequence(sequence), &row(b"key", time, Some(text))).unwrap();
        }
        let reader = overlay.reader();
        assert_eq!(read(&reader, &reader.pin(), TABLE, b"key"), Some((expected.0, Some(expected.1.into()))));
    };
    check(&[(1, 5, "one"), (2, 5, "two")], (5, "two"));
    check(&[(2, 5, "two"), (1, 5, "one")], (5, "two"));
    check(&[(1, 6, "one"), (2, 5, "two")], (6, "one"));
    check(&[(1, i64::MIN, "one"), (2, i64::MAX, "two"), (3, 0, "three")], (i64::MAX, "two"));
}

#[test]
fn what_is_no_row_is_refused() {
    let (_overlay, mut writer) = Overlay::new(SMALL);
    for bytes in [&[][..], &[0], &[0x80], &[1], &row(b"key", 0, None)[..12]] {
        assert!(matches!(writer.put(TABLE, Sequence(1), bytes), Err(crate::Error::NotARow)), "{bytes:?}");
    }
    assert_eq!(writer.usage().rows, 0);
}
