//! The report for people.

use std::io::{self, Write};

use super::{Percentiles, Report, StreamReport, client::Client};

pub(crate) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    head(report, out)?;
    let streams = if report.streams.len() > 1 { &report.streams[..] } else { &[] };
    for stream in streams.iter().chain([&report.total]) {
        counts(report, stream, out)?;
    }
    writeln!(out, "\n{:26} {}", "µs", COLUMNS.map(|c| format!("{c:>10}")).concat())?;
    for stream in streams.iter().chain([&report.total]) {
        let StreamReport { name, response_time_us, service_time_us, refusal_time_us, .. } = stream;
        if report.settings.mode == "open" {
            percentiles(&format!("{name} response time"), response_time_us, out)?;
        }
        percentiles(&format!("{name} service time"), service_time_us, out)?;
        percentiles(&format!("{name} time to a 429"), refusal_time_us, out)?;
    }
    client(report, &report.client, out)
}

fn head(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let asked = &report.settings;
    writeln!(out, "{}", asked.url)?;
    let steps: Vec<String> = asked.steps.iter().map(|s| format!("{}/s for {} s", s.rate_per_s, s.length_s)).collect();
    match asked.schedule {
        Some(schedule) => write!(out, "open loop, {schedule}: {}", steps.join(", "))?,
        None => write!(out, "closed loop for {} s: waiting callers are not in its latencies", report.measured_s)?,
    }
    writeln!(out, "; {} connections, {} request(s) under way on each", asked.connections, asked.pipeline)
}

fn counts(report: &Report, stream: &StreamReport, out: &mut impl Write) -> io::Result<()> {
    let counts = &stream.counts;
    writeln!(
        out,
        "\n{}: planned {} ({:.0}/s), sent {} ({:.0}/s), good {} ({:.0}/s)",
        stream.name,
        counts.planned,
        stream.planned_per_s,
        counts.sent,
        stream.sent_per_s,
        counts.good,
        stream.good_per_s
    )?;
    let mut line = |name: &str, count: u64, what: &str| {
        if count == 0 { Ok(()) } else { writeln!(out, "  {name:<12} {count:>12}  {what}") }
    };
    line("200", counts.full, "")?;
    line("200 partial", counts.partial, "with TIME_OUT in the body")?;
    if let Some(budget_ms) = report.settings.budget_ms {
        line("late", counts.late, &format!("200s beyond {budget_ms} ms from their sending"))?;
    }
    line("429", counts.refused, "")?;
    for (status, count) in &stream.other_statuses {
        line(&status.to_string(), *count, "")?;
    }
    line("errors", counts.errors, report.client.first_error.as_deref().unwrap_or_default())?;
    line("unanswered", counts.unanswered, "still under way at the end; in no percentile")?;
    line("shed", counts.shed, "dropped here unsent: the caller's patience had ended")?;
    line("unsent", counts.unsent, "never sent: the queue here was full, or the run was over")
}

fn percentiles(name: &str, p: &Percentiles, out: &mut impl Write) -> io::Result<()> {
    if p.count == 0 {
        return Ok(());
    }
    let values = [p.p50, p.p90, p.p99, p.p99_9, p.p99_99, p.max];
    writeln!(out, "{name:26} {}", values.map(|value| format!("{value:>10.1}")).concat())
}

fn client(report: &Report, client: &Client, out: &mut impl Write) -> io::Result<()> {
    percentiles("this client's lateness", &client.lateness_us, out)?;
    percentiles("this client's turns", &client.turn_us, out)?;
    if let Some(jitter) = &report.machine_jitter {
        percentiles(&format!("machine jitter, core {}", jitter.cpu), &jitter.late_us, out)?;
    }
    writeln!(
        out,
        "\nthis client: {:.1} % CPU, busy {:.1} % of the time ({:.1} % of its busiest second)",
        100.0 * client.cpu_share,
        100.0 * client.busy_share,
        100.0 * client.busiest_second_share
    )?;
    if client.reconnects + client.connect_failures > 0 {
        writeln!(out, "connections opened again: {}, failed attempts: {}", client.reconnects, client.connect_failures)?;
    }
    for reason in &client.reasons {
        writeln!(out, "THIS CLIENT WAS THE LIMIT, NOT THE SERVER: {reason}")?;
    }
    Ok(())
}

const COLUMNS: [&str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
