#!/usr/bin/env bash
# Writing: how many rows a second become durable and readable, how soon one is acknowledged, and what writing does to reads. Redis 7
# with `appendfsync always` beside it, if it is installed.
#
# Goals: >= 250,000 rows/s at 100 rows a request, server and client sharing two cores; p99 of an acknowledgement at 1,000 requests/s at
# most twice the device's own p99 of a synced write, measured in the same folder just before and behind; p99 of reads while 50,000 rows/s
# are written at most 1.3 x undisturbed. Not the goal: the bandwidth of a disk.
#
# usage: benches/ingest.sh [ROUNDS=5] [SECONDS_EACH=5] [USERS=1000000]     (1 1 10000 is a smoke run)
# environment: DATA (target/ingest, made anew), GANNET, LOADGEN, SERVER_CORES (0), CLIENT_CORE (1), READS (20000 a second), PARTS ("rows ack
#   reads redis"), GANNET_FLAGS (for `serve`)
# Ports 8171 and 8172. Redis: apt-get install redis-server.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rounds=${1:-5} each=${2:-5} users=${3:-1000000}
data=${DATA:-$root/target/ingest} reads=${READS:-20000} parts=${PARTS:-rows ack reads redis}
cores=${SERVER_CORES:-0} client=${CLIENT_CORE:-1}
[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet -p gannet-loadgen
gannet=${GANNET:-$root/target/release/gannet} loadgen=${LOADGEN:-$root/target/release/gannet-loadgen}
rm -rf "$data" && mkdir -p "$data/definitions"
pids=()
finish() { [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$data/store" "$data/redis" "$data/users.csv"; }
trap finish EXIT
cat >"$data/definitions/bench.toml" <<'TOML'
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[stream_sources.events]
timestamp = "at"
fields = { user_id = "string", at = "timestamp", amount = "int64", merchant = "string" }
[feature_views.latest]
entity = "user"
stream = "events"
features = { amount = "int64", merchant = "string" }
[feature_views.profile]
entity = "user"
timestamp = "at"
source = { csv = "../users.csv" }
features = { age = "int64", score = "float64", country = "string", verified = "boolean", segment = "string", visits = "int64", spent = "float64", returns = "int64" }
[feature_services.model]
features = ["profile", "latest"]
TOML
python3 - "$data/users.csv" "$users" <<'PY'
import sys
with open(sys.argv[1], "w") as out:
    out.write("user_id,at,age,score,country,verified,segment,visits,spent,returns\n")
    for n in range(int(sys.argv[2])):
        out.write(f"C{n:010},2026-01-01T00:00:00Z,{n % 90},{n % 1000 / 1000},DE,{'true' if n % 2 else 'false'},s{n % 17},{n % 500},{n % 10007}.5,{n % 7}\n")
PY
export GANNET_DATA=$data/store
(cd "$data" && "$gannet" apply definitions --materialize >/dev/null)
key=$("$gannet" keys create --role admin)
record='{"record":{"user_id":"{another-key}","at":"{now}","amount":{random:100000},"merchant":"M{random:1000}"}}'
body() { # ROWS
  printf '{"workspace_name":"prod","dry_run":false,"records":{"events":['
  for ((n = 1; n < $1; n++)); do printf '%s,' "$record"; done
  printf '%s]}}' "$record"
}
body 1 >"$data/one.json"; body 100 >"$data/hundred.json"
printf '{"params":{"workspaceName":"prod","featureServiceName":"model","joinKeyMap":{"user_id":"{key}"},"metadataOptions":{"includeNames":true,"includeDataTypes":true}}}' >"$data/read.json"
"$gannet" serve --listen 127.0.0.1:8171 --cores "$cores" ${GANNET_FLAGS:-} 2>"$data/serve.log" & server=$!; pids+=($server)
for _ in $(seq 600); do
  curl -sf -o /dev/null http://127.0.0.1:8171/readyz && break
  kill -0 $server 2>/dev/null || { cat "$data/serve.log"; exit 1; }
  sleep 0.05
done
for name in one hundred; do # an example of each, with the error if there is one
  sed -e 's/{another-key}/C0000000007/g' -e 's/{now}/2026-01-01T00:00:00Z/g' -e 's/{random:[0-9]*}/7/g' "$data/$name.json" >"$data/example.json"
  curl -s -H "Authorization: Tecton-key $key" -d @"$data/example.json" http://127.0.0.1:8171/ingest | grep -q '"ingestMetrics"' ||
    { echo "a write is refused:"; curl -s -H "Authorization: Tecton-key $key" -d @"$data/example.json" http://127.0.0.1:8171/ingest; exit 1; }
done
hz=$(getconf CLK_TCK)
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
load() { # OPTIONS...: one run of ours against ours
  "$loadgen" --url http://127.0.0.1:8171/ingest --key "$key" --cpu "$client" --keys "uniform:$users" --key-format 'C{:010}' --warmup 500ms --json "$data/run.json" "$@" >"$data/run.txt" ||
    { cat "$data/run.txt"; exit 1; }
}
median() { python3 -c 'import statistics, sys; print(statistics.median(float(line.split("\t")[int(sys.argv[2])]) for line in open(sys.argv[1])))' "$@"; }

if [[ $parts == *rows* ]]; then
  : >"$data/rows.tsv"
  for ((r = 1; r <= rounds; r++)); do
    t0=$(ticks $server); load --closed --connections 64 --duration "${each}s" --body @"$data/hundred.json"; t1=$(ticks $server)
    python3 - "$data" "$r" $((t1 - t0)) "$hz" "$each" <<'PY'
import json, sys
data, r, ticks, hz, each = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
run = json.load(open(f"{data}/run.json")); total, client = run["total"], run["client"]
rows = total["good_per_s"] * 100
print(f"round {r}  {rows:9.0f} rows/s durable at 100 a request   server {ticks / hz / (each + 0.5) * 100:3.0f} % of a core, client {client['cpu_share'] * 100:3.0f} %   "
      f"p50 {total['service_time_us']['p50'] / 1e3:.2f} p99 {total['service_time_us']['p99'] / 1e3:.2f} ms   429 {total['counts']['refused']} other {total['counts']['other']}")
open(f"{data}/rows.tsv", "a").write(f"{rows}\t{total['service_time_us']['p99']}\n")
PY
  done
  echo "median: $(median "$data/rows.tsv" 0) rows/s (goal 250000)"
fi

device() { # what a synced write of a block takes here, a thousand times a second: its p50 and p99, in us
  python3 - "$data/device" "$each" <<'PY'
import mmap, os, sys, time
path, seconds = sys.argv[1], float(sys.argv[2])
try:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
except OSError:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
block, size = mmap.mmap(-1, 4096), 64 << 20
block.write(b"x" * 4096)
zeros = mmap.mmap(-1, 1 << 20)
for at in range(0, size, 1 << 20):  # written once before, as a log's segments are
    os.pwrite(file, zeros, at)
os.fdatasync(file)
times, due = [], time.perf_counter()
for n in range(int(seconds * 1000)):
    due += 0.001
    while time.perf_counter() < due:
        pass
    begun = time.perf_counter()
    os.pwrite(file, block, n * 4096 % size)
    os.fdatasync(file)
    times.append((time.perf_counter() - begun) * 1e6)
    due = max(due, time.perf_counter() - 0.001)
times.sort()
print(times[len(times) // 2], times[len(times) * 99 // 100])
os.unlink(path)
PY
}
if [[ $parts == *ack* ]]; then
  : >"$data/ack.tsv"
  for ((r = 1; r <= rounds; r++)); do
    before=$(taskset -c "$client" bash -c "$(declare -f device); data=$data each=$each; device")
    load --rate 1000 --connections 64 --duration "${each}s" --body @"$data/one.json"
    after=$(taskset -c "$client" bash -c "$(declare -f device); data=$data each=$each; device")
    python3 - "$data" "$r" $before $after <<'PY'
import json, sys
data, r, p50_before, p99_before, p50_after, p99_after = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
total = json.load(open(f"{data}/run.json"))["total"]; times = total["response_time_us"]
device = (p99_before + p99_after) / 2
print(f"round {r}  acknowledged at 1,000/s: p50 {times['p50']:.0f} p99 {times['p99']:.0f} us   the device's synced writes: p50 {p50_before:.0f} {p50_after:.0f} "
      f"p99 {p99_before:.0f} {p99_after:.0f} us   ratio of p99 {times['p99'] / device:.2f}   429 {total['counts']['refused']}")
open(f"{data}/ack.tsv", "a").write(f"{times['p99'] / device}\t{times['p99']}\n")
PY
  done
  echo "median: p99 of an acknowledgement $(median "$data/ack.tsv" 0) x the device's (goal 2)"
fi

if [[ $parts == *reads* ]]; then
  : >"$data/reads.tsv"
  read="name=read,path=/api/v1/feature-service/get-features,body=@$data/read.json"
  for ((r = 1; r <= rounds; r++)); do
    load --schedule poisson --rate "$reads" --duration "${each}s" --stream "$read,connections=64"; cp "$data/run.json" "$data/alone.json"
    load --schedule poisson --rate $((reads + 500)) --duration "${each}s" --stream "$read,weight=$reads,connections=64" --stream "name=write,weight=500,connections=32,body=@$data/hundred.json"
    python3 - "$data" "$r" "$reads" <<'PY'
import json, sys
data, r, reads = sys.argv[1:]
of = lambda run, name: next(stream for stream in run["streams"] if stream["name"] == name)
alone, both = (json.load(open(f"{data}/{name}.json")) for name in ("alone", "run"))
before, after, writes = of(alone, "read"), of(both, "read"), of(both, "write")
b, a = before["response_time_us"], after["response_time_us"]
limit = "  CLIENT WAS THE LIMIT" if alone["client"]["was_the_limit"] or both["client"]["was_the_limit"] else ""
print(f"round {r}  {reads} reads/s alone: p50 {b['p50']:.0f} p99 {b['p99']:.0f} p99.9 {b['p99_9']:.0f} us   beside {writes['good_per_s'] * 100:.0f} rows/s: p50 {a['p50']:.0f} p99 {a['p99']:.0f} "
      f"p99.9 {a['p99_9']:.0f} us   ratio of p99 {a['p99'] / b['p99']:.2f}   429 {after['counts']['refused']} and {writes['counts']['refused']}{limit}")
open(f"{data}/reads.tsv", "a").write(f"{a['p99'] / b['p99']}\n")
PY
  done
  echo "median: p99 of reads beside writes $(median "$data/reads.tsv" 0) x undisturbed (goal 1.3)"
fi
kill -INT $server; wait $server || { echo "the server failed:"; cat "$data/serve.log"; exit 1; }; pids=()

if [[ $parts == *redis* ]]; then
  command -v redis-server >/dev/null || { echo "Redis: skipped, there is no redis-server here (apt-get install redis-server)"; exit 0; }
  mkdir -p "$data/redis"
  taskset -c "$cores" redis-server --port 8172 --bind 127.0.0.1 --dir "$data/redis" --appendonly yes --appendfsync always --save '' >"$data/redis.log" & redis=$!; pids+=($redis)
  for _ in $(seq 100); do redis-cli -p 8172 ping >/dev/null 2>&1 && break; sleep 0.1; done
  redis-server --version
  for ((r = 1; r <= rounds; r++)); do
    t0=$(ticks $redis)
    taskset -c "$client" python3 "$here/redis_writes.py" 8172 "$users" "$each" "$r"
    t1=$(ticks $redis)
    awk -v t=$((t1 - t0)) -v hz="$hz" -v e="$each" 'BEGIN{printf "         Redis used %.0f %% of a core\n", t / hz / (2 * e) * 100}'
  done
fi
