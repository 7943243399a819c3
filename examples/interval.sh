#!/bin/sh
# Run a command now and twice more, a tenth of a second apart: R2 is the first run and two repeats. On a
# machine that is too busy for that they come later, and by "catch_up" none is left out.
# A clean-up every six hours for ever would be "R/2030-01-01T00:00:00Z/PT6H".
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

id=$(curl -fsS "$api/job/" -d '{
  "name": "interval",
  "command": "date +%T.%N",
  "schedule": "R2//PT0.1S",
  "catch_up": "all"
}' | cut -d '"' -f 4)

until curl -fsS "$api/job/$id/" | grep -q '"is_done":true'; do sleep 0.1; done
curl -fsS "$api/job/stats/$id/"
