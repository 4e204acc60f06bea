//! The synthetic users of `fraud_bench`: every value follows from the user's number, so two machines hold the same data.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{
        properties::WriterProperties,
        reader::{FileReader as _, SerializedFileReader},
    },
};

/// Writes the Parquet files of `users` users, unless they are there.
pub(crate) fn write(folder: &Path, users: u32) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for view in VIEWS {
        let file = folder.join(format!("{view}.parquet"));
        if rows(&file) == Some(i64::from(users)) {
            continue;
        }
        // Under another name first: a file that was cut short by Ctrl-C must not pass for a whole one.
        let unfinished = folder.join(format!("{view}.unfinished"));
        write_view(&unfinished, view, users)
            .and_then(|()| Ok(fs::rename(&unfinished, &file)?))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn rows(file: &Path) -> Option<i64> {
    let reader = SerializedFileReader::new(File::open(file).ok()?).ok()?;
    Some(reader.metadata().file_metadata().num_rows())
}

fn write_view(file: &Path, view: &str, users: u32) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let empty = batch(view, 0..0)?;
    let mut writer = ArrowWriter::try_new(File::create(file)?, empty.schema(), Some(properties))?;
    for start in (0..users).step_by(BATCH_ROWS as usize) {
        let end = users.min(start.saturating_add(BATCH_ROWS));
        writer.write(&batch(view, start..end)?)?;
    }
    writer.close()?;
    Ok(())
}

fn batch(view: &str, users: std::ops::Range<u32>) -> Result<RecordBatch> {
    let n = users.len();
    let whole = |modulus: u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(users.clone().map(|i| i64::from(i % modulus))))
    };
    let parts = |modulus: u32, of: f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(users.clone().map(|i| f64::from(i % modulus) / of)))
    };
    let text =
        |text: &dyn Fn(u32) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(users.clone().map(text))) };
    let timestamps = TimestampMicrosecondArray::from_value(WHEN_US, n).with_timezone("UTC");
    let mut columns =
        vec![("user_id", text(&|i| format!("C{i:010}"))), ("timestamp", Arc::new(timestamps) as ArrayRef)];
    match view {
        "last_transaction_amount" => columns.push(("amount", parts(100_000, 100.0))),
        "user_profile" => {
            let verified = BooleanArray::from_iter(users.clone().map(|i| Some(i % 3 == 0)));
            columns.push(("country", text(&|i| COUNTRIES[i as usize % COUNTRIES.len()].to_owned())));
            columns.push(("account_age_days", whole(5000)));
            columns.push(("verified", Arc::new(verified)));
        }
        "user_transaction_counts" => {
            columns.push(("count_1d", whole(7)));
            columns.push(("count_7d", whole(50)));
            columns.push(("count_30d", whole(211)));
        }
        _ => {
            columns.push(("score", parts(1000, 1000.0)));
            columns.push(("chargebacks", whole(3)));
            columns.push(("last_merchant", text(&|i| format!("M{:06}", i % 1_000_000))));
        }
    }
    Ok(RecordBatch::try_from_iter(columns)?)
}

const VIEWS: [&str; 4] = ["last_transaction_amount", "user_profile", "user_transaction_counts", "user_risk"];

const COUNTRIES: [&str; 4] = ["US", "DE", "JP", "BR"];

/// 2026-01-01T00:00:00Z.
const WHEN_US: i64 = 1_767_225_600_000_000;

const BATCH_ROWS: u32 = 65_536;

/// Several row groups a million users, so that reading them is shared out without cutting.
const ROW_GROUP_ROWS: usize = 262_144;

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Float64Type, Int64Type};

    use super::*;

    #[test]
    fn values_follow_from_the_number_of_the_user() {
        let user = |view: &str| batch(view, 1_234_567..1_234_568).unwrap();
        let amount = user("last_transaction_amount");
        assert_eq!(amount["user_id"].as_string::<i32>().value(0), "C0001234567");
        assert_eq!(amount["amount"].as_primitive::<Float64Type>().value(0), 345.67);
        let profile = user("user_profile");
        assert_eq!(profile["country"].as_string::<i32>().value(0), "BR");
        assert_eq!(profile["account_age_days"].as_primitive::<Int64Type>().value(0), 4567);
        assert!(!profile["verified"].as_boolean().value(0));
        let counts = user("user_transaction_counts");
        let count = |name: &str| counts[name].as_primitive::<Int64Type>().value(0);
        assert_eq!((count("count_1d"), count("count_7d"), count("count_30d")), (5, 17, 6));
        let risk = user("user_risk");
        assert_eq!(risk["score"].as_primitive::<Float64Type>().value(0), 0.567);
        assert_eq!(risk["chargebacks"].as_primitive::<Int64Type>().value(0), 1);
        assert_eq!(risk["last_merchant"].as_string::<i32>().value(0), "M234567");
    }

    #[test]
    fn files_are_written_once_for_a_number_of_users() {
        let folder = tempfile::tempdir().unwrap();
        let modified = || fs::metadata(folder.path().join("user_risk.parquet")).unwrap().modified().unwrap();
        write(folder.path(), 100).unwrap();
        let first = modified();
        write(folder.path(), 100).unwrap();
        assert_eq!(modified(), first);
        write(folder.path(), 101).unwrap();
        assert_eq!(rows(&folder.path().join("user_risk.parquet")), Some(101));
    }
}
