#!/usr/bin/env bash
# What is left of a core that is offered more than it can do: an ordinary service, for which refusing costs nearly as much as
# answering, and a costly one (8,000 features, whose answer costs a hundred refusals). Open loop; one request in flight per
# connection; callers whose request could not be sent within 20 ms give up. Once more with a latency budget on every request, in its
# body alone, where the gate cannot see it, and in its head as well: how many answers came later than that.
#
# Goals, as shares of the peak: ordinary >= 90 % at 2 x and >= 80 % at 10 x, costly >= 95 % and >= 85 %; the p99 of those let in at most
# twice its value at 80 % load; back to normal within 50 ms of the end; critical requests at half of the capacity lose nothing.
# Not the goal: quick refusals (who is held waits for its 429).
#
# usage: benches/overload.sh [SECONDS_EACH=6] [USERS=100000]
# environment: CAP (percent of its core that the server gets, by a control group: one client core cannot offer ten times what an
#   uncapped ordinary service can do), SERVICES ("ordinary costly"), CONNECTIONS ("256 2000"), FACTORS ("2 10"), BUDGET_MS (20), PORT (8106), DATA (target/overload), GANNET, LOADGEN
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
each=${1:-6} users=${2:-100000} port=${PORT:-8106} budget_ms=${BUDGET_MS:-20}
data=${DATA:-$root/target/overload}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet} loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
ulimit -n "$(ulimit -Hn)" || true
if [ ! -e "$data/CURRENT" ]; then
  "$gannet" quickstart --data "$data" --users "$users" --load-only >/dev/null
fi
# The costly service: two views of 4,000 features for a hundred users.
wide=$data-wide
if [ ! -e "$wide/data/CURRENT" ]; then
  mkdir -p "$wide/definitions"
  python3 - "$wide" <<'PY'
import sys
folder = sys.argv[1]
names = [f"f{i:04}" for i in range(4000)]
with open(f"{folder}/definitions/wide.toml", "w") as out:
    out.write('workspace = "prod"\n[entities.user]\njoin_keys = { user_id = "string" }\n')
    for view in ("wide_a", "wide_b"):
        out.write(f'[feature_views.{view}]\nentity = "user"\ntimestamp = "at"\nsource = {{ csv = "{folder}/{view}.csv" }}\nfeatures = {{ ')
        out.write(", ".join(f'{name} = "int64"' for name in names) + " }\n")
        with open(f"{folder}/{view}.csv", "w") as rows:
            rows.write("user_id,at," + ",".join(names) + "\n")
            for user in range(100):
                rows.write(f"C{user:010},2026-01-01T00:00:00Z," + ",".join(str(user * i % 100003) for i in range(4000)) + "\n")
    out.write('[feature_services.wide]\nfeatures = ["wide_a", "wide_b"]\n')
PY
  "$gannet" apply --data "$wide/data" "$wide/definitions" >/dev/null
  "$gannet" materialize --data "$wide/data" >/dev/null
  cp "$data/keys" "$wide/data/keys"
fi
pid=
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }; pid=; }
finish() { stop; [ -z "${group:-}" ] || rmdir "$group" 2>/dev/null || true; }
trap finish EXIT
serve() { # DATA [CONFIG]
  stop
  "$gannet" serve --data "$1" ${2:+--config "$2"} --listen 127.0.0.1:$port --cores 0 2>"$data-serve.log" & pid=$!
  until curl -sf -o /dev/null http://127.0.0.1:$port/readyz; do kill -0 $pid; sleep 0.05; done
  if [ -n "${CAP:-}" ]; then cap; fi
}
group=
cap() { # The period is short, so that being throttled does not look like a stall.
  if [ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
    group=/sys/fs/cgroup/cpu/gannet-overload-$port
    mkdir -p $group && echo 5000 >$group/cpu.cfs_period_us && echo $((50 * CAP)) >$group/cpu.cfs_quota_us
  else
    group=/sys/fs/cgroup/gannet-overload-$port
    echo +cpu >/sys/fs/cgroup/cgroup.subtree_control && mkdir -p $group && echo "$((50 * CAP)) 5000" >$group/cpu.max
  fi
  echo "$pid" >$group/cgroup.procs
}
printf '[admission]\nenabled = false\n' >"$data-open.toml"
url=http://127.0.0.1:$port/api/v1/feature-service/get-features
number() { python3 -c 'import json,sys; print(int(eval("json.load(open(sys.argv[1]))" + sys.argv[2])))' "$@"; }
for service in ${SERVICES:-ordinary costly}; do
  case $service in
    ordinary) folder=$data keys="uniform:$users" body='{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"{key}"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}' ;;
    costly) folder=$wide/data keys=uniform:100 body='{"params":{"workspaceName":"prod","featureServiceName":"wide","joinKeyMap":{"user_id":"{key}"}}}' ;;
  esac
  # As files: a comma within a stream's option would end it.
  echo "$body" >"$data.body"
  echo "${body/%\}\}/,\"requestOptions\":{\"latencyBudgetMs\":$budget_ms\}\}\}}" >"$data-budget.body"
  body=@$data.body
  common=(--url "$url" --key quickstart --cpu 1 --keys "$keys" --key-format 'C{:010}')
  # What was measured before is not taken for what failed now. (That some are refused is a client's exit code, too.)
  load() { # OUT.json ARGUMENTS...
    rm -f "$1"
    "$loadgen" "${common[@]}" --json "$@" >"$data-run.txt" 2>&1 || [ -s "$1" ] || { cat "$data-run.txt" >&2; exit 1; }
  }
  run() { load "$data-run.json" --schedule poisson --shed-after 20 --warmup 1s "$@"; }
  snapshot() { curl -sf "http://127.0.0.1:$port/metrics" >"$data-metrics-$1"; }
  for connections in ${CONNECTIONS:-256 2000}; do
    # What the core can do and how long requests take depends on how many connections there are.
    serve "$folder" "$data-open.toml"
    load "$data-peak.json" --closed --connections "$connections" --duration "${each}s" --warmup 1s --body "$body"
    peak=$(number "$data-peak.json" '["total"]["good_per_s"]')
    serve "$folder"
    run --connections "$connections" --rate $((peak * 8 / 10)) --duration "${each}s" --body "$body"
    cp "$data-run.json" "$data-usual.json"
    python3 - "$service" "$connections" "$peak" "$data-usual.json" <<'PY'
import json, sys
usual = json.load(open(sys.argv[4])); times = usual["total"]["service_time_us"]
print(f"{sys.argv[1]} over {sys.argv[2]}: peak {sys.argv[3]} answers/s (closed loop, nothing refused); at 80 %: p50 {times['p50']/1e3:.3f} p99 {times['p99']/1e3:.3f} p99.9 {times['p99_9']/1e3:.3f} ms, "
      f"429 {usual['total']['counts']['refused']}" + ("  CLIENT WAS THE LIMIT" if usual["client"]["was_the_limit"] else ""))
PY
    for factor in ${FACTORS:-2 10}; do
      snapshot before
      run --connections "$connections" --duration "${each}s" --rate $((peak * factor)) --body "$body"
      snapshot after
      cp "$data-run.json" "$data-over.json"
      # With a budget: in the body alone, and in the head as well.
      with_budget() { # OUT.json ARGUMENTS...
        load "$1" --schedule poisson --shed-after 20 --warmup 1s --connections "$connections" --duration "${each}s" --rate $((peak * factor)) --budget-ms "$budget_ms" \
          --body "@$data-budget.body" "${@:2}"
      }
      with_budget "$data-in-body.json"
      with_budget "$data-in-head.json" --header "Gannet-Latency-Budget-Ms: $budget_ms"
      # Usual load, the overload, and usual load again: how soon it is as before. The overload ends 50 ms before a stretch of the series does.
      load "$data-step-$service-$connections-$factor.json" --schedule poisson --shed-after 20 --connections "$connections" --steps "$((peak * 8 / 10)):2s,$((peak * factor)):1950ms,$((peak * 8 / 10)):3050ms" \
        --body "$body"
      # Critical requests at half of the capacity beside the rest, over a fourth of the connections, which are theirs.
      load "$data-critical.json" --schedule poisson --shed-after 20 --connections $((connections * 3 / 4)) --duration "${each}s" --warmup 1s --rate $((peak * factor)) \
        --stream "name=critical,weight=5,connections=$((connections / 4)),header=Gannet-Criticality: critical,body=$body" --stream "name=rest,weight=$((factor * 10 - 5)),body=$body"
      python3 - "$service" "$connections" "$factor" "$peak" "$budget_ms" "$data-in-body.json" "$data-in-head.json" "$data-usual.json" "$data-over.json" "$data-step-$service-$connections-$factor.json" "$data-critical.json" <<'PY'
import json, sys
service, connections, factor, peak = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
budget_ms, in_body, in_head, usual, run, step, critical = sys.argv[5], *(json.load(open(path)) for path in sys.argv[6:])
total, times, before = run["total"], run["total"]["service_time_us"], usual["total"]["service_time_us"]
rows = step["series"]["streams"][0]["per_100ms"]
# As before: no more is lost, and nobody waits longer, than in twice the worst stretch of usual load before, where this machine stalls as well.
lost_of = lambda row: row["refused"] + row["shed"] + row["unsent"]
normal = [row for row in rows if row["start_ms"] < 2000]
bad, slow = max(map(lost_of, normal)), 2 * max(row["p99_us"] or 0 for row in normal)
after = [row for row in rows if row["start_ms"] >= 4000]
well = lambda row: lost_of(row) <= 2 * bad and (row["p99_us"] or 0) <= slow
recovered = next((row["start_ms"] - 3950 for n, row in enumerate(after) if all(map(well, after[n:n + 3]))), None)
c = next(s for s in critical["streams"] if s["name"] == "critical")["counts"]
lost = c["refused"] + c["errors"] + c["other"]
print(f"  {factor:>2} x over {connections:>4}: goodput {total['good_per_s'] / peak:.2f} of peak, p99 of answers {times['p99']/1e3:.3f} ms = {times['p99'] / before['p99']:.2f} x, "
      f"429 {total['counts']['refused']}, unsent {total['counts']['shed'] + total['counts']['unsent']}; back within {'?' if recovered is None else recovered} ms; "
      f"critical lost {lost} of {c['sent']}, unsent {c['shed'] + c['unsent']}" + ("  CLIENT WAS THE LIMIT" if run["client"]["was_the_limit"] else ""))
kept = lambda run: f"{run['total']['counts']['late']} late of {run['total']['counts']['full']} answers ({run['total']['good_per_s'] / peak:.2f} of peak in time)"
print(f"     with a budget of {budget_ms} ms: in the body alone {kept(in_body)}; in the head as well {kept(in_head)}")
PY
      "$root/benches/server_view.py" "$data-metrics-before" "$data-metrics-after"
    done
  done
done
