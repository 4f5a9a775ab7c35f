#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# slurmd ends and starts again, or reads its configuration again, while a prolog, a job or an epilog runs: no machine
# twice, none left, no node drained.
. "$(dirname "$0")/lib.sh"
slow=$PLAYGROUND/etc/slow
mark=$PLAYGROUND/etc/slow.runs
cp "$CONFIG" config.saved
cleanup() {
  cat config.saved >"$CONFIG"
  rm -f "$slow" "$mark"
}
trap cleanup EXIT
# A stage of the site's that takes its time, before the machine is made and before it is destroyed.
printf '#!/bin/bash\necho "$SLURM_JOB_ID" >>%s\nsleep 4\n' "$mark" >"$slow"
chmod 755 "$slow"
{
  stage prolog address action lease-address
  stage prolog slow exec "$slow"
  stage prolog machine action create-machine
  stage epilog slow exec "$slow"
  stage epilog machine action destroy-machine
  stage epilog address action release-address
} >>"$CONFIG"

# SIGNAL
end_slurmd() {
  local slurmd
  read -r slurmd _ <"$PLAYGROUND/slurm/slurmd.started"
  disown "$slurmd" 2>/dev/null
  kill "-$1" "$slurmd"
  eventually 30 sh -c "! grep -qs '^State:.[RSD]' /proc/$slurmd/status" || fail "slurmd does not end"
}
restart() { end_slurmd TERM; start_slurmd; }
crash() { end_slurmd KILL; start_slurmd; }
reconfigure() { scontrol reconfigure; }
# NUMBER: whether the slow stage has begun so often.
has_begun() { [ -e "$mark" ] && [ "$(wc -l <"$mark")" -ge "$1" ]; }
# The most machines that there were at a time. A machine's monitor has its folder and name as title, and so has
# its child for the milliseconds before that becomes the machine's init: what counts is how many titles there are.
watch_machines() {
  local most=0 now
  while [ -e watching ]; do
    now=$(pgrep -af "^\[lxc monitor\] .*sc-$NODE-" | cut -d' ' -f2- | sort -u | wc -l)
    [ "$now" -le "$most" ] || most=$now
    echo "$most" >most
    sleep 0.1
  done
}
task() { as_user srun -Q -w "$NODE" -J task --cloud-type=lxc "$@" >task.out 2>&1 & }
# NAME: the job of that phase has ended, or is ended here.
ends() {
  local left
  eventually 40 no_jobs || scancel -n task
  wait "$task"
  if left=$(node_is_clean); then ok "$1: nothing is left"; else fail "$1 leaves:$left"; fi
}

touch watching
watch_machines &
watcher=$!
for action in restart crash reconfigure; do
  rm -f "$mark"
  task hostname; task=$!
  eventually 30 has_begun 1 || fail "no prolog"
  $action
  ends "$action in a prolog"
  # Slurm itself loses a job whose slurmd is killed before the task is there.
  [ $action = crash ] || has "$action in a prolog: the job runs" "$NODE-" "$(cat task.out)"

  rm -f "$mark"
  task sleep 300; task=$!
  eventually 30 is_running task
  state=$PLAYGROUND/run/$NODE/jobs/$(job_id_of task)/state
  eventually 60 grep -qs phase=ready "$state"
  init=$(sed -n 's/^init_pid=//p' "$state")
  $action
  if eventually 60 is_running task; then ok "$action during a job: it goes on"; else fail "$action during a job: $(squeue -h)"; fi
  sleep 1
  is "$action during a job: so does its machine" "$init ready sleep" \
    "$(sed -n 's/^init_pid=//p; s/^phase=//p' "$state" | sort | xargs) $([ -d "/proc/${init:-none}" ] && echo sleep)"
  scancel -n task
  ends "$action during a job"

  # Slurm takes minutes to send a crashed node its epilog again; interrupted.sh kills epilogs.
  [ $action != crash ] || continue
  rm -f "$mark"
  task true; task=$!
  eventually 40 has_begun 2 || fail "no epilog"
  $action
  ends "$action in an epilog"
done
rm -f watching
wait "$watcher"
is "no job had two machines" 1 "$(cat most)"
finish
