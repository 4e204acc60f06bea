//! What only views with aggregates say: each of their features, and the view about all of them.

use std::str::FromStr as _;

use toml_edit::{Datetime, Item, Offset};

use super::{
    section::{Reader, Section},
    view::check_column,
    view_features::data_type,
};
use crate::{
    aggregates::{FUNCTION_EXPECTED, Function, LeadingEdge, Window, limits::AGGREGATIONS_MAX},
    definitions::{
        declared::{AggregateDeclared, AggregationDeclared},
        duration,
        error::quoted,
        faults::{Place, Reported, Spanned},
        names::NameKind,
        suggest,
    },
    render::unix_days,
};

/// Every key of a feature with a function.
pub(super) const AGGREGATE_KEYS: [&str; 9] =
    ["column", "function", "windows", "window", "offset", "name", "type", "description", "tags"];

/// What is spelt otherwise where definitions may come from.
const ELSEWHERE: [(&str, &str); 6] = [
    ("input_column", "`column`"),
    ("time_window", "`window`"),
    ("time_windows", "`windows`"),
    ("aggregation_function", "`function`"),
    ("aggregation_interval", "`aggregation_interval` of the view"),
    ("aggregation_secondary_key", "`secondary_key` of the view"),
];

/// Whether a feature is an aggregate: it has a key that no other feature has.
pub(super) fn is_one(section: &Section<'_>) -> bool {
    let own = AGGREGATE_KEYS[1..5].iter().copied().chain(ELSEWHERE[1..4].iter().map(|(theirs, _)| *theirs));
    own.into_iter().any(|key| section.table.contains_key(key))
}

/// `name` is given where it is the key of a table of features.
pub(super) fn read(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    name: Option<Spanned<String>>,
) -> Result<AggregateDeclared, Reported> {
    let known = AGGREGATE_KEYS.iter().copied().filter(|key| *key != "name" || name.is_none()).collect::<Vec<_>>();
    let unknown = section.only(reader, &known, &ELSEWHERE);
    if let Some(reported) = unknown.filter(|_| ELSEWHERE.iter().any(|(theirs, _)| section.table.contains_key(theirs))) {
        return Err(reported); // what is spelt otherwise is not missing
    }
    let name = match name {
        Some(name) => Ok(Some(name)),
        None => section.string(reader, "name", "the feature's name"),
    };
    let name = name.and_then(|name| match name {
        Some(name) => reader.name(NameKind::Column, "a feature", &name.value, name.place).map(|()| Some(name)),
        None => Ok(None),
    });
    let column = section.required(reader, "column", "the name of the column that is aggregated");
    let column = column.and_then(|column| check_column(reader, &column).map(|()| column));
    let function = function(reader, section);
    let windows = windows(reader, section);
    let data_type = match section.string(reader, "type", crate::definitions::types::EXPECTED) {
        Ok(Some(text)) => data_type(reader, &section.owner, &text)
            .map(|column_type| Some(Spanned { value: column_type, place: text.place })),
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let (description, tags) = (section.description(reader), section.tags(reader));
    let (name, windows) = (name?, windows?);
    if let (Some(name), [_, _, ..]) = (&name, windows.as_slice()) {
        let found = format!("one name, {}, for {} windows in {}", quoted(&name.value), windows.len(), section.owner);
        return Err(reader.faults.report(name.place, found, "one window, or no name"));
    }
    let aggregate = AggregateDeclared {
        column: column?,
        function: function?,
        windows,
        name,
        data_type: data_type?,
        description,
        tags,
    };
    unknown.map_or(Ok(aggregate), Err)
}

fn function(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Spanned<Function>, Reported> {
    let text = section.required(reader, "function", FUNCTION_EXPECTED)?;
    let Some(function) = Function::parse(&text.value) else {
        let name = text.value.split('(').next().unwrap_or_default();
        let known = FUNCTION_EXPECTED.split([' ', ',', '(', ')']).filter(|word| word.len() > 2);
        let help = match name {
            "avg" | "average" => Some("use mean".to_owned()),
            "approx_distinct" | "count_distinct" => Some("use approx_count_distinct".to_owned()),
            "percentile" | "quantile" | "median" => Some("use approx_percentile(0.5)".to_owned()),
            "last_n" | "last_non_distinct_n" => Some("use last(n)".to_owned()),
            "first_n" | "first_non_distinct_n" => Some("use first(n)".to_owned()),
            _ => suggest::did_you_mean(name, known.filter(|word| *word != name)),
        };
        let found = format!("the function {} of {}", quoted(&text.value), section.owner);
        return Err(reader.faults.report_with_help(text.place, found, FUNCTION_EXPECTED, help));
    };
    Ok(Spanned { value: function, place: text.place })
}

/// All of `windows`, or the one `window`; moved by `offset`.
fn windows(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Vec<Spanned<Window>>, Reported> {
    let offset = offset(reader, section);
    let texts = match (section.table.get("windows"), section.table.get("window")) {
        (Some(_), Some(_)) => {
            let place = section.key_place(reader, "windows");
            let found = format!("both `window` and `windows` in {}", section.owner);
            return Err(reader.faults.report(place, found, "one of the two"));
        }
        (None, None) => return Err(section.missing(reader, "windows", WINDOWS)),
        (None, Some(_)) => vec![section.required(reader, "window", WINDOW)?],
        (Some(item), None) => {
            let Some(array) = item.as_array().filter(|array| !array.is_empty()) else {
                return Err(section.unfit(reader, "windows", item, WINDOWS));
            };
            let place = section.key_place(reader, "windows");
            if array.len() > AGGREGATIONS_MAX {
                let limit = ("AGGREGATIONS_MAX", AGGREGATIONS_MAX);
                return Err(reader.faults.report_limit(
                    place,
                    &format!("windows in {}", section.owner),
                    array.len(),
                    limit,
                ));
            }
            let what = format!("a window of {}", section.owner);
            let texts = array.iter().map(|value| {
                // the value's decoration has no place of its own
                reader.text_of(&Item::Value(value.clone()), &what, WINDOW, place)
            });
            texts.collect::<Result<_, _>>()?
        }
    };
    let offset = offset?;
    let window = |text: Spanned<String>, reader: &mut Reader<'_, '_>| {
        let window = match (text.value.as_str(), duration::parse(&text.value), &offset) {
            ("lifetime", _, None) => Window::Lifetime,
            ("lifetime", _, Some(offset)) => {
                let found = format!("an offset of a lifetime window in {}", section.owner);
                return Err(reader.faults.report(offset.place, found, "a window of a certain length"));
            }
            (_, Some(length_us), offset) => {
                Window::Time { length_us, offset_us: offset.as_ref().map_or(0, |offset| offset.value) }
            }
            (_, None, _) => {
                let found = format!("the window {} of {}", quoted(&text.value), section.owner);
                return Err(reader.faults.report(text.place, found, WINDOW));
            }
        };
        Ok(Spanned { value: window, place: text.place })
    };
    texts.into_iter().map(|text| window(text, reader)).collect()
}

fn offset(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Spanned<i64>>, Reported> {
    const EXPECTED: &str = "a negative duration such as \"-1d\"";
    let Some(text) = section.string(reader, "offset", EXPECTED)? else { return Ok(None) };
    match text.value.strip_prefix('-').and_then(duration::parse) {
        Some(back_us) if back_us > 0 => Ok(Some(Spanned { value: -back_us, place: text.place })),
        _ => {
            let found = format!("the offset {} of {}", quoted(&text.value), section.owner);
            Err(reader.faults.report(text.place, found, EXPECTED))
        }
    }
}

/// What a view says about its aggregates.
pub(super) fn read_view(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> AggregationDeclared {
    let keys = ["aggregation_interval", "leading_edge", "lifetime_start", "secondary_key"].into_iter();
    let keys = keys.filter(|key| section.table.contains_key(key));
    let keys = keys.map(|key| Spanned { value: key, place: section.key_place(reader, key) }).collect();
    let interval_us = interval(reader, section);
    let leading_edge = leading_edge(reader, section);
    let lifetime_start_us = lifetime_start(reader, section);
    let secondary_key = section.string(reader, "secondary_key", "the name of a string column");
    let whole = interval_us.is_ok() && leading_edge.is_ok() && lifetime_start_us.is_ok() && secondary_key.is_ok();
    AggregationDeclared {
        interval_us: interval_us.ok().flatten(),
        leading_edge: leading_edge.unwrap_or_default(),
        lifetime_start_us: lifetime_start_us.ok().flatten(),
        secondary_key: secondary_key.ok().flatten(),
        keys,
        whole,
    }
}

fn interval(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Spanned<i64>>, Reported> {
    let Some(text) = section.string(reader, "aggregation_interval", duration::EXPECTED)? else { return Ok(None) };
    match duration::parse(&text.value) {
        Some(interval_us) => Ok(Some(Spanned { value: interval_us, place: text.place })),
        None => {
            let found = format!("the aggregation interval {} of {}", quoted(&text.value), section.owner);
            Err(reader.faults.report(text.place, found, duration::EXPECTED))
        }
    }
}

fn leading_edge(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<LeadingEdge, Reported> {
    const EXPECTED: &str = "\"wall_clock\" or \"latest_event_time\"";
    let Some(text) = section.string(reader, "leading_edge", EXPECTED)? else { return Ok(LeadingEdge::default()) };
    match text.value.as_str() {
        "wall_clock" => Ok(LeadingEdge::WallClock),
        "latest_event_time" => Ok(LeadingEdge::LatestEventTime),
        other => {
            let help = suggest::did_you_mean(other, ["wall_clock", "latest_event_time"]);
            let found = format!("the leading edge {} of {}", quoted(other), section.owner);
            Err(reader.faults.report_with_help(text.place, found, EXPECTED, help))
        }
    }
}

/// A date, or a moment with its offset from UTC, as TOML has it or as a string.
fn lifetime_start(reader: &mut Reader<'_, '_>, section: &Section<'_>) -> Result<Option<Spanned<i64>>, Reported> {
    const EXPECTED: &str = "a date or a moment such as \"2024-01-01T00:00:00Z\"";
    let Some(item) = section.table.get("lifetime_start") else { return Ok(None) };
    let place = reader.place(item.span(), section.key_place(reader, "lifetime_start"));
    let moment = match (item.as_datetime(), item.as_str()) {
        (Some(moment), _) => Some(*moment),
        (None, Some(text)) => Datetime::from_str(text).ok(),
        (None, None) => return Err(section.unfit(reader, "lifetime_start", item, EXPECTED)),
    };
    match moment.and_then(unix_us) {
        Some(start_us) => Ok(Some(Spanned { value: start_us, place })),
        None => Err(unknown_moment(reader, section, place, item, EXPECTED)),
    }
}

fn unknown_moment(
    reader: &mut Reader<'_, '_>,
    section: &Section<'_>,
    place: Place,
    item: &Item,
    expected: &str,
) -> Reported {
    let text = item.as_str().map_or_else(|| item.as_datetime().map(ToString::to_string), |text| Some(text.to_owned()));
    let found = format!("the lifetime start {} of {}", quoted(&text.unwrap_or_default()), section.owner);
    reader.faults.report(place, found, expected)
}

/// `None` of a time without a date, or without an offset.
fn unix_us(moment: Datetime) -> Option<i64> {
    let date = moment.date?;
    let days = unix_days(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let midnight_us = days * 86_400_000_000;
    let Some(time) = moment.time else { return moment.offset.is_none().then_some(midnight_us) };
    let offset_minutes = match moment.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = i64::from(time.hour) * 60 + i64::from(time.minute) - offset_minutes;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    Some(midnight_us + seconds * 1_000_000 + i64::from(time.nanosecond.unwrap_or(0)) / 1000)
}

const WINDOW: &str = "a duration such as \"1d\" or \"1h30m\", or \"lifetime\"";
const WINDOWS: &str = "at least one window, such as `windows = [\"1d\", \"7d\"]` or `window = \"lifetime\"`";
