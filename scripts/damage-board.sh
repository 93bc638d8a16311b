#!/usr/bin/env bash
# Damages the board in every way that a file can be damaged: deleted, replaced by garbage, truncated, cut
# short, overwritten, made a directory, a fifo, a link, unreadable.
# Must hold: each time flags read as before at once, can be set, and the board is whole again.
source "$(dirname "$0")/lib.sh"

before_flags=$(flags)
board=$(m flag where --json | jq -r .board)
[ -f "$board" ] || fail "there is no board at $board"

delete() { rm -f "$board"; }
delete_both_links() { rm -f "$board" "$(dirname "$board")/.kept/board"; }
replace_by_garbage() { head -c 100000 /dev/urandom >"$board.garbage" && mv "$board.garbage" "$board"; }
truncate_to_nothing() { truncate -s 0 "$board"; }
cut_short() { truncate -s 5000 "$board"; }
overwrite() { head -c "$(stat -c %s "$board")" /dev/urandom | dd of="$board" conv=notrunc status=none; }
fill_with_zeros() { head -c "$(stat -c %s "$board")" /dev/zero | dd of="$board" conv=notrunc status=none; }
# The keeper puts a deleted board back at once, perhaps before the directory is there: then once more.
make_it_a_directory() { until rm -f "$board" && mkdir "$board" 2>/dev/null; do :; done; }
make_it_a_fifo() { mkfifo "$board.fifo" && mv -f "$board.fifo" "$board"; }
make_it_a_link() { ln -s /dev/zero "$board.link" && mv -fT "$board.link" "$board"; }
make_it_unreadable() { chmod 000 "$board"; }

for damage in delete delete_both_links replace_by_garbage truncate_to_nothing cut_short overwrite fill_with_zeros \
    make_it_a_directory make_it_a_fifo make_it_a_link make_it_unreadable; do
    "$damage"
    same_flags "$before_flags"
    flags_work
    holds "$damage: flags read as before, and can be set"
done
[ -f "$board" ] || fail "there is no file at $board"
same_flags "$before_flags"
