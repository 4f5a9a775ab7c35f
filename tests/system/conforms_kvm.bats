# SPDX-License-Identifier: Apache-2.0
# The kvm backend keeps what the SDK's documentation promises. Each check boots guests, which are slow without KVM: here
# one check of each kind; all of them in the long run, and of containers always (conforms_lxc.bats).
load lib
load kvm
load conforms

# The checks that are not of a kind with another one.
of_each_kind() {
  local check
  for check in life_cycle destroys_running list footprint cgroup growth ssh console out_of_reach deadlines hostile_names messages \
    killed_in_prepare killed_in_start killed_in_destroy; do
    echo "--only $check"
  done
}

@test "kvm conforms, in a folder that is as deep as libvirt's own sockets may be, too" {
  # The socket that ssh makes has a longer path.
  local deep
  deep=$(printf '%-42s' "$PLAYGROUND/state/d" | tr ' ' d)
  sed -i "s|^state_dir = .*|state_dir = \"$deep\"|" "$CONFIG"
  # shellcheck disable=SC2046
  conforms kvm --cycles 2 --boot-limit $((180 * SLOWNESS)) --limit $((300 * SLOWNESS)) $(of_each_kind)
}

# bats test_tags=long
@test "kvm conforms in everything" {
  conforms kvm --cycles 5 --boot-limit $((180 * SLOWNESS)) --limit $((300 * SLOWNESS))
}
