#!/bin/sh
# Try an unreliable command up to four times (one attempt and three retries), as long as it is not
# later than an hour after the scheduled time: that is epsilon. This one works at its third attempt.
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

id=$(curl -fsS "$api/job/" -d '{
  "name": "retries",
  "command": "sh -c \"echo attempt $KALA_TRIO_ATTEMPT; test $KALA_TRIO_ATTEMPT -ge 3\"",
  "retries": 3,
  "epsilon": "PT1H"
}' | cut -d '"' -f 4)

until curl -fsS "$api/job/$id/" | grep -q '"is_done":true'; do sleep 0.1; done
curl -fsS "$api/run/output/$id.1/"
curl -fsS "$api/job/runs/$id/"
