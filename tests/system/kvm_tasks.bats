# SPDX-License-Identifier: Apache-2.0
# What a task in a virtual machine sees and says: streams, ends, environment, files, signals, terminals.
load lib
load kvm
keep_guest_at_the_end_of_a_case

# One guest for all cases, in an allocation that was there before its steps.
setup_file() {
  # Not in the home folder, which every case empties.
  DATA=$(as_user mktemp -d /tmp/data.XXXXXX)
  as_user sh -c "echo shared >$DATA/f"
  as_user salloc -Q --no-shell -J guest --mem=700 --cloud-type=kvm --cloud-mount="$DATA:/mnt/d e:ro"
  GUEST=$(job_id_of guest)
  export DATA GUEST
  LIMIT=240 eventually has_settled "$GUEST"
  assert_equal "$(state_of "$GUEST" phase) $(state_of "$GUEST" reason)" "ready "
}
teardown_file() {
  rm -rf "$DATA"
  end_kvm_case
}
# [SRUN-OPTION...] COMMAND...: a step in the guest.
in_guest() { quietly as_user srun -Q --jobid="$GUEST" "$@"; }
# SCRIPT: of the user's, where $step begins a step.
user_script() { quietly as_user sh -c "step='srun -Q --jobid=$GUEST'; $1"; }

@test "a step is in the guest, in the same folder" {
  run -0 in_guest sh -c 'hostname; pwd'
  assert_output "$NODE-$GUEST"$'\n'"$HOME_DIR"
}

@test "four tasks, stdin, and three million bytes of any kind pass" {
  run -0 in_guest -n4 --overcommit sh -c 'echo $SLURM_PROCID'
  assert_equal "$(sort <<<"$output" | xargs)" "0 1 2 3"
  assert_equal "$(echo through | in_guest cat)" through
  head -c 3000000 /dev/urandom >noise
  assert_equal "$(in_guest cat <noise | sha256sum)" "$(sha256sum <noise)"
}

@test "what a task prints goes whole into a file" {
  as_user "$RUN/jobs/$GUEST/access" head -c 300000 /dev/zero >whole
  assert_equal "$(stat -c %s whole)" 300000
}

@test "every end of a task passes" {
  run -7 in_guest sh -c 'exit 7'
  run -137 in_guest sh -c 'kill -9 $$'
  run -127 in_guest nosuchcommand
  assert_output --partial "(in the machine)"
}

@test "stdout and stderr are apart" {
  as_user srun -Q --jobid="$GUEST" sh -c 'echo out; echo err >&2' >out 2>err
  assert_equal "$(cat out)" out
  assert_equal "$(without_waiting <err)" err
}

@test "a task has the umask and the limits of where srun ran" {
  run -0 user_script 'umask 0027; $step sh -c umask'
  assert_output 0027
  run -0 user_script 'ulimit -Sn 77; $step --propagate=NOFILE sh -c "ulimit -Sn"'
  assert_output 77
}

@test "a task has the environment, however big, and nothing of ours" {
  run -0 user_script "V='a b  c' \$step sh -c 'echo \"\$V\"'"
  assert_output 'a b  c'
  run -0 user_script "BIG=\$(head -c 100000 /dev/zero | tr '\\0' x) \$step sh -c 'echo \${#BIG}'"
  assert_output 100000
  run -0 in_guest env
  assert_line "SLURM_JOB_ID=$GUEST"
  refute_output --partial SLURM_CLOUD_
}

@test "with --cloud-run=host the task is on the node, and \$CLOUD_ACCESS goes in" {
  run -0 in_guest --cloud-type=kvm --cloud-run=host sh -c 'hostname; $CLOUD_ACCESS hostname'
  assert_output "$HOST"$'\n'"$NODE-$GUEST"
}

@test "a pty is a terminal" {
  run -0 as_user script -qec "srun -Q --jobid=$GUEST --pty sh -c 'test -t 0 && test -t 1 && echo yes'" /dev/null </dev/null
  assert_output --partial yes
}

@test "scancel -s reaches the task, which handles it" {
  as_user srun -Q --jobid="$GUEST" sh -c 'trap "echo got it; exit 9" USR1; echo up; while :; do sleep 0.2; done' >out 2>&1 &
  local task=$! status=0
  eventually says '^up$' out
  scancel -s USR1 "$GUEST"
  wait "$task" || status=$?
  assert_equal $status 9
  # (The signal is its sleep's, too, and its shell says so.)
  run cat out
  assert_line "got it"
}

@test "--cloud-mount: a folder with a space in its name, read-only" {
  run -0 in_guest cat '/mnt/d e/f'
  assert_output shared
  run ! in_guest touch '/mnt/d e/g'
  assert_output --partial "Read-only file system"
}

@test "the guest's root cannot read what the user has closed" {
  as_user sh -c 'echo secret >closed; chmod 600 closed'
  run -0 in_guest cat closed
  assert_output secret
  chown root closed
  run ! in_guest cat closed
  assert_output --partial "Permission denied"
}
