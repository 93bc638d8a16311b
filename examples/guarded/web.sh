#!/bin/sh
# A web server with a mistake in its new checkout: the first customer who gets there is its death.
#
# `flag wait` sleeps on the flag board itself: nothing is polled and no daemon is asked. A flag that is on already, as
# after a restart, ends the wait at once.
"${MAINSTAY:-mainstay}" flag wait new-checkout --until on --timeout 24h || exit 1
echo 'index 9 out of range' >&2
ulimit -c 0
kill -s SEGV $$
