//! Files of events become tiles that say what a scan of all events says.

use std::{collections::BTreeMap, sync::Arc};

use gannet_api::{
    aggregates::{Aggregates, FoldOptions, Folded, Item, UncheckedRow},
    definitions::{check, model::FeatureView},
};
use gannet_store::{KeyType, Table, build::BuildOptions, key::KeyWriter};
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{Job, Report, in_blocks};

const DEFINITIONS: &str = r#"
workspace = "prod"
[entities.shop]
join_keys = { shop = "string" }
[feature_views.sales]
entity = "shop"
source = { ndjson = "sales.ndjson" }
timestamp = "at"
aggregation_interval = "1h"
secondary_key = "clerk"
features = [
  { column = "cents", type = "int64", function = "sum", windows = ["2h", "30h"] },
  { column = "cents", function = "count", window = "2h", offset = "-1h" },
  { column = "cents", function = "last(2)", window = "30h" },
]
[feature_views.totals]
entity = "shop"
source = { ndjson = "sales.ndjson" }
timestamp = "at"
aggregation_interval = "1h"
lifetime_start = 1970-01-02
features = [
  { column = "cents", type = "int64", function = "max", window = "3h" },
  { column = "cents", function = "sum", window = "lifetime" },
]
"#;

const HOUR_US: i64 = 3_600_000_000;

#[derive(Debug, Clone)]
struct Sale {
    shop: u8,
    at_us: i64,
    clerk: Option<&'static str>,
    cents: Option<i64>,
}

impl Sale {
    fn line(&self) -> String {
        let clerk = self.clerk.map_or_else(|| "null".to_owned(), |clerk| format!("{clerk:?}"));
        let cents = self.cents.map_or_else(|| "null".to_owned(), |cents| cents.to_string());
        let (seconds, micros) = (self.at_us.div_euclid(1_000_000), self.at_us.rem_euclid(1_000_000));
        let (day, second) = (seconds / 86_400 + 1, seconds % 86_400);
        let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        format!(
            "{{\"shop\": \"s{}\", \"at\": \"1970-01-{day:02}T{time}.{micros:06}Z\", \"clerk\": {clerk}, \"cents\": {cents}}}\n",
            self.shop
        )
    }
}

/// A view, and the table that is made of these sales.
struct Made {
    view: FeatureView,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    report: Report,
    folder: TempDir,
}

fn make(view: &str, sales: &[Sale], workers: usize, memory_bytes: usize) -> Made {
    let definitions = check(&[("d.toml".to_owned(), DEFINITIONS.to_owned())]).unwrap();
    let view = definitions.workspaces["prod"].feature_views[view].clone();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sales.ndjson");
    std::fs::write(&file, sales.iter().map(Sale::line).collect::<String>()).unwrap();
    let root = folder.path().to_owned();
    let build = BuildOptions { root, table: "prod/sales".to_owned(), memory_bytes, workers, now_us: 0 };
    let (name, schema) = ("prod/sales".to_owned(), Arc::new(view.schema()));
    let format = view.source.as_ref().unwrap().format;
    let job = Job { name, view: &view, schema, format, files: vec![file], now_us: 0, build };
    let (entry, report) = in_blocks(job, 300).unwrap();
    let table = Table::open(folder.path(), &entry).unwrap();
    let row = |row: gannet_store::Row<'_>| (row.key().to_vec(), row.encoded_value(0).unwrap().unwrap().to_vec());
    let rows = table.scan().map(|scanned| row(scanned.unwrap())).collect();
    Made { view, rows, report, folder }
}

impl Made {
    /// The features of a shop at the end of the data, as text; `None` if there is no row.
    fn features(&self, shop: u8, end_us: i64) -> Option<BTreeMap<String, String>> {
        let aggregates = self.view.aggregates().unwrap();
        let row = aggregates.row(UncheckedRow::new(self.rows.get(&key(shop))?)).unwrap();
        let mut folded = Folded::default();
        let options = FoldOptions { moment_us: Some(end_us), coerce_null_counts_to_zero: false };
        aggregates.fold(&[row], options, &mut folded).unwrap();
        let names = aggregates.features().iter().map(|feature| feature.name.clone());
        let value = |item: &Item| text(*item, &folded, &[row]);
        Some(names.zip(folded.values().iter().map(value)).collect())
    }
}

fn text(item: Item, folded: &Folded, rows: &[gannet_api::aggregates::Row<'_>]) -> String {
    match item {
        Item::Null => "null".to_owned(),
        Item::Int64(value) => value.to_string(),
        Item::Bytes { .. } => String::from_utf8(Folded::bytes(item, rows).to_vec()).unwrap(),
        Item::List { .. } => {
            let elements = folded.elements(item).iter().map(|element| text(*element, folded, rows));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        }
        other => panic!("{other:?} is none of these features"),
    }
}

fn key(shop: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = KeyWriter::new(&[KeyType::String], &mut bytes);
    parts.string(format!("s{shop}").as_bytes());
    assert!(parts.finish());
    bytes
}

/// What a window has, clerk by clerk, in the order in which it was sold; equal times by their order in the file.
fn sold(sales: &[Sale], shop: u8, from_us: i64, to_us: i64) -> BTreeMap<&'static str, Vec<Option<i64>>> {
    let mut of_shop: Vec<&Sale> = sales.iter().filter(|sale| sale.shop == shop).collect();
    of_shop.sort_by_key(|sale| sale.at_us);
    let mut clerks: BTreeMap<&str, Vec<Option<i64>>> = BTreeMap::new();
    for sale in of_shop.into_iter().filter(|sale| (from_us..to_us).contains(&sale.at_us)) {
        if let Some(clerk) = sale.clerk {
            clerks.entry(clerk).or_default().push(sale.cents);
        }
    }
    clerks
}

fn listed(clerks: &BTreeMap<&str, Vec<Option<i64>>>, value: impl Fn(&[i64]) -> Option<String>) -> String {
    let values = clerks.values().map(|cents| {
        let cents: Vec<i64> = cents.iter().flatten().copied().collect();
        if cents.is_empty() { "null".to_owned() } else { value(&cents).unwrap() }
    });
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

/// The features of the view `sales`, worked out from all events.
fn expected(sales: &[Sale], shop: u8, end_us: i64) -> BTreeMap<String, String> {
    let window =
        |hours: i64, offset: i64| sold(sales, shop, end_us - (hours + offset) * HOUR_US, end_us - offset * HOUR_US);
    let (two, thirty, before) = (window(2, 0), window(30, 0), window(2, 1));
    let keys = |clerks: &BTreeMap<&str, Vec<Option<i64>>>| {
        format!("[{}]", clerks.keys().copied().collect::<Vec<_>>().join(","))
    };
    let sum = |cents: &[i64]| Some(cents.iter().sum::<i64>().to_string());
    let last = |cents: &[i64]| {
        let last = &cents[cents.len().saturating_sub(2)..];
        Some(format!("[{}]", last.iter().map(i64::to_string).collect::<Vec<_>>().join(",")))
    };
    let features = [
        ("cents_sum_2h_1h", listed(&two, sum)),
        ("cents_sum_1d6h_1h", listed(&thirty, sum)),
        ("cents_last_2_1d6h_1h", listed(&thirty, last)),
        ("cents_count_2h_1h_offset_1h", listed(&before, |cents| Some(cents.len().to_string()))),
        ("clerk_keys_2h", keys(&two)),
        ("clerk_keys_1d6h", keys(&thirty)),
        ("clerk_keys_2h_offset_1h", keys(&before)),
    ];
    features.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn end_us(sales: &[Sale]) -> i64 {
    sales.iter().map(|sale| sale.at_us).max().map_or(0, |newest| (newest / HOUR_US + 1) * HOUR_US)
}

fn sale() -> impl Strategy<Value = Sale> {
    let clerk = prop::sample::select(vec![Some("ada"), Some("bob"), Some(""), None]);
    let cents = prop_oneof![4 => (-50i64..200).prop_map(Some), 1 => Just(None)];
    // whole half hours now and then, which meet edges and each other
    let time = prop_oneof![0i64..60 * HOUR_US, (0i64..120).prop_map(|half| half * HOUR_US / 2)];
    (0u8..4, time, clerk, cents).prop_map(|(shop, at_us, clerk, cents)| Sale { shop, at_us, clerk, cents })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tiles_of_a_file_say_what_a_scan_of_it_says(sales in prop::collection::vec(sale(), 0..200)) {
        let made = [(1, 1 << 20), (3, 1 << 20), (2, 20_000)]
            .map(|(workers, memory_bytes)| make("sales", &sales, workers, memory_bytes));
        let end_us = end_us(&sales);
        for shop in 0..4 {
            let is_there = sales.iter().any(|sale| sale.shop == shop && sale.clerk.is_some());
            let found = made[0].features(shop, end_us);
            prop_assert_eq!(found, is_there.then(|| expected(&sales, shop, end_us)));
        }
        prop_assert_eq!(&made[0].rows, &made[1].rows, "whatever the number of workers");
        prop_assert_eq!(&made[0].rows, &made[2].rows, "and the memory");
        prop_assert_eq!(made[0].report.rows_read, sales.len() as u64);
    }
}

fn sale_at(shop: u8, hour: i64, cents: i64) -> Sale {
    Sale { shop, at_us: hour * HOUR_US, clerk: Some("ada"), cents: Some(cents) }
}

#[test]
fn what_no_window_reaches_is_left_out_but_counts_for_a_lifetime() {
    // windows of 30 hours, tiles of one, and a margin of a week: the first sale is an hour too old, the second is not
    let kept = 7 * 24 + 30 + 1;
    let sales = [sale_at(1, 1, 1), sale_at(2, 2, 2), sale_at(3, kept, 4)];
    let made = make("sales", &sales, 1, 1 << 20);
    assert_eq!(made.rows.keys().collect::<Vec<_>>(), [&key(2), &key(3)]);
    let sales = [sale_at(1, 5, 100), sale_at(1, 24, 1), sale_at(1, 25, 2), sale_at(1, 400, 4)];
    let made = make("totals", &sales, 1, 1 << 20);
    let features = made.features(1, end_us(&sales)).unwrap();
    assert_eq!(features["cents_sum_lifetime"], "7", "from the second day on");
    assert_eq!(features["cents_max_3h_1h"], "4");
    let aggregates = made.view.aggregates().unwrap();
    let row = aggregates.row(UncheckedRow::new(&made.rows[&key(1)])).unwrap();
    assert_eq!(row.tiles(), 2, "the past and the newest");
    assert!(made.report.to_string().contains("4 read, aggregated for 1 keys"), "{}", made.report);
    assert!(made.folder.path().exists());
}

#[test]
fn bad_events_are_told_and_others_counted() {
    let definitions = check(&[("d.toml".to_owned(), DEFINITIONS.to_owned())]).unwrap();
    let view = &definitions.workspaces["prod"].feature_views["totals"];
    let aggregates: Aggregates = view.aggregates().unwrap();
    assert_eq!(aggregates.end_of_data_us(HOUR_US), 2 * HOUR_US, "an event at a tile's start belongs to it");
    assert_eq!(aggregates.end_of_data_us(HOUR_US - 1), HOUR_US);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("sales.ndjson");
    let good = sale_at(1, 24, 3).line();
    let bad = [r#"{"at": "1970-01-02T00:00:00Z", "cents": 1}"#, r#"{"shop": "s1", "cents": 1}"#];
    let worse = r#"{"shop": "s1", "at": "1970-01-02T00:00:00Z", "cents": 1.5}"#;
    std::fs::write(&file, format!("{good}{}\n{}\n{worse}\n", bad[0], bad[1])).unwrap();
    let root = folder.path().to_owned();
    let build = BuildOptions { root, table: "prod/t".to_owned(), memory_bytes: 1 << 20, workers: 1, now_us: 0 };
    let (name, schema) = ("prod/t".to_owned(), Arc::new(view.schema()));
    let format = view.source.as_ref().unwrap().format;
    let job = Job { name, view, schema, format, files: vec![file], now_us: 0, build };
    let (entry, report) = in_blocks(job, 300).unwrap();
    assert_eq!((entry.rows, report.rows_read, report.bad.total()), (1, 4, 3));
}
