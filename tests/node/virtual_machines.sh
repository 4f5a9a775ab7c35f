#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A virtual machine with KVM as a job of a node with cgroup v2.
. "$(dirname "$0")/../system/lib.sh"
SCOPE=$(echo /sys/fs/cgroup/system.slice/*slurmstepd.scope)
URI=$(sed -n 's/^uri = "\(.*\)"/\1/p' "$CONFIG")
run() { as_user srun -Q --mem=400 --cloud-type=kvm --cloud-image=minimal "$@" 2>&1 | without_waiting; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
job_is_gone() { [ -z "$(squeue -h -j "$id" -o %A 2>/dev/null)" ] && [ ! -e "$group" ]; }

began=$(date +%s%N)
is "the task runs in the machine as the job's user" "$NODE $JOB_UID" "$(run sh -c 'hostname; id -u' | sed 's/-[0-9]*$//' | xargs)"
echo "# a job with a virtual machine took $((($(date +%s%N) - began) / 1000000)) ms"

as_user sbatch -Q -J guest -o guest.out --no-requeue --mem=400 -c1 --cloud-type=kvm --cloud-image=minimal --wrap 'sleep 300' >/dev/null
eventually 30 is_running guest
id=$(job_id_of guest)
group=$SCOPE/job_$id
machine=$group/step_extern/user/task_0/cloud/machine
state=$PLAYGROUND/run/$NODE/jobs/$id/state
eventually 300 grep -qs phase=ready "$state" || fail "no guest: $(cat "$state" "$STATE/jobs/$id/keeper.log")"
has "with KVM" "<domain type='kvm'" "$(virsh -q -c "$URI" dumpxml "sc-$NODE-$id")"
# Beside the servers of what is mounted in it.
qemu=$(ps -o pid=,comm= -p "$(paste -sd, "$machine/cgroup.procs")" | sed -n 's/^ *\([0-9]*\) qemu-system.*/\1/p')
if [ -n "$qemu" ]; then ok "its QEMU is in the job's group"; else fail "no QEMU in $machine: $(cat "$machine/cgroup.procs")"; finish; fi
is "with all threads" "0::${machine#/sys/fs/cgroup}" "$(cat /proc/"$qemu"/task/*/cgroup | sort -u)"
is "the job's CPU is its CPU" "$(cat "$group/cpuset.cpus.effective")" "$(cat /proc/"$qemu"/task/*/status | sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' | sort -u)"
is "it can be killed at the memory limit" 0 "$(cat "/proc/$qemu/oom_score_adj")"
inside() { as_user srun -Q --jobid="$id" --overlap -n1 "$@" 2>&1; }
is "a step of the job runs in it" "$NODE-$id" "$(inside hostname)"
inside tail /dev/zero >hog.out; status=$?
if [ $status != 0 ] && [ $status != 124 ]; then ok "a task that takes more than the machine has is killed"; else fail "the hog lives: $(cat hog.out)"; fi
is "and the machine lives on" "$NODE-$id" "$(inside hostname)"
before=$(ticks "$qemu")
inside timeout 3 sha256sum /dev/zero >/dev/null
spent=$(($(ticks "$qemu") - before))
if [ $spent -ge 150 ]; then ok "what a task uses is the job's QEMU's"; else fail "3 s of work took $spent ticks"; fi
if eventually 20 sh -c "[ \"\$(sstat -n -a -P -j $id.extern --format=AveCPU | tr -dc 0-9)\" -gt 1 ]"; then ok "which sstat sees"; else fail "sstat: $(sstat -n -a -P -j "$id.extern")"; fi
scontrol suspend "$id"
eventually 10 grep -qx 'frozen 1' "$machine/cgroup.events" || fail "not frozen: $(cat "$machine/cgroup.events")"
before=$(ticks "$qemu")
sleep 2
is "suspend freezes it" "$before" "$(ticks "$qemu")"
scontrol resume "$id"
is "resume thaws it" "$NODE-$id" "$(inside hostname)"
scancel "$id"
if eventually 40 job_is_gone; then ok "scancel ends machine and job"; else fail "scancel: $(squeue -h -j "$id") $(find "$group" 2>/dev/null -type d)"; fi
no_domain() { [ -z "$(virsh -q -c "$URI" list --all --name)" ]; }
if eventually 20 no_domain; then ok "no domain is left"; else fail "domains: $(virsh -q -c "$URI" list --all)"; fi
finish
