#!/bin/sh
# Jobs as code: have a daemon do what jobs-as-code.yaml says. Applied again it changes nothing, and what
# left the file since would be deleted; no job that comes from elsewhere ever is.
set -eu
export KALA_TRIO_API="${KALA_URL:-http://127.0.0.1:8000}"
file=$(dirname "$0")/jobs-as-code.yaml

kala-trio apply "$file" --prune --yes
kala-trio apply "$file" --prune --yes

kala-trio job start 'nightly orders'
until kala-trio job show 'nightly load' --json | grep -q '"success_count":1'; do sleep 0.1; done
kala-trio logs 'nightly load'
