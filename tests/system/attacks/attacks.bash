# SPDX-License-Identifier: Apache-2.0
# How a case with programs of the user's begins, and what its teardown() calls first.

begin_attack() {
  begin_case
  cp "$BATS_TEST_DIRNAME"/*.py .
  chmod 755 ./*.py
}
# What the programs of a case wait for.
end_programs() {
  touch "$HOME_DIR/enough"
  wait
}
# What a file has where it says nothing else.
setup() { begin_attack; }
teardown() {
  end_programs
  end_case
}
# JOB COMMAND...: as root of the job's container, in its network and on the node's own file system.
as_machines_root() {
  local init
  init=$(state_of "$1" init_pid)
  shift
  nsenter --target "$init" --user --net --setuid 0 --setgid 0 -- "$@"
}
