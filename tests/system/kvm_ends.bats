# SPDX-License-Identifier: Apache-2.0
# Guests that do not come up, a name that is taken, and keepers that die: the job is told why, and nothing is left.
load lib
load kvm

# The image of the configuration as "broken": its kernel finds no init and stays there.
add_broken_image() {
  { echo; sed -n '/^\[image.minimal\]/,$p' "$CONFIG" | sed '
    s#^cmdline = .*#cmdline = "console=ttyS0 panic=0 rdinit=/nosuch"#; s#image.minimal#image.broken#'; } >"$BATS_TEST_TMPDIR/broken"
  cat "$BATS_TEST_TMPDIR/broken" >>"$CONFIG"
}
teardown() {
  local name
  # What is not the product's, and a case that failed has left.
  for name in $(virsh list --all --name | grep '^sc-' || true); do [ ! -e foreign ] || virsh undefine "$name" >/dev/null 2>&1 || true; done
  end_kvm_case
}

@test "a guest that makes no progress is reported, with the end of its console" {
  add_broken_image
  sed -i "s/^boot_timeout/stall_timeout = \"$((12 * SLOWNESS))s\"\nboot_timeout/" "$CONFIG"
  run in_kvm --cloud-image=broken true
  assert_failure
  assert_output --partial "the machine makes no progress"
  assert_output --regexp "the last line on its console: .*anic"
}

@test "--cloud-timeout ends a guest that comes too late" {
  # One that would never come; only this deadline can be the first.
  add_broken_image
  sed -i "s/^boot_timeout/stall_timeout = \"1h\"\nboot_timeout/; s/^\[backend.kvm\]/&\naccel = \"tcg\"/" "$CONFIG"
  run in_kvm --cloud-image=broken --cloud-timeout=$((8 * SLOWNESS))s true
  assert_failure
  assert_output --partial "the time is up"
}

@test "a guest that is still booting cannot be entered with cloudctl" {
  add_broken_image
  begin_machine kvm --mem=700 --cloud-image=broken
  LIMIT=240 eventually phase_is "$job" booting
  run as_user "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" enter "$job"
  assert_failure
  assert_output --partial "cannot be entered: it is booting"
}

@test "a domain of our name that is not ours is left alone" {
  local next
  next=$(($(as_user sbatch --parsable -o /dev/null --wrap true) + 1))
  eventually no_jobs
  touch foreign
  virsh define /dev/stdin >/dev/null <<END
<domain type='qemu'><name>sc-$NODE-$next</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>
END
  run in_kvm true
  assert_failure
  assert_output --partial "which is left alone"
  assert_equal "$(virsh list --all --name | grep .)" "sc-$NODE-$next"
  virsh undefine "sc-$NODE-$next" >/dev/null
}

@test "a keeper that is killed while its guest starts leaves nothing, whenever that is" {
  local moment task status keeper
  for moment in $(count '0.05 0.3 0.8' '0.05 0.1 0.15 0.2 0.3 0.4 0.5 0.65 0.8 1 1.2 1.6'); do
    as_user srun -Q -J killed --mem=700 --cloud-type=kvm sleep 1000 >out 2>&1 &
    task=$! status=0
    eventually is_running killed
    job=$(job_id_of killed)
    eventually has_keeper "$job"
    keeper=$(state_of "$job" keeper_pid)
    nap "$moment"
    kill -9 "$keeper"
    eventually is_over "$task" || fail "$moment s: the task waits on"
    wait "$task" || status=$?
    assert_not_equal $status 0
    end_jobs "$job"
    libvirt_is_clean
  done
}
has_keeper() {
  local pid
  pid=$(state_of "$1" keeper_pid)
  [ "${pid:-0}" != 0 ]
}
