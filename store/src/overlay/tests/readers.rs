//! Writer and readers at the same time: in every order that shuttle draws, and on threads of their own.
//!
//! Shuttle runs all threads on one and lets a scheduler choose, at every access to a word, who goes on: so it finds orders, and not
//! what a processor with weaker ordering would show besides. `GANNET_SHUTTLE_RUNS=200000 cargo test --release -p gannet-store --lib
//! overlay::tests::readers` makes a long run of it.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{
    word::{under_shuttle, without_interleaving},
    *,
};

/// How many orders are tried of each.
fn runs() -> usize {
    std::env::var("GANNET_SHUTTLE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(300)
}

fn in_many_orders(test: impl Fn() + Send + Sync + 'static) {
    under_shuttle(|| shuttle::check_random(test, runs()));
}

/// A text that is as long for every number up to 9999, and wrong in every word if two of them are mixed.
fn text(number: u64) -> String {
    format!("{number:04}").repeat(10)
}

fn number(text: &str) -> u64 {
    assert!(text.as_bytes().chunks(4).all(|part| part == &text.as_bytes()[..4]), "a mixture: {text}");
    text[..4].parse().unwrap()
}

#[test]
fn a_row_that_is_replaced_is_read_whole_and_never_goes_back() {
    in_many_orders(|| {
        let (overlay, mut writer) = Overlay::new(SMALL);
        writer.put(TABLE, Sequence(1), &row(b"key", 0, Some(&text(1)))).unwrap();
        let readers = (0..2).map(|_| {
            let overlay = overlay.clone();
            shuttle::thread::spawn(move || {
                let reader = overlay.reader();
                let mut last = 1;
                for _ in 0..3 {
                    let pin = reader.pin();
                    for _ in 0..2 {
                        let (_, text) = read(&reader, &pin, TABLE, b"key").expect("it was there before");
                        let now = number(&text.unwrap());
                        assert!(now >= last, "{now} after {last}");
                        last = now;
                    }
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for sequence in 2..8 {
            writer.put(TABLE, Sequence(sequence), &row(b"key", 0, Some(&text(sequence)))).unwrap();
            writer.reclaim();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn an_index_that_grows_loses_nobody() {
    // To the brim, so that the next one makes it grow.
    const ROWS: u16 = 64 * 5;
    in_many_orders(|| {
        let (overlay, mut writer) = Overlay::new(SMALL);
        without_interleaving(|| {
            for number in 0..ROWS {
                writer.put(TABLE, Sequence(1), &row(&number.to_le_bytes(), 0, Some("t"))).unwrap();
            }
        });
        let is_done = Arc::new(AtomicBool::new(false));
        let reader = {
            let (overlay, is_done) = (overlay.clone(), Arc::clone(&is_done));
            shuttle::thread::spawn(move || {
                let reader = overlay.reader();
                let mut number = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let pin = reader.pin();
                    number = (number + 77) % ROWS;
                    assert!(read(&reader, &pin, TABLE, &number.to_le_bytes()).is_some(), "{number}");
                }
            })
        };
        for sequence in 2..6 {
            // What the index left is written over as soon as it is free.
            writer.put(TABLE, Sequence(sequence), &row(&[9, 9, 9, 9, 9], 0, Some(&text(9999).repeat(20)))).unwrap();
            writer.reclaim();
        }
        assert_eq!(writer.usage().rows, usize::from(ROWS) + 1);
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

/// What a core is given: which rows are in segments, under a lock only because this is a test.
type Generation = Arc<Mutex<Arc<Vec<(Vec<u8>, u64)>>>>;

#[test]
fn a_row_is_in_the_overlay_or_in_the_generation_throughout_a_flush() {
    in_many_orders(|| {
        let (overlay, mut writer) = Overlay::new(SMALL);
        let generation: Generation = Generation::default();
        writer.put(TABLE, Sequence(1), &row(b"key", 0, Some(&text(1)))).unwrap();
        let is_done = Arc::new(AtomicBool::new(false));
        let readers = (0..2).map(|_| {
            let (overlay, generation, is_done) = (overlay.clone(), Arc::clone(&generation), Arc::clone(&is_done));
            shuttle::thread::spawn(move || {
                let reader = overlay.reader();
                let mut last = 1;
                while !is_done.load(Ordering::Relaxed) {
                    // The order that is asked of every core.
                    let pin = reader.pin();
                    let segments = Arc::clone(&generation.lock().unwrap());
                    word::interleave();
                    let recent = read(&reader, &pin, TABLE, b"key").map(|(_, text)| number(&text.unwrap()));
                    let stored = segments.iter().find(|(key, _)| key == b"key").map(|(_, number)| *number);
                    let now = recent.max(stored).expect("it is in one of the two");
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        for round in 1..3 {
            writer.put(TABLE, Sequence(round), &row(b"key", 0, Some(&text(round)))).unwrap();
            let frozen = loop {
                writer.reclaim();
                if let Some(frozen) = writer.freeze(Sequence(round)) {
                    break frozen;
                }
            };
            let (mut rows, mut published) = (frozen.rows(TABLE, 5), Vec::new());
            while let Some((_, bytes)) = rows.next_row() {
                let (_, key, _) = key_and_time(bytes).unwrap();
                published.push((key.to_vec(), round));
            }
            word::interleave();
            *generation.lock().unwrap() = Arc::new(published);
            writer.drop_frozen(frozen);
            // What is free by now is written over at once.
            for fill in 0..3 {
                writer.put(TABLE, Sequence(9), &row(&[fill], 0, Some(&text(9999)))).unwrap();
                writer.reclaim();
            }
        }
        is_done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn readers_on_other_threads_see_whole_rows_in_order_while_parts_come_and_go() {
    const KEYS: u64 = 50;
    let (overlay, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 128 << 10, seed: 11 });
    let (done, flushed) = (AtomicBool::new(false), AtomicU64::new(0));
    let key = |number: u64| format!("key {number}").into_bytes();
    std::thread::scope(|scope| {
        for start in 0..2 {
            let (overlay, done, flushed) = (overlay.clone(), &done, &flushed);
            scope.spawn(move || {
                let reader = overlay.reader();
                let mut last = vec![0; usize::try_from(KEYS).unwrap()];
                let mut at = start;
                while !done.load(Ordering::Relaxed) {
                    let pin = reader.pin();
                    // All rounds up to this one are "in segments".
                    let stored = flushed.load(Ordering::Acquire);
                    for _ in 0..20 {
                        at = (at + 7) % KEYS;
                        let recent = read(&reader, &pin, TABLE, &key(at)).map(|(_, text)| number(&text.unwrap()));
                        let now = recent.unwrap_or(0).max(stored);
                        assert!(now >= last[usize::try_from(at).unwrap()]);
                        last[usize::try_from(at).unwrap()] = now;
                    }
                }
            });
        }
        for round in 1..2000 {
            for number in 0..KEYS {
                let put = writer.put(TABLE, Sequence(round), &row(&key(number), 0, Some(&text(round)))).unwrap();
                // A reader that is not scheduled for a while holds room back.
                assert!(put == Put::Newer || put == Put::New || put == Put::Full, "{put:?}");
            }
            writer.reclaim();
            if round % 5 == 0
                && let Some(frozen) = writer.freeze(Sequence(round))
            {
                flushed.store(frozen.covers().0, Ordering::Release);
                writer.drop_frozen(frozen);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
