#!/bin/sh
# A worker in shell. Asks which customers get the new checkout: now, and again whenever a flag changes.
#
# It never polls. The cursor is a point in the stream of events from before the first question, so a change
# between question and waiting is not missed.
set -u

answer() {
    for customer in $CUSTOMERS; do
        "$MAINSTAY" flag on new-checkout --id "$customer"
        case $? in
        0) echo "$customer gets the new checkout" ;;
        1) echo "$customer gets the old checkout" ;;
        *) exit 1 ;;
        esac
    done
}

cursor=$("$MAINSTAY" cursor) || exit 1
answer
echo watching
"$MAINSTAY" events --after "$cursor" --follow --json | while read -r event; do
    case $event in
    *'"kind":"flag_changed"'*) answer ;;
    esac
done
# The stream ends only with the supervisor, or when somebody kills it: begin again.
exit 1
