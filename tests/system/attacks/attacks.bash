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
