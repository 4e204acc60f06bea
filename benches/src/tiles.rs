//! A view that aggregates, served as `fraud_bench`: ten features over the tiles of thirty days.

use std::{path::Path, sync::Arc};

use gannet_api::{
    aggregates::{Aggregates, Input},
    definitions::{self, model::Definitions},
};
use gannet_store::{
    Error, Schema, Table,
    build::{BuildOptions, TableBuilder},
    row::RowWriter,
    table::{MapOptions, Populate},
};

use crate::tables::key;

/// The one view's table.
pub const NAME: &str = "prod/amounts";

const TOML: &str = r#"workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }

[stream_sources.transactions]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "float64" }

[feature_views.amounts]
entity = "user"
stream = "transactions"
aggregation_interval = "1d"
features = [
  { column = "amount", type = "float64", function = "count", windows = ["1d", "7d", "30d"] },
  { column = "amount", type = "float64", function = "sum", windows = ["1d", "7d", "30d"] },
  { column = "amount", type = "float64", function = "mean", windows = ["1d", "7d", "30d"] },
  { column = "amount", type = "float64", function = "max", window = "30d" },
]

[feature_services.fraud_bench]
features = ["amounts"]
"#;

const DAY_US: i64 = 86_400_000_000;
const DAYS: i64 = 30;

/// 2026-01-01, the end of the last of the days that are in files.
const END_US: i64 = 1_767_225_600_000_000;

/// The view, its source and its service.
pub fn definitions() -> Definitions {
    definitions::check(&[("tiles.toml".to_owned(), TOML.to_owned())]).expect("the bench's definitions are sound")
}

/// Builds the table with a tile for each of thirty days and each of `users` users below `root`, and opens it with everything in memory.
pub fn build(root: &Path, users: u64) -> Result<Arc<Table>, Error> {
    let mut rows = Rows::new();
    let options =
        BuildOptions { root: root.to_path_buf(), table: NAME.to_owned(), memory_bytes: 2 << 30, workers: 2, now_us: 0 };
    let builder = TableBuilder::new(Arc::new(rows.schema.clone()), options)?;
    let mut sink = builder.sink();
    for user in 0..users {
        sink.push(rows.row(user, -DAYS..0), user)?;
    }
    let (entry, _) = builder.finish(vec![sink], &|_, _| {})?;
    let table = Table::open(root, &entry)?;
    table.bring_in(MapOptions { populate: Populate::All, lock: false, huge_pages: false })?;
    table.verify(&mut |_| {})?;
    Ok(Arc::new(table))
}

/// Makes rows of the view.
#[derive(Debug)]
pub struct Rows {
    aggregates: Aggregates,
    schema: Schema,
    writer: RowWriter,
}

impl Rows {
    #[expect(clippy::new_without_default, reason = "it is not nothing")]
    pub fn new() -> Self {
        let definitions = definitions();
        let view = &definitions.workspaces["prod"].feature_views["amounts"];
        let (aggregates, schema) = (view.aggregates().expect("the view aggregates"), view.schema());
        let writer = RowWriter::new(&schema);
        Self { aggregates, schema, writer }
    }

    /// A row of what a user spent on the day after those in files.
    pub fn newer(&mut self, user: u64) -> &[u8] {
        self.row(user, 0..1)
    }

    /// Days are counted from the end of those in files.
    #[expect(clippy::cast_precision_loss, reason = "remainders are small")]
    fn row(&mut self, user: u64, days: std::ops::Range<i64>) -> &[u8] {
        let time_us = END_US + days.end * DAY_US - 1;
        let mut builder = self.aggregates.builder();
        for (day, number) in days.zip(user..) {
            let amount = (number % 100_000) as f64 / 100.0;
            builder.add(END_US + day * DAY_US, None, &[Input::Float64(amount)]);
        }
        let mut tiles = Vec::new();
        builder.encode(&mut tiles).expect("thirty tiles are a row");
        self.writer.begin(&key(user), time_us);
        self.writer.binary(0, &tiles);
        self.writer.finish().expect("rows of the bench are small")
    }
}
