# SPDX-License-Identifier: Apache-2.0
# cloudctl doctor: nothing is wrong with the node, and then one thing after the other.
load lib

FAULTY=$PLAYGROUND/etc/faulty.toml
READONLY=$PLAYGROUND/state/readonly
OTHER=$PLAYGROUND/other
teardown() {
  if mountpoint -q "$READONLY"; then umount "$READONLY"; fi
  rm -rf "$READONLY" "$FAULTY" "$OTHER"
  chmod o-w "$PLAYGROUND/images/tiny"
  chmod 751 /var/lib/libvirt/qemu
  end_case
}

# SED-SCRIPT: what doctor says of a configuration that differs by that.
doctor_with() {
  sed "$1" "$CONFIG" >"$FAULTY"
  "$PLAYGROUND/prefix/sbin/cloudctl" --config "$FAULTY" --node "$NODE" doctor 3>&- 2>&1
}
# PART SED-SCRIPT: doctor finds a problem, and says so in a line with that part.
doctor_finds() {
  run -1 doctor_with "$2"
  assert_regex "$(grep ^problem <<<"$output")" .
  output=$(grep ^problem <<<"$output")
  assert_output --partial "$1"
}

@test "a node that works has no problem, as Slurm says, too" {
  run -0 cloudctl doctor
  refute_output --partial problem
  assert_output --partial "ok      slurm TaskPlugin: task/cgroup"
  SLURM_CONF=/absent run cloudctl doctor
  assert_output --partial "note    slurm: not looked at"
}

@test "it needs root" {
  run as_user "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" doctor
  assert_failure
  assert_output --partial "run it as root"
}

@test "a mistake of the configuration" {
  doctor_finds "backend 'lxc' has no option 'colour'" 's/^\[backend.lxc\]/&\ncolour = "red"/'
}

@test "a bridge, an image and a program of a backend that are not there" {
  doctor_finds "'br-absent' is no bridge of this node" 's/^bridge = .*/bridge = "br-absent"/'
  doctor_finds "image tiny: $PLAYGROUND/images/absent" 's#^path = .*/images/tiny"#path = "'"$PLAYGROUND"'/images/absent"#'
  doctor_finds "'init_program': /absent" 's#^init_program = .*#init_program = "/absent"#'
}

@test "a bridge that believes what machines say, and a kernel without rules" {
  local bridge
  bridge=$(sed -n 's/^bridge = "\(.*\)"/\1/p' "$CONFIG" | head -n 1)
  run -0 cloudctl doctor
  assert_output --partial "ok      network rules"
  assert_output --partial "bridge $bridge speaks IPv6, which its machines do not have: sysctl -w net/ipv6/conf/$bridge/disable_ipv6=1"
  sysctl -qw "net/ipv6/conf/$bridge/disable_ipv6=1" "net/ipv4/conf/"{all,"$bridge"}/{accept,send}_redirects=0
  run -0 cloudctl doctor
  refute_output --partial "note    pool machines: bridge"
  # No program but this may ask the kernel for a table.
  run strace -f -qq -o /dev/null -e trace=sendmsg -e inject=sendmsg:error=EOPNOTSUPP \
    "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" doctor
  assert_output --regexp "problem network rules.*nf_tables"
}

@test "an image that others can write" {
  chmod o+w "$PLAYGROUND/images/tiny"
  doctor_finds "chmod go-w $PLAYGROUND/images/tiny" ''
}

@test "a pool that is used up" {
  sed -i 's/;;$/;77;USED/' "$LEASES"
  doctor_finds "has no free address (59 lines)" ''
}

@test "a folder that cannot be written, and a state_dir in memory" {
  mkdir -p "$READONLY"
  mount -t tmpfs -o ro,mode=755 tmpfs "$READONLY"
  doctor_finds "write in $READONLY" "s#^run_dir = .*#run_dir = \"$READONLY/run\"#"
  mount -o remount,rw "$READONLY"
  run doctor_with "s#^state_dir = .*#state_dir = \"$READONLY\"#"
  assert_output --partial "note    state_dir: $READONLY is a tmpfs"
}

@test "a libvirtd that is not there, and a way to the guests' folders that is closed" {
  doctor_finds "libvirtd cannot be reached at qemu+unix:///system?socket=/absent" 's#^uri = .*#uri = "qemu+unix:///system?socket=/absent"#'
  chmod 750 /var/lib/libvirt/qemu
  doctor_finds "chmod o+x /var/lib/libvirt/qemu" ''
}

@test "programs beside each other, and of different versions" {
  mkdir "$OTHER"
  cp "$LIBEXEC"/{enter,escort,keeper,prolog,epilog} "$OTHER/"
  run cloudctl doctor --libexec "$OTHER"
  assert_output --partial "0.1.0 are in $OTHER"
  printf '#!/bin/sh\necho 0.0.9\n' >"$OTHER/enter"
  run cloudctl doctor --libexec "$OTHER"
  assert_output --partial "other/enter is version '0.0.9'"
}
