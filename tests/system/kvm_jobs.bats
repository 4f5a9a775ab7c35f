# SPDX-License-Identifier: Apache-2.0
# A virtual machine for each job: its beginning, how ready it must be, its image, its memory, and that it is gone afterwards.
load lib
load kvm

sorted() { tr ' ' '\n' | sort -n | xargs; }
# The image of the configuration with another name, and what a sed script makes of it.
another_image() { sed -n '/^\[image.minimal\]/,$p' "$CONFIG" | sed "s/image.minimal/image.$1/; $2"; }

@test "a task is the job's user, in the same folder, in a guest with the leased address, a resolver and a kernel of its own" {
  run -0 in_kvm sh -c 'echo "host $(hostname)"; echo "uid $(id -u)"; echo "groups $(id -G)"; echo "cwd $(pwd)"; echo "kernel $(uname -r)"
    ip -o -4 addr show eth0; grep nameserver /etc/resolv.conf; echo written >from-the-guest'
  assert_line --regexp "^host $NODE-[0-9]+\$"
  assert_line "uid $JOB_UID"
  assert_equal "$(sed -n 's/^groups //p' <<<"$output" | sorted)" "$(id -G "$JOB_USER" | sorted)"
  assert_line "cwd $HOME_DIR"
  assert_line --regexp 'eth0.* inet 10\.251\.7\.'
  assert_line "nameserver 10.251.7.1"
  assert_line --regexp '^kernel [0-9]'
  refute_line --partial "kernel $(uname -r)"
  assert_equal "$(cat from-the-guest) $(stat -c %U from-the-guest)" "written $JOB_USER"
}

@test "--cloud-run=all takes the batch script inside" {
  job=$(as_user sbatch --parsable --wait --mem=700 -o out --cloud-type=kvm --cloud-run=all --wrap 'hostname; id -u')
  assert_equal "$(without_waiting <out | xargs)" "$NODE-$job $JOB_UID"
}

@test "--cloud-ready: a guest that only boots, one without cloud-init, and a container" {
  run -0 in_kvm --cloud-ready=boot hostname
  assert_output --partial "$NODE-"
  run in_kvm --cloud-ready=cloud-init true
  assert_failure
  assert_output --partial "the image has no cloud-init"
  run in_lxc --cloud-ready=ssh true
  assert_failure
  assert_output --partial "choose boot"
}

@test "a guest is started by UEFI" {
  { echo; another_image uefi ''; echo 'firmware = "uefi"'; } >>"$CONFIG"
  run -0 in_kvm --cloud-image=uefi cat /sys/firmware/efi/fw_platform_size
  assert_output 64
}

@test "an image that was changed is refused" {
  sed -i "s/^sha256 = .*/sha256 = \"$(printf '0%.0s' {1..64})\"/" "$CONFIG"
  run in_kvm true
  assert_failure
  assert_output --regexp "has the SHA-256 [0-9a-f]{64} and (shall|must) have 0{64}"
}

@test "a job too small for a guest is refused, with the numbers" {
  run in_kvm --mem=200 true
  assert_failure
  assert_output --partial "the job has 200 MiB of memory on this node"
}

# bats test_tags=v1
@test "a guest that allocates more than the job has is ended by the job's limit, and everybody reads why" {
  # A site that keeps too little for QEMU itself: then the guest can want more than the job has.
  sed -i 's/^\[backend.kvm\]/&\nmemory_overhead_mib = 0\ntb_cache_mib = 32/' "$CONFIG"
  machine kvm --mem=400
  as_user "$RUN/jobs/$job/access" sh -c 'touch inside; exec sleep 1000' >out 2>&1 &
  local inside=$! status=0
  eventually test -e inside
  console "$job" 'mount -o remount,size=100% /dev/shm; dd if=/dev/zero of=/dev/shm/all bs=1M' >fat.log
  eventually phase_is "$job" ended
  assert_regex "$(state_of "$job" reason)" memory
  run find "/sys/fs/cgroup/memory/slurm_$NODE/uid_$JOB_UID/job_$job" -name memory.oom_control -exec cat {} +
  assert_line --regexp '^oom_kill [1-9]'
  wait "$inside" || status=$?
  assert_not_equal $status 0
  assert_not_equal $status 124
  run cat out
  assert_output --partial memory
}
