#!/bin/sh
# What a job of CI does with keys that are hard to quote. Run by bash and by dash; its backends serve
# HTTP with the test backend that TEST_BACKEND names.
set -eu
# shellcheck disable=SC3040
if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi

fail() {
    echo "job.sh: $*" >&2
    exit 1
}

newline='
'
jamsock service create job -- "$TEST_BACKEND"

# shellcheck disable=SC2016
for key in 'two words' "it's \"quoted\"" "two${newline}lines" '-dash' '🙂' '$(false) `false`' 'tab	bed'; do
    url=$(jamsock connect job --key="$key")
    other=$(jamsock lookup job --key="$key")
    [ "$url" != "$other" ] || fail "two tokens are the same"
    curl -fsS -o /dev/null "$url"

    id=$(jamsock lookup job --key="$key" -o name)
    [ "$(jamsock wait --for ready "$id")" = "$id ready" ] || fail "not ready: $id"
    [ "$(jamsock list job -q --key="$key")" = "$id" ] || fail "the list has another backend"

    seen=$(jamsock exec job --key="$key" -- sh -c 'printf "%s." "$JAMSOCK_KEY"')
    [ "$seen" = "$key." ] || fail "exec gave another key: $seen"

    JAMSOCK_KEY=
    eval "$(jamsock connect job --key="$key" -o env)"
    [ "$JAMSOCK_KEY" = "$key" ] || fail "-o env gave another key: $JAMSOCK_KEY"
    [ "$JAMSOCK_BACKEND_ID" = "$id" ] || fail "-o env gave another backend"
    unset JAMSOCK_KEY
done

count=$(jamsock list job -0 | tr -cd '\000' | wc -c)
[ "$count" -eq 7 ] || fail "list -0 has $count keys"

code=0
jamsock exec job --key=-dash -- sh -c 'exit 9' || code=$?
[ "$code" -eq 9 ] || fail "exec exited with $code"

jamsock list job -0 | xargs -0 -I KEY jamsock stop -s job --key=KEY >/dev/null
jamsock wait -s job --for terminated --key='*' --timeout 20
if jamsock lookup job --key=-dash 2>/dev/null; then fail "-dash is still held"; fi
code=0
jamsock lookup job --key='two words' 2>/dev/null || code=$?
[ "$code" -eq 3 ] || fail "a look-up of nobody exits with $code"
echo "all is well"
