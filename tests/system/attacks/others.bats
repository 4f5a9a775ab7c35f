# SPDX-License-Identifier: Apache-2.0
# What one user's machine, or anybody on the node, does to another's job and to the node.
load ../lib
load attacks

@test "F4: nothing of a container's listens where others on the node can connect" {
  machine lxc
  run -1 grep -a lxc /proc/net/unix
  assert lives "$(state_of "$job" init_pid)"
  end_jobs "$job"
}

@test "F12: frames from any number of hardware addresses leave nothing in the bridge's table" {
  machine lxc
  local bridge before
  bridge=$(sed -n 's/^bridge = "\(.*\)"/\1/p' "$CONFIG" | head -n 1)
  before=$(bridge fdb show br "$bridge" | wc -l)
  run -0 as_machines_root "$job" python3 "$PWD/many_addresses.py" eth0 2000
  assert_output "sent 2000"
  assert [ "$(bridge fdb show br "$bridge" | wc -l)" -le "$before" ]
  # The machine itself is known there, and reached.
  run -0 busybox ping -c 1 -W "$((3 * SLOWNESS))" "$(sed -n "s/;$job;USED.*//p" "$LEASES")"
  end_jobs "$job"
}

@test "F10: all users of a machine together, and its tasks, have so many processes as the site says" {
  local limit=200
  sed -i "s/^\[backend.lxc\]/&\nuser_pids_max = $limit/" "$CONFIG"
  machine lxc
  run as_machines_root "$job" setsid "$PWD/fork_uids.py" 100
  assert [ "$output" -gt $((limit / 2)) ]
  assert [ "$output" -le $limit ]
  # What is over leaves room, and the user's processes on the node are none of them.
  run -0 as_user "$RUN/jobs/$job/access" echo inside
  assert_output inside
  end_jobs "$job"
  sed -i "s/^user_pids_max = .*/user_pids_max = 8/" "$CONFIG"
  run as_user srun -Q --cloud-type=lxc sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 3 & done; wait; echo all'
  assert_output --regexp '[Cc]annot fork|can.t fork|Resource temporarily unavailable'
  # Not even the task has room.
  sed -i "s/^user_pids_max = .*/user_pids_max = 2/" "$CONFIG"
  run -125 as_user srun -Q --cloud-type=lxc true
  assert_output --partial "start the task in the machine: Resource temporarily unavailable"
}

# bats test_tags=v1
@test "F14: root of a machine owns no group of a controller" {
  machine lxc
  local init group mount
  init=$(state_of "$job" init_pid)
  while IFS=: read -r _ controllers group; do
    case $controllers in '' | name=*) continue ;; esac
    mount=/sys/fs/cgroup/${controllers%%,*}
    [ -d "$mount" ] || mount=/sys/fs/cgroup/$controllers
    run ! as_machines_root "$job" mkdir "$mount${group%/init}/mine"
    assert_output --partial "Permission denied"
    run ! as_machines_root "$job" mkdir "$mount$group/mine"
    assert_output --partial "Permission denied"
    run -0 find "$mount${group%/init}" -maxdepth 2 \( ! -user root -o ! -group root \)
    assert_output ""
  done <"/proc/$init/cgroup"
  end_jobs "$job"
}

# bats test_tags=v1
@test "a lock that another user holds on a folder of control groups makes no epilog wait" {
  local folders holder
  run -0 hook prolog 888041
  machine lxc
  mapfile -t folders < <(find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -type d -name "slurm_$NODE")
  assert [ "${#folders[@]}" -gt 3 ]
  cat >hold.pl <<'END'
use Fcntl ":flock";
for (@ARGV) { open(my $f, "<", $_) or die; flock($f, LOCK_EX | LOCK_NB) or die "$_: $!"; push @all, $f }
$| = 1; print "holds $$\n"; sleep 1000
END
  as_other perl - "${folders[@]}" <hold.pl >held 2>&1 &
  holder=$!
  eventually says holds held || fail "$(cat held)"
  run -0 hook epilog "$job" strace -f -y -qq -o strace.out -e trace=flock
  # Each is tried once.
  run -0 grep -c /sys/fs/cgroup/ strace.out
  assert [ "$output" -le "${#folders[@]}" ]
  kill "$(sed 's/^holds //' held)"
  wait "$holder" || true
  end_jobs "$job"
  run -0 hook epilog 888041
}
