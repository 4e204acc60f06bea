//! The stream source of a view: it has what the view takes of its records, with the same types.

use gannet_store::{ColumnType, Field, KeyType};

use super::{Scope, view::Unlinked};
use crate::definitions::{
    declared::ViewDeclared,
    error::quoted,
    faults::{Faults, Place, Spanned},
    model::{Feature, JoinKey},
    stored::key_type_name,
    suggest, types,
};

/// A stream source as a view sees it.
#[derive(Debug)]
pub(super) struct Stream<'d> {
    /// Where the view names it.
    reference: &'d Spanned<String>,
    fields: &'d [Field],
}

/// The stream source that a view names, if it names one.
pub(super) fn resolve<'d>(
    view: &'d ViewDeclared,
    scope: &Scope<'d>,
    faults: &mut Faults<'_>,
) -> Result<Option<Stream<'d>>, Unlinked> {
    let Some(reference) = view.stream.as_ref().map_err(|_| Unlinked)? else { return Ok(None) };
    let source = super::resolve(reference, "stream source", &scope.stream_sources, scope.whole, faults);
    let fields = source.map_err(|_| Unlinked)?.fields.as_deref().ok_or(Unlinked)?;
    Ok(Some(Stream { reference, fields }))
}

impl Stream<'_> {
    pub(super) fn name(&self) -> &str {
        &self.reference.value
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field that a view takes, or an error that it has none.
    pub(super) fn require(&self, what: &str, name: &str, place: Place, faults: &mut Faults<'_>) -> Option<&Field> {
        let field = self.field(name);
        if field.is_none() {
            let names = || self.fields.iter().map(|field| field.name.as_str());
            let found = format!("{what}, which is no field of stream source {}", quoted(self.name()));
            let help = suggest::did_you_mean(name, names());
            faults.report_with_help(place, found, suggest::one_of(names()), help);
        }
        field
    }

    /// Whether every join key is a field of its type.
    pub(super) fn has_keys(&self, join_keys: &[JoinKey], owner: &str, faults: &mut Faults<'_>) -> bool {
        let place = self.reference.place;
        let mut fit = true;
        for key in join_keys {
            let what = format!("the join key {} of {owner}", quoted(&key.name));
            let Some(field) = self.require(&what, &key.name, place, faults) else {
                fit = false;
                continue;
            };
            let key_type = match field.column_type {
                ColumnType::Int64 => Some(KeyType::Int64),
                ColumnType::String => Some(KeyType::String),
                _ => None,
            };
            if key_type != Some(key.key_type) {
                let found = format!(
                    "the field {} of stream source {} as {}",
                    quoted(&key.name),
                    quoted(self.name()),
                    types::text(&field.column_type)
                );
                let expected = format!("{}, as the join key of {owner}", key_type_name(key.key_type));
                faults.report(place, found, expected);
                fit = false;
            }
        }
        fit
    }

    /// Whether every feature is a field of its type.
    pub(super) fn has_features(&self, features: &[Spanned<Feature>], owner: &str, faults: &mut Faults<'_>) -> bool {
        let mut fit = true;
        for Spanned { value: feature, place } in features {
            let what = format!("the column {} of {owner}", quoted(&feature.column));
            match self.require(&what, &feature.column, *place, faults) {
                None => fit = false,
                Some(field) => fit &= self.agrees(field, &feature.data_type, &feature.name, *place, faults),
            }
        }
        fit
    }

    /// Whether a type that was written is the field's.
    pub(super) fn agrees(
        &self,
        field: &Field,
        written: &ColumnType,
        of: &str,
        place: Place,
        faults: &mut Faults<'_>,
    ) -> bool {
        let agrees = field.column_type == *written;
        if !agrees {
            let found = format!("the type {} for {}", types::text(written), quoted(of));
            let (field_type, name) = (types::text(&field.column_type), quoted(&field.name));
            let expected = format!("{field_type}, as the field {name} of stream source {} has it", quoted(self.name()));
            faults.report(place, found, expected);
        }
        agrees
    }
}
