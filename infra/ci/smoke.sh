#!/usr/bin/env bash
# What a new user does first: starts everything with one command, pastes the printed lines, opens the
# archive, stops, starts again. Then what can go wrong at the start.
set -euo pipefail
# No command writes into `grep -q`: it ends at the first match, and the writer then fails with
# "broken pipe" on some runs.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
runner=
trap '[ -z "$runner" ] || kill "$runner" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
    echo "smoke: $*" >&2
    tail -n 40 "$work"/*.out "$work"/*.err >&2 || true
    exit 1
}

# Two ports that nobody listens on.
free_ports() {
    python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in sockets])'
}

# start NAME OPTION…: `cargo run` in the background, until it is ready.
start() {
    local name=$1 since
    shift
    since=$(date +%s%N)
    : >"$work/$name.out"
    cargo run --quiet --locked -- --port "$api_port" --aws-port "$aws_port" "$@" \
        >"$work/$name.out" 2>"$work/$name.err" &
    runner=$!
    until grep -q '^ready ' "$work/$name.out"; do
        kill -0 "$runner" 2>/dev/null || fail "$name: ended before it was ready"
        [ $((($(date +%s%N) - since) / 1000000000)) -lt 60 ] || fail "$name: not ready within a minute"
        sleep 0.02
    done
    echo "smoke: $name: ready after $((($(date +%s%N) - since) / 1000000)) ms"
}

# Ctrl-C: everything stops, and that is no failure.
stop() {
    local status=0
    kill -INT "$runner"
    wait "$runner" || status=$?
    runner=
    [ "$status" = 0 ] || fail "$1: Ctrl-C ended it with $status"
}

# refused NAME WHAT OPTION…: must not start, and say why in one line that holds WHAT.
refused() {
    local name=$1 what=$2 status=0
    shift 2
    timeout 60 cargo run --quiet --locked -- "$@" >"$work/$name.out" 2>"$work/$name.err" || status=$?
    [ "$status" = 1 ] || fail "$name: ended with $status, 1 expected"
    [ "$(cat "$work/$name.out" "$work/$name.err" | wc -l)" = 1 ] || fail "$name: not one line"
    grep -q "^oubli: .*$what" "$work/$name.err" || fail "$name: does not say \`$what\`"
}

json() {
    python3 -c "import json, sys; body = json.load(sys.stdin); print($1)"
}

cargo build --quiet --locked
cargo build --quiet --locked -p oubli-archive --bin oubli-verify

# Help.
cargo run --quiet --locked -- --help >"$work/help.out" || fail "--help ended with $?"
for option in --port --aws-port --bind --state --ephemeral --reset --aws-only --contacts; do
    grep -q -- "$option" "$work/help.out" || fail "--help says nothing of $option"
done

# The first run, in its own state folder.
read -r api_port aws_port < <(free_ports)
api="http://127.0.0.1:$api_port"
state="$work/state"
start first --state "$state"
[ "$(wc -l <"$work/first.out")" -le 40 ] || fail "the banner is longer than a screen"
[ ! -s "$work/first.err" ] || fail "it writes to standard error"
refused port-in-use "$api_port" --ephemeral --port "$api_port" --aws-port 0
refused aws-port-in-use "$aws_port" --ephemeral --port 0 --aws-port "$aws_port"

# The printed lines, as pasted all at once.
grep -E '^([A-Z]+=|curl |until )' "$work/first.out" >"$work/pasted.sh"
mkdir "$work/here"
(cd "$work/here" && bash -eu ../pasted.sh) >"$work/pasted.out" 2>"$work/pasted.err" || fail "the printed lines fail"
grep -q '"last_name":"' "$work/pasted.out" || fail "the printed lines list no contact"
grep -q '"plan_hash":"' "$work/pasted.out" || fail "the printed lines show no preview"
grep -q '"state":"completed"' "$work/pasted.out" || fail "the printed lines do not see the export end"
archive="$work/here/archive.zip"
unzip -tq "$archive" >"$work/unzip.out" || fail "unzip refuses the archive"
curl -fsS "$api/v1/archive-keys" | json 'body["items"][0]["public_key_pem"]' >"$work/key.pem"
target/debug/oubli-verify --key "$work/key.pem" "$archive" >"$work/verify.out" 2>&1 || fail "oubli-verify refuses the archive"
unzip -l "$archive" >"$work/entries.out" || fail "unzip does not list the archive"
for entry in contact.json index.html manifest.json manifest.sig; do
    grep -q " $entry\$" "$work/entries.out" || fail "the archive holds no $entry"
done
grep -q ' documents/' "$work/entries.out" || fail "the archive holds no document"

token=$(curl -fsS "$api/dev/token?member=agent" | json 'body["token"]')
with_token() {
    curl -fsS -H "Authorization: Bearer $token" "$@"
}
total=$(with_token "$api/v1/contacts" | json 'body["total"]')
[ "$total" -ge 12 ] || fail "$total demo contacts, 12 expected"
status=$(curl -sS -o "$work/refused.out" -w '%{http_code}' "$api/v1/contacts")
[ "$status" = 401 ] || fail "$status without a token, 401 expected"
mails=0
for _ in $(seq 100); do
    mails=$(curl -fsS "$api/dev/outbox" | json 'len(body["items"] if isinstance(body, dict) else body)')
    [ "$mails" = 0 ] || break
    sleep 0.1
done
[ "$mails" = 1 ] || fail "$mails mails, 1 expected"
stop first

# The second finds what the first left: contacts, the action, the archive.
start second --state "$state"
[ "$(with_token "$api/v1/contacts" | json 'body["total"]')" = "$total" ] || fail "contacts were lost or doubled"
with_token "$api/v1/data-actions" >"$work/actions.out" || fail "the actions cannot be read"
grep -q '"state":"completed"' "$work/actions.out" || fail "the action was lost"
action=$(json 'body["items"][0]["id"]' <"$work/actions.out")
id=$(with_token "$api/v1/data-actions/$action/items" | json 'body["items"][0]["archive"]["id"]')
with_token -L -o "$work/again.zip" "$api/v1/archives/$id/content"
cmp "$archive" "$work/again.zip" || fail "the archive has changed"
curl -fsS "$api/v1/archive-keys" | json 'body["items"][0]["public_key_pem"]' | cmp - "$work/key.pem" || fail "the key has changed"
stop second

# Nothing kept; a state that cannot be used.
start ephemeral --ephemeral
stop ephemeral
echo 999 >"$state/format"
refused newer-state 999 --state "$state" --port 0 --aws-port 0
mkdir "$work/not-ours"
touch "$work/not-ours/letter.txt"
refused foreign-folder not-ours --state "$work/not-ours" --port 0 --aws-port 0
start reset --reset --state "$state"
stop reset

# The endpoint alone: what the template describes is there.
start aws-only --ephemeral --aws-only
grep -q '^OUBLI_CONTACTS_TABLE=' "$work/aws-only.out" || fail "aws-only: the environment is not told"
curl -fsS "http://127.0.0.1:$aws_port/" \
    -H 'Content-Type: application/x-amz-json-1.0' -H 'X-Amz-Target: DynamoDB_20120810.ListTables' \
    -H 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0' \
    -d '{}' >"$work/tables.out" || fail "aws-only: no tables"
[ "$(json 'len(body["TableNames"])' <"$work/tables.out")" = 2 ] || fail "aws-only: two tables expected"
stop aws-only

echo "smoke: all of it works ($total contacts, archive of $(wc -c <"$archive") bytes)"
