# SPDX-License-Identifier: Apache-2.0
# slurmd ends and starts again, or reads its configuration again, while a prolog, a job or an epilog runs: no machine
# twice, none left, no node drained.
load lib

setup_file() {
  # A stage of the site's, before the machine is made and before it is destroyed, lasts until its gate is opened.
  local list
  for list in prolog epilog; do
    # shellcheck disable=SC2016
    printf '#!/bin/bash\necho "$PPID" >>%s.begun\nuntil [ -e %s.open ]; do sleep 0.05; done\n' \
      "$(gate $list)" "$(gate $list)" >"$(gate $list)"
    chmod 755 "$(gate $list)"
  done
}
teardown_file() { rm -f "$(gate prolog)"* "$(gate epilog)"*; }

setup() {
  begin_case
  {
    stage prolog address action lease-address
    stage prolog slow exec "$(gate prolog)"
    stage prolog machine action create-machine
    stage epilog slow exec "$(gate epilog)"
    stage epilog machine action destroy-machine
    stage epilog address action release-address
  } >>"$CONFIG"
  rm -f "$(gate prolog)".* "$(gate epilog)".*
  touch watching
  watch_machines 3>&- &
  watcher=$!
}
teardown() {
  rm -f watching
  wait "$watcher"
  open prolog
  open epilog
  lives "$(slurmd_pid 2>/dev/null)" || start_slurmd
  end_case
}

# prolog|epilog
gate() { echo "$PLAYGROUND/etc/slow.$1"; }
open() { touch "$(gate "$1").open"; }
has_begun() { [ -e "$(gate "$1").begun" ]; }
# The most machines that there were at a time. A machine's monitor has its folder and name as title, and so has
# its child for the milliseconds before that becomes the machine's init: what counts is how many titles there are.
watch_machines() {
  local most=0 now
  while [ -e watching ]; do
    now=$(pgrep -af "^\[lxc monitor\] .*sc-$NODE-" | cut -d' ' -f2- | sort -u | wc -l)
    [ "$now" -le "$most" ] || most=$now
    echo "$most" >most.new
    mv most.new most
    nap 0.1
  done
}
all_are_over() {
  local pid
  for pid; do is_over "$pid" || return 1; done
}
saw_machine() { [ "$(<most)" -gt 0 ]; }
no_machine_twice() { assert [ "$(<most)" -le 1 ]; }

# What befalls slurmd. COMMAND...: opens the gate of the hook that runs, at the latest moment.
restart() {
  local slurmd port
  slurmd=$(slurmd_pid)
  port=$(sed -n "s/^NodeName=$NODE .*Port=\([0-9]*\).*/\1/p" "$SLURM_CONF")
  kill -TERM "$slurmd"
  eventually is_closed "$port"
  "$@"
  eventually is_over "$slurmd"
  start_slurmd
}
is_closed() { [ -z "$(ss -Hltn "sport = :$1")" ]; }
crash() {
  end_slurmd KILL
  start_slurmd
  "$@"
}
reconfigure() {
  scontrol reconfigure
  # slurmd gets it a little later, which nothing tells.
  nap 0.5
  "$@"
}
begin_task() {
  as_user srun -Q -w "$NODE" -J task --cloud-type=lxc "$@" >task.out 2>&1 &
  task=$!
}
# The job of the case has ended.
ends() {
  eventually no_jobs
  wait "$task" || true
  node_is_clean
  no_machine_twice
}
in_a_prolog() {
  open epilog
  begin_task hostname
  eventually has_begun prolog
  "$1" open prolog
}
in_a_job() {
  local id init
  open prolog
  open epilog
  # (Slurm loses one whose task is not there yet.)
  begin_task sh -c 'touch up; exec sleep 1000'
  eventually test -e up
  id=$(job_id_of task)
  eventually phase_is "$id" ready
  eventually saw_machine
  init=$(state_of "$id" init_pid)
  "$1" true
  # slurmd is back when it runs another's.
  run -0 on_node -w "$NODE" hostname
  assert_output "$HOST"
  assert is_running task
  assert phase_is "$id" ready
  assert_equal "$(state_of "$id" init_pid)" "$init"
  assert lives "$init"
  scancel -n task
  ends
}
in_an_epilog() {
  open prolog
  begin_task true
  eventually has_begun epilog
  "$1" open epilog
  ends
}

@test "a slurmd that is restarted in a prolog runs the job" {
  in_a_prolog restart
  ends
  run cat task.out
  assert_output --partial "$NODE-"
}
@test "a slurmd that is killed in a prolog leaves nothing" {
  # Slurm itself loses a job whose slurmd is killed before the task is there, and srun waits a minute for it.
  in_a_prolog crash
  eventually all_are_over $(<"$(gate prolog).begun")
  scancel -n task
  ends
}
@test "a slurmd that reads its configuration in a prolog runs the job" {
  in_a_prolog reconfigure
  ends
  run cat task.out
  assert_output --partial "$NODE-"
}

@test "a job and its machine go on while slurmd is restarted" { in_a_job restart; }
@test "a job and its machine go on when slurmd was killed" { in_a_job crash; }
@test "a job and its machine go on while slurmd reads its configuration" { in_a_job reconfigure; }

# Slurm takes minutes to send a crashed node its epilog again; interrupted.bats kills epilogs.
@test "a slurmd that is restarted in an epilog leaves nothing" { in_an_epilog restart; }
@test "a slurmd that reads its configuration in an epilog leaves nothing" { in_an_epilog reconfigure; }
