#!/bin/sh
# Run one command, once and now: a job without a schedule. Then show what it wrote.
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

id=$(curl -fsS "$api/job/" -d '{
  "name": "one-shot",
  "command": "echo hello from kala-trio"
}' | cut -d '"' -f 4)

until curl -fsS "$api/job/$id/" | grep -q '"is_done":true'; do sleep 0.1; done
curl -fsS "$api/run/output/$id.1/"
