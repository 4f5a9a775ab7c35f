#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cloud-backend-check with machines of ours: the installed backends, on the playground's bridge and libvirt.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
. "$here/conforms.bash"

conforms lxc --cycles 100
! has_linux 6.2 || conforms lxc --image tiny-squashfs --only life_cycle --only namespaces --only killed_in_start
# A guest without KVM is slow where others are at work.
conforms kvm --cycles 5 --boot-limit 180 --limit 300
# As deep as libvirt's own sockets may be: the one that ssh makes has a longer path.
deep=$(printf '%-42s' "$PLAYGROUND/state/d" | tr ' ' d)
sed "s|^state_dir = .*|state_dir = \"$deep\"|" "$CONFIG" >deep.toml
CONFIG=$PWD/deep.toml conforms kvm --only ssh --boot-limit 180
rm -rf --one-file-system "$deep"

# OPTION...: a run in the background, with many machines, and its pid in $run.
begin_run() {
  "$check" --live --config "$CONFIG" --user "$JOB_USER" --cycles 200 "$@" "$backends/cloud_backend_lxc.so" >interrupted.tap &
  run=$!
}
machine_is_up() {
  eventually 60 pgrep -f "^\[lxc monitor\] .*sc-$run-" >/dev/null ||
    fail "no machine came up to be interrupted"
}

# A run that is interrupted leaves nothing either: wherever it is, and while a machine is up.
for only in life_cycle killed_in_start growth_running; do
  begin_run --only "$only"
  if [ $only = growth_running ]; then machine_is_up; else sleep 0.5; fi
  kill -TERM "$run" 2>/dev/null
  wait "$run"
  status=$?
  # A short one may be over before.
  [ $only != growth_running ] && [ $status = 0 ] || is "$only, interrupted, says by what" 143 $status
  leaves_nothing "$only, interrupted," "$run"
done
# Nobody reads on: `| head`.
rm -f reader
mkfifo reader
"$check" --live --config "$CONFIG" --user "$JOB_USER" --only growth_running "$backends/cloud_backend_lxc.so" >reader &
run=$!
head -n 1 reader >/dev/null
wait "$run"; is "a run whose reader has gone ends by that" 141 $?
leaves_nothing "a run whose reader has gone" "$run"
# What was killed is cleaned up by the next run.
begin_run --only growth_running
machine_is_up
kill -KILL "$run"
wait "$run" 2>/dev/null
"$check" --live --config "$CONFIG" --user "$JOB_USER" --only probe "$backends/cloud_backend_lxc.so" >after.tap 2>after.err
is "a run after one that was killed passes" 0 $?
has "and says what it cleans up" "backend-check-$run, as its run was killed" "$(cat after.err)"
leaves_nothing "a run that was killed" "$run"
finish
