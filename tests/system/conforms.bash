# SPDX-License-Identifier: Apache-2.0
#
# cloud-backend-check with machines of ours: the installed backends, on the playground's bridge and libvirt. After lib.
check=$PLAYGROUND/prefix/sbin/cloud-backend-check

# OPTION... FILE: a run in the background, which says what it finds in found.tap and found.errors; its pid is in $run.
begin_check() {
  "$check" --live --slowness "$SLOWNESS" --config "$CONFIG" --user "$JOB_USER" "$@" >found.tap 2>found.errors 3>&- &
  run=$!
}
# Waits for its end; the status is in $status.
end_check() {
  status=0
  wait "$run" || status=$?
}
# NAME OPTION...: the installed backend passes every check. Those that it fails are printed, with what is said of them.
conforms() {
  local name=$1 planned
  shift
  begin_check "$@" "$BACKENDS/cloud_backend_$name.so"
  end_check
  assert_equal "$(sed -n '/^not ok/,/^ok/{/^ok/!p}' found.tap)" ""
  [ "$status" = 0 ] || fail "status $status: $(cat found.errors)"
  planned=$(sed -n 's/^1\.\.//p' found.tap)
  assert [ "$planned" -gt 0 ]
  assert_equal "$(grep -cE '^(not )?ok ' found.tap)" "$planned"
  leaves_nothing
}
# What a run has of its own carries its number; the lease has that of no job of Slurm's.
leaves_nothing() {
  assert_equal "$(
    find "$(sed -n 's/^state_dir = "\(.*\)"/\1/p' "$CONFIG")" -maxdepth 1 -name "backend-check-$run"
    find /sys/fs/cgroup -maxdepth 2 -name "spank-cloud-check-$run"
    pgrep -af "sc-$run-"
    grep -E ';[0-9]{10,};' "$LEASES"
  )" ""
}
