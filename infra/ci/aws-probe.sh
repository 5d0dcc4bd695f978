#!/usr/bin/env bash
# Puts the embedded AWS endpoint before the 75 checks of `aws-probe`, a program that knows nothing of
# this project and speaks through the real SDK. Every check must pass, save those named below.
#
# The program lies beside the repository, or where AWS_PROBE says; it is built outside the workspace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# What may fail, and why.
accepted=(
    # Asks for the mailbox under another emulator's own path; the local runner shows mails at `/dev/outbox`.
    "ses mailbox read back"
    # Begins an upload without a checksum algorithm and completes it with the SDK's CRC-32s, which S3 refuses:
    # InvalidPart (infra/local/RULES.md).
    "s3 multipart 3x5MiB + list parts"
)

source=${AWS_PROBE:-../shared/tools/aws-probe}
if [ ! -d "$source" ]; then
    echo "aws-probe: not found at $source; say where it is with AWS_PROBE" >&2
    exit 1
fi
python3 infra/ci/probe_manifest.py "$source" target/aws-probe-src
# Neither its lints nor its dependencies are ours; those that it shares with us are compiled already.
env -u RUSTC_WORKSPACE_WRAPPER CARGO_TARGET_DIR=target cargo build --quiet --manifest-path target/aws-probe-src/Cargo.toml
cargo build --quiet --locked -p oubli-local --example engines

port=$(python3 -c '
import socket
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    print(one.getsockname()[1])')
target/debug/examples/engines "$port" &
engines=$!
trap 'kill "$engines" 2>/dev/null || true' EXIT
for _ in $(seq 500); do
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$engines" || exit 1
    sleep 0.02
done

report=target/aws-probe-report.txt
target/debug/aws-probe --endpoint "http://127.0.0.1:$port" --only ddb,s3,sqs,ses >"$report"
tail -n 1 "$report"

mapfile -t failed < <(sed -nE 's/^FAIL (.*[^ ]) +[0-9]+ms .*/\1/p' "$report")
wrong=0
for check in "${failed[@]}"; do
    for known in "${accepted[@]}"; do
        [ "$check" != "$known" ] || continue 2
    done
    echo "aws-probe: failed: $check" >&2
    wrong=1
done
for known in "${accepted[@]}"; do
    grep -qxF "$known" <(printf '%s\n' "${failed[@]}") || {
        echo "aws-probe: passes now, take it off the list: $known" >&2
        wrong=1
    }
done
[ "$(grep -cE '^(PASS|FAIL) ' "$report")" -ge 75 ] || {
    echo "aws-probe: fewer checks than 75 ran" >&2
    wrong=1
}
exit "$wrong"
