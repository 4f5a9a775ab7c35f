#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Jobs that end in every way, many at once, and hooks that are killed in the middle.
. "$(dirname "$0")/lib.sh"
srun_in() { as_user srun -Q --cloud-type=lxc "$@"; }

srun_in -J victim sleep 60 >victim.out 2>&1 &
eventually 20 is_running victim
sleep 0.5
scancel "$(job_id_of victim)"
wait $!
if left=$(node_is_clean); then ok "scancel leaves nothing"; else fail "scancel leaves:$left"; fi

job=$(as_user sbatch --parsable --array=1-200 -o 'array.%a' --cloud-type=lxc --wrap 'srun -Q hostname')
eventually 400 no_jobs
is "an array of 200: each element its own machine" 200 "$(cat array.* | grep -x "$NODE-[0-9]*" | sort -u | wc -l)"
for i in $(seq 20); do as_user sbatch --parsable -o "crowd.$i" --cloud-type=lxc --wrap 'srun -Q hostname' >/dev/null & done
wait
eventually 90 no_jobs
is "20 jobs at once" 20 "$(cat crowd.* | grep -x "$NODE-[0-9]*" | sort -u | wc -l)"
if left=$(node_is_clean); then ok "they leave nothing"; else fail "they leave:$left"; fi

for i in $(seq "${CANCEL_ROUNDS:-100}"); do
  job=$(as_user sbatch --parsable -o /dev/null --cloud-type=lxc --wrap 'srun -Q sleep 30')
  sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
  scancel "$job"
done
if left=$(node_is_clean); then ok "jobs cancelled at random moments leave nothing"; else fail "cancelled jobs leave:$left"; fi

srun_in -J ended --cloud-run=host sleep 30 >ended.out 2>&1 &
eventually 20 is_running ended
id=$(job_id_of ended)
eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
pid=$(sed -n 's/^init_pid=//p' "$PLAYGROUND/run/$NODE/jobs/$id/state")
kill -9 "$pid"
if eventually 10 grep -qs phase=ended "$PLAYGROUND/run/$NODE/jobs/$id/state"; then ok "a machine that ends by itself is noticed"; else fail "the end of a machine went unnoticed"; fi
scancel "$id"

srun_in -J orphan --cloud-run=host sleep 30 >orphan.out 2>&1 &
eventually 20 is_running orphan
id=$(job_id_of orphan)
eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
kill -9 "$(sed -n 's/^keeper_pid=//p' "$PLAYGROUND/run/$NODE/jobs/$id/state")"
scancel "$id"
if left=$(node_is_clean); then ok "a killed keeper leaves nothing after the epilog"; else fail "a killed keeper leaves:$left"; fi

srun_in -J damaged --cloud-run=host sleep 30 >damaged.out 2>&1 &
eventually 20 is_running damaged
id=$(job_id_of damaged)
eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
echo garbage >"$STATE/jobs/$id/record.json"
scancel "$id"
if left=$(node_is_clean); then ok "a record that is damaged while its machine runs"; else fail "a damaged record leaves:$left"; fi
rm -rf "$STATE/quarantine"

# What an editor may leave of the configuration while a job runs. Its folders are not the default ones.
cp "$CONFIG" config.saved
cp "$LEASES" leases.other
for change in "is broken" "has gone" "names other folders" "names another pool" "publishes elsewhere"; do
  srun_in -J changed --cloud-run=host sleep 30 >changed.out 2>&1 &
  eventually 20 is_running changed
  id=$(job_id_of changed)
  eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
  case $change in
    *broken) echo '[cloud' >>"$CONFIG" ;;
    *gone) mv "$CONFIG" config.gone ;;
    *pool) sed -i "s#$LEASES#$HOME_DIR/leases.other#; s/playground/renamed/" "$CONFIG" ;;
    *elsewhere) sed -i "s#^run_dir.*#run_dir = \"$PLAYGROUND/run2\"#" "$CONFIG" ;;
    *) sed -i "s#^state_dir.*#state_dir = \"$PLAYGROUND/elsewhere\"#" "$CONFIG" ;;
  esac
  scancel "$id"
  if left=$(node_is_clean); then ok "a configuration that $change when a job ends"; else fail "a configuration that $change leaves:$left"; fi
  cat config.saved >"$CONFIG"
  is "the job's own is forgotten ($change)" "" "$(ls -d /run/spank-cloud/records/"$NODE"*/"$id" 2>/dev/null)"
done

# A machine that cannot be ended keeps its address: two would have it otherwise.
if [ -d /sys/fs/cgroup/freezer ]; then
  srun_in -J stuck --cloud-run=host sleep 300 >stuck.out 2>&1 &
  eventually 20 is_running stuck
  id=$(job_id_of stuck)
  eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
  # The keeper has noted its last stage by then, and its lock is free.
  eventually 20 grep -q '"ready"' "$STATE/jobs/$id/record.json"
  sleep 1
  group=$(sed -n 's/.*:freezer://p' "/proc/$(sed -n 's/^keeper_pid=//p' "$PLAYGROUND/run/$NODE/jobs/$id/state")/cgroup")
  group=/sys/fs/cgroup/freezer${group%/cloud/keeper}
  echo FROZEN >"$group/freezer.state"
  env -i SLURM_JOB_ID="$id" SLURM_JOB_UID="$JOB_UID" SLURMD_NODENAME="$NODE" "$LIBEXEC/epilog" --config "$CONFIG" >stuck.log 2>&1
  has "an epilog says what it cannot end" "do not die" "$(cat stuck.log)"
  is "and keeps the address" 1 "$(grep -c ";$id;USED" "$LEASES")"
  echo THAWED >"$group/freezer.state"
  scancel "$id"
  if left=$(node_is_clean); then ok "until the next one"; else fail "a stuck machine leaves:$left"; fi
fi

srun_in -J poweroff --cloud-run=host sleep 30 >poweroff.out 2>&1 &
eventually 20 is_running poweroff
id=$(job_id_of poweroff)
eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
# What the machine's monitor listens on, taken by the user as soon as it is free, and never answered.
socket=$(sed -n "s|.*@\(.*sc-$NODE-$id.*/command\)$|\1|p" /proc/net/unix | head -1)
kill -9 "$(sed -n 's/^init_pid=//p' "$PLAYGROUND/run/$NODE/jobs/$id/state")"
eventually 10 grep -qs phase=ended "$PLAYGROUND/run/$NODE/jobs/$id/state"
runuser -u "$JOB_USER" -- perl -MSocket -e '
  socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!;
  for (1 .. 100) { bind($s, pack_sockaddr_un("\0$ARGV[0]")) and last; select(undef, undef, undef, 0.05) }
  listen($s, 5) or die $!;
  print "taken\n"; close STDOUT; sleep 40' "$socket" >squatter.out 2>&1 &
squatter=$!
if eventually 10 grep -q taken squatter.out; then ok "a user takes the place of a machine's monitor"; else fail "squatter: $(cat squatter.out)"; fi
scancel "$id"
if left=$(node_is_clean); then ok "and holds up nobody"; else fail "a squatter leaves:$left"; fi
kill $squatter 2>/dev/null; pkill -u "$JOB_USER" perl
has "time limit: the job ends" "TIME LIMIT" "$(as_user srun -Q -t 0:05 --cloud-type=lxc sleep 1000 2>&1)"
if left=$(node_is_clean); then ok "the end of the time leaves nothing"; else fail "the time limit leaves:$left"; fi

# slurmd and the job's slurmstepds die at once: no epilog comes, and the keeper cleans up.
cp "$CONFIG" config.saved
sed -i 's/^boot_timeout/orphan_grace = "2s"\nboot_timeout/' "$CONFIG"
echo precious >precious
as_user sbatch -Q -J abandoned -o abandoned.out --no-requeue --cloud-type=lxc --wrap 'sleep 60' >/dev/null
eventually 20 is_running abandoned
id=$(job_id_of abandoned)
eventually 60 grep -qs phase=ready "$PLAYGROUND/run/$NODE/jobs/$id/state"
read -r slurmd _ <"$PLAYGROUND/slurm/slurmd.started"
echo '[cloud' >>"$CONFIG"  # as bad as it can be: the configuration is broken, too
kill -9 "$slurmd"
pkill -9 -f "slurmstepd: \[$id\."
if eventually 30 test ! -e "$STATE/jobs/$id"; then ok "without an epilog the keeper cleans up"; else fail "the job of a dead slurmd: $(ls "$STATE/jobs/$id"; cat "$STATE/jobs/$id/keeper.log")"; fi
is "and leaves the user's files alone" precious "$(cat precious)"
is "and no machine" "" "$(ls "$STATE/machines")"
cat config.saved >"$CONFIG"
start_slurmd
scancel "$id" 2>/dev/null
# The processes and groups of steps whose slurmstepd was killed are Slurm's own, and it leaves them.
eventually 10 no_jobs
groups() { find /sys/fs/cgroup -depth -path "*/slurm_$NODE/uid_$JOB_UID/job_$id*" -type d; }
for group in $(groups); do xargs -r kill -9 <"$group/cgroup.procs"; done 2>/dev/null
no_groups() { groups | xargs -r rmdir 2>/dev/null; [ -z "$(groups)" ]; }
eventually 10 no_groups
if left=$(node_is_clean); then ok "nor anything else"; else fail "a dead slurmd leaves:$left"; fi

# The lease file comes back as an old copy, or is cut, while a machine runs: nobody else gets its address.
srun_in -w "$NODE" -J holder --cloud-run=host sleep 60 >holder.out 2>&1 &
eventually 20 is_running holder
id=$(job_id_of holder)
held=$(sed -n "s/;$id;USED$//p" "$LEASES")
cp -p "$LEASES" leases.now
sed -i "s/;$id;USED$/;;/" "$LEASES"
is "the lease that an old copy of the file has lost" "$held" "$(sed -n '2s/;;$//p' "$LEASES")"
other=$(srun_in -w "$NODE" ip -o -4 address show scope global 2>&1)
has "another job gets an address" " inet " "$other"
lacks "which is not that of the machine that runs" " $held/" "$other"
# In the middle of the first line.
head -c 25 leases.now >"$LEASES"
has "of a file that was cut nothing is leased" "no address left" "$(srun_in -w "$NODE" true 2>&1)"
is "and it stays as it is" "$(head -c 25 leases.now)" "$(cat "$LEASES")"
cat leases.now >"$LEASES"
scancel "$id"
if left=$(node_is_clean); then ok "a lost lease file leaves nothing"; else fail "a lost lease file leaves:$left"; fi

# The hooks by hand, killed between any two system calls that matter.
hook() {
  ${EXEC:-} env -i SLURM_JOB_ID="$2" SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$(id -g "$JOB_USER")" SLURM_JOB_USER="$JOB_USER" \
    SLURMD_NODENAME="$NODE" SLURM_JOB_RESTART_COUNT="${3:-0}" SPANK_cloud_type=lxc "$LIBEXEC/$1" --config "$CONFIG"
}
hook epilog 888001 >/dev/null 2>&1; is "an epilog without a prolog" 0 $?
for n in $(seq 40); do
  # In the place of the shell that is killed.
  EXEC=exec hook prolog 888002 >/dev/null 2>&1 &
  pid=$!
  sleep "0.0$(printf %02d $((n % 20)))"
  kill -9 $pid 2>/dev/null
  wait $pid 2>/dev/null
  hook epilog 888002 >killed.log 2>&1 || fail "the epilog after a killed prolog (round $n): $(cat killed.log)"
  [ ! -e "$STATE/jobs/888002" ] && ! grep -q 888002 "$LEASES" && [ ! -e "$STATE/machines/sc-$NODE-888002" ] ||
    { fail "round $n leaves something: $(cat killed.log)"; break; }
done
ok "prologs killed at 40 moments, each cleaned by its epilog"
hook prolog 888003 >/dev/null 2>&1
before=$(cat "$STATE/jobs/888003/record.json")
hook prolog 888003 >/dev/null 2>&1
is "a second prolog of the same run changes nothing" "$before" "$(cat "$STATE/jobs/888003/record.json")"
hook prolog 888003 1 >/dev/null 2>&1
is "a prolog of the next run starts over" 1 "$(grep -c ';888003;USED' "$LEASES")"
hook epilog 888003 0 >late.log 2>&1
has "a late epilog of the run before leaves it alone" "late epilog" "$(cat late.log)"
echo garbage >"$STATE/jobs/888003/record.json"
hook epilog 888003 1 >garbage.log 2>&1; is "an unreadable record does not drain the node" 0 $?
is "its lease is freed" 0 "$(grep -c ';888003;' "$LEASES")"
is "a copy of it is kept" 1 "$(ls "$STATE/quarantine" | wc -l)"
rm -rf "$STATE/quarantine"
hook prolog 888004 >/dev/null 2>&1
hook epilog 888004 >/dev/null 2>&1 & one=$!
hook epilog 888004 >/dev/null 2>&1 & two=$!
wait $one; first=$?
wait $two; is "two epilogs at once" "0 0" "$first $?"
cloudctl() { "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" "$@"; }
hook prolog 888005 >/dev/null 2>&1
has "cloudctl status lists a job" "888005" "$(cloudctl status)"
has "cloudctl trace shows its stages" "address" "$(cloudctl trace 888005)"
cloudctl reconcile >reconcile.log 2>&1
is "reconcile leaves a job alone that has just begun" yes "$(test -e "$STATE/jobs/888005" && echo yes)"
sed -i 's/"boot_id": "[^"]*"/"boot_id": "another-boot"/' "$STATE/jobs/888005/record.json"
cloudctl reconcile >reconcile.log 2>&1; is "reconcile after a reboot" 0 $?
is "releases what the dead job held" no "$(test -e "$STATE/jobs/888005" || grep -q 888005 "$LEASES" && echo yes || echo no)"
hook prolog 888009 >/dev/null 2>&1
echo garbage >"$STATE/jobs/888009/record.json"
mkdir "$STATE/jobs/888019"
has "cloudctl status names a record that cannot be read" "888009" "$(cloudctl status)"
cloudctl reconcile >reconcile.log 2>&1
is "reconcile leaves it alone while its job may just have begun" yes "$(test -e "$STATE/jobs/888009" && echo yes)"
touch -d '20 minutes ago' "$STATE/jobs/888009" "$STATE/jobs/888019"
mkdir -p "$STATE/trash/old/deep"
cloudctl reconcile >reconcile.log 2>&1; is "reconcile of records that cannot be read" 0 $?
is "frees what they held" "" "$(cd "$STATE" && ls -d jobs/8880?9 trash/* machines/* 2>/dev/null; grep ';8880.9;' "$LEASES")"
rm -rf "$STATE/quarantine"
# A clean-up of the node beside prologs and epilogs: each job's is decided under its lock.
for n in $(seq 15); do
  cloudctl reconcile >>reconcile.log 2>&1 &
  tidier=$!
  hook prolog 888011 >/dev/null 2>&1 || fail "a prolog beside a reconcile exits with $?"
  [ -e "$STATE/jobs/888011/record.json" ] || fail "a reconcile took a job that had just begun (round $n)"
  cloudctl reconcile >>reconcile.log 2>&1 &
  other=$!
  hook epilog 888011 >/dev/null 2>&1 || fail "an epilog beside a reconcile exits with $?"
  wait $tidier $other
done
is "reconcile beside prologs and epilogs" "" "$(ls -d "$STATE"/jobs/888011 "$STATE"/machines/*888011 2>/dev/null; grep ';888011;' "$LEASES")"
has "cloudctl check finds no mistake" "no mistakes; backends: kvm, lxc" "$(cloudctl check)"
for damage in '' '{' '{}' 'null' '[1,2' "$(head -c 3000 /dev/urandom | tr -d '\0')" '{"version": 99}'; do
  hook prolog 888006 >/dev/null 2>&1
  printf %s "$damage" >"$STATE/jobs/888006/record.json"
  hook epilog 888006 >damage.log 2>&1 || fail "an epilog with a damaged record: $(cat damage.log)"
  grep -q ';888006;' "$LEASES" && fail "a lease is left after a damaged record"
done
ok "seven kinds of damaged records"
rm -rf "$STATE/quarantine"

# The folder of the published state is full at every write, and the epilog still cleans.
hook prolog 888007 >/dev/null 2>&1
mkdir -p "$STATE/jobs"
mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs "$STATE/jobs"
hook prolog 888008 >full.log 2>&1; is "a full disk does not drain the node" 0 $?
has "and says so" "No space left on device" "$(cat full.log; cat "$PLAYGROUND/run/$NODE/jobs/888008/state" 2>/dev/null)"
umount "$STATE/jobs"
hook epilog 888008 >/dev/null 2>&1
rm -rf "$PLAYGROUND/run/$NODE/jobs/888008"
hook epilog 888007 >/dev/null 2>&1
finish
