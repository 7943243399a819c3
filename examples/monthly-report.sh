#!/bin/sh
# A report at 18:00 New York time on the last day of each month, winter and summer. The start is on
# the 31st, and months that are shorter take their own last day: Jan 31, Feb 28, Mar 31, Apr 30.
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

id=$(curl -fsS "$api/job/" -d '{
  "name": "monthly report",
  "command": "echo the report of this month",
  "schedule": "R/2030-01-31T18:00:00[America/New_York]/P1M",
  "epsilon": "P1D"
}' | cut -d '"' -f 4)

curl -fsS "$api/job/$id/"
