//! Rows that are combined: staged, shown, dropped; and counted once by readers, whatever comes in between.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::{
    word::{under_shuttle, without_interleaving},
    *,
};
use crate::{error::Corrupt, plane::Combine};

/// Puts texts behind one another: the lower one first.
#[derive(Debug)]
struct Join;

impl Combine for Join {
    fn combine(&self, upper: &[u8], lower: &[u8], _now_us: i64, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let layout = RowLayout::new(&schema(vec![ColumnType::String]), "a test");
        let parse = |bytes| Row::parse(&layout, bytes).unwrap();
        let (upper, lower) = (parse(upper), parse(lower));
        let text = |row: Row<'_>| match row.is_tombstone() {
            true => String::new(),
            false => row.value(0).unwrap().to_value().unwrap().to_string_lossy(),
        };
        if upper.is_tombstone() {
            out.extend_from_slice(upper.encoded());
        } else {
            out.extend_from_slice(&row(upper.key(), upper.event_time_us(), Some(&(text(lower) + &text(upper)))));
        }
        Ok(())
    }
}

trait Lossy {
    fn to_string_lossy(&self) -> String;
}

impl Lossy for Value {
    fn to_string_lossy(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn stage(writer: &mut OverlayWriter, key: &[u8], text: Option<&str>) -> Stage {
    writer.stage(TABLE, Sequence(1), &row(key, 5, text), Some((&Join, 0))).unwrap()
}

fn text_of(overlay: &Overlay, key: &[u8]) -> Option<String> {
    let reader = overlay.reader();
    read(&reader, &reader.pin(), TABLE, key).map(|(_, text)| text.unwrap_or_else(|| "deleted".to_owned()))
}

#[test]
fn what_is_staged_is_combined_in_order_and_shown_at_once() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    for text in ["a", "b"] {
        assert_eq!(stage(&mut writer, b"key", Some(text)), Stage::Staged);
    }
    assert_eq!(text_of(&overlay, b"key"), None, "nobody is shown it");
    assert_eq!(writer.show_staged(), Shown { new: 1, newer: 1, older: 0 });
    assert_eq!(text_of(&overlay, b"key").as_deref(), Some("ab"));
    stage(&mut writer, b"key", Some("c"));
    stage(&mut writer, b"other", Some("x"));
    stage(&mut writer, b"key", Some("d"));
    writer.drop_staged(2);
    stage(&mut writer, b"key", Some("e"));
    writer.show_staged();
    assert_eq!(text_of(&overlay, b"key").as_deref(), Some("abce"), "what was dropped is in nothing that came after it");
    stage(&mut writer, b"key", None);
    writer.show_staged();
    assert_eq!(text_of(&overlay, b"key").as_deref(), Some("deleted"));
    assert_eq!(text_of(&overlay, b"other").as_deref(), Some("x"));
}

#[test]
fn where_there_is_no_room_nothing_is_changed_and_what_was_dropped_makes_room() {
    let (overlay, mut writer) = Overlay::new(SMALL);
    let long = "long ".repeat(150);
    let mut staged = 0_u32;
    while stage(&mut writer, &staged.to_le_bytes(), Some(&long)) == Stage::Staged {
        staged += 1;
    }
    assert!(staged > 10 && writer.staged() == staged as usize);
    writer.drop_staged(0);
    // Also for rows of other lengths, while nothing was shown.
    let longer = long.repeat(2);
    for key in 0..staged / 3 {
        assert_eq!(stage(&mut writer, &key.to_le_bytes(), Some(&longer)), Stage::Staged);
    }
    writer.drop_staged(0);
    for again in 0..staged {
        assert_eq!(stage(&mut writer, &again.to_le_bytes(), Some(&long)), Stage::Staged);
    }
    assert_eq!(writer.show_staged().new, u64::from(staged));
    assert_eq!(text_of(&overlay, &0_u32.to_le_bytes()), Some(long));
}

/// Texts in segments, and the record of the log up to which they go.
type Generation = Arc<Mutex<Arc<(String, u64)>>>;

/// `count` says which parts a reader counts. With the right one each letter is met once, in order.
fn letters_are_counted_once(is_covered_left_out: bool) {
    let runs = std::env::var("GANNET_SHUTTLE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(400);
    let test = move || {
        let (overlay, mut writer) = Overlay::new(SMALL);
        let generation: Generation = Generation::default();
        let is_done = Arc::new(AtomicBool::new(false));
        let readers = (0..2).map(|_| {
            let (overlay, generation, is_done) = (overlay.clone(), Arc::clone(&generation), Arc::clone(&is_done));
            shuttle::thread::spawn(move || {
                let reader = overlay.reader();
                let mut last = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let pin = reader.pin();
                    let (mut found, covered) = generation.lock().unwrap().as_ref().clone();
                    word::interleave();
                    let (sight, mut bytes) = (reader.sight(&pin), Vec::new());
                    let hash = sight.hash(TABLE, b"key");
                    let probe = sight.probe(hash);
                    let covered = Sequence(if is_covered_left_out { covered } else { 0 });
                    let parts = sight.read_parts(hash, probe, covered, b"key", &mut bytes);
                    let layout = RowLayout::new(&schema(vec![ColumnType::String]), "a test");
                    for part in parts.into_iter().flatten().rev() {
                        let row = part.row(&layout, bytes.as_flattened()).unwrap();
                        found += &row.value(0).unwrap().to_value().unwrap().to_string_lossy();
                    }
                    assert!("abcdef".starts_with(&found), "{found}");
                    assert!(found.len() >= last, "{found} after {last}");
                    last = found.len();
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for (sequence, letter) in (1..).zip(["a", "b", "c", "d", "e", "f"]) {
            stage(&mut writer, b"key", Some(letter));
            writer.show_staged();
            writer.reclaim();
            if sequence % 2 == 0
                && let Some(frozen) = writer.freeze(Sequence(sequence))
            {
                let (mut rows, mut text) = (frozen.rows(TABLE, 5), String::new());
                while let Some((_, bytes)) = rows.next_row() {
                    let layout = RowLayout::new(&schema(vec![ColumnType::String]), "a test");
                    let row = Row::parse(&layout, bytes).unwrap();
                    text = without_interleaving(|| row.value(0).unwrap().to_value().unwrap().to_string_lossy());
                }
                word::interleave();
                let stored = generation.lock().unwrap().0.clone();
                *generation.lock().unwrap() = Arc::new((stored + &text, sequence));
                writer.drop_frozen(frozen);
            }
        }
        is_done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    };
    under_shuttle(|| shuttle::check_random(test, runs));
}

#[test]
fn a_row_counts_once_throughout_a_flush() {
    letters_are_counted_once(true);
}

/// That the silence of the test above is worth something.
#[test]
fn a_part_that_is_counted_beside_its_generation_is_found() {
    std::panic::catch_unwind(|| letters_are_counted_once(false)).unwrap_err();
}
