#!/usr/bin/env bash
# Data larger than memory: the same stream of hot keys with everything in memory, and in a memory control group that holds a quarter
# of the data, beside a stream of keys over all users, most of which are read from the disk.
#
# Goals: no major fault of a serving thread; hot keys' p99 within 1.5 × of the all-resident run at the same load; every budget
# kept; no kill for want of memory. Not the goal: the most cold reads a core can do.
#
# usage: benches/cold.sh [USERS=12000000] [SECONDS=8] [HOT=4000] [COLD=1000]     (12 million users are 2.3 GiB; two minutes to make)
# HOT and COLD are requests a second. As root, where a memory control group can be made (either version); else it says so and
# ends, with failure if GANNET_TEST_REQUIRE names `cgroup`. SERVER_CORE=0 and CLIENT_CORE=1 say where they run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
users=${1:-12000000} seconds=${2:-8} hot=${3:-4000} cold=${4:-1000}
data=${DATA:-$root/target/cold-$users}
server_core=${SERVER_CORE:-0} client_core=${CLIENT_CORE:-1}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet}
loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
address=127.0.0.1:8105
work=$(mktemp -d)
seed=0

# A group of our own below that of this shell, or below the root: where the memory controller is, and may be set.
make_group() {
  local mine parent
  if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    version=1
    mine=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ {print $3}' /proc/self/cgroup)
    for parent in "/sys/fs/cgroup/memory$mine" /sys/fs/cgroup/memory; do
      group=$parent/gannet-cold-$$
      mkdir "$group" 2>/dev/null && return 0
    done
  elif grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    version=2
    mine=$(awk -F: '$1 == 0 {print $3}' /proc/self/cgroup)
    for parent in "/sys/fs/cgroup${mine%/}" /sys/fs/cgroup; do
      { echo +memory >"$parent/cgroup.subtree_control"; } 2>/dev/null || continue
      group=$parent/gannet-cold-$$
      mkdir "$group" 2>/dev/null && return 0
    done
  fi
  return 1
}
make_group || {
  echo "cold.sh: skipped: no memory control group can be made here (it takes root, and the memory controller)"
  [[ ,${GANNET_TEST_REQUIRE:-}, != *,cgroup,* ]] || { echo "cold.sh: GANNET_TEST_REQUIRE=$GANNET_TEST_REQUIRE says that one can" >&2; exit 1; }
  exit 0
}
pid=
clean_up() {
  [ -z "$pid" ] || { kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; } || true
  for _ in 1 2 3 4 5; do rmdir "$group" 2>/dev/null && break; sleep 0.2; done
  rm -rf "$work"
}
trap clean_up EXIT
limit_file() { if [ $version = 1 ]; then echo memory.limit_in_bytes; else echo memory.max; fi; }
group_usage() { cat "$group/$(if [ $version = 1 ]; then echo memory.usage_in_bytes; else echo memory.current; fi)"; }
group_kills() {
  if [ $version = 1 ]; then awk '$1 == "oom_kill" {print $2}' "$group/memory.oom_control"; else awk '$1 == "oom_kill" {print $2}' "$group/memory.events"; fi
}

[ -e "$data/CURRENT" ] || "$gannet" quickstart --data "$data" --users "$users" --load-only >/dev/null
bytes=$(du -sb "$data/segments" | cut -f1)
limit=$((bytes / 4 / 4096 * 4096))
[ $limit -ge $((128 << 20)) ] || limit=$((128 << 20)) # a server needs 96 MiB for itself
echo $limit >"$group/$(limit_file)"
echo "data $((bytes >> 20)) MiB, limit of the control group $((limit >> 20)) MiB (version $version), hot $hot/s, cold $cold/s"

start() { # $1: the group's process file, or nothing
  if [ -n "$1" ]; then
    sync; { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null || echo "the page cache cannot be emptied here"
  fi
  # The shell that becomes the server goes into the group first, so that every page is counted there.
  bash -c '[ -z "$1" ] || echo $$ >"$1"; exec "${@:2}"' _ "$1" \
    "$gannet" serve --data "$data" --listen $address --cores "$server_core" 2>"$work/log" & pid=$!
  for _ in $(seq 1200); do
    grep -q 'message="in memory"' "$work/log" && break
    kill -0 $pid 2>/dev/null || { echo "the server ended:"; cat "$work/log"; exit 1; }
    sleep 0.1
  done
  sed -n 's/.*message="in memory"/in memory/p; s/.*message="index without/index without/p; s/.*message="tables are in/tables are in/p' "$work/log"
}
# The background verification of a start reads everything once: it is measured by itself.
until_verified() { for _ in $(seq 1200); do grep -q 'message=verified' "$work/log" && return; sleep 0.1; done; echo "not verified after two minutes"; }
stop() { kill -INT $pid; wait $pid || { echo "the server failed:"; cat "$work/log"; exit 1; }; pid=; }

body() { # $1: latency budget in milliseconds
  printf '{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"{key}"},"requestOptions":{"latencyBudgetMs":%s},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}' "$1" >"$work/body-$1"
}
faults() { # major faults of the serving threads, as the kernel counts them
  awk '{name = $0; sub(/^[^(]*\(/, "", name); sub(/\).*/, "", name); rest = $0; sub(/.*\) /, "", rest); split(rest, f, " "); if (name ~ /^shard/) n += f[10]} END {print n + 0}' /proc/$pid/task/*/stat
}
snapshot() { curl -sf http://$address/metrics >"$work/metrics-$1"; faults >"$work/faults-$1"; }
run() { # $1: title, $2: budget in ms, then streams
  local title=$1 budget=$2 rate=$hot
  shift 2
  [ $# -eq 1 ] || rate=$((hot + cold))
  seed=$((seed + 1)) # other keys each time, or the cache would have them
  body "$budget"
  snapshot before
  local streams=()
  for stream in "$@"; do streams+=(--stream "$stream"); done
  taskset -c "$client_core" "$loadgen" --url http://$address/api/v1/feature-service/get-features --key quickstart --cpu "$client_core" --seed "$seed" \
    --rate "$rate" --schedule poisson --duration "${seconds}s" --warmup 1s --budget-ms "$budget" --expect-timeouts \
    --body @"$work/body-$budget" --json "$work/run.json" "${streams[@]}" >"$work/run.txt" 2>&1 || { cat "$work/run.txt"; exit 1; }
  snapshot after
  python3 - "$work" "$title" "$budget" "$(group_usage)" "$(awk '/^VmRSS/{print $2}' /proc/$pid/status)" <<'PYTHON'
import json, os, sys
work, title, budget, usage, rss = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
report = json.load(open(f"{work}/run.json"))
def metrics(when):
    sums = {}
    for line in open(f"{work}/metrics-{when}"):
        if line[:1] not in "#\n":
            name, value = line.rsplit(" ", 1)
            if 'status="timed_out"' in name:
                sums["timed_out"] = sums.get("timed_out", 0) + float(value)
            name = name.split("{")[0]
            sums[name] = sums.get(name, 0) + float(value)
    return sums
before, after = metrics("before"), metrics("after")
grown = lambda name: after.get(name, 0) - before.get(name, 0)
print(f"\n== {title}")
for stream in report["streams"]:
    c, t, s = stream["counts"], stream["response_time_us"], stream["service_time_us"]
    ratio = ""
    if stream["name"] == "hot":
        bases = [float(p99) for p99 in open(f"{work}/hot-p99").read().split()] if os.path.exists(f"{work}/hot-p99") else []
        ratio = "".join(f", {t['p99'] / basis:.2f} × {what}" for basis, what in zip(bases, ["alone", "in memory beside others"]))
        open(f"{work}/hot-p99", "a").write(f"{t['p99']}\n")
    answered = max(1, c["full"] + c["partial"])
    print(f"{stream['name']:8} {stream['sent_per_s']:7.0f}/s  p50 {t['p50']:.0f} µs  p90 {t['p90']:.0f}  p99 {t['p99']:.0f}  p99.9 {t['p99_9']:.0f}  "
          f"max {t['max']:.0f}{ratio and ' (p99' + ratio[1:] + ')'}; partial {100 * c['partial'] / answered:.2f} %, "
          f"refused {c['refused']}, other {c['other']}, errors {c['errors'] + c['unanswered']}")
    over = s["p99_9"] / 1000 - budget
    print(f"         service time p99.9 {s['p99_9'] / 1000:.2f} ms, max {s['max'] / 1000:.2f} ms of a budget of {budget:g} ms: "
          f"{'within' if over <= 0 else f'{over:.2f} ms over'} at p99.9; {c['late']} answers later than it")
seconds = report["measured_s"] + 1
hits, misses = grown("gannet_row_cache_hits_total"), grown("gannet_row_cache_misses_total")
timed_out = grown("timed_out")
lookups = grown("gannet_feature_view_lookups_total")
print(f"cold reads {grown('gannet_cold_reads_total') / seconds:.0f}/s, TIME_OUT {100 * timed_out / max(1, lookups):.3f} % of lookups, "
      f"row cache hits {100 * hits / max(1, hits + misses):.1f} % of {hits + misses:.0f}, {after.get('gannet_row_cache_rows', 0):.0f} rows in it")
read = lambda when: int(open(f"{work}/faults-{when}").read())
print(f"major faults of serving threads {read('after') - read('before')} ({read('after')} since the start; "
      f"the metric says {after.get('gannet_core_major_faults_total', 0):.0f}), evicted {after.get('gannet_segment_evicted_total', 0):.0f}, "
      f"core busy {100 * grown('gannet_core_busy_seconds_total') / seconds:.0f} %, RSS {rss >> 10} MiB, group {usage >> 20} MiB")
client = report["client"]
if client["was_the_limit"]:
    print(f"the client was the limit: {'; '.join(client['reasons'])}")
PYTHON
}

hot_keys="name=hot,weight=$hot,keys=uniform:1000"
echo; echo "all in memory, no control group"; start ""; until_verified
run "hot alone, all in memory" 20 "$hot_keys"
run "hot beside uniform, all in memory" 20 "$hot_keys" "name=uniform,weight=$cold,keys=uniform:$users"
stop
echo; echo "in the control group"; start "$group/cgroup.procs"
run "hot beside uniform while data is verified, budget 20 ms" 20 "$hot_keys" "name=uniform,weight=$cold,keys=uniform:$users"
until_verified
for budget in 20 5; do
  run "hot beside zipf 0.99, budget $budget ms" $budget "$hot_keys" "name=zipf,weight=$cold,keys=zipf:$users:0.99"
  run "hot beside uniform, budget $budget ms" $budget "$hot_keys" "name=uniform,weight=$cold,keys=uniform:$users"
done
grep -h 'WARN\|ERROR\|warn\|error' "$work/log" | head -5 || true
echo; echo "group: $(($(group_usage) >> 20)) MiB of $((limit >> 20)), kills for want of memory: $(group_kills)"
stop
