# SPDX-License-Identifier: Apache-2.0
# F5 to F7, and all that is like them: a user's own process on the node reaches for that user's virtual machine while it
# starts, runs and ends, in every way that the kernel has.
load ../lib
load ../kvm
load reach

@test "a user's process reaches no process of a virtual machine" {
  local starts
  starts=$(count 1 20)
  begin_attack reach
  for _ in $(seq "$starts"); do run -0 start_kvm; done
  end_attack
  reached_nothing "$starts"
}

teardown() {
  end_attack_case
  end_kvm_case
}
