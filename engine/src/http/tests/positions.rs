//! Each vector alone, behind a good request and before one, whole and split in every way.

use proptest::prelude::*;

use super::{
    harness::{Event, GOOD, is_good, play, play_whole},
    vectors::{self, Outcome, Vector},
};
use crate::limits::Limits;

fn check(vector: &Vector, event: &Event) {
    let Vector { row, bytes, outcome } = vector;
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let refused = event.fault().map(|fault| (fault.status().0, fault.label()));
    let (expected_body, expected_refusal, survives) = match outcome {
        Outcome::Served(body) => (Some(&body[..]), None, true),
        Outcome::ServedThenClosed(body) => (Some(&body[..]), None, false),
        Outcome::Survives(status, label) => (None, Some((*status, *label)), true),
        Outcome::Closes(status, label) => (None, Some((*status, *label)), false),
    };
    assert_eq!(refused, expected_refusal, "row {row}: {shown:?}");
    assert_eq!(event.body(), expected_body, "row {row}: {shown:?}");
    assert_eq!(event.survives(), survives, "row {row}: {shown:?}");
}

fn survives(vector: &Vector) -> bool {
    matches!(vector.outcome, Outcome::Served(_) | Outcome::Survives(..))
}

/// The vector behind a good request and before another.
fn between(vector: &Vector) -> Vec<u8> {
    [GOOD, &vector.bytes, GOOD].concat()
}

#[test]
fn each_row_has_three_variants_or_more() {
    let vectors = vectors::all();
    for row in ROWS {
        let variants = vectors.iter().filter(|vector| vector.row == *row).count();
        assert!(variants >= 3, "row {row} has {variants}");
    }
    for vector in &vectors {
        assert!(ROWS.contains(&vector.row), "row {} is not listed", vector.row);
    }
}

#[test]
fn each_vector_alone() {
    for vector in vectors::all() {
        let events = play_whole(&vector.bytes);
        assert_eq!(events.len(), 1, "row {}: {events:?}", vector.row);
        check(&vector, &events[0]);
    }
}

#[test]
fn each_vector_behind_a_good_request_and_before_another() {
    for vector in vectors::all() {
        let events = play_whole(&between(&vector));
        assert!(is_good(&events[0]), "row {}", vector.row);
        check(&vector, &events[1]);
        if survives(&vector) {
            assert_eq!(events.len(), 3, "row {}: {events:?}", vector.row);
            assert!(is_good(&events[2]), "row {}", vector.row);
        } else {
            assert_eq!(events.len(), 2, "row {}: bytes behind a closing answer were parsed", vector.row);
        }
    }
}

#[test]
fn each_vector_in_every_two_parts() {
    for vector in vectors::all() {
        let bytes = between(&vector);
        let whole = play_whole(&bytes);
        // Long ones hold one long run; a stride that is coprime to everything still visits all kinds of places.
        let stride = if bytes.len() <= 2048 { 1 } else { bytes.len() / 211 };
        for at in (0..=bytes.len()).step_by(stride) {
            let parts = play(&Limits::default(), [&bytes[..at], &bytes[at..]]);
            assert_eq!(parts, whole, "row {} split at {at}", vector.row);
        }
    }
}

#[test]
fn each_vector_byte_by_byte() {
    for vector in vectors::all() {
        let bytes = between(&vector);
        assert_eq!(play(&Limits::default(), bytes.chunks(1)), play_whole(&bytes), "row {}", vector.row);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_vector_in_random_parts(seeds in prop::collection::vec(1_usize..97, 1..40)) {
        for vector in vectors::all() {
            let bytes = between(&vector);
            let scale = bytes.len().div_ceil(2048);
            let mut sizes = seeds.iter().cycle();
            let mut rest = &bytes[..];
            let pieces = std::iter::from_fn(|| {
                let size = (sizes.next()? * scale).min(rest.len());
                let (piece, behind) = rest.split_at(size);
                rest = behind;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(play(&Limits::default(), pieces), play_whole(&bytes), "row {}", vector.row);
        }
    }
}

/// The rows of `docs/http.md` that are decided without a socket or a service. I1 to I6 are scenes, not bytes, and are in
/// `properties.rs`; C10 needs a wire of its own size and is in `limits.rs`; C14 is a wait.
const ROWS: &[&str] = &[
    "L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12", "L13", "L14", "L15", "L16", "L17",
    "L18", "L19", "L20", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13", "F14",
    "F15", "F16", "F17", "F18", "F19", "F20", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11",
    "B12", "B13", "B14", "B15", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C11", "C12", "C13", "M1", "M2",
    "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M11", "E2", "E3", "E4", "E5", "E6",
];
