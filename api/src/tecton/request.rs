//! A get-features body becomes a [`Query`].
//!
//! Every field is known by two spellings; unknown fields are ignored at every level; null is unset. One pass over the
//! tape, which stops at the first fault of shape. Faults of options are kept, because they are told last.

use crate::{
    aggregates::LeadingEdge,
    error::{Fault, Quoted},
    limits::{LATENCY_BUDGET_MS_MAX, LATENCY_BUDGET_MS_MIN, PAIRWISE_NAMES_MAX},
    query::{KeyEntry, KeyValue, Locator, Query, Span},
    tecton::{
        MetadataOptions,
        json::{Json, Malformed, Members, Value},
        number,
    },
};

/// Decodes bodies; keeps its memory from one to the next.
#[derive(Debug)]
pub(crate) struct Decoder {
    json: Json,
    keys: Vec<KeyEntry>,
}

/// A decoded body: what it asks, and the body that its spans point into.
#[derive(Debug)]
pub(crate) struct Decoded<'d> {
    pub(crate) query: Query,
    pub(crate) keys: &'d [KeyEntry],
    pub(crate) body: &'d [u8],
    /// The first option that is wrong.
    pub(crate) option_fault: Option<Fault<'static>>,
    json: &'d Json,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { json: Json::new(), keys: Vec::with_capacity(16) }
    }

    /// The turn is over: what a large body made grow is given back.
    pub(crate) fn release(&mut self) {
        self.json.release();
        self.keys.clear();
        self.keys.shrink_to(1024);
    }

    /// The parser, for bodies of another kind.
    pub(crate) fn json(&mut self) -> &mut Json {
        &mut self.json
    }

    /// Decodes a body of get-features. Strings with escapes are unescaped in `body`.
    pub(crate) fn decode<'d>(&'d mut self, body: &'d mut [u8]) -> Result<Decoded<'d>, Fault<'d>> {
        let keys = &mut self.keys;
        keys.clear();
        let read = self.json.read(body, |root| Params::read(root, keys));
        let body = &*body;
        let params = match read {
            Ok(Ok(params)) => params,
            Ok(Err(Refused::Fault(fault))) => return Err(fault),
            Ok(Err(Refused::Repeated(name))) => return Err(Fault::DuplicateField(Quoted(name.of(body)))),
            Err(Malformed { reason, at }) => return Err(Fault::InvalidJson { reason, at }),
        };
        let query = Query {
            workspace: params.workspace,
            locator: params.locator()?,
            metadata: params.metadata,
            latency_budget_us: params.latency_budget_us,
            leading_edge: params.leading_edge,
            coerce_null_counts_to_zero: params.coerce_null_counts_to_zero,
            server_timing: params.server_timing,
            context_keys: params.context_keys,
        };
        Ok(Decoded { query, keys: &self.keys, body, option_fault: params.option_fault, json: &self.json })
    }
}

impl Decoded<'_> {
    /// The int64 that this join key's value is, written as a number or as a decimal string.
    pub(crate) fn int64(&self, key: &KeyEntry) -> Option<i64> {
        match key.value {
            KeyValue::Int64(value) => Some(value),
            KeyValue::Text(span) => number::decimal(span.of(self.body)),
            KeyValue::Number => number::integral(self.json.number_after(self.body, key.name)),
            KeyValue::Null | KeyValue::Other => None,
        }
    }
}

enum Refused {
    Fault(Fault<'static>),
    /// A key of a map that is there twice.
    Repeated(Span),
}

impl From<Fault<'static>> for Refused {
    fn from(fault: Fault<'static>) -> Self {
        Self::Fault(fault)
    }
}

/// What has been read of `params` so far.
#[derive(Default)]
struct Params {
    workspace: Option<Span>,
    locators: [Option<Span>; 4],
    packages: usize,
    metadata: Option<MetadataOptions>,
    latency_budget_us: Option<u32>,
    leading_edge: Option<LeadingEdge>,
    coerce_null_counts_to_zero: bool,
    server_timing: bool,
    context_keys: u32,
    option_fault: Option<Fault<'static>>,
}

/// Refuses a second member of the same meaning, however it is spelt.
#[derive(Default)]
pub(super) struct Seen(u32);

impl Seen {
    pub(super) fn once(&mut self, bit: usize, name: &'static str) -> Result<(), Fault<'static>> {
        let bit = 1 << bit;
        if self.0 & bit != 0 {
            return Err(Fault::DuplicateField(Quoted(name.as_bytes())));
        }
        self.0 |= bit;
        Ok(())
    }
}

const WORKSPACE: usize = 4;
const PACKAGE_NAME: usize = 5;
const PACKAGE_ID: usize = 6;
const JOIN_KEYS: usize = 7;
const CONTEXT: usize = 8;
const METADATA: usize = 9;
const OPTIONS: usize = 10;
const PARTIAL: usize = 11;

impl Params {
    fn read(root: Value<'_, '_>, keys: &mut Vec<KeyEntry>) -> Result<Self, Refused> {
        let mut params = None;
        let mut seen = Seen::default();
        if let Value::Object(members) = root {
            for (name, value) in members {
                if name.text == "params" {
                    seen.once(0, "params")?;
                    params = object("params", value)?;
                }
            }
        }
        match params {
            Some(members) => Self::members(members, keys),
            None => Err(Fault::MissingField("params").into()),
        }
    }

    fn members(members: Members<'_, '_>, keys: &mut Vec<KeyEntry>) -> Result<Self, Refused> {
        let mut params = Self::default();
        let mut seen = Seen::default();
        for (name, value) in members {
            let (place, name) = match name.text {
                "featureServiceName" | "feature_service_name" => (0, "featureServiceName"),
                "featureServiceId" | "feature_service_id" => (1, "featureServiceId"),
                "featureViewName" | "feature_view_name" => (2, "featureViewName"),
                "featureViewId" | "feature_view_id" => (3, "featureViewId"),
                "workspaceName" | "workspace_name" => (WORKSPACE, "workspaceName"),
                "featurePackageName" | "feature_package_name" => (PACKAGE_NAME, "featurePackageName"),
                "featurePackageId" | "feature_package_id" => (PACKAGE_ID, "featurePackageId"),
                "joinKeyMap" | "join_key_map" => (JOIN_KEYS, "joinKeyMap"),
                "requestContextMap" | "request_context_map" => (CONTEXT, "requestContextMap"),
                "metadataOptions" | "metadata_options" => (METADATA, "metadataOptions"),
                "requestOptions" | "request_options" => (OPTIONS, "requestOptions"),
                "allowPartialResults" | "allow_partial_results" => (PARTIAL, "allowPartialResults"),
                _ => continue,
            };
            seen.once(place, name)?;
            match place {
                0..WORKSPACE => params.locators[place] = string(name, value)?,
                WORKSPACE => params.workspace = string(name, value)?,
                PACKAGE_NAME | PACKAGE_ID => params.packages += usize::from(string(name, value)?.is_some()),
                JOIN_KEYS => read_keys(object(name, value)?, keys)?,
                CONTEXT => params.context_keys = count_context(object(name, value)?)?,
                METADATA => params.metadata_options(object(name, value)?)?,
                OPTIONS => params.request_options(object(name, value)?)?,
                _ => {
                    boolean(name, value)?; // without a limit on store bytes, no answer is partial
                }
            }
        }
        Ok(params)
    }

    fn locator(&self) -> Result<Locator, Fault<'static>> {
        match (self.locators, self.packages) {
            ([Some(name), None, None, None], 0) => Ok(Locator::Service(name)),
            ([None, Some(id), None, None], 0) => Ok(Locator::ServiceId(id)),
            ([None, None, Some(name), None], 0) => Ok(Locator::View(name)),
            ([None, None, None, Some(id)], 0) => Ok(Locator::ViewId(id)),
            ([None, None, None, None], 1) => Err(Fault::PackageLocator),
            _ => Err(Fault::Locator),
        }
    }

    fn metadata_options(&mut self, members: Option<Members<'_, '_>>) -> Result<(), Fault<'static>> {
        let mut seen = Seen::default();
        let mut options = MetadataOptions::default();
        let mut set = false;
        for (name, value) in members.into_iter().flatten() {
            let place = match name.text {
                "includeNames" | "include_names" => 0,
                "includeEffectiveTimes" | "include_effective_times" => 1,
                "includeDataTypes" | "include_data_types" => 2,
                "includeTypes" | "include_types" => 3,
                "includeServingStatus" | "include_serving_status" => 4,
                "includeFeatureDescriptions" | "include_feature_descriptions" => 5,
                "includeFeatureTags" | "include_feature_tags" => 6,
                "includeSloInfo" | "include_slo_info" => 7,
                _ => continue,
            };
            let (name, option) = MetadataOptions::ALL[place];
            seen.once(place, name)?;
            match boolean(name, value) {
                Ok(Some(true)) => options = options.with(option),
                Ok(_) => {}
                Err(fault) => self.option_faulty(fault),
            }
            set |= !matches!(value, Value::Null);
        }
        self.metadata = set.then_some(options);
        Ok(())
    }

    fn request_options(&mut self, members: Option<Members<'_, '_>>) -> Result<(), Fault<'static>> {
        let mut seen = Seen::default();
        for (name, value) in members.into_iter().flatten() {
            let (place, name) = match name.text {
                "latencyBudgetMs" | "latency_budget_ms" => (0, "latencyBudgetMs"),
                "aggregationLeadingEdge" | "aggregation_leading_edge" => (1, "aggregationLeadingEdge"),
                "highWatermarkOverride" | "high_watermark_override" => (2, "highWatermarkOverride"),
                "readFromCache" | "read_from_cache" => (3, "readFromCache"),
                "writeToCache" | "write_to_cache" => (4, "writeToCache"),
                "coerceNullCountsToZero" | "coerce_null_counts_to_zero" => (5, "coerceNullCountsToZero"),
                "ignoreExtraRequestContextFields" | "ignore_extra_request_context_fields" => {
                    (6, "ignoreExtraRequestContextFields")
                }
                // Ours: Tecton ignores it, as it does every option that it does not know.
                "serverTiming" | "server_timing" => (7, "serverTiming"),
                _ => continue,
            };
            seen.once(place, name)?;
            let read = match place {
                0 => latency_budget(value).map(|budget| self.latency_budget_us = budget),
                1 => leading_edge(value).map(|edge| self.leading_edge = edge),
                2 => string(name, value).map(|_| ()),
                5 => boolean(name, value).map(|coerce| self.coerce_null_counts_to_zero = coerce == Some(true)),
                7 => boolean(name, value).map(|timing| self.server_timing = timing == Some(true)),
                _ => boolean(name, value).map(|_| ()),
            };
            if let Err(fault) = read {
                self.option_faulty(fault);
            }
        }
        Ok(())
    }

    fn option_faulty(&mut self, fault: Fault<'static>) {
        self.option_fault.get_or_insert(fault);
    }
}

fn read_keys(members: Option<Members<'_, '_>>, keys: &mut Vec<KeyEntry>) -> Result<(), Refused> {
    for (name, value) in members.into_iter().flatten() {
        let value = match value {
            Value::Null => KeyValue::Null,
            Value::String(text) => KeyValue::Text(text.span),
            Value::Int64(value) => KeyValue::Int64(value),
            Value::Number(_) | Value::Uint64(_) => KeyValue::Number,
            Value::Boolean(_) | Value::Object(_) | Value::Array(_) => KeyValue::Other,
        };
        keys.push(KeyEntry { name: name.span, value });
    }
    refuse_repeats(members)
}

fn count_context(members: Option<Members<'_, '_>>) -> Result<u32, Refused> {
    refuse_repeats(members)?;
    Ok(u32::try_from(members.into_iter().flatten().count()).unwrap_or(u32::MAX))
}

/// Refuses a map in which a key is there twice.
fn refuse_repeats(members: Option<Members<'_, '_>>) -> Result<(), Refused> {
    let Some(members) = members else { return Ok(()) };
    if members.len() > PAIRWISE_NAMES_MAX {
        let mut names: Vec<_> = members.map(|(name, _)| (name.text, name.span.start, name.span)).collect();
        names.sort_unstable_by_key(|(name, start, _)| (*name, *start));
        let repeated = names.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].2);
        return repeated.min_by_key(|span| span.start).map_or(Ok(()), |span| Err(Refused::Repeated(span)));
    }
    for (place, (name, _)) in members.enumerate().skip(1) {
        if members.take(place).any(|(earlier, _)| earlier.text == name.text) {
            return Err(Refused::Repeated(name.span));
        }
    }
    Ok(())
}

fn latency_budget(value: Value<'_, '_>) -> Result<Option<u32>, Fault<'static>> {
    let milliseconds = match value {
        Value::Null => return Ok(None),
        Value::Int64(value) => u32::try_from(value).ok().map(f64::from),
        Value::Number(value) => Some(value),
        Value::String(text) => number::double(text.text),
        _ => None,
    };
    latency_budget_us(milliseconds).map(Some).ok_or(Fault::LatencyBudget)
}

/// The value of a `Gannet-Latency-Budget-Ms` field, as a budget in the body is spelt.
pub(crate) fn latency_budget_field(text: &[u8]) -> Result<u32, Fault<'_>> {
    let milliseconds = std::str::from_utf8(text).ok().and_then(number::double);
    latency_budget_us(milliseconds).ok_or(Fault::LatencyBudgetField(Quoted(text)))
}

fn latency_budget_us(milliseconds: Option<f64>) -> Option<u32> {
    let range = LATENCY_BUDGET_MS_MIN..=LATENCY_BUDGET_MS_MAX;
    let milliseconds = milliseconds.filter(|value| range.contains(value))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 100 to 60 000 000")]
    let microseconds = (milliseconds * 1000.0).round() as u32;
    Some(microseconds)
}

fn leading_edge(value: Value<'_, '_>) -> Result<Option<LeadingEdge>, Fault<'static>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => match text.text {
            "AGGREGATION_MODE_UNSPECIFIED" => Ok(None),
            "AGGREGATION_MODE_WALL_CLOCK_TIME" => Ok(Some(LeadingEdge::WallClock)),
            "AGGREGATION_MODE_LATEST_EVENT_TIME" => Ok(Some(LeadingEdge::LatestEventTime)),
            _ => Err(Fault::LeadingEdge),
        },
        _ => Err(Fault::FieldKind { field: "aggregationLeadingEdge", expected: "string" }),
    }
}

fn object<'t, 'b>(field: &'static str, value: Value<'t, 'b>) -> Result<Option<Members<'t, 'b>>, Fault<'static>> {
    match value {
        Value::Object(members) => Ok(Some(members)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "object" }),
    }
}

fn string(field: &'static str, value: Value<'_, '_>) -> Result<Option<Span>, Fault<'static>> {
    match value {
        Value::String(text) => Ok(Some(text.span)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "string" }),
    }
}

fn boolean(field: &'static str, value: Value<'_, '_>) -> Result<Option<bool>, Fault<'static>> {
    match value {
        Value::Boolean(value) => Ok(Some(value)),
        Value::Null => Ok(None),
        _ => Err(Fault::FieldKind { field, expected: "boolean" }),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
