#!/usr/bin/env python3
"""The writes of benches/ingest.sh against Redis: a hundred hashes a request as fast as they are acknowledged, then one at a time, a thousand
a second, by plan.

usage: redis_writes.py PORT USERS SECONDS ROUND

Bodies are made beforehand, so that Python's own speed is not what is measured: sending and counting are a system call each.
"""
import random
import selectors
import socket
import sys
import time

port, users, seconds, nth = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
dice = random.Random(nth)


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def write():
    at = b"2026-02-03T04:05:06.%06dZ" % dice.randrange(1_000_000)
    return command(b"HSET", b"C%010d" % dice.randrange(users), b"at", at, b"amount", b"%d" % dice.randrange(100_000), b"merchant", b"M%d" % dice.randrange(1000))


def connections(count):
    selector = selectors.DefaultSelector()
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ)
    return selector, [key.fileobj for key in selector.get_map().values()]


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000 if times else float("nan")


# A hundred a request, closed loop over as many connections as ours.
bodies = [b"".join(write() for _ in range(100)) for _ in range(500)]
selector, sockets = connections(64)
waiting, rows, times = {}, 0, []
begun = time.perf_counter()
for one in sockets:
    one.sendall(dice.choice(bodies))
    waiting[one] = [100, time.perf_counter()]
while (now := time.perf_counter()) < begun + seconds:
    for key, _ in selector.select(0.1):
        one = key.fileobj
        answers = one.recv(65536).count(b"\n")  # `:0` or `:3`, a line each
        waiting[one][0] -= answers
        rows += answers
        if waiting[one][0] == 0:
            now = time.perf_counter()
            times.append(now - waiting[one][1])
            one.setblocking(True)
            one.sendall(dice.choice(bodies))
            one.setblocking(False)
            waiting[one] = [100, now]
rate, p50, p99 = rows / (now - begun), percentile(times, 0.5), percentile(times, 0.99)
for one in sockets:
    one.close()

# One at a time, by plan: each is counted from when it was due.
bodies = [write() for _ in range(5000)]
selector, sockets = connections(64)
free, planned, times = list(sockets), {}, []
begun, sent = time.perf_counter(), 0
while (now := time.perf_counter()) < begun + seconds or planned:
    while free and sent < seconds * 1000 and now >= begun + sent / 1000:
        one = free.pop()
        one.send(bodies[sent % len(bodies)])
        planned[one] = begun + sent / 1000
        sent += 1
    for key, _ in selector.select(0):
        if key.fileobj.recv(4096).endswith(b"\r\n"):
            times.append(time.perf_counter() - planned.pop(key.fileobj))
            free.append(key.fileobj)
print(f"round {nth}  Redis {rate:9.0f} rows/s durable at 100 a request   p50 {p50:.2f} p99 {p99:.2f} ms   at 1,000/s: p50 {percentile(times, 0.5) * 1000:.0f} p99 {percentile(times, 0.99) * 1000:.0f} us")
