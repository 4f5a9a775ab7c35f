# SPDX-License-Identifier: Apache-2.0
# cloud-backend-check where cgroups are version 2 and KVM is real: what the kernel has a part in.
load ../system/lib
load ../system/conforms

@test "lxc conforms" {
  conforms lxc --boot-limit 180
}

@test "kvm conforms where groups matter" {
  # A virtual machine in a virtual machine is slow.
  conforms kvm --boot-limit 180 --only life_cycle --only cgroup --only killed_in_start
}
