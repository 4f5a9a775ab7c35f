# SPDX-License-Identifier: Apache-2.0
# The lxc backend keeps what the SDK's documentation promises, and cloud-backend-check itself leaves nothing, however
# it ends.
load lib
load conforms

# OPTION...: a run with many machines.
begin_long_check() { begin_check --cycles 200 "$@" "$BACKENDS/cloud_backend_lxc.so"; }
has_begun() { [ -e "$PLAYGROUND/state/backend-check-$run" ] || is_over "$run"; }
has_machine() { pgrep -f "^\[lxc monitor\] .*sc-$run-" >/dev/null; }

@test "lxc conforms" {
  conforms lxc --cycles "$(count 5 100)"
}

@test "lxc conforms with an image of squashfs" {
  has_linux 6.2 || skip "Linux 6.2 is the first to map its ids"
  conforms lxc --image tiny-squashfs --only life_cycle --only namespaces --only killed_in_start
}

@test "a run that is interrupted leaves nothing, and says by what" {
  local only
  for only in life_cycle killed_in_start; do
    begin_long_check --only $only
    eventually has_begun
    kill -TERM "$run" 2>/dev/null || true
    end_check
    # A short one may be over before.
    assert_regex "$status" '^(0|143)$'
    leaves_nothing
  done
}

@test "a run that is interrupted while a machine is up leaves nothing either" {
  begin_long_check --only growth_running
  eventually has_machine
  kill -TERM "$run"
  end_check
  assert_equal "$status" 143
  leaves_nothing
}

@test "a run whose reader has gone ends by that, and leaves nothing" {
  # As of `| head`.
  mkfifo found.tap
  begin_check --only growth_running "$BACKENDS/cloud_backend_lxc.so"
  head -n 1 found.tap >/dev/null
  end_check
  assert_equal "$status" 141
  leaves_nothing
}

@test "what a killed run leaves is cleaned up by the next, which says so" {
  local killed
  begin_long_check --only growth_running
  eventually has_machine
  killed=$run
  kill -KILL "$killed"
  end_check
  begin_check --only probe "$BACKENDS/cloud_backend_lxc.so"
  end_check
  assert_equal "$status" 0
  run cat found.errors
  assert_output --partial "backend-check-$killed, as its run was killed"
  run=$killed
  leaves_nothing
}
