//! Reading the keys of one table: wrong types, unknown keys and illegal names are reported where they stand.

use std::{collections::BTreeMap, ops::Range};

use toml_edit::{Item, TableLike};

use super::described;
use crate::definitions::{
    declared::Heading,
    error::quoted,
    faults::{Faults, Place, Reported, Spanned},
    limits::{DESCRIPTION_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_MAX},
    names::{self, NameKind},
    suggest,
};

/// The file being read.
#[derive(Debug)]
pub(super) struct Reader<'f, 's> {
    pub(super) file: usize,
    pub(super) text: &'f str,
    pub(super) faults: &'f mut Faults<'s>,
}

/// A table, and what it describes, in words.
#[derive(Clone)]
pub(super) struct Section<'t> {
    pub(super) owner: String,
    pub(super) table: &'t dyn TableLike,
    pub(super) place: Place,
}

impl Reader<'_, '_> {
    /// The place of a span, or `otherwise` where the parser kept none.
    pub(super) fn place(&self, span: Option<Range<usize>>, otherwise: Place) -> Place {
        span.map_or(otherwise, |span| Place { file: self.file, start: span.start, end: span.end })
    }

    /// Where a key of a table stands.
    pub(super) fn key_place(&self, table: &dyn TableLike, key: &str) -> Option<Place> {
        let span = table.get_key_value(key)?.0.span()?;
        Some(Place { file: self.file, start: span.start, end: span.end })
    }

    /// A part of a string value: `within` counts bytes of the value, which are bytes of the file when nothing is escaped.
    pub(super) fn within(&self, value: &Spanned<String>, within: Range<usize>) -> Place {
        let Place { file, start, end } = value.place;
        match self.text.get(start + 1..end.saturating_sub(1)) {
            Some(raw) if raw == value.value => {
                Place { file, start: (start + 1 + within.start).min(end), end: (start + 1 + within.end).min(end) }
            }
            _ => value.place,
        }
    }

    /// Reports an illegal name.
    pub(super) fn name(&mut self, kind: NameKind, what: &str, name: &str, place: Place) -> Result<(), Reported> {
        match names::fault(kind, what, name) {
            Some((found, expected)) => Err(self.faults.report(place, found, expected)),
            None => Ok(()),
        }
    }

    /// A string, or an error that says what the string should have been.
    pub(super) fn text_of(
        &mut self,
        item: &Item,
        what: &str,
        expected: &str,
        otherwise: Place,
    ) -> Result<Spanned<String>, Reported> {
        let place = self.place(item.span(), otherwise);
        match item.as_str() {
            Some(text) => Ok(Spanned { value: text.to_owned(), place }),
            None => Err(self.faults.report(place, format!("{} for {what}", described(item)), expected)),
        }
    }
}

impl<'t> Section<'t> {
    /// Reports every key that is not one of `known`, and hands back the last. `elsewhere` are keys as other servers' definitions spell
    /// them, with what is ours.
    pub(super) fn only(
        &self,
        reader: &mut Reader<'_, '_>,
        known: &[&str],
        elsewhere: &[(&str, &str)],
    ) -> Option<Reported> {
        let mut reported = None;
        for (key, _) in self.table.iter().filter(|(key, _)| !known.contains(key)) {
            let ours = elsewhere.iter().find(|(theirs, _)| *theirs == key);
            let help = match (key, ours) {
                ("workspace", _) => {
                    Some("`workspace` stands at the top of the file, before the first table".to_owned())
                }
                (_, Some((_, ours))) => Some(format!("use {ours}")),
                _ => suggest::did_you_mean(key, known.iter().copied()),
            };
            let found = format!("unknown key {} in {}", quoted(key), self.owner);
            let place = self.key_place(reader, key);
            let expected = suggest::one_of(known.iter().copied());
            reported = Some(reader.faults.report_with_help(place, found, expected, help));
        }
        reported
    }

    /// Where a key stands; the section's own place when the key is absent.
    pub(super) fn key_place(&self, reader: &Reader<'_, '_>, key: &str) -> Place {
        reader.key_place(self.table, key).unwrap_or(self.place)
    }

    /// A string; absent is `None`.
    pub(super) fn string(
        &self,
        reader: &mut Reader<'_, '_>,
        key: &str,
        expected: &str,
    ) -> Result<Option<Spanned<String>>, Reported> {
        let Some(item) = self.table.get(key) else { return Ok(None) };
        let what = format!("`{key}` of {}", self.owner);
        reader.text_of(item, &what, expected, self.key_place(reader, key)).map(Some)
    }

    /// A string that must be there.
    pub(super) fn required(
        &self,
        reader: &mut Reader<'_, '_>,
        key: &str,
        expected: &str,
    ) -> Result<Spanned<String>, Reported> {
        match self.string(reader, key, expected)? {
            Some(text) => Ok(text),
            None => Err(self.missing(reader, key, expected)),
        }
    }

    /// Reports a key that must be there.
    pub(super) fn missing(&self, reader: &mut Reader<'_, '_>, key: &str, expected: &str) -> Reported {
        reader.faults.report(self.place, format!("no `{key}` in {}", self.owner), expected)
    }

    /// Reports a value of a type that does not fit.
    pub(super) fn unfit(&self, reader: &mut Reader<'_, '_>, key: &str, item: &Item, expected: &str) -> Reported {
        let place = reader.place(item.span(), self.key_place(reader, key));
        let found = format!("{} for `{key}` of {}", described(item), self.owner);
        reader.faults.report(place, found, expected)
    }

    /// The name with description and tags, which every kind has.
    pub(super) fn heading(&self, reader: &mut Reader<'_, '_>, name: Spanned<String>) -> Heading {
        Heading { name, description: self.description(reader), tags: self.tags(reader) }
    }

    /// The description; empty when absent or wrong.
    pub(super) fn description(&self, reader: &mut Reader<'_, '_>) -> String {
        let Ok(Some(text)) = self.string(reader, "description", "a string") else { return String::new() };
        let bytes = text.value.len();
        if bytes > DESCRIPTION_BYTES_MAX {
            let limit = ("DESCRIPTION_BYTES_MAX", DESCRIPTION_BYTES_MAX);
            reader.faults.report_limit(text.place, &format!("bytes of description in {}", self.owner), bytes, limit);
        }
        text.value
    }

    /// The tags; those that are wrong are left out.
    pub(super) fn tags(&self, reader: &mut Reader<'_, '_>) -> BTreeMap<String, String> {
        let Some(item) = self.table.get("tags") else { return BTreeMap::new() };
        let Some(table) = item.as_table_like() else {
            self.unfit(reader, "tags", item, "a table of strings, such as `{ team = \"risk\" }`");
            return BTreeMap::new();
        };
        if table.len() > TAGS_MAX {
            let place = self.key_place(reader, "tags");
            let limit = ("TAGS_MAX", TAGS_MAX);
            reader.faults.report_limit(place, &format!("tags in {}", self.owner), table.len(), limit);
        }
        let mut tags = BTreeMap::new();
        for (key, item) in table.iter() {
            let place = reader.key_place(table, key).unwrap_or(self.place);
            let legal = reader.name(NameKind::Column, "a tag", key, place);
            let what = format!("the tag {} of {}", quoted(key), self.owner);
            let Ok(value) = reader.text_of(item, &what, "a string", place) else { continue };
            if value.value.len() > TAG_VALUE_BYTES_MAX {
                let limit = ("TAG_VALUE_BYTES_MAX", TAG_VALUE_BYTES_MAX);
                reader.faults.report_limit(value.place, &format!("bytes in {what}"), value.value.len(), limit);
            }
            if legal.is_ok() {
                tags.insert(key.to_owned(), value.value);
            }
        }
        tags
    }

    /// The tables of an array, however it was written, each owned by `each`; `None` when `item` is no array. What is not a
    /// table is reported.
    pub(super) fn tables(
        &self,
        reader: &mut Reader<'_, '_>,
        key: &str,
        item: &'t Item,
        each: &str,
        expected: &str,
    ) -> Option<(Vec<Self>, Result<(), Reported>)> {
        let section = |table, place| Self { owner: format!("{each} of {}", self.owner), table, place };
        let otherwise = self.key_place(reader, key);
        if let Some(tables) = item.as_array_of_tables() {
            let sections = tables.iter().map(|table| section(table, reader.place(table.span(), otherwise)));
            return Some((sections.collect(), Ok(())));
        }
        let mut outcome = Ok(());
        let mut sections = Vec::new();
        for value in item.as_array()?.iter() {
            let place = reader.place(value.span(), otherwise);
            match value.as_inline_table() {
                Some(table) => sections.push(section(table, place)),
                None => {
                    let item = Item::Value(value.clone());
                    let found = format!("{} in `{key}` of {}", described(&item), self.owner);
                    outcome = Err(reader.faults.report(place, found, expected));
                }
            }
        }
        Some((sections, outcome))
    }
}
