//! A warm core allocates nothing for the common requests.

use gannet_engine::{
    Finished, Service, Ticket,
    http::{Method, Request},
};
use gannet_store::Value::{Float64, Int64, Timestamp};

use crate::fixture::{GET_FEATURES, World, head, text};

const DEFINITIONS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[feature_views.a]
entity = "user"
timestamp = "t"
source = { parquet = "x.parquet" }
features = { x = "int64", y = "float64", z = "timestamp" }
[feature_views.b]
entity = "user"
timestamp = "t"
source = { parquet = "x.parquet" }
features = { s = "string" }
[feature_services.fs]
features = ["a", "b"]
"#;

#[test]
fn warm_requests_allocate_nothing() {
    let a = (0..100).map(|n| (vec![text(&format!("u{n}"))], n, vec![Int64(n), Float64(0.1), Timestamp(n)])).collect();
    let b = (0..100).map(|n| (vec![text(&format!("u{n}"))], n, vec![text("müßig \"x\"")])).collect();
    let mut world = World::new(DEFINITIONS, vec![("a", a), ("b", b)]);
    world.bring_in();
    let bodies: Vec<Vec<u8>> = (0..32)
        .flat_map(|n| {
            let key = format!("\"joinKeyMap\":{{\"user_id\":\"u{}\"}}", n * 5); // the last ones are not there
            let all = "\"includeNames\":true,\"includeEffectiveTimes\":true,\"includeDataTypes\":true,\
                       \"includeSloInfo\":true,\"includeServingStatus\":true";
            [
                format!("{{\"params\":{{\"featureServiceName\":\"fs\",{key}}}}}"),
                format!(
                    "{{\"params\":{{\"workspaceName\":\"prod\",\"featureServiceName\":\"fs\",{key},\
                     \"metadataOptions\":{{{all}}},\"requestOptions\":{{\"latencyBudgetMs\":\"200\",\"serverTiming\":true}}}}}}"
                ),
                format!("{{\"params\":{{\"featureViewName\":\"b\",{key}}}}}"),
                "{\"params\":{\"featureServiceName\":\"fs\",\"joinKeyMap\":{\"user_id\":\"\\u0041\\n\"}}}".to_owned(),
                "{\"params\":{\"featureServiceName\":\"fs\",\"joinKeyMap\":{}}}".to_owned(),
                "{\"params\":{\"featureServiceName\":\"nope\",\"joinKeyMap\":{}}}".to_owned(),
                "{\"params\":{\"featureServiceName\":5}}".to_owned(),
            ]
        })
        .map(String::into_bytes)
        .collect();
    let statuses = warm_statuses(&mut world, &bodies);
    assert_eq!(statuses, [0, 0, 128, 0, 96, 0]);
}

/// How often each kind of status was answered to these requests, in a turn that allocated nothing.
pub(crate) fn warm_statuses(world: &mut World, bodies: &[Vec<u8>]) -> [usize; 6] {
    let mut buffers = bodies.to_vec();
    let mut tickets = vec![Ticket(0); bodies.len()];
    let mut out = Vec::with_capacity(1 << 20);
    let mut turn = |world: &mut World| {
        for (buffer, body) in buffers.iter_mut().zip(bodies) {
            buffer.copy_from_slice(body);
        }
        out.clear();
        world.now.monotonic_ns += 60_000_000;
        world.core.turn(world.now);
        for (ticket, body) in tickets.iter_mut().zip(&mut buffers) {
            let head = head(Method::Post, GET_FEATURES);
            *ticket =
                world.core.begin(world.now, Request { head, body, seen_ns: world.now.monotonic_ns, asked: false });
        }
        world.core.gather(world.now);
        let mut statuses = [0; 6];
        for ticket in &tickets {
            let Finished::Answer(answer) = world.core.finish(world.now, *ticket, &mut out) else {
                panic!("all is there")
            };
            statuses[usize::from(answer.status.0 / 100)] += 1;
        }
        world.core.turned(world.now);
        statuses
    };
    turn(world);
    turn(world);
    let mut statuses = [0; 6];
    let counter_works = allocation_counter::measure(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(64))));
    assert_eq!(counter_works.count_total, 1);
    let counted = allocation_counter::measure(|| statuses = turn(world));
    assert_eq!(counted.count_total, 0);
    statuses
}
