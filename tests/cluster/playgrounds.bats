# SPDX-License-Identifier: Apache-2.0
# Two playgrounds on one host, with the same node, the same jobs and the same user name: neither sees the other, and the
# host has nothing of them, also while they are up. On the host, not in a cell; BUILD is the build folder.
bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

here=$BATS_TEST_DIRNAME
one=$PLAYGROUNDS/twins/one
two=$PLAYGROUNDS/twins/two

playground() { "$here/playground" "$@" 3>&-; }
in_one() { playground exec --dir "$one" "$@"; }
in_two() { playground exec --dir "$two" "$@"; }
# [PLAYGROUND'S exec] COMMAND...: as the user there.
job_of() {
  local in=$1 dir=$2
  shift 2
  "$in" runuser -u scuser -- env -i PATH=/usr/bin:/bin HOME="$dir/home" SLURM_CONF="$dir/slurm/slurm.conf" \
    timeout $((120 * ${CLOUD_TEST_SLOWNESS:-1})) env -C "$dir/home" "$@"
}
# What the host has that a playground may have left or shown.
host() {
  sha256sum /etc/passwd /etc/group
  ip -o link | cut -d: -f2
  cut -d' ' -f2 /proc/mounts
  find /run /tmp /var/lib /dev/shm -maxdepth 1 \( -name '*spank*' -o -name '*munge*' -o -name '*slurm*' -o -name '*libvirt*' \) | sort
  find /sys/fs/cgroup -maxdepth 2 -name 'slurm*'
}

setup_file() {
  mkdir -p "$PLAYGROUNDS"
  host >"$BATS_FILE_TMPDIR/before"
  mkdir -p "$one" "$two"
  playground up --dir "$one" --build "$BUILD"
  playground up --dir "$two" --build "$BUILD"
}
teardown_file() {
  playground down --dir "$one"
  playground down --dir "$two"
  rmdir "$(dirname "$one")"
}

@test "the host has nothing of a playground that is up" {
  run -0 diff <(host) "$BATS_FILE_TMPDIR/before"
}

@test "each has jobs of the same number in machines of the same name at the same time" {
  local first second
  for _ in 1 2; do
    first=$(job_of in_one "$one" sbatch --parsable -o out --cloud-type=lxc --wrap 'srun -Q sh -c "hostname; sleep 3"')
    second=$(job_of in_two "$two" sbatch --parsable -o out --cloud-type=lxc --wrap 'srun -Q sh -c "hostname; sleep 3"')
    assert_equal "$first" "$second"
    job_of in_one "$one" sh -c 'while [ -n "$(squeue -h)" ]; do sleep 0.1; done'
    job_of in_two "$two" sh -c 'while [ -n "$(squeue -h)" ]; do sleep 0.1; done'
    assert_equal "$(tail -n 1 "$one/home/out") $(tail -n 1 "$two/home/out")" "n1-$first n1-$first"
  done
}

@test "neither sees the other's processes, files in /tmp, control groups or links" {
  run -0 in_one sh -c 'echo of the first >/tmp/mark; echo of the first >/dev/shm/mark; ip link add mark type bridge; pgrep -c slurmctld'
  assert_output 1
  run -0 in_two sh -c 'ls /tmp/mark /dev/shm/mark /sys/class/net/mark 2>/dev/null; pgrep -c slurmctld
    ls -d /sys/fs/cgroup/cpuset/cell-* 2>/dev/null | wc -l'
  assert_output $'1\n0'
  # Its users are two: the kernel counts what a number has.
  [ "$(in_one id -u scuser)" != "$(in_two id -u scuser)" ]
}

@test "the end of one leaves the other's job and machine alone" {
  local job
  job=$(job_of in_two "$two" sbatch --parsable -o out --cloud-type=lxc \
    --wrap 'srun -Q sh -c "touch up; while [ ! -e go ]; do sleep 0.1; done; hostname"')
  job_of in_two "$two" timeout $((60 * ${CLOUD_TEST_SLOWNESS:-1})) sh -c 'while [ ! -e up ]; do sleep 0.1; done'
  playground down --dir "$one"
  job_of in_two "$two" touch go
  job_of in_two "$two" sh -c 'while [ -n "$(squeue -h)" ]; do sleep 0.1; done'
  assert_equal "$(tail -n 1 "$two/home/out")" "n1-$job"
}

@test "when both have ended, the host is as it was" {
  playground down --dir "$two"
  run -0 diff <(host) "$BATS_FILE_TMPDIR/before"
  [ ! -e "$one" ]
  [ ! -e "$two" ]
  run -0 find /sys/fs/cgroup -maxdepth 2 -name "cell-$(printf %s "$two" | cksum | cut -d' ' -f1)"
  assert_output ""
}
