# SPDX-License-Identifier: Apache-2.0
# A virtual machine with KVM as a job of a node with cgroup v2.
load ../system/lib

uri=$(sed -n 's/^uri = "\(.*\)"/\1/p' "$CONFIG")
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
is_gone() { no_jobs && [ ! -e "$group" ]; }
is_frozen() { grep -qx 'frozen 1' "$vm/cgroup.events"; }
no_domain() { [ -z "$(virsh -q -c "$uri" list --all --name)" ]; }
inside() { quietly as_user srun -Q --jobid="$job" --overlap -n1 "$@"; }

@test "a virtual machine with KVM is limited, counted, frozen and ended where its job is" {
  # Its steps run in the machine.
  job=$(as_user sbatch --parsable --no-requeue -o /dev/null --mem=400 -c1 --cloud-type=kvm --cloud-image=minimal --wrap 'exec sleep 1000')
  LIMIT=240 eventually phase_is "$job" ready
  group=$(echo /sys/fs/cgroup/system.slice/*slurmstepd.scope)/job_$job
  vm=$group/step_extern/user/task_0/cloud/machine
  run -0 virsh -q -c "$uri" dumpxml "sc-$NODE-$job"
  assert_output --partial "<domain type='kvm'"
  # Beside the servers of what is mounted in it.
  qemu=$(ps -o pid=,comm= -p "$(paste -sd, "$vm/cgroup.procs")" | sed -n 's/^ *\([0-9]*\) qemu-system.*/\1/p')
  [ -n "$qemu" ] || fail "no QEMU in $vm: $(cat "$vm/cgroup.procs")"
  assert_equal "$(cat /proc/"$qemu"/task/*/cgroup | sort -u)" "0::${vm#/sys/fs/cgroup}"
  assert_equal "$(cat /proc/"$qemu"/task/*/status | sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' | sort -u)" \
    "$(cat "$group/cpuset.cpus.effective")"
  assert_equal "$(cat "/proc/$qemu/oom_score_adj")" 0

  run -0 inside sh -c 'hostname; id -u'
  assert_output "$NODE-$job"$'\n'"$JOB_UID"
  # A task that takes more than the machine has is killed there, and the machine lives on.
  run inside tail /dev/zero
  [ "$status" != 0 ] && [ "$status" != 124 ] || fail "the hog lives: $output"
  before=$(ticks "$qemu")
  run inside timeout 3 sha256sum /dev/zero
  # Of 300 ticks; the machine may be busy.
  [ $(($(ticks "$qemu") - before)) -ge 50 ] || fail "3 s of work took $(($(ticks "$qemu") - before)) ticks"
  eventually has_counted_cpu "$job"

  scontrol suspend "$job"
  eventually is_frozen
  before=$(ticks "$qemu")
  nap 1
  assert_equal "$(ticks "$qemu")" "$before"
  scontrol resume "$job"
  run -0 inside hostname
  assert_output "$NODE-$job"
  scancel "$job"
  eventually is_gone
  eventually no_domain
}
