# SPDX-License-Identifier: Apache-2.0
# cloud-backend-check with machines of ours: the installed backends, on the playground's bridge and libvirt. After lib.sh.
check=$PLAYGROUND/prefix/sbin/cloud-backend-check
backends=$PLAYGROUND/prefix/lib/spank-cloud/backends

# NAME OPTION...: every check of the backend, each a line of ours.
conforms() {
  local name=$1 status=0
  shift
  "$check" --live --config "$CONFIG" --user "$JOB_USER" "$@" "$backends/cloud_backend_$name.so" >"$name.tap" &
  wait $! || status=$?
  sed -n "s/^\(ok\|not ok\) [0-9]* - /\1 - $name: /p; s/^#/    #/p" "$name.tap"
  failures=$((failures + $(grep -c '^not ok' "$name.tap")))
  is "$name conforms" 0 "$status"
  is "$name: every planned check has run" "$(sed -n 's/^1\.\.//p' "$name.tap")" "$(grep -cE '^(not )?ok ' "$name.tap")"
  leaves_nothing "$name" $!
}
# WHAT PID: what a run has of its own carries its number; the lease has that of no job of Slurm's.
leaves_nothing() {
  is "$1 leaves nothing" "" "$(find "$(sed -n 's/^state_dir = "\(.*\)"/\1/p' "$CONFIG")" -maxdepth 1 -name "backend-check-$2"
    find /sys/fs/cgroup -maxdepth 2 -name "spank-cloud-check-$2"
    pgrep -af "sc-$2-"
    grep -E ';[0-9]{10,};' "$LEASES")"
}
