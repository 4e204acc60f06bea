//! What rows take, that room is used again, and that nothing is left when all is dropped.

use super::*;
use crate::limits::{OVERLAY_CHUNK_BYTES_MIN, ROW_BYTES_MAX};

#[test]
fn a_row_takes_at_most_half_as_much_again_and_48_bytes() {
    // At every size, also right after the index has grown, chunks that are not full yet aside.
    for text in [0, 10, 30, 100, 400] {
        let (_overlay, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 16 << 20, seed: 3 });
        let text = "t".repeat(text);
        for number in 0..20_000_u64 {
            let put = writer.put(TABLE, Sequence(number), &row(format!("user {number:06}").as_bytes(), 1, Some(&text)));
            if put.unwrap() == Put::Full {
                break;
            }
            let usage = writer.usage();
            if usage.rows > 2560 {
                let bound = usage.row_bytes + usage.row_bytes / 2 + 48 * usage.rows;
                assert!(usage.filled_bytes <= bound, "{usage:?} is more than {bound} bytes");
            }
        }
        assert!(writer.usage().rows > 2560 * 2);
    }
}

#[test]
fn the_room_of_replaced_rows_is_used_again() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    let reader = overlay.reader();
    for sequence in 1..100_000 {
        let put = writer.put(TABLE, Sequence(sequence), &row(b"hot", 0, Some("always as long")));
        assert_ne!(put.unwrap(), Put::Full);
        writer.reclaim();
        drop(reader.pin());
    }
    assert!(!writer.is_full());
    assert_eq!(writer.usage().current_bytes, 3 * OVERLAY_CHUNK_BYTES_MIN);
}

#[test]
fn the_room_of_a_long_row_that_grows_is_used_again() {
    let (overlay, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 16 << 20, seed: 1 });
    let reader = overlay.reader();
    let text = "0123456789abcdef".repeat(3000);
    for (sequence, length) in (1..).zip((0..10_000_usize).map(|n| (n * 16).min(32_000 + n % 16_000))) {
        let put = writer.put(TABLE, Sequence(sequence), &row(b"hot", 0, Some(&text[..length])));
        assert_eq!(put.unwrap(), if sequence == 1 { Put::New } else { Put::Newer });
        writer.reclaim();
        drop(reader.pin());
    }
    assert!(!writer.is_full());
}

#[test]
fn lengths_are_numbered_without_a_gap_and_waste_an_eighth() {
    let mut last = (entry::words(0), entry::length_class(entry::words(0)));
    for row_bytes in 0..=ROW_BYTES_MAX {
        let words = entry::words(row_bytes);
        let now = (words, entry::length_class(words));
        assert!(now == last || (now.0 > last.0 && now.1 == last.1 + 1), "{row_bytes}: {now:?} after {last:?}");
        assert!(words * 8 >= row_bytes + 16 && words * 8 <= (row_bytes + 24) * 9 / 8, "{row_bytes}: {words}");
        last = now;
    }
}

#[test]
fn what_a_pinned_reader_may_see_is_not_used_again() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    let reader = overlay.reader();
    writer.put(TABLE, Sequence(1), &row(b"key", 0, Some("first"))).unwrap();
    let pin = reader.pin();
    let sight = reader.sight(&pin);
    let hash = sight.hash(TABLE, b"key");
    let probe = sight.probe(hash);
    for sequence in 2..100 {
        writer.put(TABLE, Sequence(sequence), &row(b"key", 0, Some("later"))).unwrap();
        writer.reclaim();
    }
    assert!(writer.is_reclaiming());
    let mut bytes = Vec::new();
    let found = sight.read(hash, probe, b"key", &mut bytes).unwrap();
    assert_eq!(bytes.as_flattened()[found.bytes], row(b"key", 0, Some("first")));
    drop(pin);
    for _ in 0..100 {
        writer.reclaim(); // some of what waits at a time
    }
    assert!(!writer.is_reclaiming());
}

#[test]
fn parts_follow_each_other_in_the_same_memory() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    let reader = overlay.reader();
    let mut sequence = 0;
    for round in 0..50 {
        let mut rows = 0;
        while !writer.is_full() {
            sequence += 1;
            let key = format!("{round} {rows}");
            match writer.put(TABLE, Sequence(sequence), &row(key.as_bytes(), round, Some("text"))).unwrap() {
                Put::Full => break,
                _ => rows += 1,
            }
        }
        assert!(rows > 300, "{rows} in round {round}");
        let frozen = writer.freeze(Sequence(sequence)).unwrap();
        assert!(writer.freeze(Sequence(sequence)).is_none(), "one at a time");
        assert_eq!(frozen.covers(), Sequence(sequence));
        assert_eq!((frozen.tables(), frozen.rows(TABLE, 1).len()), (vec![TABLE], rows));
        assert!(read(&reader, &reader.pin(), TABLE, format!("{round} 0").as_bytes()).is_some());
        writer.drop_frozen(frozen);
        for _ in 0..10 {
            writer.reclaim();
        }
        assert!(!writer.is_reclaiming());
        assert!(read(&reader, &reader.pin(), TABLE, format!("{round} 0").as_bytes()).is_none());
        assert_eq!(writer.usage().rows, 0);
    }
    assert!(overlay.reserved_bytes() <= SMALL.budget_bytes + 4096, "{}", overlay.reserved_bytes());
}

#[test]
fn a_row_longer_than_a_chunk_goes_over_several() {
    let (overlay, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 256 << 10, seed: 1 });
    let reader = overlay.reader();
    let text = "0123456789abcdef".repeat(1000);
    for key in 0..5_u8 {
        assert_eq!(writer.put(TABLE, Sequence(1), &row(&[key], 0, Some(&text[usize::from(key)..]))).unwrap(), Put::New);
    }
    let pin = reader.pin();
    for key in 0..5_u8 {
        assert_eq!(read(&reader, &pin, TABLE, &[key]), Some((0, Some(text[usize::from(key)..].into()))));
    }
    assert_eq!(writer.put(TABLE, Sequence(1), &row(b"huge", 0, Some(&text.repeat(60)))).unwrap(), Put::Full);
    assert_eq!(read(&reader, &pin, TABLE, b"huge"), None);
}

#[test]
fn everything_is_given_back_when_all_are_dropped() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    let (reader, shared) = (overlay.reader(), Arc::downgrade(&overlay.shared));
    writer.put(TABLE, Sequence(1), &row(b"key", 0, Some("text"))).unwrap();
    writer.put(TABLE, Sequence(2), &row(b"key", 0, Some("text"))).unwrap();
    let frozen = writer.freeze(Sequence(2)).unwrap();
    let pin = reader.pin();
    writer.reclaim();
    drop((overlay, writer, frozen));
    assert!(read(&reader, &pin, TABLE, b"key").is_some(), "readers may outlive the writer");
    drop((pin, reader));
    assert_eq!(shared.strong_count(), 0);
}
