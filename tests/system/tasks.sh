#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a task inside a machine sees and says: ids, environment, files, signals, exit codes.
. "$(dirname "$0")/lib.sh"
run() { as_user srun -Q --cloud-type=lxc "$@" 2>&1 | without_waiting; }

is "the task runs in the machine" "$NODE" "$(run hostname | sed 's/-[0-9]*$//')"
is "as the job's user" "$JOB_UID" "$(run id -u)"
is "with all its groups" "$(id -G "$JOB_USER" | tr ' ' '\n' | sort -n | xargs)" "$(run id -G | tr ' ' '\n' | sort -n | xargs)"
is "known by name" "$JOB_USER" "$(run id -un)"
is "in the same folder" "$HOME_DIR" "$(run pwd)"
is "with its environment" "x y" "$(AS_USER_ENV='V=x_y' run sh -c 'echo $V' | tr _ ' ')"
is "with its library path" "/opt/x" "$(AS_USER_ENV='LD_LIBRARY_PATH=/opt/x' run sh -c 'echo $LD_LIBRARY_PATH')"
is "with its umask" 0027 "$(as_user sh -c 'umask 0027; srun -Q --cloud-type=lxc sh -c umask')"
is "with its limits" 77 "$(as_user sh -c 'ulimit -Sn 77; srun -Q --propagate=NOFILE --cloud-type=lxc sh -c "ulimit -Sn"')"
is "with Slurm's variables" 0 "$(run sh -c 'echo $SLURM_PROCID')"
lacks "without ours of the way in" SLURM_CLOUD_ "$(run env)"
as_user sh -c 'echo kept > file'
is "sees the user's files" kept "$(run cat file)"
run sh -c 'echo written > from-inside'
is "writes them as the user" "$JOB_USER" "$(stat -c %U from-inside)"
is "has no capability" 0000000000000000 "$(run grep CapEff /proc/self/status | cut -f2)"
has "has the leased address" "10.251." "$(run ip -o -4 addr show eth0)"
has "has the gateway" "default via" "$(run ip route)"
has "has the resolver" "nameserver 10.251." "$(run cat /etc/resolv.conf)"
is "has the process table of the machine" /.spank-cloud-init "$(run cat /proc/1/cmdline | tr -d '\0')"
is "stdin arrives" through "$(echo through | run cat)"
is "four tasks" "0 1 2 3" "$(as_user srun -Q -n4 -O --overcommit --cloud-type=lxc sh -c 'echo $SLURM_PROCID' | sort -n | xargs)"
run sh -c 'exit 7' >/dev/null; is "the exit code passes" 7 $?
run sh -c 'kill -9 $$' >/dev/null; is "death by a signal passes" 137 $?
run nosuchcommand >/dev/null; is "an unknown command is 127" 127 $?
has "and says where" "(in the machine)" "$(run nosuchcommand)"
is "nproc is the allocation" 1 "$(run -n1 -c1 nproc)"
is "a pty is a terminal" yes "$(as_user script -qec 'srun -Q --pty --cloud-type=lxc sh -c "test -t 0 && test -t 1 && echo yes"' /dev/null </dev/null | grep -o yes)"
out=$(as_user script -qec 'stty rows 41 cols 101; srun -Q --pty --cloud-type=lxc sh -c "tty; stty size; test -t 2 && echo all"' /dev/null </dev/null | tr -d '\r')
has "of the machine's own" "/dev/pts/" "$out"
has "as large as the user's" "41 101" "$out"
has "on stderr, too" "all" "$out"
# Types when the task has come so far.
keys() {
  eventually 60 test -e keys.up; printf 'typed\n'
  eventually 60 test -e keys.read; sleep 0.5; printf '\003'
  eventually 60 test -e keys.over
}
rm -f keys.*
out=$(keys | as_user script -qec 'srun -Q --pty --cloud-type=lxc sh -c "trap \"echo interrupted; exit 7\" INT; touch keys.up; read line; echo got \$line; touch keys.read; sleep 200 & wait"; echo "status $?"; touch keys.over' /dev/null)
has "what is typed reaches the task" "got typed" "$out"
has "Ctrl-C is the task's" "interrupted" "$out"
has "and its status is srun's" "status 7" "$out"
is "the terminal is as before" "sane" "$(as_user script -qec 'a=$(stty -g); srun -Q --pty --cloud-type=lxc true; [ "$a" = "$(stty -g)" ] && echo sane' /dev/null </dev/null | grep -o sane)"
is "a pty whose task writes elsewhere" "in the file" "$(as_user script -qec 'srun -Q --pty --cloud-type=lxc sh -c "echo in the file >$HOME/pty.out"' /dev/null </dev/null >/dev/null; cat pty.out)"

as_user srun -Q -J usr1 --cloud-type=lxc sh -c 'trap "echo got it; exit 9" USR1; echo up; while :; do sleep 0.1; done' >usr1.out 2>&1 &
eventually 20 grep -q up usr1.out
scancel -s USR1 "$(job_id_of usr1)"
wait $!; is "scancel -s reaches the task" 9 $?
has "which handles it" "got it" "$(cat usr1.out)"

has "a memory hog is stopped by the job's limit" "Out Of Memory" "$(run --mem=60 tail /dev/zero)"

cat >steps.sh <<'B'
#!/bin/sh
#SBATCH --cloud-type=lxc
hostname
srun -Q hostname
srun -Q -n1 --overlap id -u
srun -Q --cloud-run=host hostname
srun -Q sh -c '$CLOUD_ACCESS true; test -x $CLOUD_ACCESS || echo no access script'
B
chown "$JOB_USER" steps.sh
job=$(as_user sbatch --parsable --wait -o steps.out steps.sh)
is "the batch script runs on the host, its steps inside" "$(hostname) $NODE-$job $JOB_UID $(hostname)" "$(without_waiting <steps.out | head -4 | xargs)"
job=$(as_user sbatch --parsable --wait -o all.out --cloud-type=lxc --cloud-run=all --wrap 'hostname; id -u')
is "--cloud-run=all takes the script inside" "$NODE-$job $JOB_UID" "$(without_waiting <all.out | xargs)"
is "--cloud-run=host leaves the task outside, the access script goes in" "$(hostname) $NODE" \
  "$(run --cloud-run=host sh -c 'hostname; $CLOUD_ACCESS hostname' | sed 's/^\('"$NODE"'\)-[0-9]*$/\1/' | xargs)"
has "without a command it runs a shell, also where the machine has not the user's" "$NODE-" \
  "$(run --cloud-run=host sh -c 'echo hostname | SHELL=/no/such $CLOUD_ACCESS')"
has "salloc" "$NODE-" "$(as_user salloc -Q --cloud=lxc srun -Q hostname)"
has "SLURM_CLOUD_TYPE" "$NODE-" "$(AS_USER_ENV='SLURM_CLOUD_TYPE=lxc' as_user srun -Q hostname)"
has "SALLOC_CLOUD_TYPE" "$NODE-" "$(AS_USER_ENV='SALLOC_CLOUD_TYPE=lxc' as_user salloc -Q srun -Q hostname)"
# Linux 6.2 is the first to map the ids of a squashfs.
old='squashfs needs Linux 6.2'
job=$(AS_USER_ENV='SBATCH_CLOUD_TYPE=lxc SBATCH_CLOUD_IMAGE=tiny-squashfs' as_user sbatch --parsable --wait -o env.out --wrap 'srun -Q hostname')
has "SBATCH_CLOUD_TYPE and _IMAGE" "$(has_linux 6.2 && echo "$NODE-$job" || echo "$old")" "$(cat env.out)"
is "the command line wins" "$(hostname)" "$(AS_USER_ENV='SLURM_CLOUD_TYPE=lxc' as_user srun -Q --cloud-create=no hostname)"
as_user mkdir -p data && as_user sh -c 'echo shared > data/f'
is "--cloud-mount twice" "shared shared" "$(run --cloud-mount="$HOME_DIR/data:/mnt/d" --cloud-mount="$HOME_DIR/data:/mnt/e:ro" cat /mnt/d/f /mnt/e/f | xargs)"
is "--cloud-mount" shared "$(run --cloud-mount="$HOME_DIR/data:/mnt/d:ro" cat /mnt/d/f)"
has "read-only" "Read-only file system" "$(run --cloud-mount="$HOME_DIR/data:/mnt/d:ro" touch /mnt/d/g)"
has "a squashfs image" "$(has_linux 6.2 && echo "$NODE-" || echo "$old")" "$(run --cloud-image=tiny-squashfs hostname)"
is "a job without any option stays on the host" "$(hostname)" "$(as_user srun -Q hostname)"
finish
