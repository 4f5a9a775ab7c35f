#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian image with systemd boots as a machine, is limited and accounted as part of its job, and is
# frozen and thawed with it.
. "$(dirname "$0")/lib.sh"
image=$PLAYGROUND/images/debian
cp "$CONFIG" config.saved
printf '[image.debian]\npath = "%s"\n' "$image" >>"$CONFIG"
run() { as_user srun -Q --mem=400 --cloud=lxc --cloud-image=debian "$@" 2>&1 | without_waiting; }
is "process 1 is systemd" "systemd" "$(run cat /proc/1/comm)"
[ "$failures" = 0 ] || { cat config.saved >"$CONFIG"; finish; }
is "the task starts when the system is up" "active" "$(run systemctl is-active multi-user.target)"
is "no unit failed" "asked" "$(run sh -c 'systemctl --failed --no-pager --no-legend --plain && echo asked')"
is "the user is known" "$JOB_USER" "$(run id -un)"

job=$(as_user sbatch --parsable --mem=400 -o /dev/null --cloud=lxc --cloud-image=debian --wrap 'sleep 60')
state=$PLAYGROUND/run/$NODE/jobs/$job/state
eventually 120 grep -qs phase=ready "$state"
pid=$(sed -n 's/^init_pid=//p' "$state")
outside=$(grep -v '^0::' "/proc/$pid/cgroup" | grep -cv "/slurm_$NODE/uid_$JOB_UID/job_$job/step_extern/")
is "the machine is in the job's group of every controller" 0 "$outside"
is "it can be killed at the memory limit" 0 "$(cat "/proc/$pid/oom_score_adj")"
group=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' "/proc/$pid/cgroup" | sed 's#/step_extern/.*##')
is "the job's memory is its limit" $((400 * 1024 * 1024)) "$(cat "$group/memory.limit_in_bytes")"
cpus=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$pid/status")
is "the job's CPU is its CPU" "$(cat "/sys/fs/cgroup/cpuset${group#/sys/fs/cgroup/memory}/cpuset.cpus")" "$cpus"
# What runs beside the machine's services, outside of any step, and wants more than the job has.
bash -c 'echo $$ >"$1"; exec tail /dev/zero' hog "$group/step_extern/task_0/cloud/machine/cgroup.procs" 2>hog.log
is "a process of the machine that takes more than the job has is killed" 137 $?
# An idle extern step is a sleep of some 200 kB.
if eventually 20 sh -c "[ \"\$(sstat -n -a -P -j $job.extern --format=MaxRSS 2>/dev/null | tr -dc 0-9)\" -gt 2000 ] 2>/dev/null"; then
  ok "sstat sees the machine's memory"
else
  fail "sstat does not see the machine: $(sstat -n -a -P -j "$job.extern" --format=JobID,MaxRSS 2>&1)"
fi
scontrol suspend "$job"
frozen=/sys/fs/cgroup/freezer${group#/sys/fs/cgroup/memory}/step_extern/task_0/cloud/machine/freezer.state
if eventually 10 grep -qs FROZEN "$frozen"; then ok "suspend freezes the machine"; else fail "suspend: $(cat "$frozen")"; fi
scontrol resume "$job"
if eventually 10 grep -qs THAWED "$frozen"; then ok "resume thaws it"; else fail "resume: $(cat "$frozen")"; fi
scancel "$job"
eventually 30 no_jobs
cat config.saved >"$CONFIG"
finish
