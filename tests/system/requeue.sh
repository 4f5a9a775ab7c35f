#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A requeued job keeps its number and gets a machine anew. Slurm holds it back for two minutes, and the test
# waits for that: told to start it at once, slurmd 22.05 takes the second run for the first and runs no
# prolog for it. The job then fails with a word about it instead of running on the bare host.
. "$(dirname "$0")/lib.sh"
rm -f requeue.out hasty.out
job=$(as_user sbatch --parsable -o requeue.out --requeue --cloud-type=lxc --wrap 'srun -Q hostname; sleep 20')
eventually 60 grep -qs "$NODE-" requeue.out
scontrol requeue "$job"
is_pending() { squeue -h -j "$1" -o %t 2>/dev/null | grep -qx PD; }
eventually 60 is_pending "$job" || fail "it is not requeued"
rm -f requeue.out
if eventually 240 sh -c "squeue -h -j $job -o %t | grep -qx R && test -s $STATE/jobs/$job/record.json"; then
  is "its record is of the second run" 1 "$(sed -n 's/.*"restart_count": \([0-9]*\).*/\1/p' "$STATE/jobs/$job/record.json")"
else
  fail "the second run did not start: $(squeue -h -j "$job" -o '%t %r')"
fi
if eventually 60 grep -qs "$NODE-$job" requeue.out; then ok "its step runs in a machine"; else fail "its step: $(cat requeue.out)"; fi
scancel "$job"

job=$(as_user sbatch --parsable -o hasty.out --requeue --cloud-type=lxc --wrap 'srun -Q hostname; sleep 20')
eventually 60 grep -qs "$NODE-" hasty.out
scontrol requeue "$job"
# Its second run makes it anew.
rm -f hasty.out
# From here on the host's own name in the output would be a task on the bare host.
eventually 20 sh -c "scontrol update jobid=$job StartTime=now 2>/dev/null; sleep 0.2; squeue -h -j $job -o %t | grep -qx PD"
scontrol update jobid="$job" StartTime=now 2>/dev/null
eventually 60 test -s hasty.out
scancel "$job" 2>/dev/null
if grep -qE "has no machine on node|^$NODE-$job\$" hasty.out; then ok "started in haste, it runs in a machine or is told why not"; else fail "started in haste: $(cat hasty.out)"; fi
lacks "started in haste, it does not run on the bare host" "$(hostname)" "$(grep -v '^slurmstepd' hasty.out)"
finish
