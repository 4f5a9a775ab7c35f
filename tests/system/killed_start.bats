# SPDX-License-Identifier: Apache-2.0
# bats file_tags=v1
# The keeper, liblxc's monitor or the machine's first process dies, or gets an error, wherever the Nth call of a kind
# falls in the start of a machine: strace is in the keeper's place.
load lib

setup() {
  begin_case
  mv "$LIBEXEC/keeper" "$LIBEXEC/keeper.real"
  move_tracers &
  mover=$!
}
teardown() {
  kill "$mover"
  wait "$mover" || true
  mv -f "$LIBEXEC/keeper.real" "$LIBEXEC/keeper"
  end_case
}
# The tracer is born in the job's cgroup, which it would hold while it dies.
move_tracers() {
  exec 3>&-
  local pid group
  while :; do
    for pid in $(pgrep -x strace); do
      for group in /sys/fs/cgroup/*/cgroup.procs; do echo "$pid" >"$group" || true; done 2>/dev/null
    done
    nap 0.05
  done
}
# CALL N INJECTION: what the next machine's start meets. How a task there ends is in $status; nothing may be left.
start_with() {
  local left
  printf '#!/bin/sh\nexec strace -D -f -qq -o %s -e trace=%s -e inject=%s:%s:when=%s %s "$@"\n' \
    "$PLAYGROUND/strace.keeper" "$1" "$1" "$3" "$2" "$LIBEXEC/keeper.real" >"$LIBEXEC/keeper.new"
  chmod 755 "$LIBEXEC/keeper.new"
  mv "$LIBEXEC/keeper.new" "$LIBEXEC/keeper"
  rm -f "$PLAYGROUND/strace.keeper"
  status=0
  as_user srun -Q -t10 --cloud-type=lxc true >keeper.log 2>&1 || status=$?
  [ $status != 124 ] || fail "a task waits for ever after $*"
  left=$(node_is_clean) || fail "$* (task: $status, $(tail -n 1 keeper.log)) leaves:$left"
}

@test "wherever the start of a machine is killed, nothing is left" {
  local all i point step points=0
  all=(clone:1 clone:2 setsid:1 setsid:2 unshare:1 unshare:2 setns:1 mount:1 mount:4 mount:8 mount:12 move_mount:1 move_mount:4
    fsconfig:1 fsconfig:5 mount_setattr:1 renameat:1 renameat:2 renameat:3 renameat:4 umount2:1 umount2:3 sendto:1 sendto:4
    sendmsg:1 sendmsg:8 write:1 write:2 write:3 write:6 write:12 write:20 write:40 mkdir:10 mkdir:80 mkdir:200 mknodat:1
    symlinkat:1 setuid:1 prctl:10 memfd_create:1 bind:1 connect:3 fchmodat:3)
  step=$(count 4 1)
  # Where the machine's first process dies unseen, the keeper waits 20 s for liblxc: at mount:4, mount:8, umount2:1,
  # sendmsg:1, sendmsg:8 and prctl:10, the last of which is in the short run.
  for ((i = step - 1; i < ${#all[@]}; i += step)); do
    point=${all[i]}
    start_with "${point%:*}" "${point#*:}" signal=KILL
    # The call that was reached never returned: all else of the machine is killed, too, at the job's end.
    if says "(^| )(${point%:*}\(|<\.\.\. ${point%:*} resumed).*= \?" "$PLAYGROUND/strace.keeper"; then points=$((points + 1)); fi
  done
  [ "$points" -ge $((25 / step)) ] || fail "only $points points of a start were reached"
}

@test "whatever error a machine's start gets from the kernel, nothing is left" {
  local all i error call n step points=0
  all=(ENOSPC:write:2 ENOSPC:write:5 ENOSPC:mkdir:5 ENOSPC:renameat:2 ENOSPC:renameat:3 EMFILE:openat:60 EMFILE:openat:120
    ENOMEM:clone:2 EPERM:mount:3 EPERM:unshare:1 ENOSPC:fsconfig:3)
  step=$(count 3 1)
  for ((i = 0; i < ${#all[@]}; i += step)); do
    IFS=: read -r error call n <<<"${all[i]}"
    start_with "$call" "$n" "error=$error"
    if says INJECTED "$PLAYGROUND/strace.keeper"; then points=$((points + 1)); fi
  done
  [ "$points" -ge $((6 / step)) ] || fail "only $points errors were met in a start"
}
