# SPDX-License-Identifier: Apache-2.0
# What a user does so that a virtual machine, or a part of it, outlives its job, or its job's end takes long.
load ../lib
load ../kvm
load attacks

teardown() {
  end_programs
  end_kvm_case
}
decoys() { pgrep -u "$JOB_USER" -x decoy.py; }
no_interface() { ! ip -o link | grep -q ' vk[0-9a-f]\{12\}'; }

@test "F5 F6: a user who wants to keep the tap and the memory of an ended machine gets neither" {
  machine kvm --mem=700
  as_user ./hold_tap.py "$(qemu_of "$job")" >held 2>&1 3>&- &
  eventually says '^(holds|Traceback|.*Error)' held
  end_jobs "$job"
  eventually no_interface || fail "$(cat held; ip -o link)"
  run cat held
  refute_output --partial /dev/net/tun
  refute_output --partial memfd
}

@test "F6: the interface of an ended machine is gone, even where a process still has its tap" {
  machine kvm --mem=700
  # Root's, to be sure that there is one.
  ./hold_tap.py "$(qemu_of "$job")" >held 2>&1 3>&- &
  eventually says '^holds .*/dev/net/tun' held
  end_jobs "$job"
  eventually no_interface || fail "$(ip -o link)"
}

@test "F7: a decoy of the user's does not get into QEMU's place, and QEMU not out of its job" {
  local next decoy pid
  next=$(($(as_user sbatch --parsable -o /dev/null --wrap true) + 1))
  eventually no_jobs
  as_user ./decoy.py -name "guest=sc-$NODE-$next" &
  eventually decoys
  decoy=$(decoys)
  as_user ./move_qemu.py "$decoy" >moved 2>&1 3>&- &
  eventually says watching moved
  machine kvm --mem=700
  assert_equal "$job" "$next"
  qemu=$(qemu_of "$job")
  assert_not_equal "$qemu" "$decoy"
  assert_regex "$(readlink "/proc/$qemu/exe")" qemu
  # Every QEMU of the cell is this one.
  for pid in $(pgrep qemu-system); do
    run cat "/proc/$pid/cgroup"
    assert_output --partial "/job_$job/"
  done
  refute grep -qs "/job_$job/" "/proc/$decoy/cgroup"
  run cat moved
  refute_output --partial wrote
}

@test "N6: who looks like a QEMU of the machine, and is not, is not even touched at its end" {
  local pid
  machine kvm --mem=700
  for _ in 1 2 3; do
    as_user ./decoy.py -name "guest=sc-$NODE-$job" &
  done
  three_decoys() { [ "$(decoys | wc -l)" = 3 ]; }
  eventually three_decoys
  mapfile -t found < <(decoys)
  end_jobs "$job"
  for pid in "${found[@]}"; do assert lives "$pid"; done
}

@test "N7 N11: the disk of a machine is none of its user's, and its image is not opened as root before it is checked" {
  local disk
  qemu-img create -q -f qcow2 "$PLAYGROUND/images/empty.qcow2" 64M
  printf '\n[image.empty]\npath = "%s"\nformat = "qcow2"\ntypes = ["kvm"]\n' "$PLAYGROUND/images/empty.qcow2" >>"$CONFIG"
  # Its firmware says on the console that there is nothing to start.
  machine kvm --mem=700 --cloud-image=empty --cloud-ready=boot
  disk=$STATE/machines/sc-$NODE-$job/disk.qcow2
  assert [ -e "$disk" ]
  run ! as_user sh -c "exec 3<'$disk'"
  run ! as_user sh -c "exec 3>>'$disk'"
  run -0 stat -c '%u %a' "$disk"
  assert_output "$(stat -c %u "/proc/$(qemu_of "$job")") 600"
  run -0 qemu-img info -U --output=json "$disk"
  assert_output --partial '"virtual-size": 67108864'
  end_jobs "$job"
  rm "$PLAYGROUND/images/empty.qcow2"
}

# What Slurm says where somebody keeps a step's output open after its end.
abandoned() { cat "$PLAYGROUND"/slurm/log/*.log | grep -c "Abandoning IO" || true; }
# A batch job whose step is in the machine.
begin_task() {
  job=$(as_user sbatch --parsable --no-requeue -o task --mem=700 --cloud-type=kvm --wrap "srun -Q sh -c 'echo inside; exec sleep 1000'")
  LIMIT=240 eventually says '^inside' task || fail "no task: $(cat task)"
  before=$(abandoned)
}
no_step() { [ -z "$(pgrep -f "^slurmstepd: \\[$job\.")" ]; }
# The job ends, and nobody has waited for a step's output.
ends_at_once() {
  scancel "$job"
  LIMIT=150 eventually no_step
  assert_equal "$(abandoned)" "$before"
}

@test "F9: a step ends though the ssh that holds its machine's connection stands still" {
  begin_task
  as_user kill -STOP "$(of_machine "$job" ssh)"
  ends_at_once
}

@test "F9: a step ends though its guest does not answer any more" {
  begin_task
  # Its sshd stands still, and with it every session.
  console "$job" 'kill -STOP $(pidof sshd)' >/dev/null
  ends_at_once
}

@test "F9: a user who would kill the virtiofsd of a machine cannot, and its job ends as others" {
  begin_task
  # shellcheck disable=SC2046
  run ! as_user kill -KILL $(of_machine "$job" virtiofsd)
  assert_output --partial "Operation not permitted"
  ends_at_once
}
