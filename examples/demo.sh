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
echo "Processes and threads take turns, in an order that repeats:"
show bash -c 'seq 1 100000 | sort -rn | head -n 2; for i in 3 1 2; do (sleep $i; echo $i) & done; wait; date -u'
show python3 -c 'from concurrent.futures import ThreadPoolExecutor as T
import time
with T(4) as pool: print(list(pool.map(lambda n: (time.sleep(n), n)[1], range(4))), time.ctime())'

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

echo
echo "A network: a web server, and three clients at different distances (examples/scenarios/web.yaml)."
scenario=$(dirname "$0")/scenarios/web.yaml
if [ -x /usr/sbin/nginx ]; then
    printf '\n$ shim run %s\n' "$scenario"
    "$shim" run --data-directory "$data/web" "$scenario"
    printf '\n10 MiB to       latency  bandwidth   first byte, predicted  all bytes, predicted\n'
    for client in 'city 5 100' 'overseas 40 20' 'village 25 2'; do
        # Two round trips; more with 10 segments, 20, 40, ... until the link is never idle; then what it needs.
        echo "$client $(cat "$data/web/hosts/${client%% *}/curl.1000.stdout")" | awk '{
            round = 2 * $2 / 1000; segment = 1500 * 8 / $3 / 1e6; left = ($4 + 250) / 1448
            idle = 0
            for (window = 10; window * segment < round && window < left; window *= 2) {
                left -= window; idle += round
            }
            printf "  %-10s %7d ms %6d Mbit  %9.3f s %9.3f s  %8.3f s %8.3f s\n", $1, $2, $3, $8, 2 * round, $12,
                2 * round + idle + left * segment
        }'
    done
else
    echo "(nginx is not installed.)"
fi

ended=$(date +%s%N)
printf '\n97 hours of simulated time in %d ms.\n' $(((ended - began) / 1000000))
