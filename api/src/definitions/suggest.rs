//! "Did you mean": the nearest of some names by edit distance.

use super::error::quoted;

/// `did you mean …?` for the nearest candidate, when one is near enough to be a slip.
pub(super) fn did_you_mean<'c>(wrong: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    if wrong.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let allowed = (wrong.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(COMPARED_MAX)
        // bytes and characters differ by at most four times; lengths further apart than that cannot be near
        .filter(|candidate| {
            candidate.len() <= COMPARED_BYTES_MAX && candidate.len().abs_diff(wrong.len()) <= 4 * allowed
        })
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| format!("did you mean {}?", quoted(candidate)))
}

/// `one of: a, b, c`, cut when there are many.
pub(super) fn one_of<'c>(candidates: impl IntoIterator<Item = &'c str>) -> String {
    let mut candidates = candidates.into_iter();
    let mut shown: Vec<&str> = candidates.by_ref().take(LISTED_MAX).collect();
    if candidates.next().is_some() {
        shown.push("…");
    }
    format!("one of: {}", shown.join(", "))
}

/// Insertions, deletions, replacements and swaps of neighbours, each costing one.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let replaced = last[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            let mut best = replaced.min(last[column] + 1).min(current[column - 1] + 1);
            let swapped =
                row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
            if swapped {
                let corner: &Vec<usize> = &before_last;
                best = best.min(corner[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

/// Names longer than this are not compared: the work grows with the square.
const COMPARED_BYTES_MAX: usize = 256;
/// Nor more names than a workspace has views.
const COMPARED_MAX: usize = 1024;
const LISTED_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let check = |wrong, expected: Option<&str>| {
            let found = did_you_mean(wrong, ["ttl", "entity", "entities", "timestamp", "origin_weather"]);
            assert_eq!(found, expected.map(|name| format!("did you mean `{name}`?")), "{wrong}");
        };
        check("ttls", Some("ttl"));
        check("tll", Some("ttl"));
        check("entitty", Some("entity"));
        check("timestmap", Some("timestamp"));
        check("orign_weather", Some("origin_weather"));
        check("windows", None);
        check("", None);
        check(&"t".repeat(1000), None);
    }
}
