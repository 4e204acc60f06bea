#!/usr/bin/env bash
# How late answers are at the end of a latency budget: one view is slow (held back by simulation for 100 ms), so every budget below
# that ends while it is being read, and the answer has the other views and TIME_OUT for this one. Beside these requests runs ordinary
# load that waits for nothing, so that the core is busy when a deadline comes.
#
# Goal: beyond the budget p50 <= 0.1 ms and p99.9 <= 0.5 ms, less what the machine adds by itself (a thread that only watches the
# clock for as long, on the server's core before and on the client's core after each budget).
# Not the goal: what a request costs (compare.sh), the most a core can do (overload.sh).
#
# usage: benches/overshoot.sh [SECONDS_EACH=10] [LOAD_PERCENT=60] [USERS=100000]
# environment: SCHEDULER (what the server is started with, such as "chrt -f 1": no ordinary thread then takes its core), BUDGETS ("1 2 5 20"), DATA (target/overshoot), OUT (DATA/overshoot.json), GANNET, LOADGEN
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
each=${1:-10} load=${2:-60} users=${3:-100000}
data=${DATA:-$root/target/overshoot} budgets=${BUDGETS:-1 2 5 20}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet} loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
"$gannet" quickstart --data "$data" --users "$users" --load-only >/dev/null
printf '[simulate_slow_ms]\n"prod/user_risk" = 100\n' >"$data.toml"
${SCHEDULER:-} "$gannet" serve --data "$data" --config "$data.toml" --listen 127.0.0.1:8105 --cores 0 2>"$data-serve.log" & pid=$!
trap 'kill $pid 2>/dev/null || true' EXIT
until curl -sf -o /dev/null http://127.0.0.1:8105/readyz; do kill -0 $pid; sleep 0.05; done
url=http://127.0.0.1:8105/api/v1/feature-service/get-features
common=(--url "$url" --key quickstart --keys "uniform:$users" --key-format 'C{:010}')
# Bodies as files: a comma within a stream's option would end it.
cat >"$data-ordinary.body" <<'BODY'
{"params":{"workspaceName":"prod","featureViewName":"user_profile","joinKeyMap":{"user_id":"{key}"}}}
BODY
ordinary=@$data-ordinary.body

# What the core can do of the ordinary load, to be a share of it.
"$loadgen" "${common[@]}" --cpu 1 --closed --connections 64 --duration 2s --body "$ordinary" --json "$data-peak.json" >/dev/null
peak=$(python3 -c 'import json,sys; print(int(json.load(open(sys.argv[1]))["total"]["good_per_s"]))' "$data-peak.json")
echo "the core answers $peak ordinary requests/s; load: $load % of that, and 500 requests/s with a budget"
# The clock watched on the server's core, and on the client's by a client that has nothing to do, before and after.
jitter() { "$loadgen" "${common[@]}" --rate 10 --connections 1 --duration "${each}s" --cpu "$((1 - $1))" --jitter-thread "$1" --body "$ordinary" --json "$2" >/dev/null || true; }
for budget in $budgets; do
  jitter 0 "$data-jitter-0.json"
  echo '{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"{key}"},"requestOptions":{"latencyBudgetMs":'"$budget"'},"metadataOptions":{"includeServingStatus":true}}}' >"$data-budget.body"
  rate=$((peak * load / 100))
  rm -f "$data-$budget.json"
  curl -sf http://127.0.0.1:8105/metrics >"$data-metrics-before"
  "$loadgen" "${common[@]}" --cpu 1 --schedule poisson --rate $((rate + 500)) --duration "${each}s" --warmup 1s --connections 256 --expect-timeouts \
    --stream "name=ordinary,weight=$rate,body=$ordinary" --stream "name=budget,weight=500,body=@$data-budget.body" --json "$data-$budget.json" >"$data-$budget.txt" 2>&1 || [ -s "$data-$budget.json" ] || { cat "$data-$budget.txt" >&2; exit 1; }
  curl -sf http://127.0.0.1:8105/metrics >"$data-metrics-after"
  jitter 1 "$data-jitter-1.json"
  python3 - "$budget" "$data-$budget.json" "$data-jitter-0.json" "$data-jitter-1.json" <<'PY'
import json, sys
budget_ms, run, before, after = float(sys.argv[1]), *(json.load(open(path)) for path in sys.argv[2:])
stream = next(s for s in run["streams"] if s["name"] == "budget")
counts, times = stream["counts"], stream["service_time_us"]
beyond = {p: times[p] - budget_ms * 1000 for p in ("p50", "p99", "p99_9", "max")}
# An answer passes both cores, so it is late by either.
jitter = {p: sum(j["machine_jitter"]["late_us"][p] for j in (before, after)) for p in ("p50", "p99", "p99_9", "max")}
turns = run["client"]["turn_us"]
print(f"budget {budget_ms:g} ms: beyond it p50 {beyond['p50']/1e3:+.3f} p99 {beyond['p99']/1e3:+.3f} p99.9 {beyond['p99_9']/1e3:+.3f} max {beyond['max']/1e3:+.3f} ms"
      f"   TIME_OUT {counts['partial']} of {counts['sent']}, 429 {counts['refused']}, errors {counts['errors']}")
print(f"  the machine alone (the clock watched on both cores, added up): p50 {jitter['p50']/1e3:.3f} p99 {jitter['p99']/1e3:.3f} p99.9 {jitter['p99_9']/1e3:.3f} max {jitter['max']/1e3:.3f} ms;"
      f" the client's turns: p99.9 {turns['p99_9']/1e3:.3f} max {turns['max']/1e3:.3f} ms" + ("  CLIENT WAS THE LIMIT" if run["client"]["was_the_limit"] else ""))
PY
  "$root/benches/server_view.py" "$data-metrics-before" "$data-metrics-after"
done
