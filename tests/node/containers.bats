# SPDX-License-Identifier: Apache-2.0
# Where a container of a job is in cgroup v2, what limits, counts, freezes and ends it. What its tasks see is
# tests/system/tasks.bats', which runs here too.
load ../system/lib

# SBATCH-OPTIONS...: a job with its machine up; sets job, group (the job's), cloud (its machine's) and init.
start_job() {
  machine lxc "$@"
  init=$(state_of "$job" init_pid)
  group=$(echo /sys/fs/cgroup/system.slice/*slurmstepd.scope)/job_$job
  cloud=$group/step_extern/user/task_0/cloud
}
# Runs a command in the group of the machine's own services.
in_machine() {
  bash -c 'echo $$ >"$1"/machine/init/cgroup.procs && shift && exec "$@"' in_machine "$cloud" "$@" 3>&-
}
is_gone() { no_jobs && [ ! -e "$group" ]; }
is_frozen() { grep -qx "frozen $1" "$cloud/machine/init/cgroup.events"; }
used_us() { sed -n 's/^usage_usec //p' "$cloud/machine/init/cpu.stat"; }
has_used_more() { [ "$(used_us)" -gt $((before + 100000)) ]; }
is_crowded() { [ "$(wc -l <"$cloud/machine/init/cgroup.procs")" -gt 50 ]; }

@test "a container is limited, counted, frozen and ended where its job is" {
  start_job --mem=120 -c1
  assert_equal "$(cat "/proc/$init/cgroup")" "0::${cloud#/sys/fs/cgroup}/machine/init"
  assert_equal "$(cat "$cloud"/{monitor,keeper}/cgroup.procs | wc -l)" 2
  run -0 sh -c "cat $group/step_extern/slurm/cgroup.procs $cloud/cgroup.procs | xargs -r ps -o args= -p | grep -v slurmstepd || true"
  assert_output ""
  assert_equal "$(cat "$group/memory.max")" $((120 * 1024 * 1024))
  assert_equal "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$init/status")" "$(cat "$group/cpuset.cpus.effective")"
  assert_equal "$(cat "/proc/$init/oom_score_adj")" 0

  run -137 in_machine tail /dev/zero
  assert_equal "$(cat "$cloud/machine/init/cgroup.procs")" "$init"
  in_machine sha256sum /dev/zero 2>/dev/null &
  eventually has_counted_cpu "$job"

  scontrol suspend "$job"
  eventually is_frozen 1
  before=$(used_us)
  nap 1
  assert_equal "$(used_us)" "$before"
  scontrol resume "$job"
  eventually is_frozen 0
  eventually has_used_more

  # All that forks is killed at once by the kernel.
  in_machine bash -c 'trap "" TERM; for _ in $(seq 50); do (while :; do sleep 0.5; done) & done; wait' 2>/dev/null &
  eventually is_crowded
  scancel "$job"
  eventually is_gone
  eventually is_over "$init"
}

@test "a suspended job, and one whose record is lost, end with their machines" {
  start_job
  scontrol suspend "$job"
  eventually is_frozen 1
  scancel "$job"
  eventually is_gone

  start_job
  echo garbage >"$STATE/jobs/$job/record.json"
  scancel "$job"
  eventually is_gone
  assert_equal "$(ls "$STATE/quarantine" | wc -l)" 1
  rm -rf "$STATE/quarantine"
  eventually is_over "$init"
}
