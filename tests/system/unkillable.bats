# SPDX-License-Identifier: Apache-2.0
# bats file_tags=v1
# A machine that cannot be ended: it is frozen.
load lib

teardown() {
  [ ! -e "${frozen:-}" ] || echo THAWED >"$frozen"
  end_case
}

@test "a machine that cannot be ended keeps its address until it can" {
  has_cgroup_v1 || skip "the freezer of version 1 alone stops what is killed"
  # The epilog waits for all that it tries, twice, which takes most of a minute.
  sed -i 's/^stop_timeout.*/stop_timeout = "1s"/' "$CONFIG"
  machine lxc
  # Two would have the address otherwise.
  frozen=$(sed -n 's/.*:freezer://p' "/proc/$(state_of "$job" keeper_pid)/cgroup")
  frozen=/sys/fs/cgroup/freezer${frozen%/cloud/keeper}/freezer.state
  # The keeper must have noted its last stage and not have the record's lock, or the epilog would wait for that.
  eventually says '"ready"' "$STATE/jobs/$job/record.json"
  frozen_without_lock() {
    echo FROZEN >"$frozen"
    eventually says FROZEN "$frozen"
    flock -n "$STATE/jobs/$job" true || { echo THAWED >"$frozen"; return 1; }
  }
  eventually frozen_without_lock
  run hook epilog "$job"
  assert_output --partial "do not die"
  assert_equal "$(grep -c ";$job;USED" "$LEASES")" 1
  echo THAWED >"$frozen"
  end_jobs "$job"
  node_is_clean
}
