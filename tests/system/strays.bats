# SPDX-License-Identifier: Apache-2.0
# Jobs whose end goes astray: a user is in its way, the time is over, slurmd and the slurmstepds are dead.
load lib

teardown() {
  [ ! -s "$HOME_DIR/squatter" ] || kill "$(<"$HOME_DIR/squatter")" || true
  lives "$(slurmd_pid 2>/dev/null)" || start_slurmd
  end_case
}

@test "a user in the place of a machine's monitor holds up nobody" {
  local socket init monitor
  machine lxc
  init=$(state_of "$job" init_pid)
  monitor=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$init/status")
  # What the monitor listens on in its own network namespace, taken by the user on the node, and never answered.
  socket=$(sed -n "s|.*@\(.*sc-$NODE-$job.*/command\)\$|\1|p" "/proc/$monitor/net/unix" | head -n 1)
  assert [ -n "$socket" ]
  # shellcheck disable=SC2016
  as_user perl -MSocket -e '
    socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!;
    until (bind($s, pack_sockaddr_un("\0$ARGV[0]"))) { select(undef, undef, undef, 0.05) }
    listen($s, 5) or die $!;
    open(my $f, ">", "squatter.new"); print $f $$; close $f; rename "squatter.new", "squatter"; sleep 1000' "$socket" &
  eventually test -s squatter
  kill -9 "$init"
  eventually phase_is "$job" ended
  end_jobs "$job"
  node_is_clean
  # It was there all the time.
  assert lives "$(<squatter)"
}

@test "the end of a job's time is the end of its machine" {
  as_user srun -Q -J late --cloud-type=lxc sh -c 'echo up; exec sleep 1000' >out 2>&1 &
  local task=$! status=0
  eventually says '^up$' out
  # slurmctld looks for what has ended every half minute only.
  scontrol update job="$(job_id_of late)" EndTime=now+1
  LIMIT=200 eventually no_jobs
  wait "$task" || status=$?
  assert [ $status != 0 ]
  run cat out
  assert_output --partial "TIME LIMIT"
  node_is_clean
}

# The pids of a job's slurmstepds: the parents of its processes.
stepds_of() {
  local pid
  for pid in $(scontrol listpids "$1" | awk 'NR > 1 && $1 > 1 {print $1}'); do
    sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status"
  done | sort -u
}

@test "where slurmd and the slurmstepds die at once, the keeper cleans up" {
  local stepds
  # As bad as it can be: the configuration is broken, too, by then.
  sed -i 's/^boot_timeout/orphan_grace = "2s"\n&/' "$CONFIG"
  echo precious >precious
  machine lxc
  echo '[cloud' >>"$CONFIG"
  stepds=$(stepds_of "$job")
  assert_equal "$(wc -w <<<"$stepds")" 2
  end_slurmd KILL
  kill -9 $stepds
  eventually test ! -e "$STATE/jobs/$job" || fail "$(cat "$STATE/jobs/$job/keeper.log")"
  assert_equal "$(<precious)" precious
  assert_equal "$(ls "$STATE/machines")" ""
  restore_configuration
  start_slurmd
  end_jobs "$job"
  # The processes and groups of steps whose slurmstepd was killed are Slurm's own, and it leaves them.
  groups() { find /sys/fs/cgroup -depth -path "*/job_$job*" -type d 2>/dev/null || true; }
  no_groups() {
    local group
    for group in $(groups); do
      xargs -r kill -9 <"$group/cgroup.procs" || true
      rmdir "$group" || true
    done 2>/dev/null
    [ -z "$(groups)" ]
  }
  eventually no_groups
  node_is_clean
}
