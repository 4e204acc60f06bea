//! The tables of the four views of `fraud_bench`, by the same rule as `gannet quickstart` fills them.

use std::{path::Path, sync::Arc};

use gannet_store::{
    ColumnType, Error, Field, KeyType, Schema, Table,
    build::{BuildOptions, TableBuilder},
    row::RowWriter,
    schema::KeyPart,
    table::{MapOptions, Populate},
};

/// The views in the order of [`build`].
pub const VIEWS: [&str; 4] = ["last_transaction_amount", "user_profile", "user_risk", "user_transaction_counts"];

/// The key of user `i`.
pub fn key(i: u64) -> [u8; 11] {
    let mut key = *b"C0000000000";
    let mut rest = i;
    for digit in key[1..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    key
}

/// Builds the four tables with `users` rows each below `root`, and opens them with everything resident.
pub fn build(root: &Path, users: u64) -> Result<Vec<Arc<Table>>, Error> {
    VIEWS.iter().map(|view| build_view(root, view, users).map(Arc::new)).collect()
}

/// The row of a user, one second later.
pub fn newer(table: &Table, user: u64) -> Vec<u8> {
    let key = key(user);
    let row = table.lookup(&key).expect("the table is sound").expect("all users have rows");
    let mut bytes = row.encoded().to_vec();
    let found = bytes.windows(key.len()).position(|part| part == key).expect("a row holds its key");
    let time = (row.event_time_us() + 1_000_000).to_le_bytes();
    bytes[found + key.len()..][..time.len()].copy_from_slice(&time);
    bytes
}

fn build_view(root: &Path, view: &str, users: u64) -> Result<Table, Error> {
    let schema = Arc::new(schema(view));
    let options = BuildOptions {
        root: root.to_path_buf(),
        table: format!("prod/{view}"),
        memory_bytes: 2 << 30,
        workers: 2,
        now_us: 0,
    };
    let builder = TableBuilder::new(Arc::clone(&schema), options)?;
    let mut sink = builder.sink();
    let mut writer = RowWriter::new(&schema);
    for i in 0..users {
        writer.begin(&key(i), 1_767_225_600_000_000); // 2026-01-01
        fill(view, i, &mut writer);
        let row = writer.finish().expect("rows of the bench are small");
        sink.push(row, i)?;
    }
    let (entry, _) = builder.finish(vec![sink], &|_, _| {})?;
    let table = Table::open(root, &entry)?;
    table.bring_in(MapOptions { populate: Populate::All, lock: false, huge_pages: false })?;
    Ok(table)
}

fn schema(view: &str) -> Schema {
    use ColumnType::{Boolean, Float64, Int64, String};
    let columns: &[(&str, ColumnType)] = match view {
        "last_transaction_amount" => &[("amount", Float64)],
        "user_profile" => &[("account_age_days", Int64), ("country", String), ("verified", Boolean)],
        "user_risk" => &[("chargebacks", Int64), ("last_merchant", String), ("score", Float64)],
        _ => &[("count_1d", Int64), ("count_30d", Int64), ("count_7d", Int64)],
    };
    let field =
        |(name, column_type): &(&str, ColumnType)| Field { name: (*name).into(), column_type: column_type.clone() };
    Schema {
        key: vec![KeyPart { name: "user_id".into(), key_type: KeyType::String }],
        columns: columns.iter().map(field).collect(),
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "remainders are small")]
fn fill(view: &str, i: u64, row: &mut RowWriter) {
    match view {
        "last_transaction_amount" => row.float64(0, (i % 100_000) as f64 / 100.0),
        "user_profile" => {
            row.int64(0, (i % 5000) as i64);
            row.string(1, ["US", "DE", "JP", "BR"][(i % 4) as usize]);
            row.boolean(2, i.is_multiple_of(3));
        }
        "user_risk" => {
            row.int64(0, (i % 3) as i64);
            row.string(1, &format!("M{:06}", i % 1_000_000));
            row.float64(2, (i % 1000) as f64 / 1000.0);
        }
        _ => {
            row.int64(0, (i % 7) as i64);
            row.int64(1, (i % 211) as i64);
            row.int64(2, (i % 50) as i64);
        }
    }
}
