#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hooks and keeper that are killed at, or get an error from, every system call that has an effect:
# strace ends them at the Nth call of a kind, until there is no Nth.
. "$(dirname "$0")/lib.sh"
JOB=888100
EFFECTS="mkdir fsync renameat write openat fchmod fchmodat chmod fchown flock unlinkat unlink rmdir clone symlink fsetxattr"
hook() {  # PROGRAM [STRACE'S ARGUMENTS...]
  local program=$1
  shift
  env -i SLURM_JOB_ID=$JOB SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$(id -g "$JOB_USER")" SLURM_JOB_USER="$JOB_USER" \
    SLURMD_NODENAME="$NODE" SLURM_JOB_RESTART_COUNT=0 SPANK_cloud_type=lxc "$@" "$LIBEXEC/$program" --config "$CONFIG"
}
left_of_job() {
  [ ! -e "$STATE/jobs/$JOB" ] || echo record
  [ ! -e "$STATE/machines/sc-$NODE-$JOB" ] || echo machine
  [ ! -e "$PLAYGROUND/run/$NODE/jobs/$JOB" ] || echo state
  ! grep ";$JOB;" "$LEASES" || true
  [ "$(wc -l <"$LEASES")" = "$lease_lines" ] || echo lease file
  find "$STATE" "$PLAYGROUND/run/$NODE" "$(dirname "$LEASES")" -name '*.tmp*'
  find /run/spank-cloud/records -name $JOB 2>/dev/null
}
lease_lines=$(wc -l <"$LEASES")
# PROGRAM INJECTION CALL N: whether the call was reached.
inject() {
  hook "$1" strace -f -qq -o strace.out -e trace="$3" -e inject="$3:$2:when=$4" >inject.log 2>&1
  status=$?
  grep -qE 'INJECTED|killed by SIGKILL' strace.out
}
points=0
for call in $EFFECTS; do
  for n in $(seq 200); do
    inject prolog signal=KILL "$call" "$n" || { hook epilog >/dev/null 2>&1; break; }
    points=$((points + 1))
    hook epilog >epilog.log 2>&1 || fail "epilog after a prolog killed at $call $n: $(cat epilog.log)"
    left=$(left_of_job)
    [ -z "$left" ] || { fail "a prolog killed at $call $n leaves: $left"; break; }
  done
done
[ "$points" -ge 60 ] && ok "a prolog killed at $points points is cleaned by its epilog" || fail "only $points points to kill a prolog at"

points=0
for call in $EFFECTS; do
  for n in $(seq 200); do
    hook prolog >/dev/null 2>&1
    inject epilog signal=KILL "$call" "$n" || break
    points=$((points + 1))
    hook epilog >epilog.log 2>&1 || fail "epilog after an epilog killed at $call $n: $(cat epilog.log)"
    left=$(left_of_job)
    [ -z "$left" ] || { fail "an epilog killed at $call $n leaves: $left"; break; }
  done
done
[ "$points" -ge 40 ] && ok "an epilog killed at $points points is finished by the next" || fail "only $points points to kill an epilog at"

# A prolog that exits with anything but 0 drains the node.
points=0
for fault in ENOSPC:write ENOSPC:mkdir ENOSPC:renameat ENOSPC:fsync EIO:fsync EDQUOT:write EROFS:mkdir ENOSPC:fsetxattr EOPNOTSUPP:fsetxattr ENOSPC:symlink; do
  for n in $(seq 200); do
    inject prolog "error=${fault%:*}" "${fault#*:}" "$n" || break
    points=$((points + 1))
    [ $status = 0 ] || fail "a prolog with $fault at $n exits with $status: $(cat inject.log)"
    hook epilog >epilog.log 2>&1 || fail "the epilog after $fault at $n: $(cat epilog.log)"
    left=$(left_of_job)
    [ -z "$left" ] || { fail "$fault at $n leaves: $left"; break; }
  done
  hook epilog >/dev/null 2>&1
done
[ "$points" -ge 30 ] && ok "errors at $points calls of a prolog: no drain, nothing left" || fail "only $points points to fail a prolog at"

# What survives a loss of power: a file is on the disk before it gets its name, and the name before the
# next effect begins. The lease file and each record are replaced like that.
hook prolog strace -qq -o strace.out -e trace=openat,fsync,renameat >/dev/null 2>&1
order=$(awk '
  function number(text) { sub(/^[^(]*\(/, "", text); sub(/[,)].*/, "", text); return text }
  /^openat\(.*\.tmp"/ { fd = $NF; synced = 0 }
  /^fsync\(/ { if (number($0) == fd) synced = 1; if (waiting != "" && number($0) == waiting) waiting = "" }
  /^renameat\(.*\.tmp"/ {
    if (waiting != "") { print "a name was not synced before the next: " $0; exit }
    if (!synced) { print "a file was renamed before it was synced: " $0; exit }
    # The state that users read and the copy of the configuration are of no use then, and not synced.
    waiting = number($0); renamed++
  }
  END { if (waiting != "") print "the last name was not synced"; if (renamed < 3) print "only " renamed " files were replaced" }' \
  <(grep -v '"\.state\.tmp"\|"state"\|cloud\.toml' strace.out))
is "a loss of power leaves the old file or the new one" "" "$order"
hook epilog >/dev/null 2>&1

# The keeper, liblxc's monitor or the machine's first process dies, wherever the Nth call falls.
mv "$LIBEXEC/keeper" "$LIBEXEC/keeper.real"
# The tracer is born in the job's cgroup, which it would hold while it dies.
while sleep 0.05; do
  for pid in $(pgrep -x strace); do
    for group in /sys/fs/cgroup/*/cgroup.procs; do echo "$pid" >"$group"; done 2>/dev/null
  done
done &
mover=$!
trap 'kill $mover; mv -f "$LIBEXEC/keeper.real" "$LIBEXEC/keeper"' EXIT
trap 'exit 130' INT TERM HUP
wrap_keeper() {  # CALL N
  printf '#!/bin/sh\nexec strace -D -f -qq -o %s/strace.keeper -e trace=%s -e inject=%s:%s:when=%s %s "$@"\n' \
    "$PLAYGROUND" "$1" "$1" "$3" "$2" "$LIBEXEC/keeper.real" >"$LIBEXEC/keeper.new"
  chmod 755 "$LIBEXEC/keeper.new"
  mv "$LIBEXEC/keeper.new" "$LIBEXEC/keeper"
}
points=0
for point in clone:1 clone:2 setsid:1 setsid:2 unshare:1 unshare:2 setns:1 mount:1 mount:4 mount:8 mount:12 move_mount:1 \
  move_mount:4 fsconfig:1 fsconfig:5 mount_setattr:1 renameat:1 renameat:2 renameat:3 renameat:4 umount2:1 umount2:3 sendto:1 sendto:4 \
  sendmsg:1 sendmsg:8 write:1 write:2 write:3 write:6 write:12 write:20 write:40 mkdir:10 mkdir:80 mkdir:200 mknodat:1 \
  symlinkat:1 setuid:1 prctl:10 memfd_create:1 bind:1 connect:3 fchmodat:3; do
  wrap_keeper "${point%:*}" "${point#*:}" signal=KILL
  rm -f "$PLAYGROUND/strace.keeper"
  as_user srun -Q -t10 --cloud-type=lxc true >keeper.log 2>&1
  status=$?
  # The call that was reached never returned: all else of the machine is killed, too, at the job's end.
  if grep -qsE "(^| )(${point%:*}\(|<\.\.\. ${point%:*} resumed).*= \?" "$PLAYGROUND/strace.keeper"; then points=$((points + 1)); fi
  [ $status != 124 ] || fail "a task waits for ever after $point"
  left=$(node_is_clean) || { fail "killed at $point (task: $status, $(tail -1 keeper.log)) leaves:$left"; break; }
done
[ "$points" -ge 25 ] && ok "killed at $points points of a machine's start: nothing is left" || fail "only $points points of a start were reached"
points=0
for fault in ENOSPC:write:2 ENOSPC:write:5 ENOSPC:mkdir:5 ENOSPC:renameat:2 ENOSPC:renameat:3 EMFILE:openat:60 EMFILE:openat:120 \
  ENOMEM:clone:2 EPERM:mount:3 EPERM:unshare:1 ENOSPC:fsconfig:3; do
  IFS=: read -r error call n <<<"$fault"
  wrap_keeper "$call" "$n" "error=$error"
  rm -f "$PLAYGROUND/strace.keeper"
  as_user srun -Q -t10 --cloud-type=lxc true >keeper.log 2>&1
  [ $? != 124 ] || fail "a task waits for ever after $fault"
  if grep -qs INJECTED "$PLAYGROUND/strace.keeper"; then points=$((points + 1)); fi
  left=$(node_is_clean) || { fail "$fault (task: $(tail -1 keeper.log)) leaves:$left"; break; }
done
[ "$points" -ge 6 ] && ok "errors from the kernel at $points points of a start: nothing is left" || fail "only $points errors were met in a start"
finish
