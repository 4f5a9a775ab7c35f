# SPDX-License-Identifier: Apache-2.0
# What a user points root at: mounts, user data, images, text that root reads.
load ../lib

teardown() {
  if mountpoint -q "$HOME_DIR/many/a"; then umount "$HOME_DIR/many/a"; fi
  if mountpoint -q "$HOME_DIR/in"; then umount -R "$HOME_DIR/in"; fi
  chmod o-w "$PLAYGROUND/images/tiny"
  rm -rf "$PLAYGROUND/open" "$PLAYGROUND/etc/opens" "$PLAYGROUND/etc/says"
  end_case
}

# What is in the machine's mount namespace.
mounts_of() { cat "/proc/$(state_of "$1" init_pid)/mountinfo"; }

@test "N3: no mount of a machine's takes part in what the node mounts" {
  mkdir in
  # As systemd has all of a node's.
  mount --bind in in
  mount --make-shared in
  machine lxc --cloud-mount="$HOME_DIR/in:/in,/usr:/node"
  run mounts_of "$job"
  assert_output --partial " /in "
  assert_output --partial " /node "
  # (What a machine shares is its own affair.)
  refute_line --partial " master:"
  # What the node mounts below it later stays out.
  mkdir in/later
  mount -t tmpfs later in/later
  run mounts_of "$job"
  refute_output --partial /in/later
}

@test "N3: a folder that contains the engine's own is no source, whatever leads there" {
  ln -s / all
  refused "contains $PLAYGROUND/state" --cloud-type=lxc --cloud-mount=/:/node
  refused "contains $PLAYGROUND/state" --cloud-type=lxc --cloud-mount="$HOME_DIR/all:/node"
  refused "contains $PLAYGROUND/state" --cloud-type=lxc --cloud-mount="$PLAYGROUND:/node"
  refused "lies in $PLAYGROUND/run" --cloud-type=lxc --cloud-mount="$RUN:/node"
}

@test "N3: the number of a machine's mounts has a limit, which the error names" {
  mkdir -p many/a
  mount -t tmpfs many many/a
  run -0 in_lxc --cloud-mount="$HOME_DIR/many:/m/1,$HOME_DIR/many:/m/2" grep -c ' /m/' /proc/self/mountinfo
  assert_output 4
  # The home with what is mounted in it, and the folder once; not twice.
  sed -i 's/^boot_timeout/mounts_max = 4\n&/' "$CONFIG"
  run -0 in_lxc --cloud-mount="$HOME_DIR/many:/m/1" true
  refused "(cloud.mounts_max)" --cloud-type=lxc --cloud-mount="$HOME_DIR/many:/m/1,$HOME_DIR/many:/m/2"
}

@test "N4: user data is read with the user's rights, to the last byte" {
  # A file whose mode is open, and which the kernel opens for root alone.
  refused "Permission denied" --cloud-type=kvm --mem=700 --cloud-user-data="/proc/$(slurmd_pid)/maps"
  refused "no regular file" --cloud-type=kvm --mem=700 --cloud-user-data=/dev/null
  refused "Too many levels of symbolic links" --cloud-type=kvm --mem=700 --cloud-user-data=/proc/self/fd/0
}

@test "N5: an image behind a link that others could turn is no image" {
  mkdir -m 777 "$PLAYGROUND/open"
  ln -s "$PLAYGROUND/images/tiny" "$PLAYGROUND/open/link"
  sed -i "s#^path = .*/images/tiny\"#path = \"$PLAYGROUND/open/link\"#" "$CONFIG"
  refused "$PLAYGROUND/open (mode 0777) is writable by others than root" --cloud-type=lxc
}

@test "N5: an image is the one that was looked at when it is mounted" {
  # Between prolog and keeper, the image's folder is opened to others.
  printf '#!/bin/sh\nexec chmod o+w %s\n' "$PLAYGROUND/images/tiny" >"$PLAYGROUND/etc/opens"
  chmod 755 "$PLAYGROUND/etc/opens"
  {
    stage prolog machine action create-machine
    stage prolog opens exec "$PLAYGROUND/etc/opens"
  } >>"$CONFIG"
  refused "$PLAYGROUND/images/tiny (mode 0757) is writable by others than root" --cloud-type=lxc
}

@test "N9: others learn nothing of who has a machine" {
  local path
  machine lxc
  for path in "$RUN/jobs" /run/spank-cloud/records /run/spank-cloud/records/*; do
    run ! as_other ls "$path"
    assert_output --partial "Permission denied"
  done
  # Who guesses a job's number sees no owner either.
  for path in "$RUN/jobs/$job/state" "$RUN/jobs/$job/console.sock" /run/spank-cloud/records/*/jobs/"$job"; do
    run ! as_other stat "$path"
    assert_output --partial "Permission denied"
  done
  # Its user sees all that is the user's.
  run -0 as_user ls "$RUN/jobs/$job"
  assert_output --partial state
  run -0 as_user cat "$RUN/jobs/$job/state"
}

# The output, byte by byte.
is_harmless() {
  [ "$(LC_ALL=C grep -cE $'[\033\007\x9b]|\xe2\x80\xae' <<<"$output")" = 0 ]
}

@test "N8: what a machine or a site's program says steers nobody's terminal" {
  local program=$PLAYGROUND/etc/says
  # ESC, the one-byte and the two-byte form of CSI, a carriage return, what turns the text around.
  printf '#!/bin/sh\nprintf "\\033]0;root\\007 \\233 31m \\302\\23331m x\\342\\200\\256y\\n"\nexit 1\n' >"$program"
  chmod 755 "$program"
  stage prolog says exec "$program" >>"$CONFIG"
  stage prolog machine action create-machine >>"$CONFIG"
  run -0 hook prolog 888031
  for command in "status" "trace 888031" "logs 888031"; do
    # shellcheck disable=SC2086
    run cloudctl $command
    assert is_harmless
  done
  run -0 cat "$RUN/jobs/888031/state"
  assert is_harmless
  run -0 hook epilog 888031
}
