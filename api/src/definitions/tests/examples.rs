//! The example repositories mean what they are meant to.

use super::{super::model::*, accepted};
use crate::definitions::types;

fn flights() -> Definitions {
    accepted(&[
        ("entities.toml", include_str!("../../../../examples/flights/definitions/entities.toml")),
        ("services.toml", include_str!("../../../../examples/flights/definitions/services.toml")),
        ("views.toml", include_str!("../../../../examples/flights/definitions/views.toml")),
    ])
}

fn fraud() -> Definitions {
    accepted(&[
        ("bench.toml", include_str!("../../../../examples/fraud/definitions/bench.toml")),
        ("fraud.toml", include_str!("../../../../examples/fraud/definitions/fraud.toml")),
    ])
}

/// The vector of a service of `prod`: one name and type a line.
fn vector(definitions: &Definitions, service: &str) -> String {
    let workspace = &definitions.workspaces["prod"];
    let mut lines = Vec::new();
    for selection in &workspace.feature_services[service].selections {
        let view = &workspace.feature_views[&selection.view];
        for name in &selection.features {
            let feature = view.features.iter().find(|feature| feature.name == *name).unwrap();
            lines.push(format!("{}.{name} {}", selection.namespace, types::text(&feature.data_type)));
        }
    }
    lines.join("\n")
}

#[test]
fn delay_model_takes_parts_of_four_views() {
    let definitions = flights();
    let expected = "\
carrier_latest_flight.arrival_delay_minutes float32
carrier_latest_flight.departure_delay_minutes float32
origin_weather.precipitation_in float64
origin_weather.temperature_f float64
origin_weather.visibility_miles float64
origin_weather.wind_speed_mph float64
plane_attributes.engine string
plane_attributes.seats int64
plane_latest_flight.arrival_delay_minutes float32
plane_latest_flight.departure_delay_minutes float32
plane_latest_flight.distance_miles int64";
    assert_eq!(vector(&definitions, "delay_model"), expected);
    let views = &definitions.workspaces["prod"].feature_views;
    assert_eq!(views["plane_attributes"].timestamp, "", "the register of planes has no event time");
    assert_eq!(views["plane_attributes"].features.len(), 7);
    assert_eq!(views["origin_weather"].timestamp, "observed_at");
    assert_eq!(definitions.workspaces["prod"].entities.len(), 3);
}

#[test]
fn fraud_detection_has_the_order_of_the_published_sample() {
    let definitions = fraud();
    let expected = "\
transaction_amount_is_high.transaction_amount_is_high int64
transaction_amount_is_higher_than_average.transaction_amount_is_higher_than_average int64
last_transaction_amount_sql.amount float64
transaction_amount_last_1000d.sum int64";
    assert_eq!(vector(&definitions, "fraud_detection_feature_service"), expected);
}

#[test]
fn fraud_bench_has_ten_features() {
    let expected = "\
last_transaction_amount.amount float64
user_profile.account_age_days int64
user_profile.country string
user_profile.verified boolean
user_risk.chargebacks int64
user_risk.last_merchant string
user_risk.score float64
user_transaction_counts.count_1d int64
user_transaction_counts.count_30d int64
user_transaction_counts.count_7d int64";
    assert_eq!(vector(&fraud(), "fraud_bench"), expected);
}

#[test]
fn delay_history_is_made_of_windows() {
    let definitions = flights();
    let mut expected = Vec::new();
    for view in ["carrier_delays", "plane_delays"] {
        for (function, data_type) in [("count", "int64"), ("max", "float64"), ("mean", "float64")] {
            for window in ["1d", "30d", "7d"] {
                expected.push(format!("{view}.departure_delay_minutes_{function}_{window}_1d {data_type}"));
            }
        }
    }
    assert_eq!(vector(&definitions, "delay_history"), expected.join("\n"));
    let workspace = &definitions.workspaces["prod"];
    assert_eq!(workspace.stream_sources["flights"].fields.len(), 8);
    assert_eq!(workspace.feature_views["plane_delays"].stream.as_deref(), Some("flights"));
}
