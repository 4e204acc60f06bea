//! Lists of cores as people write them: `0,2-3`.

/// Reads a list; duplicates are refused, since two shards on a core would halve each other.
pub(crate) fn parse(text: &str) -> Result<Vec<usize>, String> {
    let expected = || format!("expected cores such as 0,2-3, found `{text}`");
    let mut cores = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.parse().map_err(|_| expected())?;
        let last: usize = last.parse().map_err(|_| expected())?;
        if first > last || last > CORE_MAX {
            return Err(expected());
        }
        cores.extend(first..=last);
    }
    let mut sorted = cores.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != cores.len() {
        return Err(format!("`{text}` names a core twice"));
    }
    Ok(cores)
}

/// Writes a list, with runs as ranges.
pub(crate) fn text(cores: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < cores.len() {
        let mut end = at;
        while end + 1 < cores.len() && cores[end + 1] == cores[end] + 1 {
            end += 1;
        }
        parts.push(if end == at { cores[at].to_string() } else { format!("{}-{}", cores[at], cores[end]) });
        at = end + 1;
    }
    parts.join(",")
}

/// More than any machine has; keeps a mistyped range from becoming a long list.
const CORE_MAX: usize = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("0,2-3"), Ok(vec![0, 2, 3]));
        assert_eq!(parse(" 5 , 1-2 "), Ok(vec![5, 1, 2]));
        for refused in ["", "a", "1-", "-1", "3-2", "1,1", "0-2,1", "0-999999999"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
        assert_eq!(text(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(text(&[]), "");
    }
}
