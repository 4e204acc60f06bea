//! The examples, written out as one folder of definitions beside one folder of data.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Writes what is not there yet or differs, so that the times of unchanged files stay. Returns the definitions folder.
pub(crate) fn write(root: &Path) -> Result<PathBuf> {
    for (name, bytes) in FILES {
        let file = root.join(name);
        if std::fs::read(&file).is_ok_and(|there| there == *bytes) {
            continue;
        }
        let in_file = || format!("cannot write {}", file.display());
        let folder = file.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).with_context(in_file)?;
        std::fs::write(&file, bytes).with_context(in_file)?;
    }
    Ok(root.join(DEFINITIONS))
}

/// The departures of one day, as records of the stream source `flights`, one a line.
pub(crate) const DEPARTURES: &str = include_str!("../../../examples/flights/data/flights-2013-12-31.ndjson");

macro_rules! examples {
    ($($to:literal = $from:literal),* $(,)?) => {
        &[$(($to, include_bytes!(concat!("../../../examples/", $from)))),*]
    };
}

const FILES: &[(&str, &[u8])] = examples![
    "definitions/entities.toml" = "flights/definitions/entities.toml",
    "definitions/services.toml" = "flights/definitions/services.toml",
    "definitions/views.toml" = "flights/definitions/views.toml",
    "definitions/fraud.toml" = "fraud/definitions/fraud.toml",
    "definitions/bench.toml" = "fraud/definitions/bench.toml",
    "data/flights-2013.parquet" = "flights/data/flights-2013.parquet",
    "data/flights-2013-12-31.parquet" = "flights/data/flights-2013-12-31.parquet",
    "data/flights-2013-12-31.ndjson" = "flights/data/flights-2013-12-31.ndjson",
    "data/planes.parquet" = "flights/data/planes.parquet",
    "data/weather-2013.parquet" = "flights/data/weather-2013.parquet",
    "data/last_transaction_amount_sql.ndjson" = "fraud/data/last_transaction_amount_sql.ndjson",
    "data/transaction_amount_is_high.ndjson" = "fraud/data/transaction_amount_is_high.ndjson",
    "data/transaction_amount_is_higher_than_average.ndjson" =
        "fraud/data/transaction_amount_is_higher_than_average.ndjson",
    "data/transactions.ndjson" = "fraud/data/transactions.ndjson",
];

const DEFINITIONS: &str = "definitions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_file_is_embedded() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        for example in ["flights", "fraud"] {
            for folder in ["definitions", "data"] {
                for entry in std::fs::read_dir(examples.join(example).join(folder)).unwrap() {
                    let entry = entry.unwrap();
                    let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
                    let known = FILES.iter().any(|(to, _)| *to == name);
                    assert!(known || entry.path().is_dir(), "{example}/{name} is not embedded");
                }
            }
        }
    }

    #[test]
    fn unchanged_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = write(folder.path()).unwrap();
        let modified = || std::fs::metadata(definitions.join("fraud.toml")).unwrap().modified().unwrap();
        let before = modified();
        write(folder.path()).unwrap();
        assert_eq!(modified(), before);
    }
}
