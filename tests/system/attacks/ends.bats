# SPDX-License-Identifier: Apache-2.0
# What a user does so that the end of a job is held up, or leaves something: memory, disk, an address, a process.
load ../lib
load attacks

teardown() {
  end_programs
  # What a case has left on purpose.
  eventually finishes_all || true
  end_case
}

# The folder of the machine's groups that kills go by.
group_of() {
  local path
  if has_cgroup_v1; then
    path=$(sed -n 's/.*:freezer://p' "/proc/$(state_of "$1" keeper_pid)/cgroup")
    echo "/sys/fs/cgroup/freezer${path%/keeper}"
  else
    path=$(sed -n 's/^0:://p' "/proc/$(state_of "$1" keeper_pid)/cgroup")
    echo "/sys/fs/cgroup${path%/keeper}"
  fi
}
# A process of the user's, traced by another, among the machine's: as the ssh of a virtual machine was, or what a
# machine's root had moved there. Its pid is in $victim.
with_traced_process() {
  # shellcheck disable=SC2016
  as_user sh -c 'echo $$ >victim.new; mv victim.new victim; exec sleep 987650' &
  eventually test -s victim
  victim=$(<victim)
  mkdir "$(group_of "$1")/traced"
  echo "$victim" >"$(group_of "$1")/traced/cgroup.procs"
  as_user ./trace_exit.py "$victim" >traced 2>&1 3>&- &
  eventually says '^holds' traced || fail "$(cat traced)"
}
# Hooks of jobs that have nothing to do with it.
finishes_all() {
  hook epilog 888099 >>later.log 2>&1
  [ -z "$(find "$STATE/jobs" "$STATE/trash" "$STATE/unfinished" -mindepth 1 -maxdepth 1 ! -name '.kvm*' 2>/dev/null)" ]
}

# JOB OTHER: a next run of the job is not touched by the hooks of another.
next_run_goes_on() {
  run -0 hook prolog "$1" SLURM_JOB_RESTART_COUNT=1
  run -0 hook prolog "$2"
  assert_equal "$(state_of "$1" phase)" prepared
  run -0 hook epilog "$2"
  run -0 hook epilog "$1" SLURM_JOB_RESTART_COUNT=1
}

@test "N1: a process that is traced in its exit holds up neither folder nor address, and is ended by a later hook" {
  machine lxc
  # The keeper must have noted its last stage, or it may hold the record's lock.
  eventually says '"ready"' "$STATE/jobs/$job/record.json"
  with_traced_process "$job"
  run -0 hook epilog "$job"
  assert_output --partial "do not die"
  # All that can be done without it is done.
  assert lives "$victim"
  assert_equal "$(grep -c ";$job;USED" "$LEASES" || true)" 0
  assert_equal "$(ls "$STATE/machines")" ""
  assert [ ! -e "$RUN/jobs/$job" ]
  assert [ -e "$STATE/jobs/$job/record.json" ]
  # Others' hooks try again, and cannot do more.
  run -0 hook prolog 888020
  run -0 hook epilog 888020
  assert [ -e "$STATE/jobs/$job" ]
  touch enough
  eventually is_over "$victim"
  eventually finishes_all || fail "$(cat later.log)"
  assert [ ! -e "$STATE/jobs/$job" ]
  end_jobs "$job"
}

@test "N1: an epilog that was killed is finished by the next hook, whosesoever job that is for" {
  run -0 hook prolog 888021
  # At the removal of the folder: the address is leased still.
  run hook epilog 888021 strace -f -qq -o strace.out -e trace=rmdir,unlinkat -e inject=rmdir,unlinkat:signal=KILL:when=1
  assert [ -e "$STATE/jobs/888021" ]
  run -0 hook prolog 888022
  assert [ ! -e "$STATE/jobs/888021" ]
  assert_equal "$(grep -c ';888021;' "$LEASES" || true)" 0
  run -0 hook epilog 888022
}

@test "N1: a job of a next run is not ended with the run before" {
  run -0 hook prolog 888023
  run hook epilog 888023 strace -f -qq -o strace.out -e trace=rmdir,unlinkat -e inject=rmdir,unlinkat:signal=KILL:when=1
  next_run_goes_on 888023 888024
}

@test "N2: what somebody mounted in a machine's folder is detached, and a stranger's folder is not removed" {
  local work precious=$PLAYGROUND/precious
  run -0 hook prolog 888025
  work=$(echo "$STATE"/machines/*888025)
  # As it would be where a user had a folder in there: a file system on it, and another user's folder moved into it.
  mkdir -p "$work/ssh/deep" "$work/ssh/theirs" "$precious"
  echo kept >"$precious/file"
  mount --bind "$precious" "$work/ssh/deep"
  echo kept >"$work/ssh/theirs/file"
  chown -R nobody "$work/ssh/theirs"
  run -0 hook epilog 888025
  assert [ ! -e "$work" ]
  run -1 grep -F "$STATE" /proc/self/mounts
  assert_equal "$(<"$precious/file")" kept
  set_aside() { [ "$(cat "$STATE"/quarantine/*888025*/ssh/theirs/file 2>/dev/null)" = kept ]; }
  eventually set_aside || fail "$(find "$STATE/trash" "$STATE/quarantine")"
  rm -rf "$STATE/quarantine" "$precious"
}

# What a process outside still can with what a task has handed out, after the job.
keeps_nothing() {
  eventually no_jobs
  eventually nodes_are_idle
  touch ended
  eventually says '^done' kept || fail "$(cat kept)"
  run cat kept
  assert_line "memory: 0 bytes are kept"
  assert_line --regexp "^memory: [0-9]{1,6} bytes more"
  assert_line "disk: 0 files more"
}

@test "F5 F8: descriptors that a task has handed out keep no memory and no room after the job" {
  gcc -static -o pass_files "$BATS_TEST_DIRNAME/pass_files.c"
  as_user ./keep_files.py >kept 2>&1 3>&- &
  eventually says '^listens' kept
  run -0 in_lxc ./pass_files
  assert_output passed
  eventually says '^holds 3[0-9]{7} bytes' kept || fail "$(cat kept)"
  keeps_nothing
}

@test "F5 F8: nor do they where the machine's keeper was killed before" {
  gcc -static -o pass_files "$BATS_TEST_DIRNAME/pass_files.c"
  machine lxc
  as_user ./keep_files.py >kept 2>&1 3>&- &
  eventually says '^listens' kept
  run -0 as_user "$RUN/jobs/$job/access" ./pass_files
  eventually says '^holds 3[0-9]{7} bytes' kept || fail "$(cat kept)"
  kill -9 "$(state_of "$job" keeper_pid)"
  end_jobs "$job"
  keeps_nothing
}

@test "N1: a next run is not ended by a note of the run before whose record had gone" {
  run -0 hook prolog 888027
  run hook epilog 888027 \
    strace -f -qq -o strace.out -P "$STATE/unfinished/888027" -e trace=unlink -e inject=unlink:signal=KILL:when=1
  assert [ -e "$STATE/unfinished/888027" ]
  assert [ ! -e "$STATE/jobs/888027" ]
  next_run_goes_on 888027 888028
}

@test "N1: an epilog that was killed before it could lock the record is finished by the next hook" {
  run -0 hook prolog 888029
  run hook epilog 888029 strace -f -qq -o strace.out -e trace=flock -e inject=flock:signal=KILL:when=1
  assert [ -e "$STATE/jobs/888029" ]
  run -0 hook prolog 888030
  assert [ ! -e "$STATE/jobs/888029" ]
  run -0 hook epilog 888030
}

@test "F5: who takes a machine's memory back follows no link that its user puts there meanwhile" {
  local precious=$PLAYGROUND/precious
  mkdir "$precious"
  echo kept >"$precious/file"
  gcc -static -o pass_files "$BATS_TEST_DIRNAME/pass_files.c"
  as_user ./swap_folders.py "$precious" >swaps 2>&1 3>&- &
  eventually says '^listens' swaps
  run -0 in_lxc ./pass_files /dev/shm/theirs
  eventually no_jobs
  eventually nodes_are_idle
  touch enough
  eventually says '^done' swaps || fail "$(cat swaps)"
  assert_equal "$(<"$precious/file")" kept
  rm -r "$precious"
}

@test "F8: the trash of an earlier hook is emptied by the next one" {
  mkdir -p "$STATE/trash/left/deep/er"
  echo x >"$STATE/trash/left/deep/file"
  run -0 hook epilog 888026
  is_empty() { [ -z "$(ls "$STATE/trash")" ]; }
  eventually is_empty
}
