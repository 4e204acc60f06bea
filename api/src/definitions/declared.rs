//! What files say, one by one, before references between them are followed. `None` stands for a part that was wrong and
//! has been reported.

use std::{collections::BTreeMap, num::NonZeroU32};

use gannet_store::{ColumnType, Field};

use super::{
    faults::{Place, Reported, Spanned},
    model::{Feature, JoinKey, Source},
};
use crate::{
    aggregates::{Function, LeadingEdge, Window},
    budget::LatencyBudget,
};

/// One file.
#[derive(Debug)]
pub(super) struct FileDeclared {
    pub(super) workspace: Option<Spanned<String>>,
    pub(super) entities: Vec<EntityDeclared>,
    pub(super) stream_sources: Vec<StreamSourceDeclared>,
    pub(super) views: Vec<ViewDeclared>,
    pub(super) services: Vec<ServiceDeclared>,
    /// False when parts of the file could not be read, so that what others refer to may be in them.
    pub(super) whole: bool,
}

/// What every kind has.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) name: Spanned<String>,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct EntityDeclared {
    pub(super) heading: Heading,
    pub(super) join_keys: Option<Vec<JoinKey>>,
}

#[derive(Debug)]
pub(super) struct StreamSourceDeclared {
    pub(super) heading: Heading,
    pub(super) timestamp: Option<Spanned<String>>,
    pub(super) fields: Option<Vec<Field>>,
}

#[derive(Debug)]
pub(super) struct ViewDeclared {
    pub(super) heading: Heading,
    pub(super) entities: Option<Vec<Spanned<String>>>,
    pub(super) timestamp: Option<Spanned<String>>,
    pub(super) source: Result<Option<Source>, Reported>,
    pub(super) stream: Result<Option<Spanned<String>>, Reported>,
    pub(super) ttl_us: Option<Spanned<i64>>,
    pub(super) first: bool,
    pub(super) features: FeaturesDeclared,
    /// False when some feature was wrong and is not in `features`.
    pub(super) features_whole: bool,
    pub(super) aggregation: AggregationDeclared,
}

#[derive(Debug)]
pub(super) enum FeaturesDeclared {
    Plain(Vec<Spanned<Feature>>),
    Aggregates(Vec<AggregateDeclared>),
}

/// What a view says of its aggregates as a whole.
#[derive(Debug)]
pub(super) struct AggregationDeclared {
    pub(super) interval_us: Option<Spanned<i64>>,
    pub(super) leading_edge: LeadingEdge,
    pub(super) lifetime_start_us: Option<Spanned<i64>>,
    pub(super) secondary_key: Option<Spanned<String>>,
    /// The keys of these that are there: a view without aggregates has none.
    pub(super) keys: Vec<Spanned<&'static str>>,
    /// False when some of it was wrong and is left out.
    pub(super) whole: bool,
}

/// A function of a column, over one or more windows: a feature each.
#[derive(Debug)]
pub(super) struct AggregateDeclared {
    pub(super) column: Spanned<String>,
    pub(super) function: Spanned<Function>,
    /// Never empty. One, if there is a name.
    pub(super) windows: Vec<Spanned<Window>>,
    pub(super) name: Option<Spanned<String>>,
    /// The column's.
    pub(super) data_type: Option<Spanned<ColumnType>>,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct ServiceDeclared {
    pub(super) heading: Heading,
    pub(super) selections: Option<Vec<SelectionDeclared>>,
    pub(super) latency_budget: Option<LatencyBudget>,
    pub(super) concurrency_max: Option<NonZeroU32>,
}

#[derive(Debug)]
pub(super) struct SelectionDeclared {
    pub(super) place: Place,
    pub(super) view: Spanned<String>,
    pub(super) namespace: Option<Spanned<String>>,
    /// `None` for all of them.
    pub(super) features: Option<Vec<Spanned<String>>>,
    pub(super) renames: Vec<Rename>,
}

/// Callers send `to` for the view's join key `from`.
#[derive(Debug)]
pub(super) struct Rename {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
}
