# SPDX-License-Identifier: Apache-2.0
# Jobs of several nodes, and heterogeneous jobs. (The backfill scheduler of Slurm 22.05, which alone starts
# heterogeneous jobs, never places two components on one node: each has its own here.)
load lib

ONE="$NODE-ID"
TWO="$SECOND_NODE-ID"
# The name of the second node's own host.
HOST_TWO=$SECOND_NODE
# COMMAND...: its lines in order, with ID in place of the job's number.
names_of() {
  "$@" 2>&1 | without_waiting | sed 's/-[0-9]*$/-ID/' | sort
  return "${PIPESTATUS[0]}"
}
# LINE...: the output is these, in any order.
assert_names() { assert_output "$(printf '%s\n' "$@" | sort)"; }
# Of all machines; the squashfs one's state tells its image where the kernel is too old to start it, too.
images() { cat "$PLAYGROUND"/run/*/jobs/*/state 2>/dev/null | sed -n 's/^image=//p' | sort | xargs; }
images_are() { [ "$(images)" = "$1" ]; }

@test "every node of a job has a machine" {
  run -0 names_of as_user srun -Q -p both -N2 --cloud-type=lxc hostname
  assert_names "$ONE" "$TWO"
}

@test "each component has a machine of its own, which the later one inherits, as Slurm has it" {
  run -0 names_of as_user srun -Q -p main --cloud-type=lxc hostname : -p second --cloud-type=lxc hostname
  assert_names "$ONE" "$TWO"
  run -0 names_of as_user srun -Q -p main --cloud-type=lxc hostname : -p second hostname
  assert_names "$ONE" "$TWO"
}

@test "components can do without a machine, both and either" {
  run -0 names_of as_user srun -Q -p main hostname : -p second hostname
  assert_names "$HOST" "$HOST_TWO"
  run -0 names_of as_user srun -Q -p main --cloud-type=lxc hostname : -p second --cloud-create=no hostname
  assert_names "$ONE" "$HOST_TWO"
  run -0 names_of as_user srun -Q -p main hostname : -p second --cloud-type=lxc hostname
  assert_names "$HOST" "$TWO"
}

@test "components can differ in their type" {
  run -0 names_of as_user srun -Q -p main --cloud-type=lxc hostname : -p second --mem=800 --cloud-type=kvm hostname
  assert_names "$ONE" "$TWO"
}

@test "components can differ in their image" {
  as_user srun -Q -p main --cloud-type=lxc --cloud-run=host sleep 1000 : \
    -p second --cloud-type=lxc --cloud-image=tiny-squashfs --cloud-run=host sleep 1000 >/dev/null 2>&1 &
  eventually images_are "tiny tiny-squashfs" || fail "the images are: $(images)"
  end_jobs -u "$JOB_USER"
}

@test "salloc gives each component what it asked for" {
  run -0 names_of as_user salloc -Q -p main --cloud-type=lxc : -p second --cloud-type=lxc srun -Q --het-group=0,1 hostname
  assert_names "$ONE" "$TWO"
  run -0 names_of as_user salloc -Q -p main : -p second --cloud-type=lxc srun -Q --het-group=0,1 hostname
  assert_names "$HOST" "$TWO"
}

@test "the tasks' environment has nothing of ours" {
  run -0 as_user srun -Q -p main --cloud-type=lxc env : -p second --cloud-create=no env
  assert_line "SLURM_PROCID=1"
  refute_output --partial "SLURM_CLOUD_COMMAND"
}

@test "a second node of the host has a /tmp, a /dev/shm and a host name of its own" {
  # What the tests of two nodes stand on.
  run -0 as_user srun -Q -p main sh -c 'hostname; echo first >/tmp/mark; echo first >/dev/shm/mark'
  assert_output "$NODE"
  run -0 as_user srun -Q -p second sh -c 'hostname; cat /tmp/mark /dev/shm/mark 2>/dev/null | wc -l'
  assert_output "$SECOND_NODE"$'\n0'
  rm -f /tmp/mark /dev/shm/mark
}
