#!/bin/sh
# Real programs through days of simulated time: what `make demo` runs.
#
# Wherever it is started: SHIM=path/to/shim sh examples/demo.sh
set -eu
shim=${SHIM:-$(dirname "$0")/../target/release/shim}
PATH=/usr/local/bin:/usr/bin:/bin

began=$(date +%s%N)
show() {
    printf '\n$ shim exec --'
    for word in "$@"; do
        case $word in
        *[!A-Za-z0-9_./:=+%-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$shim" exec --quiet -- "$@"
}

echo "Every simulation starts at the same instant:"
show date -u

echo
echo "A day passes at once:"
show sleep 86400

echo
echo "A program cannot tell: its clocks and its sleep agree, up to the cost of the calls."
show python3 -c 'import time; a = time.time(); time.sleep(3600); print(time.time() - a, "s later, it is", time.ctime())'

echo
echo "A loop that polls the clock ends, because calls cost simulated time:"
show perl -MTime::HiRes=time -e '$end = time + 10; $n++ while time < $end; print "10 s passed in ", $n > 1000 ? "many" : "few", " polls\n"'

echo
echo "Random numbers repeat with the seed, here in a database and from OpenSSL, twice each:"
show sqlite3 :memory: 'select hex(randomblob(8)), datetime()'
show sqlite3 :memory: 'select hex(randomblob(8)), datetime()'
show openssl rand -hex 16
show openssl rand -hex 16

echo
echo "A scenario: three hosts, nine programs, a day (examples/scenarios/first.yaml)."
scenario=$(dirname "$0")/scenarios/first.yaml
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
printf '\n$ shim run %s\n' "$scenario"
"$shim" run --data-directory "$data/first" "$scenario"

echo
echo "What some of them wrote:"
for file in alice/date.1002 alice/python3.1001 bob/sqlite3.1001 bob/sha256sum.1002 carol/perl.1001; do
    printf '%s:\n' "$file.stdout"
    tail -n 2 "$data/first/hosts/$file.stdout" | sed 's/^/    /'
done

echo
echo "Is it repeatable? Twice, with different numbers of workers, every byte compared:"
printf '\n$ shim verify %s\n' "$scenario"
"$shim" verify --data-directory "$data/verified" "$scenario"

ended=$(date +%s%N)
printf '\n97 hours of simulated time in %d ms.\n' $(((ended - began) / 1000000))
