//! What `/metrics` shows.

use std::collections::{HashMap, HashSet};

use gannet_engine::http::{Head, Method};
use gannet_store::{Value::Int64, plane::Failure};

use crate::{
    fixture::{GET_FEATURES, SAMPLE_US, World, head, text},
    writing::{Writing, records},
};

const DEFINITIONS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[feature_views."v:2"]
entity = "user"
timestamp = "t"
ttl = "1h"
source = { parquet = "x.parquet" }
features = { x = "int64" }
[feature_services.fs]
features = ["v:2"]
"#;

fn scrape(world: &mut World) -> String {
    world.now.monotonic_ns += 200_000_000;
    let probe = Head { authorization: None, ..head(Method::Get, "/metrics") };
    world.ask(probe, b""); // its turn publishes what was recorded before
    world.ask(probe, b"").1
}

#[test]
fn requests_are_counted_by_what_became_of_them() {
    let rows = vec![(vec![text("u")], SAMPLE_US, vec![Int64(1)]), (vec![text("old")], 0, vec![Int64(1)])];
    let mut world = World::new(DEFINITIONS, vec![("v:2", rows)]);
    for user in ["\"u\"", "\"old\"", "\"nobody\"", "null", "5"] {
        let params = format!(
            "{{\"params\":{{\"featureServiceName\":\"fs\",\"joinKeyMap\":{{\"user_id\":{user}}},\"requestContextMap\":{{\"a\":1,\"b\":2}}}}}}"
        );
        world.get_features(&params);
    }
    world.get_features("{");
    world.ask(Head { authorization: None, ..head(Method::Post, GET_FEATURES) }, b"");
    let text = scrape(&mut world);
    for line in [
        "gannet_requests_total{workspace=\"prod\",feature_service=\"fs\",code=\"200\"} 4",
        "gannet_requests_total{workspace=\"prod\",feature_service=\"fs\",code=\"400\"} 1",
        "gannet_requests_total{workspace=\"\",feature_service=\"\",code=\"400\"} 1",
        "gannet_requests_total{workspace=\"\",feature_service=\"\",code=\"401\"} 1",
        "gannet_feature_view_lookups_total{workspace=\"prod\",feature_view=\"v:2\",status=\"present\"} 1",
        "gannet_feature_view_lookups_total{workspace=\"prod\",feature_view=\"v:2\",status=\"missing\"} 2",
        "gannet_feature_view_lookups_total{workspace=\"prod\",feature_view=\"v:2\",status=\"expired\"} 1",
        "gannet_authentication_failures_total{reason=\"missing\"} 1",
        "gannet_request_decode_errors_total 1",
        "gannet_request_context_keys_ignored_total 8",
        "gannet_request_duration_seconds_bucket{le=\"0.00005\"} 7",
        "gannet_request_duration_seconds_bucket{le=\"+Inf\"} 7",
        "gannet_request_duration_seconds_sum 0.000350000",
        "gannet_request_duration_seconds_count 7",
        "gannet_generation 7",
        "gannet_ready 1",
        "gannet_keys 1",
        "gannet_feature_services 1",
        "gannet_feature_view_rows{workspace=\"prod\",feature_view=\"v:2\",level=\"base\"} 2",
        "gannet_feature_view_event_time_max_seconds{workspace=\"prod\",feature_view=\"v:2\"} 1629509038.996000",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn the_exposition_is_well_formed() {
    let mut world = World::new(DEFINITIONS, vec![("v:2", vec![])]);
    let text = scrape(&mut world);
    let (mut kinds, mut series, mut finished) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut current = String::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert_eq!(name, current, "HELP comes first");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
            assert!(kind != "counter" || name.ends_with("_total"), "{name}");
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.ends_with('.') && finished.insert(name.to_owned()), "{line}");
            current = name.to_owned();
        } else {
            let (named, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(named.to_owned()), "{named} is there twice");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = named.split('{').next().unwrap();
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(name == current || histogram == Some(current.as_str()), "{line} under {current}");
        }
    }
    assert!(kinds.len() > 10);
}

#[test]
fn tectons_dashboards_find_their_names() {
    let rows = vec![(vec![text("u")], SAMPLE_US, vec![Int64(1)])];
    let mut world = World::new(DEFINITIONS, vec![("v:2", rows)]);
    world.bring_in();
    world.shared.look_at_rates(world.now);
    let ask = |world: &mut World, service: &str| {
        world.get_features(&format!(
            "{{\"params\":{{\"featureServiceName\":\"{service}\",\"joinKeyMap\":{{\"user_id\":\"u\"}}}}}}"
        ))
    };
    for _ in 0..90 {
        assert_eq!(ask(&mut world, "fs").0, 200);
    }
    for _ in 0..10 {
        assert_eq!(ask(&mut world, "nowhere").0, 404);
    }
    for path in ["/api/v1/observability/metrics", "/v1/observability/metrics"] {
        let denied = world.ask(Head { authorization: None, ..head(Method::Get, path) }, b"").0;
        assert_eq!((denied.status.0, denied.authenticate), (401, Some("Tecton-key")));
    }
    scrape(&mut world);
    world.now.monotonic_ns = 100_000_950_000; // rendered 50 µs later: 102 answers in 100 s
    let (answer, text) = world.ask(head(Method::Get, "/v1/observability/metrics"), b"");
    assert_eq!((answer.status.0, answer.content), (200, gannet_engine::Content::OpenMetrics));
    let id = gannet_service_id("prod/fs");
    let service = format!("feature_service_id=\"{id}\",feature_service_name=\"fs\"");
    for line in [
        "feature_service_requests_total_rate{aws_region=\"local\"} 1.02".to_owned(),
        format!("feature_service_requests_rate{{aws_region=\"local\",{service}}} 0.9"),
        "feature_service_total_latency_count 102".to_owned(),
        format!("feature_service_latency{{{service},quantile=\"0.99\"}} 0.0000495"),
        format!("feature_service_latency_sum{{{service}}} 0.0045"),
        format!("feature_service_latency_count{{{service}}} 90"),
        "feature_server_errors_rate{status=\"404\"} 9.803921568627452".to_owned(),
        "feature_server_errors_rate{status=\"401\"} 1.9607843137254901".to_owned(),
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    assert!(text.contains("feature_service_total_latency{quantile=\"0.99\"} 0.0000"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[test]
fn tectons_dashboards_find_what_is_written() {
    let mut writing = Writing::new();
    writing.world.shared.look_at_rates(writing.world.now);
    let ingest = head(Method::Post, "/ingest");
    let record = r#"{"record":{"user_id":"u","at":"2021-08-21T01:23:58Z"}}"#;
    let body = records("clicks", &format!("{record},{record}"));
    for _ in 0..10 {
        writing.write(ingest, &body);
    }
    writing.waits(&body);
    let taken = writing.take();
    assert_eq!(writing.give(taken, Err(Failure::DiskFull))[0].0.status.0, 503);
    for _ in 0..3 {
        assert_eq!(writing.told(ingest, "{").0.status.0, 400);
    }
    writing.world.now.monotonic_ns = 100_000_950_000; // rendered 50 µs later, 100 s after the look
    let (_, text) = writing.world.ask(head(Method::Get, "/v1/observability/metrics"), b"");
    let id = gannet_service_id("prod/sums");
    let view = format!("{{workspace=\"prod\",feature_view_name=\"sums\",feature_view_id=\"{id}\"}}");
    for line in [
        "stream_ingestapi_request_rate{aws_region=\"local\"} 0.14".to_owned(),
        "stream_ingestapi_request_processing_latency{aws_region=\"local\",quantile=\"0.5\"} 0.0034090909090909094"
            .to_owned(),
        "stream_ingestapi_request_processing_latency_sum{aws_region=\"local\"} 0.033".to_owned(),
        "stream_ingestapi_request_processing_latency_count{aws_region=\"local\"} 14".to_owned(),
        "stream_ingestapi_request_processing_error_rate{aws_region=\"local\",error_code=\"4xx\"} 0.03".to_owned(),
        "stream_ingestapi_request_processing_error_rate{aws_region=\"local\",error_code=\"5xx\"} 0.01".to_owned(),
        format!("stream_ingestapi_online_store_write_rate{view} 0.2"),
        format!("stream_ingestapi_offline_store_write_rate{view} 0"),
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    assert!(!text.contains("feature_view_name=\"visits\""), "nobody wrote to it: {text}");
}

fn gannet_service_id(name: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(name.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
