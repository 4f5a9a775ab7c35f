# SPDX-License-Identifier: Apache-2.0
# F15. The kernel counts the ptys of all machines together: run where no other test has machines (tests/node/in-node).
load ../lib
load attacks

@test "F15: a machine that takes all ptys of the node leaves the next one a start, tasks and the node its own" {
  local first
  machine lxc
  first=$job
  as_machines_root "$first" "$PWD/take_ptys.py" >taken 2>&1 3>&- &
  eventually says '^holds [0-9]+: No space' taken || fail "$(cat taken)"
  run -0 in_lxc echo a task
  assert_output "a task"
  machine lxc
  run -0 as_user "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" logs "$job"
  assert_output --partial "other machines have all ptys of the node"
  # The node's own are kept for it.
  run -0 script -qec true /dev/null
  end_jobs "$first" "$job"
}
