//! Where a setting stands in its file, so that what is wrong with it is told with the line.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// A setting that was understood and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// `None`: before any table.
    table: Option<&'static str>,
    key: String,
    reason: String,
}

impl Misfit {
    pub(super) fn new(table: Option<&'static str>, key: impl Into<String>, reason: String) -> Self {
        Self { table, key: key.into(), reason }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Misfit {}

/// The line of a setting, from 1. A setting that has its default, but does not fit what others were set to, has none of its own:
/// then that of its table.
pub(super) fn line_of(text: &str, misfit: &Misfit) -> Option<usize> {
    let parsed = DeTable::parse(text).ok()?;
    let key = misfit.key.as_str();
    let span = match misfit.table {
        None => parsed.get_ref().get_key_value(key)?.0.span(),
        Some(table) => {
            let (header, settings) = parsed.get_ref().get_key_value(table)?;
            let own = match settings.get_ref() {
                DeValue::Table(settings) => settings.get_key_value(key).map(|(key, _)| key.span()),
                _ => None,
            };
            own.unwrap_or_else(|| header.span())
        }
    };
    Some(text.get(..span.start)?.matches('\n').count() + 1)
}
