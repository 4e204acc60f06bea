#!/usr/bin/env bash
# What a refusal costs, beside the floor answering with the very bytes of that 429: HTTP over loopback with io_uring and nothing else.
#
# Goal: at most 1.1 x the floor's CPU. Not the goal: how many are refused (overload.sh).
#
# usage: benches/refusal.sh [ROUNDS=5] [CONNECTIONS=64]
# environment: SECONDS_EACH (5), DATA (target/refusal), REFUSING (the program, if it is built already)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rounds=${1:-5} connections=${2:-64} each=${SECONDS_EACH:-5}
data=${DATA:-$root/target/refusal}
mkdir -p "$data"
[ -n "${REFUSING:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p gannet-benches --bin refusing
cargo build --release --quiet --manifest-path "$here/yardsticks/Cargo.toml" --target-dir "$root/target/yardsticks"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
await() { for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$1/healthz" && return 0; sleep 0.1; done; echo "nothing answers on port $1" >&2; exit 1; }
"${REFUSING:-$root/target/release/refusing}" 127.0.0.1:8108 & refusing=$!; pids+=($refusing)
await 8108
url=http://127.0.0.1:8108/api/v1/feature-service/get-features
for _ in $(seq 50); do # its gate judges only what it has measured for a millisecond
  curl -s -i -H 'Authorization: Tecton-key quickstart' -d '{}' "$url" >"$data/response"
  if head -1 "$data/response" | grep -q '^HTTP/1.1 429 '; then break; fi
  sleep 0.01
done
head -1 "$data/response" | grep -q '^HTTP/1.1 429 ' || { echo "it does not refuse:" >&2; cat "$data/response" >&2; exit 1; }
taskset -c 0 "$root/target/yardsticks/release/floor" 8109 "$data/response" >/dev/null & floor=$!; pids+=($floor)
await 8109
export USERS=1000000 KEY=quickstart SERVICE=fraud_bench WORKSPACE=prod
hz=$(getconf CLK_TCK)
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
: >"$data/results.tsv"
for ((r = 1; r <= rounds; r++)); do
  for spec in "refusing 8108 $refusing" "floor 8109 $floor"; do
    read -r name port pid <<<"$spec"
    load() { taskset -c 1 wrk -t1 -c"$connections" -d"$1" -s "$here/get-features.lua" "http://127.0.0.1:$port/" 2>&1; }
    load 1 >/dev/null
    t0=$(ticks "$pid"); out=$(load "$each"); t1=$(ticks "$pid")
    n=$(grep -oP '\d+(?= requests in)' <<<"$out"); refused=$(grep -oP '(?<=Non-2xx or 3xx responses: )\d+' <<<"$out" || echo 0)
    awk -v r="$r" -v name="$name" -v n="$n" -v t=$((t1 - t0)) -v hz="$hz" -v e="$each" -v bad="$refused" -v f="$data/results.tsv" \
      'BEGIN{us=t/hz*1e6/n; printf "round %d  %-8s %8.0f req/s  cpu %6.2f us/req  429: %d of %d\n", r, name, n/e, us, bad, n; print name "\t" us >>f}'
  done
done
median() { awk -F'\t' -v n="$1" '$1==n{print $2}' "$data/results.tsv" | sort -n | awk '{a[NR]=$1} END{print (NR%2 ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2)}'; }
awk -v a="$(median refusing)" -v b="$(median floor)" 'BEGIN{printf "medians: a refusal %.2f us, the floor %.2f us, ratio %.2f\n", a, b, a/b}'
