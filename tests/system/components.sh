#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Jobs of several nodes, and heterogeneous jobs. (The backfill scheduler of Slurm 22.05, which alone
# starts heterogeneous jobs, never places two components on one node: each has its own here.)
. "$(dirname "$0")/lib.sh"
sorted() { printf '%s\n' "$@" | sort | xargs; }
het() { as_user srun -Q "$@" 2>&1 | without_waiting | sed 's/-[0-9]*$/-ID/' | sort | xargs; }
one=$NODE-ID two=$SECOND_NODE-ID host=$(hostname)

is "every node of a job has a machine" "$(sorted $one $two)" "$(het -p both -N2 --cloud-type=lxc hostname)"
is "two components without a machine" "$(sorted $host $host)" "$(het -p main hostname : -p second hostname)"
is "each component has a machine of its own" "$(sorted $two $one)" "$(het -p main --cloud-type=lxc hostname : -p second --cloud-type=lxc hostname)"
is "the later component inherits, as Slurm has it" "$(sorted $two $one)" "$(het -p main --cloud-type=lxc hostname : -p second hostname)"
is "they can differ in their type" "$(sorted $two $one)" "$(het -p main --cloud-type=lxc hostname : -p second --mem=800 --cloud-type=kvm hostname)"
is "only the first has one" "$(sorted $one $host)" "$(het -p main --cloud-type=lxc hostname : -p second --cloud-create=no hostname)"
is "only the second has one" "$(sorted $two $host)" "$(het -p main hostname : -p second --cloud-type=lxc hostname)"
has "they can differ in their image" "tiny,tiny-squashfs" "$(
  as_user srun -Q -J images -p main --cloud-type=lxc --cloud-run=host sleep 100 : -p second --cloud-type=lxc --cloud-image=tiny-squashfs --cloud-run=host sleep 100 >/dev/null 2>&1 &
  eventually 20 sh -c "cat $PLAYGROUND/run/*/jobs/*/state 2>/dev/null | grep -c ^image= | grep -qx 2"
  cat "$PLAYGROUND"/run/*/jobs/*/state | sed -n 's/^image=//p' | sort | paste -sd,
  scancel -u "$JOB_USER"; wait)"
is "salloc: a step of each component" "$(sorted $two $one)" "$(as_user salloc -Q -p main --cloud-type=lxc : -p second --cloud-type=lxc srun -Q --het-group=0,1 hostname | sed 's/-[0-9]*$/-ID/' | sort | xargs)"
is "salloc: only the second has a machine" "$(sorted $two $host)" "$(as_user salloc -Q -p main : -p second --cloud-type=lxc srun -Q --het-group=0,1 hostname | sed 's/-[0-9]*$/-ID/' | sort | xargs)"
lacks "nothing of ours in the tasks' environment" "SLURM_CLOUD_COMMAND" "$(as_user srun -Q -p main --cloud-type=lxc env : -p second --cloud-create=no env)"
finish
