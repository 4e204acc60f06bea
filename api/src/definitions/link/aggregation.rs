//! Aggregates of a view: its columns get their types, and what it says of all of them becomes one specification.

use std::collections::BTreeMap;

use gannet_store::ColumnType;

use super::{stream::Stream, view::Unlinked};
use crate::{
    aggregates::{
        self, Aggregates, Column, Fault, Specification,
        limits::{AGGREGATIONS_MAX, WINDOW_DAYS_MAX},
    },
    definitions::{
        declared::{AggregateDeclared, ViewDeclared},
        duration,
        error::quoted,
        faults::{Faults, Place, Spanned},
        model::{Aggregation, Feature, JoinKey},
        names::{self, NameKind},
        types,
    },
};

/// Whether a view of plain columns says nothing about aggregates.
pub(super) fn is_absent(view: &ViewDeclared, owner: &str, faults: &mut Faults<'_>) -> bool {
    if !view.features_whole {
        return false; // what was wrong may have been an aggregate
    }
    for Spanned { value: key, place } in &view.aggregation.keys {
        let found = format!("`{key}` in {owner}, which aggregates nothing");
        faults.report(*place, found, "features with a `function`");
    }
    view.aggregation.keys.is_empty()
}

/// The features of a view's aggregates, and how they come about.
pub(super) fn link(
    view: &ViewDeclared,
    declared: &[AggregateDeclared],
    stream: Option<&Stream<'_>>,
    join_keys: &[JoinKey],
    owner: &str,
    faults: &mut Faults<'_>,
) -> Result<(Vec<Feature>, Aggregation), Unlinked> {
    let about = &view.aggregation;
    let (columns, columns_fit) = columns(declared, stream, join_keys, owner, faults);
    let fit = view_fits(view, stream, owner, faults) && columns_fit && about.whole;
    // those whose column was reported are left out: nothing else is to be said of them
    let known = declared.iter().filter(|aggregate| columns.contains_key(aggregate.column.value.as_str()));
    let parts: Vec<Part<'_>> = known.flat_map(Part::all).collect();
    let mut specification = Specification {
        interval_us: about.interval_us.as_ref().map(|interval| interval.value),
        lifetime_start_us: about.lifetime_start_us.as_ref().map(|start| start.value),
        secondary_key: about.secondary_key.as_ref().map(|column| column.value.clone()),
        join_keys: join_keys.iter().map(|key| key.name.clone()).collect(),
        columns: Vec::new(),
        aggregations: parts.iter().map(Part::aggregation).collect(),
    };
    let column = |(name, column_type): (&str, ColumnType)| Column { name: name.to_owned(), column_type };
    specification.columns = columns.into_iter().map(column).collect();
    if let Some(Spanned { value: key, .. }) = &about.secondary_key
        && !specification.columns.iter().any(|column| column.name == *key)
    {
        // a stream says what type it has; a batch source's column is read as what it has to be
        let field_type = match stream {
            Some(stream) => stream.field(key).map(|field| field.column_type.clone()),
            None => Some(ColumnType::String),
        };
        specification.columns.extend(field_type.map(|column_type| Column { name: key.clone(), column_type }));
    }
    if !about.whole || parts.is_empty() {
        return Err(Unlinked);
    }
    match Aggregates::new(&specification) {
        Ok(aggregates) => {
            let features = features(&aggregates, &specification, &parts, join_keys, owner, view, faults)?;
            if !fit {
                return Err(Unlinked);
            }
            Ok((features, Aggregation { specification, leading_edge: about.leading_edge }))
        }
        Err(found) => {
            let heading = view.heading.name.place;
            found.into_iter().for_each(|fault| report(fault, &specification, &parts, view, heading, owner, faults));
            Err(Unlinked)
        }
    }
}

/// One aggregation: a declared function with one of its windows.
#[derive(Debug, Clone, Copy)]
struct Part<'d> {
    declared: &'d AggregateDeclared,
    window: &'d Spanned<aggregates::Window>,
}

impl<'d> Part<'d> {
    fn all(declared: &'d AggregateDeclared) -> impl Iterator<Item = Self> {
        declared.windows.iter().map(move |window| Self { declared, window })
    }

    fn aggregation(&self) -> aggregates::Aggregation {
        aggregates::Aggregation {
            column: self.declared.column.value.clone(),
            function: self.declared.function.value,
            window: self.window.value,
            name: self.declared.name.as_ref().map(|name| name.value.clone()),
        }
    }
}

/// The type of each aggregated column, and whether all of them are known and none has another meaning.
fn columns<'d>(
    declared: &'d [AggregateDeclared],
    stream: Option<&Stream<'_>>,
    join_keys: &[JoinKey],
    owner: &str,
    faults: &mut Faults<'_>,
) -> (BTreeMap<&'d str, ColumnType>, bool) {
    let mut columns: BTreeMap<&str, ColumnType> = BTreeMap::new();
    let mut fit = true;
    for aggregate in declared {
        let Spanned { value: name, place } = &aggregate.column;
        if join_keys.iter().any(|key| key.name == *name) {
            let found = format!("the join key {} aggregated in {owner}", quoted(name));
            faults.report(*place, found, "a column that callers do not already have");
            fit = false;
            continue;
        }
        let Some(stream) = stream else { continue };
        match stream.require(&format!("the column {} of {owner}", quoted(name)), name, *place, faults) {
            None => fit = false,
            Some(field) => {
                if let Some(written) = &aggregate.data_type {
                    fit &= stream.agrees(field, &written.value, name, written.place, faults);
                }
                columns.insert(name, field.column_type.clone());
            }
        }
    }
    if stream.is_some() {
        return (columns, fit);
    }
    for aggregate in declared {
        let (Some(written), name) = (&aggregate.data_type, aggregate.column.value.as_str()) else { continue };
        match columns.get(name) {
            Some(first) if *first != written.value => {
                let found = format!("the type {} for the column {}", types::text(&written.value), quoted(name));
                faults.report(written.place, found, format!("{}, as before", types::text(first)));
                fit = false;
            }
            _ => drop(columns.insert(name, written.value.clone())),
        }
    }
    let mut reported: Vec<&str> = Vec::new();
    for Spanned { value: name, place } in declared.iter().map(|aggregate| &aggregate.column) {
        if !columns.contains_key(name.as_str()) && !reported.contains(&name.as_str()) {
            let found = format!("the column {} of {owner} without a type", quoted(name));
            faults.report(*place, found, "`type = \"…\"` beside it: there is no stream source that says it");
            reported.push(name);
            fit = false;
        }
    }
    (columns, fit)
}

/// Whether what else a view says fits aggregates.
fn view_fits(view: &ViewDeclared, stream: Option<&Stream<'_>>, owner: &str, faults: &mut Faults<'_>) -> bool {
    let mut fit = true;
    if let Some(ttl) = &view.ttl_us {
        let help = Some("windows say how long events count".to_owned());
        faults.report_with_help(ttl.place, format!("a `ttl` in {owner}, which aggregates"), "no `ttl`", help);
        fit = false;
    }
    if let (Ok(Some(_)), None) = (&view.source, &view.timestamp) {
        let found = format!("no `timestamp` in {owner}, which aggregates a source");
        faults.report(view.heading.name.place, found, "the name of the event-time column");
        fit = false;
    }
    if view.aggregation.interval_us.is_none() && view.aggregation.whole && stream.is_none() {
        let found = format!("no `aggregation_interval` in {owner}");
        let help = Some("without one, windows are continuous, which needs a stream".to_owned());
        faults.report_with_help(view.heading.name.place, found, duration::EXPECTED, help);
        fit = false;
    }
    fit
}

/// The features by name, each with what was said about its aggregation.
fn features(
    aggregates: &Aggregates,
    specification: &Specification,
    parts: &[Part<'_>],
    join_keys: &[JoinKey],
    owner: &str,
    view: &ViewDeclared,
    faults: &mut Faults<'_>,
) -> Result<Vec<Feature>, Unlinked> {
    let named: BTreeMap<String, &Part<'_>> = specification
        .aggregations
        .iter()
        .zip(parts)
        .map(|(aggregation, part)| (specification.feature_name(aggregation), part))
        .collect();
    let mut fit = true;
    let mut features = Vec::new();
    for aggregates::Feature { name, data_type } in aggregates.features() {
        let part = named.get(name);
        let secondary_key = view.aggregation.secondary_key.as_ref();
        let (column, place) = match (part, secondary_key) {
            (Some(part), _) => (part.declared.column.value.clone(), part.declared.column.place),
            (None, Some(key)) => (key.value.clone(), key.place),
            (None, None) => (name.clone(), view.heading.name.place),
        };
        let place = part.and_then(|part| part.declared.name.as_ref()).map_or(place, |name| name.place);
        if let Some((found, expected)) = names::fault(NameKind::Column, "a feature", name) {
            faults.report_with_help(place, found, expected, Some("`name = \"…\"` gives it another".to_owned()));
            fit = false;
        } else if join_keys.iter().any(|key| key.name == *name) {
            let found = format!("the feature {} of {owner}, which is a join key", quoted(name));
            faults.report(place, found, "a name of its own");
            fit = false;
        }
        features.push(Feature {
            name: name.clone(),
            column,
            data_type: data_type.clone(),
            description: part.map(|part| part.declared.description.clone()).unwrap_or_default(),
            tags: part.map(|part| part.declared.tags.clone()).unwrap_or_default(),
        });
    }
    if fit { Ok(features) } else { Err(Unlinked) }
}

/// Says a fault of the specification where it was written.
fn report(
    fault: Fault,
    specification: &Specification,
    parts: &[Part<'_>],
    view: &ViewDeclared,
    heading: Place,
    owner: &str,
    faults: &mut Faults<'_>,
) {
    let about = &view.aggregation;
    let interval = about.interval_us.as_ref().map_or(heading, |interval| interval.place);
    let lifetime_start = about.lifetime_start_us.as_ref().map_or(heading, |start| start.place);
    let secondary_key = about.secondary_key.as_ref().map_or(heading, |key| key.place);
    let part = |at: usize| parts.get(at).map_or((heading, heading, heading), Part::places);
    let days = format!("more than 0s and at most {WINDOW_DAYS_MAX}d");
    let signed = |time_us: i64| match time_us {
        ..0 => format!("`-{}`", duration::text(time_us.saturating_neg())),
        0.. => format!("`{}`", duration::text(time_us)),
    };
    let multiple = |interval_us: i64| format!("a multiple of the aggregation interval {}", signed(interval_us));
    let (place, found, expected) = match fault {
        Fault::Aggregations { found } => {
            faults.report_limit(
                heading,
                &format!("aggregates in {owner}"),
                found,
                ("AGGREGATIONS_MAX", AGGREGATIONS_MAX),
            );
            return;
        }
        Fault::Interval { interval_us } => {
            (interval, format!("the aggregation interval {} of {owner}", signed(interval_us)), days)
        }
        Fault::UnknownColumn { at, column } => {
            (part(at).0, format!("the column {} of {owner}", quoted(&column)), "a column of the source".to_owned())
        }
        Fault::ColumnType { at, column, function } => {
            let found = specification.columns.iter().find(|known| known.name == column);
            let found = found.map(|column| types::text(&column.column_type)).unwrap_or_default();
            let found = format!("the column {} of type {found} for {function} in {owner}", quoted(&column));
            (part(at).1, found, format!("a column whose type {function} aggregates"))
        }
        Fault::Parameter { at, found, expected, .. } => {
            (part(at).1, format!("the {found} of a function of {owner}"), expected)
        }
        Fault::WindowLength { at, length_us } => {
            (part(at).2, format!("the window {} of {owner}", signed(length_us)), days)
        }
        Fault::WindowOffGrid { at, length_us, interval_us } => {
            (part(at).2, format!("the window {} of {owner}", signed(length_us)), multiple(interval_us))
        }
        Fault::Offset { at, offset_us } => (
            part(at).2,
            format!("the offset {} of {owner}", signed(offset_us)),
            format!("at least -{WINDOW_DAYS_MAX}d"),
        ),
        Fault::OffsetOffGrid { at, offset_us, interval_us } => {
            (part(at).2, format!("the offset {} of {owner}", signed(offset_us)), multiple(interval_us))
        }
        Fault::LifetimeWithoutStart { at } => {
            (part(at).2, format!("a lifetime window in {owner}"), "`lifetime_start` beside it in the view".to_owned())
        }
        Fault::LifetimeWithoutTiles { at } => {
            (part(at).2, format!("a lifetime window in {owner}"), "an `aggregation_interval` in the view".to_owned())
        }
        Fault::LifetimeStartOffGrid { interval_us } => {
            let expected = format!("{} since 1970-01-01", multiple(interval_us));
            (lifetime_start, format!("the lifetime start of {owner}"), expected)
        }
        Fault::DuplicateName { at, name } => {
            let found = format!("the feature {} twice in {owner}", quoted(&name));
            let help = Some("`name = \"…\"` gives one of the two another".to_owned());
            faults.report_with_help(part(at).2, found, "each name once", help);
            return;
        }
        Fault::SecondaryKeyType { column } => (
            secondary_key,
            format!("the secondary key {} of {owner}", quoted(&column)),
            "a field of type string".to_owned(),
        ),
        Fault::SecondaryKeyAggregated { at, column } => {
            let found = format!("the secondary key {} aggregated in {owner}", quoted(&column));
            (part(at).0, found, "another column".to_owned())
        }
        Fault::SecondaryKeyIsJoinKey { column } => {
            let found = format!("the join key {} as secondary key of {owner}", quoted(&column));
            (secondary_key, found, "another column".to_owned())
        }
    };
    faults.report(place, found, expected);
}

impl Part<'_> {
    /// Where its column, its function and its window are written.
    fn places(&self) -> (Place, Place, Place) {
        (self.declared.column.place, self.declared.function.place, self.window.place)
    }
}
