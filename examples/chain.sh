#!/bin/sh
# A chain: extract, then transform, then load, each after the success of the one before. And a job
# that runs whenever the extract fails.
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

create() {
  curl -fsS "$api/job/" -d "$1" | cut -d '"' -f 4
}

never="R0/2999-01-01T00:00:00Z/P1D"
alarm=$(create '{"name": "alarm", "command": "echo the extract failed", "schedule": "'$never'"}')
extract=$(create '{
  "name": "extract",
  "command": "echo extracting",
  "schedule": "R/2030-01-01T03:00:00[Europe/Berlin]/P1D",
  "on_failure_job": "'"$alarm"'"
}')
transform=$(create '{
  "name": "transform", "command": "echo transforming", "parent_jobs": ["'"$extract"'"]
}')
load=$(create '{"name": "load", "command": "echo loading", "parent_jobs": ["'"$transform"'"]}')

# No need to wait for three in the morning: a manual start leaves the schedule as it is.
curl -fsS "$api/job/start/$extract/" -X POST
until curl -fsS "$api/job/$load/" | grep -q '"success_count":1'; do sleep 0.1; done
for id in "$extract" "$transform" "$load"; do
  curl -fsS "$api/run/output/$id.1/"
done
