#!/usr/bin/env bash
# Cost of one request, side by side in one run: Gannet, the floor (HTTP over loopback with io_uring and nothing else), nginx
# answering a constant, and `plain` (an afternoon's axum server). The floor and nginx answer with the very bytes of Gannet's
# answer, so that sizes agree. Each server alone on core 0, wrk on core 1, turn by turn; one request in flight per connection.
#
# Goal: a ten-feature request costs at most 1.35 x the floor's CPU and 0.45 x plain's.
# Not the goal: requests per second (wrk's core is full before the servers' are), latency (wrk is a closed loop).
#
# usage: benches/compare.sh [ROUNDS=5] [CONNECTIONS=64] [USERS=1000000]
# environment: SECONDS_EACH (5), PIPELINE (1), PEERS ("floor nginx plain"), DATA (target/compare), GANNET_FLAGS (for `serve`),
#   OTHER (the path of another build of gannet, to be one of the peers: what a change costs. It makes its own data, as formats differ. What
#   deadlines, cold reads, admission and priorities cost together is told by a build of the last commit without any of them:
#   git worktree add ../without f847ba3 && (cd ../without && cargo build --release -p gannet) && OTHER=../without/target/release/gannet PEERS= benches/compare.sh 8)
# needs: wrk; nginx if it is among the peers (Debian: apt-get install wrk nginx-light)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
rounds=${1:-5} connections=${2:-64} users=${3:-1000000}
each=${SECONDS_EACH:-5} peers=${PEERS-floor nginx plain}
data=${DATA:-$root/target/compare}
export USERS=$users KEY=quickstart SERVICE=fraud_bench WORKSPACE=prod PIPELINE=${PIPELINE:-1}
for tool in wrk $([[ $peers == *nginx* ]] && echo nginx || true); do
  command -v $tool >/dev/null || { echo "compare.sh needs $tool" >&2; exit 2; }
done

[ -n "${GANNET:-}" ] || cargo build --release --quiet --manifest-path "$root/Cargo.toml"
[ -z "$peers" ] || cargo build --release --quiet --manifest-path "$here/yardsticks/Cargo.toml" --target-dir "$root/target/yardsticks"
gannet=${GANNET:-$root/target/release/gannet}
"$gannet" quickstart --data "$data" --users "$users" --load-only

pids=()
finish() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; }
trap finish EXIT
await() { # PORT
  for _ in $(seq 600); do curl -s -o /dev/null "http://127.0.0.1:$1/" && return 0; sleep 0.1; done
  echo "nothing answers on port $1" >&2; exit 1
}

"$gannet" serve --data "$data" --listen 127.0.0.1:8100 --cores 0 ${GANNET_FLAGS:-} 2>"$data/serve.log" & pids+=($!)
specs=("gannet=8100=$!")
await 8100
body='{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"C0000000007"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}'
url=http://127.0.0.1:8100/api/v1/feature-service/get-features
curl -sf -i -H 'Authorization: Tecton-key quickstart' -d "$body" "$url" >"$data/response"
curl -sf -H 'Authorization: Tecton-key quickstart' -d "$body" "$url" >"$data/body"
if [ -n "${OTHER:-}" ]; then
  "$OTHER" quickstart --data "$data/other" --users "$users" --load-only
  "$OTHER" serve --data "$data/other" --listen 127.0.0.1:8107 --cores 0 2>"$data/other.log" & pids+=($!)
  specs+=("other=8107=$!"); await 8107
fi
if [[ $peers == *floor* ]]; then
  taskset -c 0 "$root/target/yardsticks/release/floor" 8101 "$data/response" >/dev/null & pids+=($!)
  specs+=("floor=8101=$!"); await 8101
fi
if [[ $peers == *nginx* ]]; then
  cat >"$data/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $data/nginx.pid; error_log $data/nginx.log;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path $data/nginx-body;
  server { listen 127.0.0.1:8102 reuseport; location / { default_type application/json; return 200 '$(cat "$data/body")'; } } }
CONF
  taskset -c 0 nginx -c "$data/nginx.conf" 2>/dev/null & pids+=($!)
  await 8102
  specs+=("nginx=8102=$(pgrep -P $!)")
fi
if [[ $peers == *plain* ]]; then
  taskset -c 0 "$root/target/yardsticks/release/plain" 8103 "$users" >/dev/null & pids+=($!)
  specs+=("plain=8103=$!"); await 8103
fi

ticks=$(getconf CLK_TCK)
cpu() { awk '{print $14, $15}' "/proc/$1/stat"; }
results=$data/results.tsv; : >"$results"
for ((r = 1; r <= rounds; r++)); do
  for spec in "${specs[@]}"; do
    IFS== read -r name port pid <<<"$spec"
    load() { taskset -c 1 wrk -t1 -c"$connections" -d"$1" --latency -s "$here/get-features.lua" "http://127.0.0.1:$port/" 2>&1; }
    load 1 >/dev/null
    read -r u0 s0 < <(cpu "$pid"); out=$(load "$each"); read -r u1 s1 < <(cpu "$pid")
    n=$(grep -oP '\d+(?= requests in)' <<<"$out")
    bad=$(grep -E 'Non-2xx|Socket errors' <<<"$out" | tr -s ' \n' ' ' || true)
    p50=$(awk '$1=="50%"{print $2}' <<<"$out"); p99=$(awk '$1=="99%"{print $2}' <<<"$out")
    awk -v r="$r" -v name="$name" -v n="$n" -v u=$((u1 - u0)) -v s=$((s1 - s0)) -v hz="$ticks" -v e="$each" -v p50="$p50" -v p99="$p99" -v bad="$bad" -v f="$results" \
      'BEGIN{us=(u+s)/hz*1e6/n; printf "round %d  %-7s %8.0f req/s  cpu %6.2f us/req (user %5.2f, sys %5.2f)  p50 %s p99 %s %s\n", r, name, n/e, us, u/hz*1e6/n, s/hz*1e6/n, p50, p99, bad; print name "\t" us "\t" n/e >>f}'
  done
done
echo "medians of $rounds rounds, $connections connections, pipeline $PIPELINE, $users users:"
median() { awk -F'\t' -v n="$1" '$1==n{print $2}' "$results" | sort -n | awk '{a[NR]=$1} END{print (NR%2 ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2)}'; }
ours=$(median gannet)
for spec in "${specs[@]}"; do
  name=${spec%%=*}
  awk -v name="$name" -v m="$(median "$name")" -v g="$ours" 'BEGIN{printf "  %-7s %6.2f us CPU per request   gannet / %s = %.2f\n", name, m, name, g/m}'
done
