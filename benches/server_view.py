#!/usr/bin/env python3
"""What the server itself says of a run, beside what its client saw: from /metrics before and after it.

usage: server_view.py BEFORE AFTER   one line: answers by status, how long from seen to answered, refusals, what was held

Durations are those of buckets, so as exact as their bounds. Nothing but the standard library.
"""
import re
import sys


def samples(file):
    """Sums over cores, services and views, by name and by the label that is asked for below."""
    sums = {}
    for line in open(file):
        if line[:1] in "#\n":
            continue
        name, value = line.rsplit(" ", 1)
        family, _, labels = name.partition("{")
        label = re.search(r'\b(le|code|reason|criticality)="([^"]*)"', labels)
        key = (family, label.group(2) if label else "")
        sums[key] = sums.get(key, 0.0) + float(value)
    return sums


def main():
    before, after = samples(sys.argv[1]), samples(sys.argv[2])
    grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
    of = lambda family: {label: count for (name, label), count in grown.items() if name == family and count}
    buckets = sorted((float(le), count) for le, count in of("gannet_request_duration_seconds_bucket").items())
    total = buckets[-1][1] if buckets else 0

    def below_us(share):
        bound = next((le for le, count in buckets if count >= share * total), 0.0)
        return "∞" if bound == float("inf") else f"{bound * 1e6:.0f}"

    codes = ", ".join(f"{code}: {count:.0f}" for code, count in sorted(of("gannet_requests_total").items()))
    shed = {}
    for criticality in ("critical", "default", "sheddable"):
        for reason, count in of(f"gannet_shed_{criticality}_total").items():
            shed[f"{criticality} {reason}"] = count
    held = of("gannet_admission_held_total")
    parts = [f"answers {codes or 'none'}", f"seen to answered p50 <= {below_us(0.5)}, p99 <= {below_us(0.99)}, p99.9 <= {below_us(0.999)} µs"]
    if shed:
        parts.append("refused " + ", ".join(f"{reason}: {count:.0f}" for reason, count in shed.items()))
    if held:
        parts.append(f"held {sum(held.values()):.0f} times")
    print("     the server's view: " + "; ".join(parts))


if __name__ == "__main__":
    main()
