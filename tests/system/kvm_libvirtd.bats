# SPDX-License-Identifier: Apache-2.0
# libvirtd is not ours: whatever becomes of it, guests go on, and jobs end.
load lib
load kvm

libvirtd() { cat "$PLAYGROUND/libvirt/libvirtd.pid"; }
# SIGNAL: ends it, and waits for its end.
end_libvirtd() {
  local pid
  pid=$(libvirtd)
  kill "-$1" "$pid"
  eventually is_over "$pid"
}
start_libvirtd() { "$ROOT/tests/cluster/private-libvirt" start --dir "$PLAYGROUND/libvirt" 3>&-; }
no_qemu() {
  local pid
  for pid in $(pgrep -u "$(engine_id)" qemu); do if lives "$pid"; then return 1; fi; done
}
guest_answers() { as_user "$RUN/jobs/$job/access" echo yes; }

setup() {
  begin_case
  machine kvm --mem=700
  qemu=$(qemu_of "$job")
}
teardown() {
  if lives "$(libvirtd)"; then kill -CONT "$(libvirtd)"; else start_libvirtd; fi
  # A libvirtd that comes back notes the end of a guest, in a log that the epilog has removed.
  eventually no_domain
  rm -f /var/log/libvirt/qemu/sc-*.log
  end_kvm_case
}

@test "a guest outlives a killed libvirtd, the epilog cleans without it, and a new machine is refused" {
  end_libvirtd KILL
  assert lives "$qemu"
  assert_equal "$(guest_answers)" yes
  scancel "$job"
  node_is_clean
  eventually no_qemu
  run in_kvm true
  assert_failure
  assert_output --partial "libvirtd cannot be reached"
  start_libvirtd
  # It may keep what it had set up for a guest that ended meanwhile.
  cloudctl reconcile
}

@test "a guest survives a restart of libvirtd" {
  end_libvirtd TERM
  start_libvirtd
  assert lives "$qemu"
  assert_equal "$(guest_answers)" yes
}

@test "a libvirtd that hangs does not hold up the epilog for ever" {
  kill -STOP "$(libvirtd)"
  scancel "$job"
  LIMIT=225 node_is_clean
  run -0 cat "/proc/$(libvirtd)/status"
  assert_line --regexp '^State:.T'
  eventually no_qemu
}
