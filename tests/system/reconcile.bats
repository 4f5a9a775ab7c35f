# SPDX-License-Identifier: Apache-2.0
# cloudctl reconcile ends machines of the node that belong to no job, and no others.
load lib
load kvm

teardown() {
  # The stranger's domain, and its log.
  virsh destroy "sc-$NODE-4242" >/dev/null 2>&1 || true
  rm -f "/var/log/libvirt/qemu/sc-$NODE-4242.log"
  end_kvm_case
}

@test "a guest without a record is ended, and neither one with a record nor a stranger's domain" {
  local box init
  machine lxc
  box=$job
  init=$(state_of "$box" init_pid)
  machine kvm --mem=700
  # What happens when libvirtd executes a create whose client has given up: a machine and no record.
  cat >foreign.xml <<END
<domain type='qemu'><name>sc-$NODE-4242</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>
END
  virsh create --paused foreign.xml >/dev/null
  rm -rf "$STATE/jobs/$job"
  run -0 cloudctl reconcile
  assert_output --partial "sc-$NODE-$job of backend 'kvm' belongs to no job that has a record"
  assert_equal "$(virsh list --name | grep .)" "sc-$NODE-4242"
  refute pgrep -f "guest=sc-$NODE-$job,"
  refute test -e "$STATE/machines/sc-$NODE-$job"
  virsh destroy "sc-$NODE-4242" >/dev/null
  scancel "$job"
  refute grep ";$job;USED" "$LEASES"
  assert_regex "$(tr '\0' ' ' <"/proc/$init/cmdline")" spank-cloud-init
}

@test "a container without a record is ended, and not by another node" {
  local init
  machine lxc
  init=$(state_of "$job" init_pid)
  rm -rf "$STATE/jobs/$job"
  "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$SECOND_NODE" reconcile >/dev/null 2>&1 3>&- || true
  assert lives "$init"
  run -0 cloudctl reconcile
  assert_output --partial "sc-$NODE-$job of backend 'lxc'"
  eventually is_over "$init"
}
