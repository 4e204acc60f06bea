//! Our own fields, `Gannet-…`: what a service is told of them.

use crate::{
    http::{Inbound, Step, Unclear},
    limits::Limits,
};

#[test]
fn only_a_one_asks_for_server_timing() {
    let check = |field: &str, expected: bool| {
        let mut bytes = format!("GET /x HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n").into_bytes();
        let mut connection = Inbound::new();
        let Step::Request { head, .. } = connection.next(&Limits::default(), &mut bytes) else { panic!("{field}") };
        assert_eq!(head.server_timing, expected, "{field}");
    };
    check("Gannet-Server-Timing: 1", true);
    check("gannet-server-timing:  1 ", true);
    check("GANNET-SERVER-TIMING: 1", true);
    check("Gannet-Server-Timing: 0", false);
    check("Gannet-Server-Timing:", false);
    check("Gannet-Server-Timing: yes", false);
    check("Gannet-Server-Timinh: 1", false);
    check("Server-Timing: 1", false);
}

#[test]
fn criticality_and_budget_are_found_in_the_head() {
    use crate::admission::Criticality::{Critical, Default as Ordinary, Sheddable};
    let check = |fields: &str, criticality, budget: Option<&str>| {
        let mut bytes = format!("GET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes();
        let mut connection = Inbound::new();
        let Step::Request { head, .. } = connection.next(&Limits::default(), &mut bytes) else { panic!("{fields}") };
        assert_eq!((head.criticality, head.latency_budget_ms), (criticality, budget.map(str::as_bytes)), "{fields}");
        assert_eq!(head.unclear, None, "{fields}");
    };
    check("", None, None);
    check("Gannet-Criticality: critical\r\n", Some(Critical), None);
    check("gannet-criticality:  DEFAULT \r\n", Some(Ordinary), None);
    check("GANNET-CRITICALITY: Sheddable\r\n", Some(Sheddable), None);
    check("Gannet-Criticality: sheddable\r\nGannet-Criticality: critical\r\n", Some(Sheddable), None);
    check("Gannet-Criticality: critical\r\nGannet-Criticality: default\r\n", Some(Ordinary), None);
    check("Gannet-Latency-Budget-Ms:  7.5 \r\n", None, Some("7.5"));
    check("gannet-latency-budget-ms: soon\r\nGannet-Criticality: critical\r\n", Some(Critical), Some("soon"));
}

#[test]
fn what_cannot_be_meant_by_criticality_and_budget_is_found_in_the_head() {
    let check = |fields: &str, unclear| {
        let mut bytes = format!("GET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes();
        let mut connection = Inbound::new();
        let Step::Request { head, .. } = connection.next(&Limits::default(), &mut bytes) else { panic!("{fields}") };
        assert_eq!(head.unclear, Some(unclear), "{fields}");
    };
    for unknown in ["", "high", "critical,sheddable", "critical x"] {
        check(&format!("Gannet-Criticality: {unknown}\r\n"), Unclear::Criticality(unknown.as_bytes()));
    }
    check("Gannet-Criticality: critical\r\ngannet-criticality:  what \r\n", Unclear::Criticality(b"what"));
    check("Gannet-Criticality: what\r\nGannet-Criticality: critical\r\n", Unclear::Criticality(b"what"));
    let twice = |first, second| Unclear::LatencyBudgetTwice { first, second };
    check("Gannet-Latency-Budget-Ms: 5\r\ngannet-latency-budget-ms:  7 \r\n", twice(b"5", b"7"));
    check("Gannet-Latency-Budget-Ms: 5\r\nGannet-Latency-Budget-Ms: 5\r\n", twice(b"5", b"5"));
    // The first is told, and of three budgets the first two.
    let three = "Gannet-Latency-Budget-Ms: 5\r\n".repeat(2) + "Gannet-Latency-Budget-Ms: 6\r\n";
    check(&(three.clone() + "Gannet-Criticality: high\r\n"), twice(b"5", b"5"));
    check(&("Gannet-Criticality: high\r\n".to_owned() + &three), Unclear::Criticality(b"high"));
}
