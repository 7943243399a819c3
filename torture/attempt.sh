#!/bin/sh
# What every attempt of a torture runs: attempt.sh LEDGER SECONDS HOW
# It appends a line to LEDGER when it begins and one when it ends, each with one write. HOW is its
# exit code; or "flaky": a failure at the first attempt; or "dies": it gets no farther.
ledger=$1 seconds=$2 how=$3
echo "started $KALA_TRIO_RUN_ID $KALA_TRIO_ATTEMPT $KALA_TRIO_SCHEDULED_AT $$" >> "$ledger"
[ "$seconds" = 0 ] || sleep "$seconds"
case $how in
  dies) kill -9 $$ ;;
  flaky) how=0; [ "$KALA_TRIO_ATTEMPT" -gt 1 ] || how=1 ;;
esac
echo "ended $KALA_TRIO_RUN_ID $KALA_TRIO_ATTEMPT $how" >> "$ledger"
exit "$how"
