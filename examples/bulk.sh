#!/bin/sh
# A pipeline in one request, all of it or nothing: three extracts, and a load after each of them. A
# job names others of the list, which stand before it, by their names or their positions from 0.
set -eu
api=${KALA_URL:-http://127.0.0.1:8000}/api/v1

ids=$(curl -fsS "$api/job/bulk/" -d '[
  {"name": "orders", "command": "echo orders", "schedule": "R/2030-01-01T03:00:00Z/P1D"},
  {"name": "stock", "command": "echo stock", "schedule": "R/2030-01-01T03:10:00Z/P1D"},
  {"name": "prices", "command": "echo prices", "schedule": "R/2030-01-01T03:20:00Z/P1D"},
  {"name": "load", "command": "echo loading", "parent_jobs": ["orders", "stock", 2]}
]' | grep -o '[0-9a-f-]\{36\}')

first=$(echo "$ids" | head -n 1)
load=$(echo "$ids" | tail -n 1)
curl -fsS "$api/job/start/$first/" -X POST
until curl -fsS "$api/job/$load/" | grep -q '"success_count":1'; do sleep 0.1; done
curl -fsS "$api/run/output/$load.1/"
