# SPDX-License-Identifier: Apache-2.0
# How tasks get into a container: what they keep of the process that Slurm made for them, and who is let in by hand.
load lib

# JOB COMMAND...: in its machine by hand.
enter() { local job=$1; shift; as_user "$RUN/jobs/$job/access" "$@"; }
# PID: its control groups, without those of liblxc's and systemd's own books.
groups_of() { grep -v name= "/proc/$1/cgroup" | cut -d: -f3 | sort -u; }

@test "a task has the descriptors that it was started with" {
  machine lxc
  echo seven >file
  chown "$JOB_USER" file
  run -0 enter "$job" sh -c 'ls /proc/self/fd | xargs'
  assert_output "$(as_user sh -c 'ls /proc/self/fd | xargs')"
  run -0 as_user bash -c 'exec 7<file 250>out; "$0" sh -c "cat <&7; echo there >&250"' "$RUN/jobs/$job/access"
  assert_output seven
  assert_equal "$(<out)" there
  # More than one message holds, and those that are closed stay closed.
  run -0 as_user bash -c 'for i in $(seq 10 460); do eval "exec $i</dev/null"; done; exec 20>&-
    "$0" sh -c "ls /proc/self/fd | sort -n | tail -n 1; test -e /proc/self/fd/460 && ! test -e /proc/self/fd/20 && echo closed"' \
    "$RUN/jobs/$job/access"
  assert_line closed
  run -0 as_user bash -c '"$0" sh -c "test -e /proc/self/fd/0 || echo closed >&2" <&- 2>&1' "$RUN/jobs/$job/access"
  assert_output closed
}

@test "a task has the priority, CPUs, limits and ignored signals of the process that Slurm made for it" {
  cat >attributes.sh <<'END'
grep -E '^(Cpus_allowed_list|NoNewPrivs|SigIgn|SigBlk)' /proc/self/status
cut -d' ' -f19 /proc/self/stat
cat /proc/self/oom_score_adj
ulimit -Hn
END
  run -0 in_lxc sh attributes.sh
  local inside=$output
  run -0 on_node sh attributes.sh
  assert_equal "$inside" "$output"
  machine lxc
  cat >unusual.sh <<'END'
trap '' HUP
ulimit -n 99
exec nice -n 5 "$@" sh -c 'cut -d" " -f19 /proc/self/stat; grep SigIgn /proc/self/status; ulimit -Hn; ulimit -Sn; umask'
END
  run -0 as_user bash unusual.sh
  local outside=$output
  assert_line --index 0 5
  run -0 as_user bash unusual.sh "$RUN/jobs/$job/access"
  assert_output "$outside"
}

@test "a task is in its step's control groups, and holds nothing of root's" {
  as_user srun -Q -J held --cloud-type=lxc sh -c 'cat /proc/self/status; exec sleep 1000' >out 2>&1 &
  eventually says ^Threads out
  local id pid step
  id=$(job_id_of held)
  # The sleep is the only process of the user's with that name.
  pid=$(pgrep -u "$JOB_UID" -x sleep)
  step=$(groups_of "$pid" | grep "job_$id/step_0" | head -n 1)
  [ -n "$step" ] || fail "in $(groups_of "$pid")"
  assert_equal "$(sed -n 's/^[UG]id:\t//p' out | xargs)" "$(echo "$JOB_UID"{,,,} "$JOB_GID"{,,,} | xargs)"
  run grep -E '^Cap(Inh|Prm|Eff|Amb):.*[1-9a-f]$' out
  assert_output ''
  # Whoever takes it there is the user's by now, too, and has no file open but the connection.
  local escort
  escort=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f2)
  assert_equal "$(<"/proc/$escort/comm")" escort
  assert_equal "$(stat -c %u "/proc/$escort/fd/0")" 0
  assert_equal "$(sed -n 's/^Uid:\t//p' "/proc/$escort/status" | xargs)" "$JOB_UID $JOB_UID $JOB_UID $JOB_UID"
  run bash -c 'for f in /proc/'"$escort"'/fd/*; do readlink "$f"; done | grep -vE "^(/dev/null|socket:|anon_inode:.signalfd.)"'
  assert_output ''
  scancel "$id"
  wait
}

@test "by hand, one is in the job's control groups, and ends with the job" {
  machine lxc
  enter "$job" sh -c 'echo here; exec sleep 1000' >out 2>&1 &
  eventually says here out
  local pid status=0
  pid=$(pgrep -u "$JOB_UID" -x sleep | while read -r one; do grep -q "/cloud/entered" "/proc/$one/cgroup" && echo "$one"; done)
  assert_equal "$(groups_of "$pid" | grep -c "job_$job/step_extern.*/cloud/entered")" 1
  end_jobs "$job"
  wait $! || status=$?
  assert [ "$status" -ne 0 ]
  run ! lives "$pid"
}

@test "the system's log says who enters" {
  machine lxc
  # The cell has none: what is meant for it is taken where it would listen.
  perl -MSocket -e 'socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un("/dev/log")) or die; $| = 1;
    while (defined recv(S, my $said, 8192, 0)) { print "$said\n" }' >"$BATS_TEST_TMPDIR/log" 3>&- &
  local listener=$!
  eventually test -S /dev/log
  enter "$job" true
  eventually says "enters machine sc-$NODE-$job as uid $JOB_UID" "$BATS_TEST_TMPDIR/log"
  kill "$listener"
  rm -f /dev/log
}

@test "nobody else is let in: not root, not another user, not a set-uid program of root's" {
  machine lxc
  run ! "$RUN/jobs/$job/access" true
  assert_output --partial "another user's"
  run ! as_other "$RUN/jobs/$job/access" true
  # Who asks at the door is known by the kernel's word.
  run perl -MSocket -e '$SIG{PIPE} = "IGNORE"; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die "no: $!";
    syswrite(S, "g\0\0\0\0"); print sysread(S, $b, 5) ? "answered $b" : "sent away"' "$RUN/jobs/$job/door"
  assert_output "sent away"
}

@test "who hangs on at the door holds up neither the machine's end nor the job's" {
  machine lxc
  cat >hang.pl <<'END'
use Socket;
for (1 .. 80) { socket(my $s, PF_UNIX, SOCK_STREAM, 0); connect($s, sockaddr_un($ARGV[0])) or die; push @all, $s }
$| = 1; print "80\n"; for (@all) { 1 while sysread($_, my $said, 99) }
END
  as_user perl hang.pl "$RUN/jobs/$job/door" >out &
  local hanging=$!
  eventually says 80 out
  # No more than 64 at once are answered.
  run ! enter "$job" true
  assert_output --partial "no more at once"
  end_jobs "$job"
  wait "$hanging"
}

@test "a task whose escort is killed is over, and its job goes on" {
  as_user srun -Q -J escorted --cloud-type=lxc sh -c 'echo up; exec sleep 1000' >out 2>&1 &
  local pid task=$! status=0
  eventually says up out
  pid=$(pgrep -u "$JOB_UID" -x sleep)
  as_user kill -9 "$(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f2)"
  wait "$task" || status=$?
  assert_equal "$status" 125
  run ! lives "$pid"
}

@test "the batch script runs inside, and reads its own text" {
  cat >batch.sh <<'END'
#!/bin/sh
#SBATCH --cloud-type=lxc --cloud-run=all
hostname; echo "$0" | grep -c .; echo $1
END
  chown "$JOB_USER" batch.sh
  job=$(as_user sbatch --parsable --wait -o out batch.sh word)
  assert_equal "$(without_waiting <out | xargs)" "$NODE-$job 1 word"
}

runs() { [ "$(squeue -h -j "$1" -o %t)" = R ]; }

@test "where root looks for a job's machine is nothing that its user chooses" {
  # A state of the user's own, of another's machine; and the name of a node that leads to it.
  machine lxc
  local dir=$HOME_DIR/x/jobs
  cat >reach.pl <<'END'
my $fd = $ENV{SLURM_CLOUD_ESCORT} // die "no escort\n";
$SIG{PIPE} = "IGNORE";
open(my $escort, "+<&=", $fd) or die "fd $fd: $!\n";
syswrite($escort, "g\0\0\0\0");
sysread($escort, my $said, 4096);
print "escort says $said\n";
END
  cat >attack.sh <<'END'
mkdir -p "$1/$SLURM_JOB_ID"
sed "s/^job_id=.*/job_id=$SLURM_JOB_ID/; s/^run=.*/run=all/" "$2" >"$1/$SLURM_JOB_ID/state"
perl reach.pl
END
  chown -R "$JOB_USER" .
  local up
  up=$(sed 's#/[^/]*#../#g' <<<"${RUN%/*}")
  # srun makes a job of its own; its folder is there before its task is.
  AS_USER_ENV="SLURMD_NODENAME=$up$HOME_DIR/x" run as_user srun -Q sh attack.sh "$dir" "$RUN/jobs/$job/state"
  refute_output --partial "escort says j"
  assert_output --partial "no escort"
  # With the folder there, before the step begins.
  job2=$(as_user sbatch --parsable -o /dev/null --wrap 'exec sleep 1000')
  as_user sh -c 'mkdir -p "$1/$2"; sed "s/^job_id=.*/job_id=$2/; s/^run=.*/run=all/" "$3" >"$1/$2/state"' \
    sh "$dir" "$job2" "$RUN/jobs/$job/state"
  eventually runs "$job2"
  AS_USER_ENV="SLURMD_NODENAME=$up$HOME_DIR/x" run as_user srun -Q --overlap --jobid="$job2" perl reach.pl
  refute_output --partial "escort says j"
  assert_output --partial "no escort"
  # And root itself goes by no state that a user could have written, whoever sends it there.
  local asker
  asker=$(pgrep -u "$JOB_UID" -x sleep | head -n 1)
  run -125 "$LIBEXEC/escort" --dir "$dir/$job2" --job "$job2" --uid "$JOB_UID" --for "$asker" --cgroup /nowhere \
    3< <(printf 'g\0\0\0\0')
}

@test "who keeps an escort's connection keeps no process of root's" {
  # It says one byte of five, and holds on.
  machine lxc
  local asker
  asker=$(pgrep -u "$JOB_UID" -x sleep | head -n 1)
  run -0 timeout $((20 * SLOWNESS)) perl -MSocket -MPOSIX -e 'socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0); my $pid = fork;
    if (!$pid) { open(STDIN, "</dev/null"); POSIX::dup2(fileno($theirs), 3); exec @ARGV }
    close $theirs; syswrite($ours, "g"); waitpid($pid, 0); print "gone with ", $? >> 8, "\n"' \
    "$LIBEXEC/escort" --dir "$RUN/jobs/$job" --job "$job" --uid "$JOB_UID" --for "$asker" --cgroup /nowhere
  assert_output "gone with 125"
}
