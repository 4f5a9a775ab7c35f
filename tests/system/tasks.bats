# SPDX-License-Identifier: Apache-2.0
# What a task inside a machine sees and says: ids, environment, files, signals, terminals, exit statuses.
load lib

sorted() { tr ' ' '\n' | sort -n | xargs; }
# COMMAND: in a terminal of the user's own, whose keys come from our standard input.
on_terminal() { as_user script -qec "$1" /dev/null | tr -d '\r'; }

@test "a task is the job's user, in the same folder, with its environment" {
  run -0 in_lxc sh -c 'hostname; id -u; id -un; pwd; echo $SLURM_PROCID; cat /proc/1/cmdline | tr "\0" "\n"'
  assert_line --index 0 --regexp "^$NODE-[0-9]+\$"
  assert_equal "$(xargs <<<"${lines[*]:1}")" "$JOB_UID $JOB_USER $HOME_DIR 0 /.spank-cloud-init"
  assert_equal "$(in_lxc id -G | sorted)" "$(id -G "$JOB_USER" | sorted)"
  AS_USER_ENV='V=x_y LD_LIBRARY_PATH=/opt/x' run -0 in_lxc sh -c 'echo $V $LD_LIBRARY_PATH'
  assert_output "x_y /opt/x"
  run -0 in_lxc env
  refute_output --partial SLURM_CLOUD_
}

@test "a task has the umask and the limits of where srun ran" {
  run -0 as_user sh -c 'umask 0027; srun -Q --cloud-type=lxc sh -c umask'
  assert_output 0027
  run -0 as_user sh -c 'ulimit -Sn 77; srun -Q --propagate=NOFILE --cloud-type=lxc sh -c "ulimit -Sn"'
  assert_output 77
}

@test "a task reads and writes the user's files, without any capability" {
  as_user sh -c 'echo kept >file'
  run -0 in_lxc sh -c 'cat file; echo written >from-inside; grep CapEff /proc/self/status | cut -f2'
  assert_output $'kept\n0000000000000000'
  assert_equal "$(stat -c %U from-inside)" "$JOB_USER"
}

@test "a machine has the leased address, a gateway and a resolver" {
  run -0 in_lxc sh -c 'ip -o -4 addr show eth0; ip route; cat /etc/resolv.conf'
  assert_output --partial " inet 10.251.7."
  assert_output --partial "default via 10.251.7.1"
  assert_output --partial "nameserver 10.251.7.1"
}

@test "stdin, four tasks, and every end of a task pass" {
  assert_equal "$(echo through | in_lxc cat)" through
  assert_equal "$(in_lxc -n4 -O --overcommit sh -c 'echo $SLURM_PROCID' | sorted)" "0 1 2 3"
  run -7 in_lxc sh -c 'exit 7'
  run -137 in_lxc sh -c 'kill -9 $$'
  run -127 in_lxc nosuchcommand
  assert_output --partial "(in the machine)"
}

@test "nproc is the allocation, and the job's memory is the limit" {
  run -0 in_lxc -n1 -c1 nproc
  assert_output 1
  run in_lxc --mem=60 tail /dev/zero
  assert_output --partial "Out Of Memory"
}

@test "a pty is a terminal of the machine's own, as large as the user's" {
  run -0 on_terminal 'stty rows 41 cols 101
    srun -Q --pty --cloud-type=lxc sh -c "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all"' </dev/null
  assert_output --partial "/dev/pts/"
  assert_output --partial "41 101"
  assert_output --partial "all"
  run -0 on_terminal 'a=$(stty -g); srun -Q --pty --cloud-type=lxc true; [ "$a" = "$(stty -g)" ] && echo as before' </dev/null
  assert_output --partial "as before"
  on_terminal 'srun -Q --pty --cloud-type=lxc sh -c "echo in the file >$HOME/pty.out"' </dev/null
  assert_equal "$(cat pty.out)" "in the file"
}

@test "what is typed reaches the task, and Ctrl-C is the task's" {
  # Types when the task has come so far.
  keys() {
    eventually test -e keys.up; printf 'typed\n'
    eventually test -e keys.waits; printf '\003'
    eventually test -e keys.over
  }
  # It says that it waits from a child of its own, when its trap is set and its line is read.
  cat >task.sh <<'END'
trap 'echo interrupted; exit 7' INT
touch keys.up
read -r line
echo "got $line"
sleep 200 & touch keys.waits; wait
END
  run -0 on_terminal 'srun -Q --pty --cloud-type=lxc sh task.sh; echo "status $?"; touch keys.over' < <(keys 3>&-)
  assert_output --partial "got typed"
  assert_output --partial "interrupted"
  assert_output --partial "status 7"
}

@test "scancel -s reaches the task, which handles it" {
  as_user srun -Q -J usr1 --cloud-type=lxc sh -c 'trap "echo got it; exit 9" USR1; echo up; while :; do sleep 0.1; done' >out 2>&1 &
  local task=$! status=0
  eventually says '^up$' out
  scancel -s USR1 "$(job_id_of usr1)"
  wait "$task" || status=$?
  assert_equal $status 9
  # (srun may say more of its end, or not.)
  assert_equal "$(without_waiting <out | head -n 2)" $'up\ngot it'
}

@test "srun's steps run inside, the batch script where --cloud-run says" {
  cat >steps.sh <<'END'
#!/bin/sh
#SBATCH --cloud-type=lxc
hostname
srun -Q hostname
srun -Q -n1 --overlap id -u
srun -Q --cloud-run=host hostname
srun -Q sh -c '$CLOUD_ACCESS true; test -x $CLOUD_ACCESS || echo no access script'
END
  chown "$JOB_USER" steps.sh
  job=$(as_user sbatch --parsable --wait -o out steps.sh)
  assert_equal "$(without_waiting <out | head -4 | xargs)" "$HOST $NODE-$job $JOB_UID $HOST"
  job=$(as_user sbatch --parsable --wait -o out --cloud-type=lxc --cloud-run=all --wrap 'hostname; id -u')
  assert_equal "$(without_waiting <out | xargs)" "$NODE-$job $JOB_UID"
}

@test "with --cloud-run=host the task is on the node, and \$CLOUD_ACCESS goes in" {
  run -0 in_lxc --cloud-run=host sh -c 'hostname; $CLOUD_ACCESS hostname'
  assert_output --regexp "^$HOST"$'\n'"$NODE-[0-9]+\$"
  # Without a command it runs a shell, also where the machine has not the user's.
  run -0 in_lxc --cloud-run=host sh -c 'echo hostname | SHELL=/no/such $CLOUD_ACCESS'
  assert_output --partial "$NODE-"
}

@test "salloc, and the variables of srun, sbatch and salloc" {
  run -0 quietly as_user salloc -Q --cloud=lxc srun -Q hostname
  assert_output --partial "$NODE-"
  AS_USER_ENV=SLURM_CLOUD_TYPE=lxc run -0 on_node hostname
  assert_output --partial "$NODE-"
  AS_USER_ENV=SALLOC_CLOUD_TYPE=lxc run -0 quietly as_user salloc -Q srun -Q hostname
  assert_output --partial "$NODE-"
  AS_USER_ENV=SLURM_CLOUD_TYPE=lxc run -0 on_node --cloud-create=no hostname
  assert_output "$HOST"
  run -0 on_node hostname
  assert_output "$HOST"
}

@test "an image of squashfs, where the kernel maps its ids" {
  # Linux 6.2 is the first.
  local wanted='squashfs needs Linux 6.2'
  if has_linux 6.2; then wanted="$NODE-"; fi
  run in_lxc --cloud-image=tiny-squashfs hostname
  assert_output --partial "$wanted"
  AS_USER_ENV='SBATCH_CLOUD_TYPE=lxc SBATCH_CLOUD_IMAGE=tiny-squashfs' as_user sbatch -Q --wait -o out --wrap 'srun -Q hostname' || true
  run cat out
  assert_output --partial "$wanted"
}

@test "--cloud-mount, twice, and read-only" {
  as_user sh -c 'mkdir data; echo shared >data/f'
  run -0 in_lxc --cloud-mount="$HOME_DIR/data:/mnt/d" --cloud-mount="$HOME_DIR/data:/mnt/e:ro" cat /mnt/d/f /mnt/e/f
  assert_output $'shared\nshared'
  run in_lxc --cloud-mount="$HOME_DIR/data:/mnt/d:ro" touch /mnt/d/g
  assert_output --partial "Read-only file system"
}
