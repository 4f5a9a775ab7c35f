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

@test "what libvirtd still wrote of a machine after its end goes, and the log of a domain that is there stays" {
  cat >foreign.xml <<END
<domain type='qemu'><name>sc-$NODE-4242</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>
END
  virsh create --paused foreign.xml >/dev/null
  echo late | tee "/var/log/libvirt/qemu/sc-$NODE-4343.log" >"/var/log/libvirt/qemu/sc-$NODE-4343.log.0"
  echo other >/var/log/libvirt/qemu/sc-elsewhere-4343.log
  run cloudctl reconcile
  ls /var/log/libvirt/qemu >logs
  rm /var/log/libvirt/qemu/sc-elsewhere-4343.log
  assert_success
  refute_output --partial "sc-$NODE-4242"
  assert_equal "$(grep -oE "^sc-($NODE|elsewhere)-4[23]4[23].*" logs | sort | xargs)" "sc-elsewhere-4343.log sc-$NODE-4242.log"
}

@test "N14: a machine without a record is ended by one of two reconciles, whoever is first" {
  local init
  machine lxc
  init=$(state_of "$job" init_pid)
  rm -rf "$STATE/jobs/$job"
  cloudctl reconcile >first 2>&1 3>&- &
  run -0 cloudctl reconcile
  wait $!
  cat first
  assert_equal "$(grep -h "sc-$NODE-$job of backend 'lxc'" first <(echo "$output") | wc -l)" 1
  eventually is_over "$init"
}

@test "N14: whether a job without a process is a new one is not a matter of the time of day" {
  # Its machine is not asked for before this stage of the prolog has ended.
  mkfifo "$PLAYGROUND/go"
  printf '#!/bin/sh\nexec cat "%s"\n' "$PLAYGROUND/go" >"$PLAYGROUND/wait"
  chmod 755 "$PLAYGROUND/wait"
  {
    stage prolog wait exec "$PLAYGROUND/wait"
    stage prolog address action lease-address
    stage prolog machine action create-machine
    stage epilog machine action destroy-machine
    stage epilog address action release-address
  } >>"$CONFIG"
  begin_machine lxc
  recorded() { [ -e "$STATE/jobs/$job" ]; }
  eventually recorded
  # As if somebody had set the clock.
  find "$STATE/jobs/$job" -exec touch -d '2 hours ago' {} +
  run -0 cloudctl reconcile
  echo >"$PLAYGROUND/go"
  refute_output --partial "no longer runs here"
  LIMIT=240 eventually phase_is "$job" ready
  end_jobs "$job"
  rm "$PLAYGROUND/go" "$PLAYGROUND/wait"
}
