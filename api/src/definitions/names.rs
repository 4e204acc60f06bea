//! Which names are legal. A served name is `<namespace>.<feature>` with exactly one dot, so no part may hold one.

use super::{error::quoted, limits::NAME_BYTES_MAX};

/// The kinds of names, by what may stand in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// Workspaces and entities: ASCII letters, digits, `_` and `-`. They become folder names.
    Plain,
    /// Views, services and namespaces: the same, with an optional `:variant`.
    Variant,
    /// Features, join keys, struct fields and tags' keys: letters and digits of any script, `_` and `-`.
    Column,
}

/// What is wrong with a name, and what was expected; `None` for a legal one.
pub(super) fn fault(kind: NameKind, what: &str, name: &str) -> Option<(String, &'static str)> {
    if name.is_empty() {
        return Some((format!("an empty name for {what}"), "at least one character"));
    }
    if name.len() > NAME_BYTES_MAX {
        let found = format!("a name of {} bytes for {what}: {}", name.len(), quoted(name));
        return Some((found, "at most 128 bytes (NAME_BYTES_MAX)"));
    }
    let legal = match kind {
        NameKind::Plain => name.chars().all(is_plain),
        NameKind::Variant => {
            let (base, variant) = name.split_once(':').unwrap_or((name, "-"));
            !base.is_empty() && !variant.is_empty() && base.chars().chain(variant.chars()).all(is_plain)
        }
        NameKind::Column => name.chars().all(is_column),
    };
    (!legal).then(|| (format!("illegal name {} for {what}", quoted(name)), kind.expected()))
}

impl NameKind {
    fn expected(self) -> &'static str {
        match self {
            Self::Plain => "ASCII letters, digits, `_` and `-`",
            Self::Variant => "ASCII letters, digits, `_` and `-`, and optionally one `:variant` of the same",
            Self::Column => "letters, digits, `_` and `-` (a dot separates view and feature in served names)",
        }
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

fn is_column(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-')
}

const _: () = assert!(NAME_BYTES_MAX == 128, "the message above says so");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted_or_refused() {
        let check = |kind, name: &str, legal| assert_eq!(fault(kind, "x", name).is_none(), legal, "{name}");
        for kind in [NameKind::Plain, NameKind::Variant, NameKind::Column] {
            check(kind, "plane_delays-2", true);
            check(kind, &"n".repeat(128), true);
            check(kind, &"n".repeat(129), false);
            check(kind, "", false);
            check(kind, "a.b", false);
            check(kind, "a b", false);
            check(kind, "a\"b", false);
            check(kind, "a\u{1b}", false);
            check(kind, "..", false);
            check(kind, "a/b", false);
        }
        check(NameKind::Plain, "a:v2", false);
        check(NameKind::Column, "a:v2", false);
        check(NameKind::Variant, "a:v2", true);
        check(NameKind::Variant, "a:", false);
        check(NameKind::Variant, ":v2", false);
        check(NameKind::Variant, "a:b:c", false);
        check(NameKind::Column, "größe_気温", true);
        check(NameKind::Plain, "größe", false);
    }
}
