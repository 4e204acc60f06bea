use proptest::prelude::*;

use super::*;

/// Decodes and shows what was understood, or the message.
fn decoded(body: &str) -> String {
    let mut body = body.as_bytes().to_vec();
    let mut decoder = Decoder::new();
    let decoded = match decoder.decode(&mut body) {
        Ok(decoded) => decoded,
        Err(fault) => return fault.to_string(),
    };
    let text = |span: Span| String::from_utf8(span.of(decoded.body).to_vec()).unwrap();
    let kind = match decoded.query.locator {
        Locator::Service(_) => "service",
        Locator::ServiceId(_) => "service id",
        Locator::View(_) => "view",
        Locator::ViewId(_) => "view id",
    };
    let mut shown = format!(
        "{kind} {} in {}",
        text(decoded.query.locator.span()),
        decoded.query.workspace.map_or_else(|| "default".to_owned(), text)
    );
    for key in decoded.keys {
        let value = match key.value {
            KeyValue::Text(span) => text(span),
            value => format!("{value:?}"),
        };
        shown += &format!(" {}={value}/{:?}", text(key.name), decoded.int64(key));
    }
    if let Some(metadata) = decoded.query.metadata {
        for (name, option) in MetadataOptions::ALL {
            if metadata.has(option) {
                shown += &format!(" {}", &name["include".len()..]);
            }
        }
    }
    if let Some(edge) = decoded.query.leading_edge {
        shown += &format!(" {edge:?}");
    }
    if decoded.query.coerce_null_counts_to_zero {
        shown += " counts coerced";
    }
    if let Some(fault) = decoded.option_fault {
        shown += &format!(" but {fault}");
    }
    shown
}

#[track_caller]
fn check(params: &str, expected: &str) {
    assert_eq!(decoded(&format!("{{\"params\":{params}}}")), expected);
}

#[test]
fn both_spellings_are_read_even_mixed_and_the_unknown_is_ignored() {
    check(
        r#"{"workspaceName":"w","featureServiceName":"fs:v2","joinKeyMap":{"user_id":"a","n":5,"z":null},
        "requestContextMap":{"amt":5.0},"allowPartialResults":false,"metadataOptions":{"includeNames":true},
        "requestOptions":{"latencyBudgetMs":200}}"#,
        "service fs:v2 in w user_id=a/None n=Int64(5)/Some(5) z=Null/None Names",
    );
    check(
        r#"{"feature_service_name":"fs","join_key_map":{"user_id":"1"},"request_context_map":{},"x":{"params":[1,{}]},
        "metadata_options":{"include_names":true,"includeDataTypes":true,"include_x":3,"include_slo_info":false},
        "requestOptions":{"latency_budget_ms":"0.5","x":[[]]},"isCallerBatch":"?","allow_partial_results":null,
        "workspace_name":"w"}"#,
        "service fs in w user_id=1/Some(1) Names DataTypes",
    );
    check(r#"{"featureServiceId":"00ff","metadataOptions":null,"joinKeyMap":null}"#, "service id 00ff in default");
    check(r#"{"featureViewName":"v","workspaceName":null,"featureServiceName":null}"#, "view v in default");
    check(r#"{"feature_view_id":"00"}"#, "view id 00 in default");
    check(
        r#"{"featureService\u004eame":"a\"\n\u00e4","joinKeyMap":{"\u006b":"\u0031"}}"#,
        "service a\"\nä in default k=1/Some(1)",
    );
}

#[test]
fn params_must_be_an_object() {
    assert_eq!(decoded("{}"), "Missing field: params");
    assert_eq!(decoded("[]"), "Missing field: params");
    assert_eq!(decoded(r#"{"params":null}"#), "Missing field: params");
    assert_eq!(decoded(r#"{"params":[]}"#), "Unexpected JSON type for params. Expected object.");
    assert_eq!(decoded(r#"{"params":{},"params":{}}"#), "Duplicate field: params");
    assert_eq!(decoded(""), "Invalid JSON in request body: empty body at byte 0");
}

#[test]
fn exactly_one_locator_is_asked_for() {
    let locator = "Exactly one of featureServiceName and featureServiceId must be set.";
    check("{}", locator);
    check(r#"{"featureServiceName":"a","featureServiceId":"b"}"#, locator);
    check(r#"{"featureServiceName":"a","feature_view_name":"b"}"#, locator);
    check(r#"{"featureServiceName":"a","feature_package_name":"b"}"#, locator);
    check(r#"{"featurePackageName":"a"}"#, "FeaturePackage locators are not supported.");
    check(r#"{"feature_package_id":"a"}"#, "FeaturePackage locators are not supported.");
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    check(r#"{"workspaceName":"a","workspace_name":"a"}"#, "Duplicate field: workspaceName");
    check(r#"{"join_key_map":{},"join_key_map":{}}"#, "Duplicate field: joinKeyMap");
    check(r#"{"joinKeyMap":{"a":1,"b":2,"\u0061":1}}"#, "Duplicate field: a");
    check(r#"{"requestContextMap":{"a":1,"a":2}}"#, "Duplicate field: a");
    check(r#"{"metadataOptions":{"includeNames":true,"include_names":true}}"#, "Duplicate field: includeNames");
    check(r#"{"requestOptions":{"latencyBudgetMs":1,"latencyBudgetMs":1}}"#, "Duplicate field: latencyBudgetMs");
    check(r#"{"unknown":1,"unknown":2,"featureServiceName":"a"}"#, "service a in default");
    let mut many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
    many.extend(["\"k70\":0".to_owned(), "\"k3\":0".to_owned()]);
    check(&format!("{{\"joinKeyMap\":{{{}}}}}", many.join(",")), "Duplicate field: k70");
}

#[test]
fn fields_of_the_wrong_kind_are_named() {
    for (field, expected) in [
        ("featureServiceName", "string"),
        ("featureViewId", "string"),
        ("workspaceName", "string"),
        ("featurePackageName", "string"),
        ("joinKeyMap", "object"),
        ("requestContextMap", "object"),
        ("metadataOptions", "object"),
        ("requestOptions", "object"),
        ("allowPartialResults", "boolean"),
    ] {
        let message = format!("Unexpected JSON type for {field}. Expected {expected}.");
        check(&format!("{{\"{field}\":5}}"), &message);
        check(&format!("{{\"{field}\":[]}}"), &message);
    }
}

#[test]
fn faults_of_options_are_kept_for_last() {
    let budget = "latencyBudgetMs must be a number of milliseconds from 0.1 to 60000.";
    let options = |options: &str, fault: &str| {
        let expected = if fault.is_empty() { String::new() } else { format!(" but {fault}") };
        check(
            &format!("{{\"featureServiceName\":\"a\",\"requestOptions\":{options}}}"),
            &format!("service a in default{expected}"),
        );
    };
    for accepted in
        ["0.1", "60000", "\"200\"", "200.0", "1e3", "\"0.25\"", "\"1e3\"", "\"60000\"", "\"0.1\"", "6e4", "null"]
    {
        options(&format!("{{\"latencyBudgetMs\":{accepted}}}"), "");
    }
    for refused in [
        "0",
        "0.0",
        "-0",
        "-5",
        "60001",
        "60000.0001",
        "0.09",
        "0.0999999",
        "1e300",
        "9223372036854775808",
        "true",
        "false",
        "[]",
        "[200]",
        "{}",
        "\"\"",
        "\" 5\"",
        "\"5 \"",
        "\"+5\"",
        "\"-5\"",
        "\".5\"",
        "\"5.\"",
        "\"0\"",
        "\"60001\"",
        "\"x\"",
        "\"abc\"",
        "\"5ms\"",
        "\"NaN\"",
        "\"inf\"",
        "\"Infinity\"",
        "\"1e\"",
        "\"0x5\"",
        "\"true\"",
    ] {
        options(&format!("{{\"latencyBudgetMs\":{refused}}}"), budget);
    }
    options(r#"{"aggregationLeadingEdge":"AGGREGATION_MODE_UNSPECIFIED","coerceNullCountsToZero":false}"#, "");
    options(r#"{"aggregation_leading_edge":null,"coerce_null_counts_to_zero":null}"#, "");
    check(
        r#"{"featureServiceName":"a","requestOptions":{"aggregationLeadingEdge":"AGGREGATION_MODE_WALL_CLOCK_TIME"}}"#,
        "service a in default WallClock",
    );
    check(
        r#"{"featureServiceName":"a","requestOptions":{"aggregation_leading_edge":"AGGREGATION_MODE_LATEST_EVENT_TIME",
        "coerceNullCountsToZero":true}}"#,
        "service a in default LatestEventTime counts coerced",
    );
    options(
        r#"{"aggregation_leading_edge":"WALL_CLOCK"}"#,
        "Unexpected value for aggregationLeadingEdge. Expected one of: AGGREGATION_MODE_UNSPECIFIED, \
         AGGREGATION_MODE_WALL_CLOCK_TIME, AGGREGATION_MODE_LATEST_EVENT_TIME.",
    );
    options(r#"{"serverTiming":1}"#, "Unexpected JSON type for serverTiming. Expected boolean.");
    options(r#"{"read_from_cache":"true"}"#, "Unexpected JSON type for readFromCache. Expected boolean.");
    options(r#"{"readFromCache":1,"latencyBudgetMs":0}"#, "Unexpected JSON type for readFromCache. Expected boolean.");
    check(
        r#"{"featureServiceName":"a","metadataOptions":{"includeNames":"True"}}"#,
        "service a in default but Unexpected JSON type for includeNames. Expected boolean.",
    );
}

#[test]
fn int64_keys_do_not_pass_through_a_double() {
    check(
        r#"{"featureServiceName":"a","joinKeyMap":{"a":9007199254740993.0,"b":9223372036854775808,"c" : -5e0 ,"d":5.5}}"#,
        "service a in default a=Number/Some(9007199254740993) b=Number/None c=Number/Some(-5) d=Number/None",
    );
    check(
        r#"{"featureServiceName":"a","joinKeyMap":{"\u0061":1.0,"b\\\"":true,"":{"x":1},"d":"1.0","e":1e40}}"#,
        "service a in default a=Number/Some(1) b\\\"=Other/None =Other/None d=1.0/None e=Number/None",
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(mut body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::new();
        let _any = decoder.decode(&mut body).map(|decoded| decoded.keys.len());
    }

    #[test]
    fn damaged_requests_are_decoded_or_refused(
        place in 0..200usize, byte in any::<u8>(), cut in 0..260usize, escape in 0..200usize,
    ) {
        let mut body = br#"{"params":{"workspaceName":"prod","featureServiceName":"f\u0073","joinKeyMap":{"user_id":"C1\n","n":5.0},
            "metadataOptions":{"includeNames":true},"requestOptions":{"latencyBudgetMs":"200"}}}"#.to_vec();
        let place = place % body.len();
        body[place] = byte;
        let escape = escape % body.len();
        body[escape] = b'\\';
        body.truncate(cut);
        let mut decoder = Decoder::new();
        let shown = match decoder.decode(&mut body) {
            Ok(decoded) => decoded.keys.iter().filter_map(|key| decoded.int64(key)).count().to_string(),
            Err(fault) => fault.to_string(),
        };
        prop_assert!(!shown.is_empty());
    }
}
