#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where a container of a job is in cgroup v2, what limits, counts, freezes and ends it. What its tasks see is
# tests/system/tasks.sh's, which runs here too.
. "$(dirname "$0")/../system/lib.sh"
SCOPE=$(echo /sys/fs/cgroup/system.slice/*slurmstepd.scope)

# NAME SBATCH-OPTIONS...: a job that waits with its machine up; sets id, group (the job's) and init.
start_job() {
  local name=$1
  shift
  as_user sbatch -Q -J "$name" -o "$name.out" --no-requeue --cloud-type=lxc "$@" --wrap 'sleep 300' >/dev/null
  eventually 30 is_running "$name"
  id=$(job_id_of "$name")
  local state=$PLAYGROUND/run/$NODE/jobs/$id/state
  eventually 30 grep -qs phase=ready "$state" || fail "$name: $(cat "$state")"
  init=$(sed -n 's/^init_pid=//p' "$state")
  group=$SCOPE/job_$id
  cloud=$group/step_extern/user/task_0/cloud
}
# Runs a command in the group of the machine's own services.
in_machine() { bash -c 'echo $$ >"$1"/machine/init/cgroup.procs && shift && exec "$@"' in_machine "$cloud" "$@"; }
job_is_gone() { [ -z "$(squeue -h -j "$id" -o %A 2>/dev/null)" ] && [ ! -e "$group" ]; }
is_frozen() { grep -qx "frozen $1" "$cloud/machine/init/cgroup.events"; }
used_us() { sed -n 's/^usage_usec //p' "$cloud/machine/init/cpu.stat"; }

start_job limits --mem=120 -c1
is "the machine is where the job is counted" "0::${cloud#/sys/fs/cgroup}/machine/init" "$(cat "/proc/$init/cgroup")"
is "so are its monitor and its keeper" 2 "$(cat "$cloud"/{monitor,keeper}/cgroup.procs | wc -l)"
is "nothing of it is elsewhere in the job" "" "$(cat "$group/step_extern/slurm/cgroup.procs" "$cloud/cgroup.procs" | xargs -r ps -o args= -p | grep -v slurmstepd)"
is "the job's memory is its limit" $((120 * 1024 * 1024)) "$(cat "$group/memory.max")"
is "the job's CPU is its CPU" "$(cat "$group/cpuset.cpus.effective")" "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$init/status")"
is "it can be killed at the memory limit" 0 "$(cat "/proc/$init/oom_score_adj")"
in_machine tail /dev/zero 2>/dev/null
is "a process of the machine that takes more than the job has is killed" 137 $?
is "and nothing else of it" "$init" "$(cat "$cloud/machine/init/cgroup.procs")"
in_machine sha256sum /dev/zero 2>/dev/null &
eventually 20 sh -c "[ \"\$(sstat -n -a -P -j $id.extern --format=AveCPU | tr -dc 0-9)\" -gt 1 ]" 2>/dev/null
has "sstat sees its CPU time" "$id.extern|00:00:" "$(sstat -n -a -P -j "$id.extern" --format=JobID,AveCPU | grep -v '00:00:0[01]$')"

scontrol suspend "$id"
if eventually 10 is_frozen 1; then ok "suspend freezes the machine"; else fail "suspend: $(cat "$cloud/machine/init/cgroup.events")"; fi
before=$(used_us)
sleep 2
is "which runs no more" "$before" "$(used_us)"
scontrol resume "$id"
if eventually 10 is_frozen 0; then ok "resume thaws it"; else fail "resume: $(cat "$cloud/machine/init/cgroup.events")"; fi
runs_on() { [ "$(used_us)" -gt $((before + 100000)) ]; }
if eventually 10 runs_on; then ok "and it runs on"; else fail "it does not run after resume"; fi

# All that forks is killed at once by the kernel.
in_machine bash -c 'trap "" TERM; for _ in $(seq 50); do (while :; do sleep 0.1; done) & done; wait' 2>/dev/null &
eventually 20 sh -c "[ \$(wc -l <$cloud/machine/init/cgroup.procs) -gt 50 ]"
scancel "$id"
if eventually 30 job_is_gone; then ok "scancel ends machine and job"; else fail "scancel: $(squeue -h -j "$id") $(find "$group" 2>/dev/null -type d)"; fi
wait

start_job suspended
scontrol suspend "$id"
eventually 10 is_frozen 1
scancel "$id"
if eventually 40 job_is_gone; then ok "scancel of a suspended job, too"; else fail "suspended: $(squeue -h -j "$id") $(find "$group" 2>/dev/null -type d)"; fi

start_job lost
echo garbage >"$STATE/jobs/$id/record.json"
scancel "$id"
if eventually 40 job_is_gone; then ok "a job whose record is lost is cleaned up"; else fail "lost record: $(find "$group" 2>/dev/null -type d)"; fi
is "a copy of it is kept" 1 "$(ls "$STATE/quarantine" | wc -l)"
rm -rf "$STATE/quarantine"
is "the machine has ended" "" "$(ps -o pid= -p "$init")"
finish
