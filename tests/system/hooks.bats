# SPDX-License-Identifier: Apache-2.0
# Prologs, epilogs and `cloudctl reconcile` by hand, for jobs that Slurm knows nothing of: killed, twice, late, at once,
# with records that cannot be read, and on a full disk.
load lib

teardown() {
  if mountpoint -q "$STATE/jobs"; then umount "$STATE/jobs"; fi
  rm -rf "$STATE/quarantine" "$STATE/trash/old"
  end_case
}

# prolog|epilog JOB: in the background, with the pid of the hook itself in $pid.
begin_hook() {
  ( # In place of the shell, whose pid it has.
    env() { exec /usr/bin/env "$@"; }
    hook "$@"
  ) >"$1.log" 2>&1 &
  pid=$!
}
# JOB: what there is of it.
left_of() {
  compgen -G "$STATE/jobs/$1" || true
  compgen -G "$STATE/machines/*$1" || true
  compgen -G "$RUN/jobs/$1" || true
  grep ";$1;" "$LEASES" || true
}

@test "an epilog without a prolog has nothing to do" {
  run -0 hook epilog 888001
  assert_equal "$(left_of 888001)" ""
}

@test "a prolog that is killed at any moment is cleaned up by its epilog" {
  local step us had_begun=0
  step=$(count 2000 500)
  # In microseconds; on until one had done something, as the machine may be slow.
  for ((us = 0; us < 20000 || (had_begun == 0 && us < 20000000 * SLOWNESS); us += us < 20000 ? step : us)); do
    begin_hook prolog 888002
    nap "$(printf '%d.%06d' $((us / 1000000)) $((us % 1000000)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" || true
    [ -z "$(left_of 888002)" ] || had_begun=1
    run -0 hook epilog 888002
    assert_equal "$(left_of 888002)" ""
  done
  assert_equal $had_begun 1
}

@test "a second prolog of the same run changes nothing" {
  local before
  run -0 hook prolog 888003
  before=$(<"$STATE/jobs/888003/record.json")
  run -0 hook prolog 888003
  assert_equal "$(<"$STATE/jobs/888003/record.json")" "$before"
  run -0 hook epilog 888003
}

@test "a prolog of the next run starts over, and a late epilog of the run before leaves that alone" {
  local before
  run -0 hook prolog 888003
  run -0 hook prolog 888003 SLURM_JOB_RESTART_COUNT=1
  run -0 grep -c ';888003;USED' "$LEASES"
  assert_output 1
  before=$(<"$STATE/jobs/888003/record.json")
  assert_regex "$before" '"restart_count": 1'
  run -0 hook epilog 888003 SLURM_JOB_RESTART_COUNT=0
  assert_output --partial "late epilog"
  assert_equal "$(<"$STATE/jobs/888003/record.json")" "$before"
  run -0 hook epilog 888003 SLURM_JOB_RESTART_COUNT=1
  assert_equal "$(left_of 888003)" ""
}

@test "a record that cannot be read drains no node, frees its lease, and is kept" {
  run -0 hook prolog 888003
  run -0 grep -c ';888003;USED' "$LEASES"
  echo garbage >"$STATE/jobs/888003/record.json"
  run -0 hook epilog 888003
  assert_equal "$(left_of 888003)" ""
  assert_equal "$(find "$STATE/quarantine" -mindepth 1 -maxdepth 1 | wc -l)" 1
}

@test "seven kinds of damaged records" {
  local damage
  for damage in '' '{' '{}' 'null' '[1,2' "$(head -c 3000 /dev/urandom | tr -d '\0')" '{"version": 99}'; do
    run -0 hook prolog 888006
    printf %s "$damage" >"$STATE/jobs/888006/record.json"
    run -0 hook epilog 888006
    refute grep ';888006;' "$LEASES"
  done
}

@test "two epilogs at once both end well" {
  local one two
  run -0 hook prolog 888004
  begin_hook epilog 888004
  one=$pid
  begin_hook epilog 888004
  two=$pid
  wait "$one"
  wait "$two"
  assert_equal "$(left_of 888004)" ""
}

@test "cloudctl shows a job and its stages, and finds no mistake" {
  run -0 hook prolog 888005
  run -0 cloudctl status
  assert_output --partial 888005
  run -0 cloudctl trace 888005
  assert_output --partial address
  run -0 cloudctl check
  assert_output --partial "no mistakes; backends: kvm, lxc"
  run -0 hook epilog 888005
}

@test "reconcile leaves a job alone that has just begun, and releases what it held after a reboot" {
  run -0 hook prolog 888005
  run -0 cloudctl reconcile
  assert [ -e "$STATE/jobs/888005" ]
  sed -i 's/"boot_id": "[^"]*"/"boot_id": "another-boot"/' "$STATE/jobs/888005/record.json"
  run -0 cloudctl reconcile
  assert_equal "$(left_of 888005)" ""
}

@test "reconcile frees what records held that cannot be read, when they are old" {
  run -0 hook prolog 888009
  echo garbage >"$STATE/jobs/888009/record.json"
  mkdir "$STATE/jobs/888019"
  run cloudctl status
  assert_output --partial 888009
  # Its job may just have begun.
  run -0 cloudctl reconcile
  assert [ -e "$STATE/jobs/888009" ]
  touch -d '20 minutes ago' "$STATE/jobs/888009" "$STATE/jobs/888019"
  mkdir -p "$STATE/trash/old/deep"
  run -0 cloudctl reconcile
  assert_equal "$(left_of 888009)$(left_of 888019)$(cd "$STATE" && ls -d trash/* machines/* 2>/dev/null)" ""
}

@test "reconcile beside prologs and epilogs takes none of their jobs" {
  local rounds n tidier other
  rounds=$(count 4 15)
  for ((n = 0; n < rounds; n++)); do
    cloudctl reconcile >>reconcile.log 2>&1 &
    tidier=$!
    run -0 hook prolog 888011
    # Each job's fate is decided under its lock.
    assert [ -e "$STATE/jobs/888011/record.json" ]
    cloudctl reconcile >>reconcile.log 2>&1 &
    other=$!
    run -0 hook epilog 888011
    wait "$tidier" || fail "$(cat reconcile.log)"
    wait "$other" || fail "$(cat reconcile.log)"
  done
  assert_equal "$(left_of 888011)" ""
}

@test "a full disk drains no node, is named, and keeps no epilog from cleaning up" {
  run -0 hook prolog 888007
  mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs "$STATE/jobs"
  run -0 hook prolog 888008
  output+=$(cat "$RUN/jobs/888008/state" 2>/dev/null || true)
  assert_output --partial "No space left on device"
  umount "$STATE/jobs"
  run -0 hook epilog 888008
  run -0 hook epilog 888007
  assert_equal "$(left_of 888008)$(left_of 888007)" ""
}
