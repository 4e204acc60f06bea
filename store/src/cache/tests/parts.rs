//! The parts by themselves: rings at their seams, ghosts and their age.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn entries_of_a_ring_never_overlap_and_leave_in_the_order_they_came(
        units in 1..40_usize,
        entries_max in 1..20_usize,
        entries in prop::collection::vec((1..40_usize, any::<bool>()), 1..300),
    ) {
        let (base, bytes) = (800, units * 8);
        let mut ring = Ring::new(base, bytes, entries_max);
        let mut model: VecDeque<(usize, usize)> = VecDeque::new();
        for (entry, again) in entries {
            let entry = entry.min(units) * 8; // up to the whole ring
            let at = loop {
                if let Some(at) = ring.reserve(entry) {
                    break at;
                }
                prop_assert_eq!(ring.oldest(), model.front().map(|(at, _)| *at));
                let (_, released) = model.pop_front().expect("an empty ring has room for everything that fits");
                ring.release_oldest(released);
                if again && !model.is_empty() {
                    let at = ring.reserve(released).expect("what was given free is enough for the same again");
                    let younger = model.pop_front().unwrap();
                    ring.release_oldest(younger.1);
                    model.push_back((at, released));
                }
            };
            model.push_back((at, entry));
            prop_assert!(model.len() <= entries_max);
            prop_assert_eq!(ring.entries(), model.len());
            prop_assert_eq!(ring.used(), model.iter().map(|(_, bytes)| bytes).sum::<usize>());
            let mut sorted: Vec<_> = model.iter().copied().collect();
            sorted.sort_unstable();
            prop_assert!(sorted[0].0 >= base);
            prop_assert!(sorted.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{:?}", sorted);
            prop_assert!(sorted.last().is_some_and(|(at, bytes_of)| at + bytes_of <= base + bytes));
        }
    }
}

#[test]
fn a_row_as_large_as_the_ring_follows_another() {
    let mut ring = Ring::new(0, 64, 9);
    for _ in 0..3 {
        assert_eq!(ring.reserve(64), Some(0));
        assert_eq!(ring.reserve(8), None);
        ring.release_oldest(64);
        assert_eq!(ring.oldest(), None);
    }
}

#[test]
fn an_entry_carried_onto_a_part_of_itself_stays_whole() {
    let mut arena = Arena::new(256);
    let row = row_of(id(1), 100);
    arena.write(8, id(1), &row);
    let entry = arena.entry(8);
    arena.carry(8, 0, Entry { uses: 2, ..entry });
    assert_eq!(arena.entry(0), Entry { id: id(1), row_bytes: 100, uses: 2 });
    assert_eq!(arena.row(0, 100), row);
}

#[test]
fn uses_are_counted_up_to_three() {
    let mut arena = Arena::new(64);
    arena.write(0, id(1), b"four");
    for uses in [1, 2, 3, 3, 3] {
        assert_eq!(arena.mark_used(0), 4);
        assert_eq!(arena.entry(0), Entry { id: id(1), row_bytes: 4, uses });
    }
}

#[test]
fn a_ghost_is_taken_once() {
    let mut ghost = Ghost::new(4, 8000);
    assert!(!ghost.take(77 << 10));
    ghost.add(77 << 10, 100);
    assert!(ghost.take(77 << 10));
    assert!(!ghost.take(77 << 10));
}

/// Ghosts last while as many bytes are dropped as main holds, give or take an era, whatever the length of rows.
#[test]
fn a_ghost_fades_when_main_could_have_been_replaced() {
    let main_bytes = 1_000_000;
    let remembered = |entry_bytes: usize, dropped_bytes: usize| {
        let mut ghost = Ghost::new(2048, main_bytes);
        let hash = |i: usize| xxh3_64_with_seed(&i.to_le_bytes(), 3);
        ghost.add(hash(0), entry_bytes);
        (1..=dropped_bytes / entry_bytes).for_each(|i| ghost.add(hash(i), entry_bytes));
        ghost.take(hash(0))
    };
    for entry_bytes in [40, 120, 5000] {
        assert!(remembered(entry_bytes, main_bytes * 9 / 10), "{entry_bytes}");
        assert!(!remembered(entry_bytes, main_bytes * 5 / 4), "{entry_bytes}");
    }
}
