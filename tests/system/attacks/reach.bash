# SPDX-License-Identifier: Apache-2.0
#
# Programs of a user's that reach for that user's machines from outside while they start, run and end (attacks/reach.cpp,
# attacks/start.c). After lib.bash.

# PROGRAM [ARGUMENT]...: in the background, as the user; what it says is in attack.log.
begin_attack() {
  local program=$1
  shift
  cp "$BUILD/attacks/$program" "./$program"
  chmod 755 "./$program"
  # shellcheck disable=SC2016
  as_user sh -c 'echo $$ >attack.pid; exec "$@"' sh "./$program" "$@" >attack.log 2>&1 3>&- &
  attack=$!
  eventually says '^ready$' attack.log || fail "$program does not begin: $(cat attack.log)"
}
end_attack() {
  local status=0
  [ ! -e attack.pid ] || kill "$(<attack.pid)" 2>/dev/null || true
  wait "$attack" || status=$?
  rm -f attack.pid
  assert_equal "$status" 0
}
# STARTS: each with a keeper and at least two processes of the machine's.
reached_nothing() {
  local tried
  run cat attack.log
  refute_output --partial reached
  tried=$(sed -n 's/^tried \([0-9]*\) processes$/\1/p' attack.log)
  assert [ "${tried:-0}" -ge $((3 * $1)) ]
}
# A job of which nothing runs inside its machine, until that is ready.
# shellcheck disable=SC2016
until_ready='state=$0/$SLURM_JOB_ID/state
  until grep -qsE "^phase=(ready|failed|ended)" "$state"; do sleep 0.1; done
  grep -q "^phase=ready" "$state"'
start_lxc() { in_lxc -w "$NODE" --cloud-run=host sh -c "$until_ready" "$RUN/jobs"; }
start_kvm() { in_kvm -w "$NODE" --cloud-run=host sh -c "$until_ready" "$RUN/jobs"; }
# What a case that has begun an attack calls in its teardown(), whatever came of it.
end_attack_case() {
  if [ -e attack.pid ]; then
    kill "$(<attack.pid)" 2>/dev/null || true
    wait "$attack" || true
  fi
}
