//! The guide is true: its examples parse, and it names every key and every limit.

use super::{
    super::{limits, read},
    accepted,
};

const GUIDE: &str = include_str!("../../../../docs/definitions.md");

/// The blocks of the guide in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let parts = GUIDE.split(opening.as_str()).skip(1);
    parts.filter_map(|part| part.split_once("\n```").map(|(block, _)| block)).collect()
}

#[test]
fn every_example_of_the_guide_is_accepted() {
    let blocks = blocks("toml");
    assert!(blocks.len() > 5);
    accepted(&[("whole.toml", blocks[0])]);
    for block in &blocks[1..] {
        // the later ones add to the first
        let text = format!("workspace = \"prod\"\n{block}\n");
        let definitions = accepted(&[("first.toml", blocks[0]), ("block.toml", &text)]);
        assert_eq!(definitions.workspaces.len(), 1);
    }
}

#[test]
fn every_key_is_in_a_table_of_the_guide() {
    for (what, keys) in read::keys() {
        for key in keys {
            assert!(GUIDE.contains(&format!("| `{key}` |")), "{key} of {what}");
        }
    }
}

#[test]
fn every_limit_is_in_the_guide() {
    let source = include_str!("../limits.rs");
    let mut count = 0;
    for line in source.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let name = line.split(':').next().unwrap();
        assert!(GUIDE.contains(&format!("| `{name}` | ")), "{name}");
        count += 1;
    }
    let check =
        |name: &str, value: usize| assert!(GUIDE.contains(&format!("| `{name}` | {value} |")), "{name} {value}");
    let values = [
        ("FILES_MAX", limits::FILES_MAX),
        ("FILE_BYTES_MAX", limits::FILE_BYTES_MAX),
        ("SYNTAX_ERRORS_MAX", limits::SYNTAX_ERRORS_MAX),
        ("WORKSPACES_MAX", limits::WORKSPACES_MAX),
        ("ENTITIES_MAX", limits::ENTITIES_MAX),
        ("STREAM_SOURCES_MAX", limits::STREAM_SOURCES_MAX),
        ("VIEWS_MAX", limits::VIEWS_MAX),
        ("SERVICES_MAX", limits::SERVICES_MAX),
        ("JOIN_KEYS_MAX", limits::JOIN_KEYS_MAX),
        ("ENTITIES_PER_VIEW_MAX", limits::ENTITIES_PER_VIEW_MAX),
        ("FEATURES_PER_VIEW_MAX", limits::FEATURES_PER_VIEW_MAX),
        ("FIELDS_PER_STREAM_SOURCE_MAX", limits::FIELDS_PER_STREAM_SOURCE_MAX),
        ("FEATURES_PER_SERVICE_MAX", limits::FEATURES_PER_SERVICE_MAX),
        ("SELECTIONS_PER_SERVICE_MAX", limits::SELECTIONS_PER_SERVICE_MAX),
        ("NAME_BYTES_MAX", limits::NAME_BYTES_MAX),
        ("COLUMN_BYTES_MAX", limits::COLUMN_BYTES_MAX),
        ("PATH_BYTES_MAX", limits::PATH_BYTES_MAX),
        ("DESCRIPTION_BYTES_MAX", limits::DESCRIPTION_BYTES_MAX),
        ("TAGS_MAX", limits::TAGS_MAX),
        ("TAG_VALUE_BYTES_MAX", limits::TAG_VALUE_BYTES_MAX),
        ("TYPE_DEPTH_MAX", limits::TYPE_DEPTH_MAX),
        ("STRUCT_FIELDS_MAX", limits::STRUCT_FIELDS_MAX),
        ("TYPE_BYTES_MAX", limits::TYPE_BYTES_MAX),
        ("TTL_DAYS_MAX", usize::try_from(limits::TTL_DAYS_MAX).unwrap()),
    ];
    assert_eq!(values.len(), count, "a limit without its value here");
    for (name, value) in values {
        check(name, value);
    }
}
