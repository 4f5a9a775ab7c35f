#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cloud-backend-check where cgroups are version 2 and KVM is real: what the kernel has a part in.
here=$(cd "$(dirname "$0")/../system" && pwd)
. "$here/lib.sh"
. "$here/conforms.bash"

conforms lxc --boot-limit 180
# A virtual machine in a virtual machine is slow: what is asked of the groups.
conforms kvm --boot-limit 180 --only life_cycle --only cgroup --only killed_in_start
finish
