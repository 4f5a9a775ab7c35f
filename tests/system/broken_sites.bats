# SPDX-License-Identifier: Apache-2.0
# What a site can break: its configuration, its prolog, its backends, its leases. The job that wants a machine fails with
# a clear word, others run, and the node stays.
load lib

# PART SED-EXPRESSION: what a job says with the configuration broken in one place; a job without options runs.
broken() {
  sed -i "$2" "$CONFIG"
  run ! cmp -s "$CONFIG" "$PLAYGROUND/etc/pristine/cloud.toml"
  refused "$1" --cloud=lxc
  run -0 on_node hostname
  assert_output "$HOST"
  restore_configuration
}
# LINE...: a second type, of machines that only exist on paper.
with_null() {
  {
    printf '[backend.null]\nimage = "tiny"\nregistry = "%s/run/null"\n' "$PLAYGROUND"
    printf '%s\n' "$@"
  } >>"$CONFIG"
}
BACKEND=$BACKENDS/cloud_backend_lxc.so

@test "a configuration that is no TOML is named" {
  broken "cloud.toml:" 's/^\[cloud\]/[cloud/'
  broken "cloud.toml:" '$a [[['
  broken "cloud.toml:" '$a a = [1,'
  broken "cloud.toml:" '$a "'
}

@test "an unknown key is named with what may have been meant" {
  broken "did you mean 'boot_timeout'?" 's/^boot_timeout/boot_timeuot/'
  broken "has no option 'writeable'; did you mean 'writable'?" 's/^image = "tiny"/image = "tiny"\nwriteable = "disk"/'
}

@test "what the configuration names and is not there is named" {
  broken "bridge 'nobridge' does not exist" 's/^bridge = .*/bridge = "nobridge"/'
  broken "No such file or directory" 's#images/tiny"#images/gone"#'
  broken "lease file" 's#iplist.csv#nolist.csv#'
  broken "does not exist" 's#spank-cloud/backends#spank-cloud/nobackends#'
}

@test "an image that is none is refused" {
  broken "holds no root file system" 's#images/tiny"#run"#'
  broken "no squashfs" 's#images/tiny"#etc/user"\nformat = "squashfs"#'
}

@test "a configuration that breaks before its job starts is said, and nothing is made in default folders" {
  local held had
  had=$(find /var/lib/spank-cloud /run/spank-cloud 2>/dev/null || true)
  held=$(as_user sbatch -H --parsable -o held.out --cloud-type=lxc --wrap 'srun -Q hostname')
  echo '[cloud' >>"$CONFIG"
  scontrol release "$held"
  eventually no_jobs
  run -0 cat held.out
  assert_output --partial "configuration is broken"
  assert_equal "$(find /var/lib/spank-cloud /run/spank-cloud 2>/dev/null || true)" "$had"
}

@test "srun --help lists the types that the site has" {
  with_null
  run -0 as_user srun --help
  assert_output --partial "--cloud-type=[kvm|lxc|null]"
}

@test "a task that waits for its machine says so, with the progress" {
  # It boots until the job is cancelled.
  with_null 'boot_ms = 80000000'
  as_user srun -Q -J waits --cloud=null hostname >out 2>&1 &
  eventually says '^spank_cloud: waiting for the machine for [0-9]+ s: booting' out
  end_jobs -u "$JOB_USER"
}

@test "tasks cannot enter a machine of a type without a way in, which still lives beside its job" {
  with_null 'boot_ms = 100'
  run ! as_user srun -Q --cloud=null hostname
  assert_output --partial "tasks cannot run inside this machine of type null"
  run -0 quietly as_user srun -Q --cloud=null --cloud-run=host hostname
  assert_output "$HOST"
}

@test "a machine that does not start is said to the job, and to its steps on the node" {
  with_null 'fail_at = "start"'
  refused "backend 'null'" --cloud=null
  # What has become of it is known when the second step starts, which runs all the same.
  run -0 as_user salloc -Q --cloud=null --cloud-run=host bash -c "srun -Q true
    until grep -qs '^phase=failed' $RUN/jobs/\$SLURM_JOB_ID/state; do sleep 0.1; done; srun -Q hostname"
  assert_output --partial "the job's machine has failed"
}

@test "a backend that crashes is said" {
  with_null 'crash_at = "start"'
  refused "keeper has died" --cloud=null
}

@test "a backend that others can write, or that is no shared object, is not loaded" {
  chmod g+w "$BACKEND"
  refused "chmod go-w" --cloud=lxc
  chmod g-w "$BACKEND"
  mv "$BACKEND" "$BACKEND.saved"
  echo text >"$BACKEND"
  refused "shall be a shared object" --cloud=lxc
}

@test "where our prolog does not run, the job fails instead of running on the bare node" {
  # The request comes by a variable, which Slurm does not show to the node's plugin.
  printf '#!/bin/sh\nexit 0\n' >"$PLAYGROUND/etc/prolog"
  AS_USER_ENV='SLURM_CLOUD_TYPE=lxc' refused "has no machine on node"
  AS_USER_ENV='SBATCH_CLOUD_TYPE=lxc SBATCH_CLOUD_RUN=all' as_user sbatch -Q --wait -o out --wrap 'echo on the bare host' || true
  run -0 cat out
  assert_output --partial "has no machine on node"
  refute_output --partial "on the bare host"
}

@test "a lease file with all that can be wrong still serves, and keeps every byte" {
  printf '#IP;SLURM_JOB_ID;USED\n# a remark\n10.251.7.2;;\r\nforeign line\n10.251.7.2;;\n10.251.7.3;;x;y\n' >"$LEASES"
  printf '10.251.7.4;;\n10.251.7.5;12' >>"$LEASES"
  cp "$LEASES" leases.odd
  run -0 in_lxc hostname
  assert_output --partial "$NODE-"
  eventually no_jobs
  cmp leases.odd "$LEASES"
}

@test "where no address is left, that is said" {
  printf '#IP;SLURM_JOB_ID;USED\n10.251.7.2;77;USED\n' >"$LEASES"
  refused "1 of 1 leased" --cloud=lxc
}

setup() {
  prolog=$(<"$PLAYGROUND/etc/prolog")
  begin_case
}
teardown() {
  echo "$prolog" >"$PLAYGROUND/etc/prolog"
  if [ -e "$BACKEND.saved" ]; then mv "$BACKEND.saved" "$BACKEND"; fi
  chmod g-w "$BACKEND"
  end_case
}
