#!/usr/bin/env bash
# Runs the tests that speak to AWS against a second implementation of its APIs, MiniStack (PyPI, MIT),
# so that no fault of the embedded engines, nor our own, becomes the truth.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=1.5.33
venv=target/ci/ministack-venv
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$version" ]; then
    mkdir -p target/ci
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "ministack[full]==$version"
    echo "$version" >"$venv/installed.txt"
fi

port=$(python3 -c '
import socket
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])')
endpoint="http://127.0.0.1:$port"
work=$(mktemp -d)
# Without AWS_ENDPOINT_URL its own functions would call the real AWS; its MQTT listener takes a fixed
# port on every address unless it is told not to.
env HOME="$work" TMPDIR="$work" GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 AWS_ENDPOINT_URL="$endpoint" \
    IOT_MTLS_ENABLED=0 "$venv/bin/ministack" >target/ci/ministack.log 2>&1 &
ministack=$!
trap 'kill "$ministack" 2>/dev/null || true; wait "$ministack" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 600); do
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$ministack" || { tail "$PWD/target/ci/ministack.log" >&2; exit 1; }
    sleep 0.1
done

# What says something new there: each call that Oubli makes, by itself, and the workflows that put calls
# together. The long run (`--all`) takes every test; rules about input, rights and texts are our own code, and
# the same on every endpoint.
wanted=(archives:: documents:: export:: large:: mails:: selections:: anonymise::gate anonymise::shelves anonymise::traces
    restore::round_trips restore::parts restore::uploads)
# Of the faults what injects none: messages that come twice, in any order, or too late. Of security what reads and
# writes objects and tables.
without_faults=(duplicates:: contention::two_members poison::messages_about)
security=(tenants:: restores::)
if [ "${1:-}" = --all ]; then
    wanted=() without_faults=() security=()
fi
# A name that fits no test any more would leave it out without a word.
check_names() {
    local tests name binary=$1
    shift
    tests=$(cargo test --quiet --locked -p oubli-tests --test "$binary" -- --list)
    for name in "$@"; do
        grep -q "^$name" <<<"$tests" || { echo "ministack: no test of $binary begins with $name" >&2; exit 1; }
    done
}
check_names acceptance "${wanted[@]}"
check_names faults "${without_faults[@]}"
check_names security "${security[@]}"
# The known differences of MiniStack, where a test takes another answer: it refuses the receipt handle of a
# message that is gone, which SQS takes (tests/faults/world.rs); it shows no mails, nor where objects lie, and its
# clock cannot be moved: what needs that, or a fault, or a call that is held, is left out and told below, the model
# among it, of which every sequence moves the clock.
export OUBLI_TEST_AWS_ENDPOINT="$endpoint" OUBLI_TEST_LEFT_OUT="$PWD/target/ci/left-out.txt"
rm -f "$OUBLI_TEST_LEFT_OUT"
cargo test --locked -p oubli-tests --test conformance
cargo test --locked -p oubli-tests --test acceptance -- "${wanted[@]}"
cargo test --locked -p oubli-tests --test faults -- "${without_faults[@]}"
cargo test --locked -p oubli-tests --test security -- "${security[@]}"
[ "${1:-}" != --all ] || cargo test --locked -p oubli-tests --test model
if [ -e "$OUBLI_TEST_LEFT_OUT" ]; then
    echo "left out, in part or whole, since they need the embedded engines:"
    sort -u "$OUBLI_TEST_LEFT_OUT"
fi
