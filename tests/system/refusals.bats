# SPDX-License-Identifier: Apache-2.0
# What a user must not or cannot have: a clear word on the terminal, a job that fails, a node that stays.
load lib

@test "options that mean nothing are refused with what there is to choose from" {
  refused "choose kvm or lxc" --cloud-type=xen
  refused "this site has tiny, tiny-squashfs" --cloud=lxc --cloud-image=nope
  refused "needs a type" --cloud-image=tiny
  refused "contradict" --cloud=lxc --cloud-type=kvm
  refused "choose yes or no" --cloud-create=maybe
  refused "choose steps, all or host" --cloud=lxc --cloud-run=x
}

@test "names that a shell, a path or a log could stumble over are refused, and nothing of them runs" {
  local long value
  long=$(printf 'a%.0s' $(seq 300))
  # shellcheck disable=SC2016
  for value in 'l;touch pwned' '$(touch pwned)' '`touch pwned`' '../lxc' '' "$long" $'lxc\nx' 'lxç' '-x' '%n'; do
    refused "--cloud-type" --cloud-type="$value"
    refused "--cloud-image" --cloud=lxc --cloud-image="$value"
  done
  run -0 find "$HOME_DIR" -name 'pwned*'
  assert_output ""
}

@test "a mount of what is not there, not the user's, or neither folder nor file is refused" {
  refused "/no/such: No such file" --cloud=lxc --cloud-mount=/no/such
  refused "Permission denied" --cloud=lxc --cloud-mount=/root
  refused "neither a folder nor a regular file" --cloud=lxc --cloud-mount="$PLAYGROUND/slurm/munge/socket:/mnt/s"
  mkfifo -m 666 pipe
  refused "neither a folder nor a regular file" --cloud=lxc --cloud-mount="$HOME_DIR/pipe:/mnt/p"
  # What root's process has open.
  refused "Too many levels of symbolic links" --cloud=lxc --cloud-mount=/proc/self/fd/2:/mnt/s
}

@test "a hard link to what the user cannot read is neither mounted nor user-data" {
  (umask 077 && echo top-secret >"$PLAYGROUND/secret-file")
  ln "$PLAYGROUND/secret-file" hard-link
  refused "Permission denied" --cloud=lxc --cloud-mount="$HOME_DIR/hard-link:/mnt/h"
  refused "Permission denied" --cloud=kvm --mem=700 --cloud-user-data="$HOME_DIR/hard-link"
}

@test "a mount to where none can be is refused" {
  refused "shall not be at or below /proc" --cloud=lxc --cloud-mount=/tmp:/proc/x
  refused "absolute path" --cloud=lxc --cloud-mount=tmp
  refused "'..'" --cloud=lxc --cloud-mount=/tmp/../root
}

@test "root makes nothing for a mount in a folder that is not the machine's own" {
  as_user mkdir -p outer/there
  as_user touch inner
  refused "does not exist there" --cloud-type=lxc --cloud-mount="$HOME_DIR/outer:/data,$HOME_DIR/inner:/data/new"
  refused "does not exist there" --cloud-type=lxc --cloud-mount="/etc:/data,$HOME_DIR/inner:/data/spank-cloud-test"
  refused "does not exist there" --cloud-type=lxc --cloud-mount="$HOME_DIR/inner:$HOME_DIR/fresh"
  [ ! -e outer/new ]
  [ ! -e fresh ]
  [ ! -e /etc/spank-cloud-test ]
  # Where the folder is there, it is mounted.
  run -0 in_lxc --cloud-mount="$HOME_DIR/outer/there:/data/there,$HOME_DIR/outer:/data" hostname
  assert_output --partial "$NODE-"
}

@test "user-data for a container is refused" {
  echo x >data.yaml
  chmod 644 data.yaml
  refused "runs no cloud-init" --cloud-type=lxc --cloud-user-data="$HOME_DIR/data.yaml"
}

@test "root gets no machine" {
  run ! timeout "$((60 * SLOWNESS))" srun -Q --cloud=lxc hostname 3>&-
  assert_output --partial "ordinary user"
}

@test "an empty variable asks for nothing" {
  AS_USER_ENV='SLURM_CLOUD_TYPE=' run -0 on_node hostname
  assert_output "$HOST"
}

@test "a script without its interpreter is named, and so is the interpreter" {
  printf '#!/no/such/shell\necho x\n' >nosuch.sh
  chmod 755 nosuch.sh
  run ! in_lxc "$HOME_DIR/nosuch.sh"
  assert_output --partial "the interpreter /no/such/shell of"
}

@test "--multi-prog is refused, but for tasks on the node" {
  printf '0 hostname\n1 hostname\n' >programs.conf
  chmod 644 programs.conf
  run ! in_lxc -n2 --overcommit --multi-prog programs.conf
  assert_output --partial "--multi-prog cannot run inside a machine"
  refute_line "$HOST"
  run -0 in_lxc -n2 --overcommit --cloud-run=host --multi-prog programs.conf
  assert_output "$HOST"$'\n'"$HOST"
}

@test "a step gets no machine that its job has not" {
  run ! as_user salloc -Q -n1 srun -Q --cloud-type=lxc hostname
  assert_output --partial "has no machine on node"
}

@test "a step may ask for its job's machine or for none, but for no other" {
  local outputs=()
  # A second type: machines that only exist on paper.
  printf '[backend.null]\nimage = "tiny"\nregistry = "%s/run/null"\n' "$PLAYGROUND" >>"$CONFIG"
  cat >steps.sh <<'END'
srun -Q --cloud-type=null hostname; echo "status $?"
srun -Q --cloud-image=gone hostname; echo "status $?"
srun -Q --cloud-image=tiny true; echo "status $?"
srun -Q --cloud-create=no hostname
SLURM_CLOUD_CREATE=no srun -Q hostname
END
  run -0 quietly as_user salloc -Q --cloud-type=lxc bash steps.sh
  outputs=("${lines[@]}")
  assert_regex "${output%%status*}" "this step asks for --cloud-type=null and its job has a machine of type lxc"
  output=${output#*status }
  refute_regex "$output" "^0"
  assert_regex "${output%%status*}" "this step asks for --cloud-image=gone and its job's machine has image tiny"
  output=${output#*status }
  refute_regex "$output" "^0"
  assert_equal "$(printf '%s\n' "${outputs[@]: -3}")" "status 0"$'\n'"$HOST"$'\n'"$HOST"
}

# Anybody can set what the prolog sees, without our plugin: the prolog is the boundary.
# PART VARIABLE=VALUE...: the prolog says so in the state, and does not drain the node.
hostile() {
  local part=$1
  shift
  run -0 hook prolog 999001 "$@"
  run -0 cat "$RUN/jobs/999001/state"
  assert_output --partial "$part"
  hook epilog 999001
}

@test "a request that is none is refused by the prolog, too, which does not drain the node" {
  hostile "--cloud-type" SPANK_cloud_type=$'lxc\nphase=ready'
  refute_line "phase=ready"
  hostile "--cloud-type" SPANK_cloud_type=../../lxc
  hostile "--cloud-image" SPANK_cloud_image="$(head -c 100000 /dev/zero | tr '\0' a)"
  hostile "--cloud-mount" SPANK_cloud_mount=$'/tmp/\xff\xfe'
  # shellcheck disable=SC2016
  hostile "--cloud-create" SPANK_cloud_create='$(reboot)'
}

teardown() {
  rm -f "$PLAYGROUND/secret-file"
  end_case
}
