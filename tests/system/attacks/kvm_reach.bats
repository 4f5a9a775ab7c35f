# SPDX-License-Identifier: Apache-2.0
# A virtual machine belongs to nobody who can log in: what its user's other processes can do to it (SECURITY.md).
load ../lib
load ../kvm
load network
keep_guest_at_the_end_of_a_case

# One guest for all cases, with folders of the user's: a virtiofsd serves each. One of them has a mount of its own, shared
# as systemd makes all of a node's.
setup_file() {
  DATA=$(as_user mktemp -d /tmp/data.XXXXXX)
  mount --bind "$DATA" "$DATA"
  mount --make-shared "$DATA"
  as_user mkdir "$DATA/later"
  cp "$SENDER" "$DATA/send_frames"
  machine kvm --mem=700 --cloud-mount="$DATA:/mnt/data:ro"
  ADDRESS=$(sed -n "s/;$job;USED.*//p" "$LEASES")
  export DATA GUEST=$job ADDRESS
}
teardown_file() {
  stop_counting
  umount -l "$DATA"
  rm -r "$DATA"
  end_kvm_case
}
setup() {
  begin_case
  cp "$BATS_TEST_DIRNAME"/*.py .
  chmod 755 ./*.py
  qemu=$(qemu_of "$GUEST")
  mapfile -t servers < <(of_machine "$GUEST" virtiofsd)
  mapfile -t masters < <(of_machine "$GUEST" ssh)
}
user_can_do() { as_user ./touch.py "$@"; }

@test "F5 F6 F11: the user cannot trace or signal QEMU, take its descriptors, nor look into it" {
  assert lives "$qemu"
  run -0 user_can_do --signals "$qemu"
  assert_output tried
}

@test "F9: the user cannot trace or signal the virtiofsd of a mount, nor take its descriptors" {
  # Of each, one process outside of its sandbox and one inside.
  assert [ ${#servers[@]} -ge 2 ]
  run -0 user_can_do --signals "${servers[@]}"
  assert_output tried
}

@test "N1: the user cannot trace the ssh that holds the machine's connection, nor take its descriptors" {
  assert [ ${#masters[@]} -eq 1 ]
  run -0 user_can_do "${masters[@]}"
  assert_output tried
}

@test "F11: no process of the user's uid has a file of root's open" {
  local pid found
  for pid in "${masters[@]}"; do
    # shellcheck disable=SC2016
    found+=$(find "/proc/$pid/fd" -lname "$PLAYGROUND/*" -printf '%l\n')
  done
  assert_equal "$(grep -v '/ssh/s' <<<"$found" || true)" ""
  refute [ -e "$RUN/jobs/$GUEST/ssh/login.log" ]
  run -0 find "$STATE/machines/sc-$NODE-$GUEST" -name '*.log'
  assert_output ""
}

@test "N2: the user can put nothing into the machine's folder, and find no file there" {
  local folder=$STATE/machines/sc-$NODE-$GUEST
  run as_user sh -c "mkdir '$folder/ssh/mine'; ln -s / '$folder/ssh/link'; touch '$folder/ssh/file' '$folder/file'; mv /home '$folder/ssh/'"
  # The ssh that holds the connection would make a socket for its user.
  run as_user ssh -F none -S "$RUN/jobs/$GUEST/ssh/socket/s" -O forward -L "$folder/ssh/forwarded:127.0.0.1:22" guest
  assert_failure
  run -0 find "$folder" -mindepth 1 -name 'mine' -o -name 'link' -o -name 'file' -o -name 'forwarded'
  assert_output ""
  run ! as_user ls "$folder" "$folder/ssh"
  assert_output --partial "Permission denied"
}

@test "N9: what root notes of a machine is root's to read, whatever the umask is" {
  local folder=$STATE/machines/sc-$NODE-$GUEST
  assert_equal "$(stat -c '%U %a' "$folder/domain.xml" "$folder/qemu" | sort -u)" "root 600"
}

@test "the seed, with the machine's own key in it, is QEMU's alone" {
  run ! as_user cat "$STATE/machines/sc-$NODE-$GUEST/seed.iso"
  assert_output --partial "Permission denied"
  assert_equal "$(stat -c %u "$STATE/machines/sc-$NODE-$GUEST/seed.iso")" "$(stat -c %u "/proc/$qemu")"
}

@test "N12: what the node mounts below a shared folder later is not in the machine" {
  mount -t tmpfs -o mode=1777 later "$DATA/later"
  touch "$DATA/later/seen"
  run as_user "$RUN/jobs/$GUEST/access" ls -A /mnt/data/later
  umount -l "$DATA/later"
  assert_success
  assert_output ""
}

@test "N15: no channel of the guest's leads to libvirtd" {
  run -0 virsh dumpxml "sc-$NODE-$GUEST"
  refute_output --partial "<channel"
}

@test "N16: a guest that answers without an end is not listened to, and its task is refused" {
  local guest=/run/spank-cloud/guest
  # In the place of the program that takes tasks in.
  console "$GUEST" "printf '#!/bin/sh\nexec cat /dev/zero\n' >/tmp/endless; chmod 755 /tmp/endless" >/dev/null
  console "$GUEST" "mount --bind /tmp/endless $guest" >/dev/null
  run as_user "$RUN/jobs/$GUEST/access" true
  console "$GUEST" "umount $guest" >/dev/null
  assert_equal "$status" 125
  assert_output --partial "the machine did not take the task"
  run -0 as_user "$RUN/jobs/$GUEST/access" echo works again
  assert_line "works again"
}

@test "F2: of what root of a guest sends, what is its own passes, and nothing else" {
  in_guest() { console "$GUEST" "/mnt/data/send_frames $*" | tr -d '\r' | grep -oE '^sent [a-z0-9_]+$'; }
  count_passed "$GUEST"
  assert_equal "$(wrong_frames in_guest)" ""
  stop_counting
}
