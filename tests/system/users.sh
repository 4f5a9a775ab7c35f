#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Users against each other and against root: who may enter, what may be seen, races on paths.
. "$(dirname "$0")/lib.sh"
other() { runuser -u nobody -- env -i PATH=/usr/bin:/bin SLURM_CONF="$SLURM_CONF" timeout 60 env -C /tmp "$@"; }
chmod 755 "$PLAYGROUND"

as_user srun -Q -J mine --cloud-type=lxc --cloud-run=host sleep 60 >mine.out 2>&1 &
eventually 20 is_running mine
id=$(job_id_of mine)
dir=$PLAYGROUND/run/$NODE/jobs/$id
eventually 20 grep -qs phase=ready "$dir/state"
is "the owner gets in" "$JOB_UID" "$(as_user "$dir/access" id -u)"
has "another user cannot run the access script" "Permission denied" "$(other "$dir/access" id 2>&1)"
has "nor read the state" "Permission denied" "$(other cat "$dir/state" 2>&1)"
# A state of the attacker's own making, which names the victim's machine.
copy=$(mktemp -d)
cp "$dir/state" "$copy/state"
chmod 755 "$copy"
chmod 644 "$copy/state"
has "nor join the machine with a state of their own" "only the job's user can" \
  "$(other "$LIBEXEC/enter" --dir "$copy" -- id 2>&1)"
has "root's own root gets no further than the user's rights" "Permission denied" "$(as_user ls "$STATE/jobs" 2>&1)"
is "nobody can put a file where root writes" "" "$(as_user touch "$dir/x" "$PLAYGROUND/run/x" "$PLAYGROUND/run/$NODE/jobs/x" 2>/dev/null; find "$PLAYGROUND/run" -name x)"
rm -rf "$copy"
for file in state log access; do
  is "$file is root's" "0" "$(stat -c %u "$dir/$file")"
  has "$file is nobody else's to change" "denied" "$(as_user sh -c "chmod u+w $dir/$file; echo x >>$dir/$file" 2>&1)"
done
has "nor what the machine writes" "Permission denied" "$(other ls "$STATE/machines/sc-$NODE-$id/layers" 2>&1)"
has "a machine of another user beside it" "$NODE-" "$(other srun -Q --cloud-type=lxc sh -c 'hostname; id -u' 2>&1)"
pid=$(sed -n 's/^init_pid=//p' "$dir/state")
if [ -d "/proc/$pid" ]; then ok "whose end leaves the first alone"; else fail "the first machine is gone"; fi
address=$(sed -n 's/^address=//p' "$dir/state")
# Nobody listens on port 9: who is there says "refused", who cannot be reached says nothing of the kind.
out=$(other srun -Q --cloud-type=lxc sh -c "exec 2>&1; nc -w 3 ${address%.*}.1 9 </dev/null; echo then; nc -w 3 $address 9 </dev/null" 2>&1)
has "it reaches the gateway" "refused" "${out%then*}"
lacks "but not the machine of another user" "refused" "${out#*then}"
scancel "$id"
eventually 30 no_jobs

is "each user's machines have ids of their own" 2 "$(sort -u "$PLAYGROUND/state/subid_ranges" | wc -l)"
# Two slurmd of one host, which has one set of ids.
as_user srun -Q --cloud-type=lxc cat /proc/self/uid_map >map.one
other srun -Q -p second --cloud-type=lxc cat /proc/self/uid_map >map.other
is "also on another node of the host" 2 "$(awk '$1 == 0 {print $2}' map.one map.other | sort -u | wc -l)"
is "which knows them" 2 "$(sort -u "$PLAYGROUND/state/subid_ranges" | wc -l)"

# A chain of processes of which each lives too short a time to be found and killed.
if [ -d /sys/fs/cgroup/freezer ]; then
  as_user srun -Q -J chain --cloud-type=lxc --cloud-run=host sleep 60 >chain.out 2>&1 &
  eventually 20 is_running chain
  id=$(job_id_of chain)
  dir=$PLAYGROUND/run/$NODE/jobs/$id
  eventually 20 grep -qs phase=ready "$dir/state"
  group=$(sed -n 's/.*:freezer://p' "/proc/$(sed -n 's/^keeper_pid=//p' "$dir/state")/cgroup")
  setsid bash -c 'echo $$ >"/sys/fs/cgroup/freezer$1/cgroup.procs"; exec setpriv --reuid "$2" --clear-groups \
    perl -e "\$0 = q(chain-of-forks); for (1 .. 4) { fork or do { while (1) { exit if fork } } }"' chain "${group%/keeper}" "$JOB_UID"
  has "processes follow each other" chain "$(pgrep -f chain-of-forks >/dev/null && echo chain)"
  scancel "$id"
  if left=$(node_is_clean); then ok "and end with their job"; else fail "a chain of processes leaves:$left"; fi
  # Zombies stay until the machine's init has got round to them.
  if eventually 10 sh -c '! pgrep -f [c]hain-of-forks >/dev/null'; then ok "all of them"; else fail "$(pgrep -fc chain-of-forks) processes live on"; fi
  pkill -9 -f chain-of-forks
fi

# A tree that is deeper than a process has descriptors, a path has bytes and a stack has room.
# (A shell goes by its folder's whole name, and no deeper than a name can be long.)
printf '#include <sys/stat.h>\n#include <unistd.h>\nint main(void) { int i; for (i = 0; i < 20000; ++i) if (mkdir("d", 0700) || chdir("d")) return 1; return 0; }\n' >dig.c
gcc -static -o dig dig.c
as_user srun -Q --cloud-type=lxc sh -c 'cd /tmp && $HOME/dig' >deep.out 2>&1; is "a machine can have a deep tree" 0 $?
if left=$(node_is_clean); then ok "a machine's deep tree is removed with it"; else fail "a deep tree ($(tail -1 deep.out)) leaves:$left"; fi

# The source of a mount is swapped between a folder and a link while jobs mount it.
mkdir -p "$PLAYGROUND/secret"
echo top-secret >"$PLAYGROUND/secret/f"
chmod 700 "$PLAYGROUND/secret"
as_user mkdir -p race.folder
as_user sh -c 'echo harmless > race.folder/f'
as_user timeout 40 sh -c "while :; do ln -sfn $HOME_DIR/race.folder race; ln -sfn $PLAYGROUND/secret race; done" 2>/dev/null &
swapper=$!
seen=''
for _ in $(seq 15); do
  seen+=$(as_user srun -Q --cloud-type=lxc --cloud-mount="$HOME_DIR/race:/mnt/race" cat /mnt/race/f 2>&1)
done
kill $swapper 2>/dev/null
pkill -u "$JOB_USER" -f race.folder
has "a race on a mount's source is won now and then" harmless "$seen"
lacks "a race on a mount's source never shows what the user cannot read" top-secret "$seen"
rm -rf "$PLAYGROUND/secret"

has "a mount of a file" harmless "$(as_user srun -Q --cloud-type=lxc --cloud-mount="$HOME_DIR/race.folder/f:/mnt/f" cat /mnt/f 2>&1)"

# slurmd ends a prolog that takes too long with SIGTERM.
printf '#!/bin/bash\nsleep 98764\n' >"$PLAYGROUND/etc/slow"
chmod 755 "$PLAYGROUND/etc/slow"
cp "$CONFIG" config.saved
{
  stage prolog address action lease-address
  stage prolog slow exec "$PLAYGROUND/etc/slow"
  stage prolog machine action create-machine
} >>"$CONFIG"
env -i SLURM_JOB_ID=888010 SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$(id -g "$JOB_USER")" SLURMD_NODENAME="$NODE" SPANK_cloud_type=lxc \
  "$LIBEXEC/prolog" --config "$CONFIG" >slow.log 2>&1 &
pid=$!
eventually 10 grep -q ';888010;' "$LEASES"
eventually 10 pgrep -fx 'sleep 98764' >/dev/null || fail "the slow stage does not run: $(cat slow.log)"
kill "$pid"
wait "$pid"; is "a prolog that is told to end does not drain the node" 0 $?
is "and gives back what it had" "" "$(grep ';888010;' "$LEASES")"
is "and leaves no program behind" "" "$(pgrep -f "$PLAYGROUND/etc/slow"; pgrep -fx 'sleep 98764')"
env -i SLURM_JOB_ID=888010 SLURM_JOB_UID="$JOB_UID" SLURMD_NODENAME="$NODE" "$LIBEXEC/epilog" --config "$CONFIG" >/dev/null 2>&1
# And, where that does not help, kills its group.
printf '#!/bin/bash\nsleep 98765\ntrue\n' >"$PLAYGROUND/etc/slow"
setsid env -i SLURM_JOB_ID=888011 SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$(id -g "$JOB_USER")" SLURMD_NODENAME="$NODE" SPANK_cloud_type=lxc \
  "$LIBEXEC/prolog" --config "$CONFIG" >slow.log 2>&1 &
pid=$!
eventually 10 pgrep -fx 'sleep 98765' >/dev/null || fail "the second prolog runs no stage: $(cat slow.log)"
kill -9 -- "-$pid"
wait "$pid"
if eventually 10 sh -c "! pgrep -fx 'sleep 98765' >/dev/null"; then ok "what a killed prolog ran ends with it"; else fail "sleep outlives its prolog"; fi
cat config.saved >"$CONFIG"
env -i SLURM_JOB_ID=888011 SLURM_JOB_UID="$JOB_UID" SLURMD_NODENAME="$NODE" "$LIBEXEC/epilog" --config "$CONFIG" >/dev/null 2>&1

# A machine's root may make groups in what is delegated to it, deeper than any path is long, and
# hide a process of the host's there.
if [ -d /sys/fs/cgroup/freezer ]; then
  cat >deep.sh <<'EOF'
state=$(dirname "$CLOUD_ACCESS")/state
for _ in $(seq 600); do grep -qs ^phase=ready "$state" && break; sleep 0.1; done
init=$(sed -n 's/^init_pid=//p' "$state")
group=/sys/fs/cgroup/freezer$(sed -n 's/.*:freezer://p' "/proc/$init/cgroup")
nsenter -U -t "$init" -S 0 -G 0 perl -e '
  chdir $ARGV[0] or die "$ARGV[0]: $!\n";
  for (1 .. 20) { my $name = chr(96 + $_) x 250; mkdir $name or die "mkdir: $!\n"; chdir $name or die "chdir: $!\n" }
  my $pid = fork // die; if (!$pid) { open STDOUT, ">/dev/null"; open STDERR, ">/dev/null"; exec "sleep", "987654" }
  open my $procs, ">", "cgroup.procs" or die "procs: $!\n"; syswrite($procs, $pid) or die "move: $!\n"; print "hidden\n"' "$group"
EOF
  is "a process hides in groups of unusual depth" "hidden" "$(as_user srun -Q --cloud-type=lxc --cloud-run=host bash deep.sh 2>&1)"
  eventually 40 no_jobs
  is "and ends with its job" "" "$(pgrep -fx 'sleep 987654')"
fi
has "root does not enter a user's machine" "only the job's user can enter it" "$(
  as_user srun -Q -J root --cloud-type=lxc --cloud-run=host sleep 30 >/dev/null 2>&1 &
  eventually 20 sh -c "grep -qs ^phase=ready $PLAYGROUND/run/$NODE/jobs/*/state"
  "$LIBEXEC/enter" --dir "$(dirname "$(grep -l ^phase=ready "$PLAYGROUND/run/$NODE"/jobs/*/state | head -1)")" -- id 2>&1
  scancel -u "$JOB_USER"; wait)"
finish
