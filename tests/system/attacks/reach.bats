# SPDX-License-Identifier: Apache-2.0
# F1, and all that is like it: a user's own process on the node, without any right, reaches for that user's containers while
# they start, run and end: in every way that the kernel has, and in the one that made its user root of the node.
load ../lib
load reach

@test "F1: a user takes no part in the start of a container" {
  local starts ready=0
  starts=$(count 5 200)
  mkdir "$PLAYGROUND/roots"
  begin_attack start "$PLAYGROUND/roots"
  for _ in $(seq "$starts"); do if start_lxc >job.log; then ready=$((ready + 1)); fi; done
  end_attack
  # No line "seized", nor of a file of root's.
  assert_equal "$(cat attack.log)" ready
  assert_equal "$(find "$PLAYGROUND/roots" -mindepth 1 -printf '%u %p\n')" ""
  assert_equal "$ready" "$starts"
}

@test "a user's process reaches no process of a container" {
  local starts
  starts=$(count 5 200)
  begin_attack reach
  for _ in $(seq "$starts"); do run -0 start_lxc; done
  end_attack
  reached_nothing "$starts"
}

@test "a user's process outside reaches none of the tasks inside of a container" {
  local starts
  starts=$(count 3 100)
  begin_attack reach
  for _ in $(seq "$starts"); do run -0 in_lxc -w "$NODE" sleep 0.5; done
  end_attack
  reached_nothing "$starts"
}

teardown() {
  end_attack_case
  rm -rf --one-file-system "$PLAYGROUND/roots"
  end_case
}
