#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Virtual machines through libvirt: tasks inside, in the job's cgroup, isolated, and gone afterwards,
# whatever libvirtd does meanwhile.
. "$(dirname "$0")/lib.sh"
run() { as_user srun -Q --mem=700 --cloud-type=kvm "$@" 2>&1 | without_waiting; }
uri="qemu+unix:///system?socket=$PLAYGROUND/libvirt/run/libvirt-sock"
virsh() { timeout 20 /usr/bin/virsh -q -c "$uri" "$@"; }
state_of() { sed -n "s/^$2=//p" "$PLAYGROUND/run/$NODE/jobs/$1/state" 2>/dev/null; }
phase_is() { [ "$(state_of "$1" phase)" = "$2" ]; }
qemu_of() { cut -d' ' -f1 "$STATE/machines/sc-$NODE-$1/qemu" 2>/dev/null; }
# NAME OPTION...: a job with a machine beside it; its id in $job.
machine() {
  local name=$1
  shift
  as_user srun -Q --mem=700 -J "$name" --cloud-type=kvm --cloud-run=host "$@" sleep 300 >"$name.out" 2>&1 &
  eventually 30 is_running "$name"
  job=$(job_id_of "$name")
}
# A zombie that nobody has reaped yet is none.
lives() { [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
libvirtd() { cut -d' ' -f1 "$PLAYGROUND/libvirt/libvirtd.started"; }
end_libvirtd() { local pid; pid=$(libvirtd); kill "-$1" "$pid"; eventually 20 sh -c "! grep -qs '^State:.[RSDT]' /proc/$pid/status"; }
start_libvirtd() { "$(dirname "$0")/../cluster/private-libvirt" start --dir "$PLAYGROUND/libvirt"; }
users_qemus() { local pid; for pid in $(pgrep -u "$JOB_USER" qemu); do ! lives "$pid" || echo " qemu:$pid"; done; }
no_qemu() { [ -z "$(users_qemus)" ]; }
no_domain() { [ -z "$(virsh list --all --name | grep .)" ]; }
# Of guests that other tests have made by themselves.
logs=$(ls "$PLAYGROUND/libvirt/log/qemu" 2>/dev/null)
clean() {
  local left
  left=$(node_is_clean) || { fail "$1 leaves:$left"; return; }
  eventually 10 no_domain || left+=" domains: $(virsh list --all --name | xargs)"
  left+=$(ip -o link | grep -o ' vk[0-9a-f]\{12\}' | sed 's/^/ tap:/')
  left+=$(ebtables -t nat -L 2>/dev/null | grep -o 'libvirt-[IO]-vk[0-9a-f]*' | sed 's/^/ rules:/')
  eventually 5 no_qemu
  left+=$(users_qemus)$(pgrep -f "virtiofsd.*$STATE" | sed 's/^/ virtiofsd:/')
  left+=$(find /sys/fs/cgroup -path "*/machine/qemu*$NODE-*" -type d -prune | sed 's/^/ cgroup:/')
  [ -z "$left" ] && ok "$1 leaves nothing" || fail "$1 leaves:$left"
}

# As root in the guest, through its console, the machine can try anything.
# JOB COMMAND: what the command prints there.
console() { as_user perl -MSocket -e '
  socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($ARGV[0])) or die "console: $!\n";
  my $mark = time . "x$$";
  # The halves meet only when the shell has run them.
  my $line = "echo be\"gins-$mark\"; $ARGV[1]; echo en\"ds-$mark\"\n";
  select(undef, undef, undef, 0.02), syswrite $s, $_ for split //, "\n$line";
  my ($all, $end) = ("", time + 40);
  while (time < $end && $all !~ /ends-$mark/) {
    my $wanted = ""; vec($wanted, fileno($s), 1) = 1;
    next unless select($wanted, undef, undef, 1);
    sysread($s, my $bytes, 4096) or last;
    $all .= $bytes;
  }
  $all =~ s/.*begins-$mark//s;
  print $all' "$PLAYGROUND/run/$NODE/jobs/$1/console.sock" "$2" 2>&1; }

# ---- tasks
text=$(run sh -c 'echo "host $(hostname)"; echo "uid $(id -u)"; echo "groups $(id -G)"; echo "cwd $(pwd)"; umask; nproc; uname -r; cat /proc/1/comm
  ip -o -4 addr show eth0; grep nameserver /etc/resolv.conf; echo written >from-the-guest; echo "V=$V"')
job=$(sed -n "s/^host $NODE-//p" <<<"$text")
has "the task runs in the guest" "host $NODE-" "$text"
has "as the job's user" "uid $JOB_UID" "$text"
is "with all its groups" "$(id -G "$JOB_USER" | tr ' ' '\n' | sort -n | xargs)" "$(sed -n 's/^groups //p' <<<"$text" | tr ' ' '\n' | sort -n | xargs)"
has "in the same folder" "cwd $HOME_DIR" "$text"
has "with the leased address" "10.251." "$(grep eth0 <<<"$text")"
has "and the resolver" "nameserver 10.251." "$text"
lacks "under a kernel of its own" "$(uname -r)" "$text"
is "it writes the user's files" "written $JOB_USER" "$(cat from-the-guest) $(stat -c %U from-the-guest)"
clean "a job"
is "and no log of libvirt" "$logs" "$(ls "$PLAYGROUND/libvirt/log/qemu" 2>/dev/null)"

cat >many.sh <<'B'
r() { srun -Q "$@" 2>&1; }
r true
echo "four $(r -n4 --overcommit sh -c 'echo $SLURM_PROCID' | sort | xargs)"
r sh -c 'exit 7' >/dev/null; echo "exit $?"
r sh -c 'kill -9 $$' >/dev/null; echo "signal $?"
r nosuchcommand >nosuch.out; echo "unknown $?"
echo "stdin $(echo through | r cat)"
head -c 3000000 /dev/urandom >noise; [ "$(sha256sum <noise)" = "$(r cat <noise | sha256sum)" ] && echo "every byte passes"
echo "apart $(srun -Q sh -c 'echo out; echo err >&2' 2>/dev/null)"
echo "umask $(umask 0027; r sh -c umask)"
echo "limit $(ulimit -Sn 77; r --propagate=NOFILE sh -c 'ulimit -Sn')"
echo "variable $(V='a b  c' r sh -c 'echo "$V"')"
echo "big $(BIG=$(head -c 100000 /dev/zero | tr '\0' x) r sh -c 'echo ${#BIG}')"
echo "ours $(r env | grep -c SLURM_CLOUD_)"
echo "host $(r --cloud-run=host hostname)"
echo "access $(r --cloud-run=host sh -c '$CLOUD_ACCESS hostname')"
echo "pty $(script -qec 'srun -Q --pty sh -c "test -t 0 && test -t 1 && echo yes"' /dev/null </dev/null | grep -o yes)"
mkdir -p data; echo shared >data/f
B
chmod 644 many.sh
text=$(as_user salloc -Q --mem=700 --cloud-type=kvm bash many.sh 2>&1)
for line in "four 0 1 2 3" "exit 7" "signal 137" "unknown 127" "stdin through" "every byte passes" "apart out" "umask 0027" "limit 77" \
  "variable a b  c" "big 100000" "ours 0" "host $(hostname)" "access $NODE-" "pty yes"; do
  has "${line%% *} passes" "$line" "$text"
done
has "an unknown command says where" "(in the machine)" "$(cat nosuch.out)"
job=$(as_user sbatch --parsable --wait --mem=700 -o all.out --cloud-type=kvm --cloud-run=all --wrap 'hostname; id -u; echo $0')
is "--cloud-run=all takes the script inside" "$NODE-$job $JOB_UID" "$(without_waiting <all.out | head -2 | xargs)"
rm -f usr1.out
as_user srun -Q -J usr1 --mem=700 --cloud-type=kvm sh -c 'trap "echo got it; exit 9" USR1; echo up; while :; do sleep 0.2; done' >usr1.out 2>&1 &
eventually 200 grep -q up usr1.out
scancel -s USR1 "$(job_id_of usr1)"
wait $!; is "scancel -s reaches the task" 9 $?
has "which handles it" "got it" "$(cat usr1.out)"
has "--cloud-mount" "shared Read-only" "$(run --cloud-mount="$HOME_DIR/data:/mnt/d e:ro" sh -c 'cat "/mnt/d e/f"; touch "/mnt/d e/g"' | sed 's/.*\(Read-only\).*/\1/' | xargs)"
has "the guest's root cannot read what the user has closed" "Permission denied" \
  "$(as_user sh -c 'echo secret >closed; chmod 600 closed'; run sh -c 'ls -ln closed; cat closed >/dev/null; echo ok'; chown root closed; run cat closed)"
clean "tasks"

# ---- the job's cgroup: memory, CPU, accounting, scancel
machine hog
eventually 240 phase_is "$job" ready
pid=$(qemu_of "$job")
outside=$(cat /proc/"$pid"/task/*/cgroup | grep -v '^0::' | grep -cv "/slurm_$NODE/uid_$JOB_UID/job_$job/step_extern/")
is "every thread of QEMU is in the job's group of every controller" 0 "$outside"
is "QEMU is the user's" "$JOB_UID" "$(stat -c %u /proc/"$pid")"
is "without capabilities" 0000000000000000 "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/"$pid"/status)"
is "under seccomp" 2 "$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/"$pid"/status)"
is "and may be killed at the memory limit" 0 "$(cat /proc/"$pid"/oom_score_adj)"
cpus=$(cat "/sys/fs/cgroup/cpuset/slurm_$NODE/uid_$JOB_UID/job_$job/cpuset.cpus")
is "on the job's CPUs alone" "$cpus" "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/"$pid"/status)"
if eventually 20 sh -c "[ \"\$(sstat -n -a -P -j $job.extern --format=MaxRSS 2>/dev/null | tr -dc 0-9)\" -gt 20000 ] 2>/dev/null"; then
  ok "sstat sees the guest's memory"
else
  fail "sstat: $(sstat -n -a -P -j "$job.extern" --format=JobID,MaxRSS 2>&1)"
fi
access=$PLAYGROUND/run/$NODE/jobs/$job/access
ticks() { awk '{print $14 + $15}' /proc/"$pid"/stat; }
as_user "$access" sh -c 'for i in 1 2 3 4; do (while :; do :; done) & done; sleep 15; kill $(jobs -p)' >/dev/null 2>&1 &
sleep 2
# Others may be at work on this machine, so the lower bound says only that it spins.
before=$(ticks)
began=$(date +%s%N)
sleep 3
used=$((($(ticks) - before) * 1000000000 / ($(date +%s%N) - began)))
[ "$used" -ge 30 ] && [ "$used" -le 112 ] && ok "a guest that spins on all it has gets the job's one CPU" || fail "a spinning guest uses $used % of a CPU"
group=/sys/fs/cgroup/memory/slurm_$NODE/uid_$JOB_UID/job_$job
scontrol suspend "$job"
eventually 10 grep -qs FROZEN "/sys/fs/cgroup/freezer/slurm_$NODE/uid_$JOB_UID/job_$job/step_extern/task_0/cloud/machine/freezer.state"
before=$(ticks); sleep 1
is "suspend stops it" "$before" "$(ticks)"
scontrol resume "$job"
scancel "$job"
clean "scancel of a machine that runs"
# A site that keeps too little for QEMU itself: then the guest can want more than the job has.
cp "$CONFIG" config.saved
sed -i 's/^\[backend.kvm\]/&\nmemory_overhead_mib = 0\ntb_cache_mib = 32/' "$CONFIG"
machine fat --mem=400
eventually 240 phase_is "$job" ready
group=/sys/fs/cgroup/memory/slurm_$NODE/uid_$JOB_UID/job_$job
as_user "$PLAYGROUND/run/$NODE/jobs/$job/access" sleep 100 >in-the-guest.out 2>&1 &
inside=$!
console "$job" 'mount -o remount,size=100% /dev/shm; dd if=/dev/zero of=/dev/shm/all bs=1M' >fat.log
eventually 20 phase_is "$job" ended && ok "a guest that allocates more than the job has is ended" || fail "the guest: $(state_of "$job" phase), $(tail -3 fat.log)"
[ "$(find "$group" -name memory.oom_control -exec sed -n 's/^oom_kill //p' {} + | sort -n | tail -1)" -gt 0 ] &&
  ok "by the job's limit" || fail "no OOM kill in the job's group"
has "the user reads why" "memory" "$(state_of "$job" reason)"
wait $inside
has "and who was in it, too" "memory" "$(cat in-the-guest.out)"
scancel "$job"
cat config.saved >"$CONFIG"
clean "a guest at the memory limit"
has "a job too small for a guest is refused, with the numbers" "the job has 200 MiB of memory on this node" "$(run --mem=200 true)"
clean "a refusal"

# ---- isolation
machine mine
mine=$job
eventually 240 phase_is "$mine" ready
address=$(state_of "$mine" address)
gateway=${address%.*}.1
other() { runuser -u nobody -- env -i PATH=/usr/bin:/bin SLURM_CONF="$SLURM_CONF" timeout 90 env -C /tmp "$@"; }
chmod 755 "$PLAYGROUND"
out=$(other srun -Q --mem=500 --cloud-type=kvm sh -c "exec 2>&1; nc -w 3 $gateway 9 </dev/null; echo then; nc -w 3 $address 22 </dev/null" 2>&1)
has "a guest of another user reaches the gateway" "refused" "${out%then*}"
lacks "but not the guest beside it" "SSH-" "${out#*then}"
has "the console is the machine's root" "uid=0" "$(console "$mine" id)"
has "an address of its own is answered" "1 packets received" "$(console "$mine" "ping -c 1 -W 3 $gateway")"
lacks "a foreign address is cut off" "1 packets received" "$(console "$mine" "ip addr add ${address%.*}.200/24 dev eth0; ping -c 1 -W 3 -I ${address%.*}.200 $gateway")"
lacks "a foreign MAC is cut off" "1 packets received" "$(console "$mine" "ip link set eth0 down; ip link set eth0 address 02:11:22:33:44:55; ip link set eth0 up; ip route add default via $gateway; ping -c 1 -W 3 $gateway")"
has "another user cannot use the console" "Permission denied" "$(other perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($ARGV[0])) or print "$!\n"' "$PLAYGROUND/run/$NODE/jobs/$mine/console.sock" 2>&1)"
has "nor read the key" "Permission denied" "$(other cat "$PLAYGROUND/run/$NODE/jobs/$mine/ssh/key" 2>&1)"
is "the console is kept, and bounded" yes "$(console "$mine" 'i=0; while [ $i -lt 30000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123; i=$((i+1)); done' >/dev/null; eventually 120 sh -c "[ \$(stat -c %s $PLAYGROUND/run/$NODE/jobs/$mine/console) -gt 100000 ]"; size=$(stat -c %s "$PLAYGROUND/run/$NODE/jobs/$mine/console"); [ "$size" -gt 100000 ] && [ "$size" -le 1048576 ] && echo yes || echo "$size")"
scancel "$mine"
clean "isolated guests"

# ---- the other firmware
cp "$CONFIG" config.saved
{ echo; sed -n '/^\[image.minimal\]/,$p' config.saved | sed 's/image.minimal/image.uefi/'; echo 'firmware = "uefi"'; } >>"$CONFIG"
is "a guest is started by UEFI" "64" "$(run --cloud-image=uefi cat /sys/firmware/efi/fw_platform_size)"
cat config.saved >"$CONFIG"
clean "UEFI"

# ---- a guest that does not come up
sed "s#^cmdline = .*#cmdline = \"console=ttyS0 quiet panic=0 rdinit=/nosuch\"#; s#image.minimal#image.broken#" "$PLAYGROUND"/etc/spank-cloud/cloud.toml |
  sed -n '/^\[image.broken\]/,$p' >broken.toml
cp "$CONFIG" config.saved
cat broken.toml >>"$CONFIG"
sed -i 's/^boot_timeout/stall_timeout = "20s"\nboot_timeout/' "$CONFIG"
text=$(run --cloud-image=broken true)
has "a guest that makes no progress is reported" "the machine makes no progress" "$text"
has "with the end of its console" "anic" "$text"
clean "a guest that hangs"
cat config.saved >"$CONFIG"
text=$(run --cloud-timeout=2s true)
has "--cloud-timeout" "the time is up" "$text"
clean "a guest that came too late"
has "--cloud-ready=cloud-init without cloud-init" "the image has no cloud-init" "$(run --cloud-ready=cloud-init true)"
has "--cloud-ready=boot" "$NODE-" "$(run --cloud-ready=boot hostname)"
has "--cloud-ready=ssh of a container" "choose boot" "$(as_user srun -Q --cloud-type=lxc --cloud-ready=ssh true 2>&1)"
sed -i 's/^sha256 = "5/sha256 = "6/; s/^sha256 = "[^6]/sha256 = "6/' "$CONFIG"
has "an image that was changed is refused" "and shall have" "$(run true)"
cat config.saved >"$CONFIG"
clean "refused images"

# ---- libvirtd is not ours
machine steady
eventually 240 phase_is "$job" ready
pid=$(qemu_of "$job")
end_libvirtd 9
is "a guest outlives libvirtd" yes "$(lives "$pid" && as_user "$PLAYGROUND/run/$NODE/jobs/$job/access" echo yes)"
scancel "$job"
left=$(node_is_clean) && ok "without libvirtd the epilog cleans, too" || fail "without libvirtd:$left"
eventually 5 no_qemu && ok "and ends the guest" || fail "QEMU goes on"
has "a machine without libvirtd is refused with the reason" "libvirtd cannot be reached" "$(run true)"
start_libvirtd
# It may keep what it had set up for a guest that ended meanwhile.
"$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" reconcile
clean "a killed libvirtd"
machine survivor
eventually 240 phase_is "$job" ready
pid=$(qemu_of "$job")
end_libvirtd TERM
start_libvirtd
is "a guest survives a restart of libvirtd" yes "$(lives "$pid" && as_user "$PLAYGROUND/run/$NODE/jobs/$job/access" echo yes)"
scancel "$job"
clean "a restarted libvirtd"
machine hung
eventually 240 phase_is "$job" ready
kill -STOP "$(libvirtd)"
began=$SECONDS
scancel "$job"
left=$(node_is_clean) && ok "a libvirtd that hangs does not hold up the epilog" || fail "a hung libvirtd:$left"
[ $((SECONDS - began)) -lt 45 ] && ok "for long" || fail "it took $((SECONDS - began)) s"
kill -CONT "$(libvirtd)"
clean "a hung libvirtd"

# A domain that has our name already is somebody else's.
for i in $(seq 30); do
  next=$(($(as_user sbatch --parsable -o /dev/null --wrap true) + 1))
  [ -n "$next" ] && break
done
eventually 20 no_jobs
virsh define /dev/stdin >/dev/null <<X
<domain type='qemu'><name>sc-$NODE-$next</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>
X
has "a domain of our name that is not ours is left alone" "which is left alone" "$(run true)"
is "and is still there" "sc-$NODE-$next" "$(virsh list --all --name | grep .)"
virsh undefine "sc-$NODE-$next" >/dev/null
clean "a foreign domain"

# The keeper dies at any moment of a start.
killed=0
for moment in 0.05 0.15 0.3 0.5 0.8 1.2; do
  as_user srun -Q -J killed --mem=700 --cloud-type=kvm sleep 60 >killed.out 2>&1 &
  eventually 20 is_running killed
  task=$!
  job=$(job_id_of killed)
  for _ in $(seq 500); do
    keeper=$(state_of "$job" keeper_pid)
    [ "${keeper:-0}" = 0 ] || break
    sleep 0.02
  done
  sleep $moment
  if kill -9 "$keeper" 2>/dev/null; then killed=$((killed + 1)); fi
  wait $task
  scancel "$job" 2>/dev/null
  eventually 20 no_jobs
done
is "each keeper was killed" 6 $killed
clean "keepers killed while guests start"
finish
