# SPDX-License-Identifier: Apache-2.0
# bats file_tags=v1
# A Debian image with systemd boots as a machine, is limited and accounted as part of its job, and is frozen and thawed
# with it.
# needs: systemd
load lib

add_image() { printf '\n[image.debian]\npath = "%s"\n' "$PLAYGROUND/images/systemd" >>"$CONFIG"; }

# One machine for the cases about its groups. So the end of a case is not the machine's.
setup_file() {
  add_image
  machine lxc --mem=400 --cloud-image=debian
  export BOX=$job
  restore_configuration
}
setup() {
  begin_case
  init=$(state_of "$BOX" init_pid)
  below=/slurm_$NODE/uid_$JOB_UID/job_$BOX
}
teardown() { restore_configuration; }
teardown_file() { end_case; }

freezer_is() { grep -qsx "$1" "/sys/fs/cgroup/freezer$below/step_extern/task_0/cloud/machine/freezer.state"; }
# An idle extern step is a sleep of some 200 kB.
sees_its_memory() { [ "$(counted_kib "$BOX")" -gt 2000 ]; }

@test "process 1 is systemd, and a task starts when the system is up, with no failed unit" {
  add_image
  run -0 in_lxc --mem=400 --cloud-image=debian sh -c '
    cat /proc/1/comm; systemctl is-active multi-user.target; id -un; systemctl --failed --no-pager --no-legend --plain && echo asked'
  assert_output $'systemd\nactive\n'"$JOB_USER"$'\nasked'
}

@test "the machine is in the job's group of every controller, which limits its memory and CPU" {
  run -0 grep -v '^0::' "/proc/$init/cgroup"
  assert_output --partial "$below/step_extern/"
  refute [ -n "$(grep -v "$below/step_extern/" <<<"$output")" ]
  assert_equal "$(<"/proc/$init/oom_score_adj")" 0
  assert_equal "$(<"/sys/fs/cgroup/memory$below/memory.limit_in_bytes")" $((400 * 1024 * 1024))
  assert_equal "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$init/status")" "$(<"/sys/fs/cgroup/cpuset$below/cpuset.cpus")"
}

@test "a process of the machine that takes more than the job has is killed" {
  # What runs beside the machine's services, outside of any step.
  run -137 bash -c 'echo $$ >"$1"; exec tail /dev/zero' hog "/sys/fs/cgroup/memory$below/step_extern/task_0/cloud/machine/cgroup.procs"
  assert lives "$init"
}

@test "sstat sees the machine's memory" {
  eventually sees_its_memory || fail "sstat: $(sstat -n -a -P -j "$BOX.extern" --format=JobID,MaxRSS 2>&1)"
}

@test "suspend freezes the machine, and resume thaws it" {
  scontrol suspend "$BOX"
  eventually freezer_is FROZEN
  scontrol resume "$BOX"
  eventually freezer_is THAWED
}
