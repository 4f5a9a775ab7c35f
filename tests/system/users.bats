# SPDX-License-Identifier: Apache-2.0
# Users against each other and against root: who may enter a machine, what may be seen and written, whose ids it has.
load lib

uid_of_root() { awk '$1 == 0 {print $2}' "$@"; }

@test "only the owner gets into a machine" {
  local dir copy=/tmp/copy
  machine lxc
  dir=$RUN/jobs/$job
  run -0 as_user "$dir/access" id -u
  assert_output "$JOB_UID"
  run ! as_other "$dir/access" id
  assert_output --partial "Permission denied"
  run ! as_other cat "$dir/state"
  assert_output --partial "Permission denied"
  # A state of the attacker's own making, which names the victim's machine.
  mkdir "$copy"
  cp "$dir/state" "$copy/state"
  chmod 755 "$copy"
  chmod 644 "$copy/state"
  run ! as_other "$LIBEXEC/enter" --dir "$copy" -- id
  assert_output --partial "only the job's user can"
  run ! "$LIBEXEC/enter" --dir "$dir" -- id
  assert_output --partial "only the job's user can enter it"
}

@test "nobody but root reads or writes what root keeps of a machine" {
  local dir file
  machine lxc
  dir=$RUN/jobs/$job
  run ! as_user ls "$STATE/jobs"
  assert_output --partial "Permission denied"
  run ! as_other ls "$STATE/machines/sc-$NODE-$job/layers"
  assert_output --partial "Permission denied"
  # Each by itself: touch goes on after the first that it is refused.
  run ! as_user touch "$dir/x" "$PLAYGROUND/run/x" "$RUN/jobs/x"
  run -0 find "$PLAYGROUND/run" -name x
  assert_output ""
  for file in state log access; do
    assert_equal "$file $(stat -c %u "$dir/$file")" "$file 0"
    run ! as_user sh -c "chmod u+w $dir/$file"
    assert_output --partial "not permitted"
    run ! as_user sh -c "echo x >>$dir/$file"
    assert_output --regexp "[Dd]enied"
  done
}

@test "machines of two users live side by side, and one does not reach the other" {
  local address pid
  machine lxc
  pid=$(state_of "$job" init_pid)
  address=$(state_of "$job" address)
  # Nobody listens on port 53, which machines reach of the node: who is there says "refused", who cannot be reached nothing
  # of the kind.
  run quietly as_other srun -Q --cloud-type=lxc sh -c "hostname; id -u; exec 2>&1
    nc -w 3 ${address%.*}.1 53 </dev/null; echo then; nc -w 3 $address 53 </dev/null"
  assert_line --index 0 --regexp "^$NODE-[0-9]+\$"
  assert_line --index 1 "$(id -u nobody)"
  assert_regex "${output%then*}" refused
  refute_regex "${output#*then}" refused
  # The end of the second leaves the first alone.
  [ -d "/proc/$pid" ]
}

@test "each user's machines have ids of their own, the same on all nodes" {
  local first
  in_lxc cat /proc/self/uid_map >map.one
  quietly as_other srun -Q --cloud-type=lxc cat /proc/self/uid_map >map.other
  assert_equal "$(uid_of_root map.one map.other | sort -u | wc -l)" 2
  # Who comes first on a node does not matter.
  quietly as_other srun -Q -p second --cloud-type=lxc cat /proc/self/uid_map >map.second
  assert_equal "$(uid_of_root map.second)" "$(uid_of_root map.other)"
  first=$(sed -n 's/^subid_first = //p' "$CONFIG")
  assert_equal "$(uid_of_root map.one)" "$first"
  assert_equal "$(uid_of_root map.other)" $((first + 65536))
}

@test "a user without a range of ids gets no machine, and a word for the administrators" {
  sed -i "s/^uid_first = .*/uid_first = $((JOB_UID + 1))/" "$CONFIG"
  refused "user $JOB_UID has no range of sub-ids: there are 4 (cloud.subid_count), for the uids from $((JOB_UID + 1))" --cloud-type=lxc
  echo "$JOB_UID 2 3" >>"$PLAYGROUND/etc/spank-cloud/subid_map"
  refused "$PLAYGROUND/etc/spank-cloud/subid_map:2: a line shall be 'UID PLACE'" --cloud-type=lxc
  eventually nodes_are_idle
}

@test "a race on a mount's source never shows what the user cannot read" {
  mkdir -m 700 "$PLAYGROUND/secret"
  echo top-secret >"$PLAYGROUND/secret/f"
  as_user sh -c 'mkdir race.folder; echo harmless >race.folder/f; ln -s race.folder race'
  # The source is swapped between a folder and a link while jobs mount it. (setpriv becomes perl: its pid is ours to end.)
  setpriv --reuid "$JOB_UID" --regid "$JOB_GID" --clear-groups perl -e '
    while (1) { for my $target (@ARGV) { symlink $target, "race.new"; rename "race.new", "race" } }' \
    "$HOME_DIR/race.folder" "$PLAYGROUND/secret" 3>&- &
  swapper=$!
  local rounds seen=''
  rounds=$(count 6 15)
  # It is won now and then: as many more as that takes, or the case would have tried nothing.
  while [ "$rounds" -gt 0 ] || { [ "$rounds" -gt -100 ] && [[ $seen != *harmless* ]]; }; do
    rounds=$((rounds - 1))
    run in_lxc --cloud-mount="$HOME_DIR/race:/mnt/race" cat /mnt/race/f
    seen+=$output
  done
  lives "$swapper"
  assert_regex "$seen" harmless
  refute_regex "$seen" top-secret
  kill "$swapper"
  run -0 in_lxc --cloud-mount="$HOME_DIR/race.folder/f:/mnt/f" cat /mnt/f
  assert_output harmless
}

teardown() {
  [ -z "${swapper:-}" ] || kill "$swapper" 2>/dev/null || true
  rm -rf "$PLAYGROUND/secret" /tmp/copy
  end_case
}
