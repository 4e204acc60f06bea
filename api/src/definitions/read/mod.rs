//! One file's text to its declarations. Nothing here looks at another file.

mod aggregate;
mod entity;
mod section;
mod service;
mod stream_source;
mod syntax;
mod view;
mod view_features;

use toml_edit::Item;

use self::section::{Reader, Section};
use super::{
    declared::FileDeclared,
    error::quoted,
    faults::{Faults, Place, Spanned},
    limits::FILE_BYTES_MAX,
    names::NameKind,
};

/// Reads one file; `file` is its number in `faults`.
pub(super) fn read_file(file: usize, text: &str, faults: &mut Faults<'_>) -> FileDeclared {
    let mut declared = FileDeclared {
        workspace: None,
        entities: Vec::new(),
        stream_sources: Vec::new(),
        views: Vec::new(),
        services: Vec::new(),
        whole: false,
    };
    let top = Place { file, start: 0, end: 0 };
    if text.len() > FILE_BYTES_MAX {
        faults.report_limit(top, "bytes in one file", text.len(), ("FILE_BYTES_MAX", FILE_BYTES_MAX));
        return declared;
    }
    let (document, whole) = syntax::parse(file, text, faults);
    let Some(document) = document else { return declared };
    let mut reader = Reader { file, text, faults };
    let root = Section { owner: "a definitions file".to_owned(), table: document.as_table(), place: top };
    root.only(&mut reader, &TOP_KEYS, &[]);
    declared.whole = whole;
    declared.workspace = workspace(&mut reader, &root, whole);
    for_each(&mut reader, &root, "entities", "entity", NameKind::Plain, |reader, section, name| {
        declared.entities.push(entity::read(reader, section, name));
    });
    for_each(&mut reader, &root, "stream_sources", "stream source", NameKind::Plain, |reader, section, name| {
        declared.stream_sources.push(stream_source::read(reader, section, name));
    });
    for_each(&mut reader, &root, "feature_views", "feature view", NameKind::Variant, |reader, section, name| {
        declared.views.push(view::read(reader, section, name));
    });
    for_each(&mut reader, &root, "feature_services", "feature service", NameKind::Variant, |reader, section, name| {
        declared.services.push(service::read(reader, section, name));
    });
    declared
}

fn workspace(reader: &mut Reader<'_, '_>, root: &Section<'_>, whole: bool) -> Option<Spanned<String>> {
    match root.string(reader, "workspace", "the workspace's name, such as \"prod\"") {
        Ok(Some(name)) => {
            reader.name(NameKind::Plain, "a workspace", &name.value, name.place).ok()?;
            Some(name)
        }
        Ok(None) => {
            // in a broken file it may well be stated, in the part that could not be read
            if whole {
                reader.faults.report(root.place, "no workspace", "`workspace = \"…\"` before the first table");
            }
            None
        }
        Err(_) => None,
    }
}

/// Every named table below `key`.
fn for_each<'t>(
    reader: &mut Reader<'_, '_>,
    root: &Section<'t>,
    key: &str,
    kind: &str,
    name_kind: NameKind,
    mut each: impl FnMut(&mut Reader<'_, '_>, &Section<'_>, Spanned<String>),
) {
    let Some(item) = root.table.get(key) else { return };
    let Some(tables) = item.as_table_like() else {
        let place = reader.place(item.span(), root.key_place(reader, key));
        let found = format!("{} for `{key}`", described(item));
        reader.faults.report(place, found, format!("one table each, such as `[{key}.name]`"));
        return;
    };
    for (name, item) in tables.iter() {
        let place = reader.key_place(tables, name).unwrap_or(root.place);
        let owner = format!("{kind} {}", quoted(name));
        // an illegal name is still a name that others may refer to
        let _ = reader.name(name_kind, &format!("{} {kind}", if kind == "entity" { "an" } else { "a" }), name, place);
        let Some(table) = item.as_table_like() else {
            let place = reader.place(item.span(), place);
            let found = format!("{} for {owner}", described(item));
            reader.faults.report(place, found, format!("a table, such as `[{key}.{name}]`"));
            continue;
        };
        each(reader, &Section { owner, table, place }, Spanned { value: name.to_owned(), place });
    }
}

/// What a value is, in words.
fn described(item: &Item) -> String {
    let name = match item.as_array() {
        Some(array) if array.is_empty() => "empty array",
        _ => item.type_name(),
    };
    match (item.as_str(), item.as_integer(), item.as_bool()) {
        (Some(text), ..) => format!("the string {}", quoted(text)),
        (_, Some(number), _) => format!("the integer `{number}`"),
        (_, _, Some(value)) => format!("the boolean `{value}`"),
        _ if name.starts_with(['a', 'e', 'i']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

const TOP_KEYS: [&str; 5] = ["workspace", "entities", "stream_sources", "feature_views", "feature_services"];

/// All keys there are, for the test that the guide names them.
#[cfg(test)]
pub(super) fn keys() -> [(&'static str, &'static [&'static str]); 7] {
    [
        ("an entity", &entity::ENTITY_KEYS),
        ("a stream source", &stream_source::STREAM_SOURCE_KEYS),
        ("a feature view", &view::VIEW_KEYS),
        ("a feature", &view_features::FEATURE_KEYS),
        ("an aggregate", &aggregate::AGGREGATE_KEYS),
        ("a feature service", &service::SERVICE_KEYS),
        ("a selection", &service::SELECTION_KEYS),
    ]
}
