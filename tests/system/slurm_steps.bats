# SPDX-License-Identifier: Apache-2.0
# What Slurm does to a step reaches its task in a container, though it was taken there by another process: signals,
# suspension, counting and limits. Runs in cgroup v2 too, on the node of tests/node.
load lib

# SRUN-OPTION... COMMAND: a step of a job of its own; the job's id is in $job.
begin_step() {
  as_user srun -Q -J stepping --cloud-type=lxc "$@" >out 2>&1 &
  step=$!
  eventually is_submitted
  job=$(job_id_of stepping)
}
is_submitted() { [ -n "$(job_id_of stepping)" ]; }
end_step() {
  scancel "$job"
  wait "$step" || true
  eventually no_jobs
}
# A task that shows whether it goes on.
begin_ticking() {
  # shellcheck disable=SC2016
  begin_step sh -c 'while :; do i=$((i + 1)); echo $i >ticks; sleep 0.05; done'
  eventually goes_on
}
goes_on() { local before; before=$(cat ticks 2>/dev/null) && nap 0.5 && [ "$(<ticks)" != "$before" ]; }
stands_still() { ! goes_on; }
# Of what the step itself has.
counts_its_memory() {
  local kib
  kib=$(sstat -n -a -P -j "$job.0" --format=MaxRSS 2>/dev/null | tr -dc 0-9)
  [ "${kib:-0}" -gt 50000 ]
}

@test "a stopped step's task stands still, and goes on with it" {
  begin_ticking
  scancel -s STOP "$job.0"
  eventually stands_still
  scancel -s CONT "$job.0"
  eventually goes_on
  end_step
}

@test "a suspended job's task stands still, and goes on with it" {
  begin_ticking
  scontrol suspend "$job"
  eventually stands_still
  scontrol resume "$job"
  eventually goes_on
  end_step
}

@test "sstat counts a task's memory as its step's" {
  # shellcheck disable=SC2016
  begin_step --mem=300 sh -c 'all=$(head -c 80000000 /dev/zero | tr "\0" x); echo has; sleep 1000; echo $all'
  eventually says has out
  eventually counts_its_memory || fail "sstat: $(sstat -n -a -P -j "$job.0" --format=JobID,MaxRSS 2>&1)"
  end_step
}

@test "a task that takes more memory than its job has is killed, and its machine is not" {
  run in_lxc --mem=60 sh -c 'tail /dev/zero; echo "ended with $?"'
  assert_output --partial "ended with 137"
}

@test "a step's SIGKILL ends its task, and its job goes on" {
  cat >steps.sh <<'END'
srun -Q sh -c 'echo up; exec sleep 987651' >first 2>&1 &
until grep -qs up first; do sleep 0.1; done
scancel -s KILL "$SLURM_JOB_ID.0"
wait
srun -Q echo second
END
  run -0 quietly as_user salloc -Q --cloud-type=lxc bash steps.sh
  assert_line second
  run ! pgrep -f 'sleep 987651'
}
