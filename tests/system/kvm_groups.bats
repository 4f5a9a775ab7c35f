# SPDX-License-Identifier: Apache-2.0
# bats file_tags=v1
# A virtual machine is in its job's control groups, and apart from every other machine and user.
load lib
load kvm
keep_guest_at_the_end_of_a_case

# One guest for all cases, on its node's network.
setup_file() {
  machine kvm --mem=700
  export GUEST=$job
}
setup() {
  begin_case
  qemu=$(qemu_of "$GUEST")
  address=$(state_of "$GUEST" address)
  gateway=${address%.*}.1
}

# TICKS PID BEFORE: whether the process has used so many ticks of CPU time since then.
has_used() { [ $(($(ticks_of "$2") - $3)) -ge "$1" ]; }
freezer_is() { grep -qsx "$1" "/sys/fs/cgroup/freezer/slurm_$NODE/uid_$JOB_UID/job_$GUEST/step_extern/task_0/cloud/machine/freezer.state"; }
sees_its_memory() { [ "$(counted_kib "$GUEST")" -gt 20000 ]; }

@test "every thread of QEMU is in the job's group of every controller, and on the job's CPU alone" {
  local groups cpus
  groups=$(cat /proc/"$qemu"/task/*/cgroup | grep -v '^0::')
  assert_regex "$groups" "/slurm_$NODE/uid_$JOB_UID/job_$GUEST/step_extern/"
  refute [ -n "$(grep -v "/slurm_$NODE/uid_$JOB_UID/job_$GUEST/step_extern/" <<<"$groups")" ]
  cpus=$(<"/sys/fs/cgroup/cpuset/slurm_$NODE/uid_$JOB_UID/job_$GUEST/cpuset.cpus")
  assert_regex "$cpus" '^[0-9]+$'
  assert_equal "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/"$qemu"/task/*/status | sort -u)" "$cpus"
}

@test "QEMU is nobody's, without capabilities, under seccomp, and may be killed at the memory limit" {
  assert_equal "$(stat -c %u "/proc/$qemu")" "$(engine_id)"
  run -0 cat "/proc/$qemu/status"
  assert_line $'CapEff:\t0000000000000000'
  assert_line $'Seccomp:\t2'
  assert_equal "$(<"/proc/$qemu/oom_score_adj")" 0
}

@test "sstat sees the guest's memory" {
  eventually sees_its_memory || fail "sstat: $(sstat -n -a -P -j "$GUEST.extern" --format=JobID,MaxRSS 2>&1)"
}

@test "a guest that spins on all it has gets the job's one CPU, and a suspended one none" {
  local before began used
  as_user "$RUN/jobs/$GUEST/access" sh -c '
    for i in 1 2 3 4; do (while :; do :; done) & done
    touch spins
    while [ ! -e enough ]; do sleep 1; done; kill $(jobs -p)' >/dev/null 2>&1 &
  local spinner=$!
  eventually test -e spins
  # The span is longer than that of the ticks, and others may be at work here: both make the share smaller.
  began=$(date +%s%N)
  before=$(ticks_of "$qemu")
  eventually has_used 200 "$qemu" "$before"
  used=$(($(ticks_of "$qemu") - before))
  used=$((used * 1000000000 / ($(date +%s%N) - began)))
  assert [ $used -le 112 ]
  scontrol suspend "$GUEST"
  eventually freezer_is FROZEN
  before=$(ticks_of "$qemu")
  nap 1
  assert_equal "$(ticks_of "$qemu")" "$before"
  scontrol resume "$GUEST"
  eventually freezer_is THAWED
  eventually has_used 10 "$qemu" "$before"
  as_user touch enough
  wait "$spinner" || true
}

@test "a guest of another user reaches the gateway, but not the guest beside it" {
  local greeting
  # The node itself reaches it.
  read -rt $((30 * SLOWNESS)) greeting <"/dev/tcp/$address/22"
  assert_regex "$greeting" ^SSH-
  run -0 as_other srun -Q --mem=500 --cloud-type=kvm sh -c "exec 2>&1
    nc -w 3 $gateway 53 </dev/null; echo then; nc -w 3 $address 22 </dev/null; echo after"
  assert_output --regexp "refused.*then.*after"
  refute_output --partial SSH-
}

@test "the console is the machine's root, who gets no answer with a foreign address or MAC" {
  local foreign=${address%.*}.200 ping="ping -c 1 -W 3" mac
  assert_regex "$(console "$GUEST" id)" uid=0
  assert_regex "$(console "$GUEST" "$ping $gateway")" "1 packets received"
  assert_regex "$(console "$GUEST" "ip addr add $foreign/24 dev eth0; $ping -I $foreign $gateway; ip addr del $foreign/24 dev eth0")" \
    "1 packets transmitted, 0 packets received"
  mac=$(console "$GUEST" 'cat /sys/class/net/eth0/address' | grep -oE '([0-9a-f]{2}:){5}[0-9a-f]{2}')
  set_mac() { echo "ip link set eth0 down; ip link set eth0 address $1; ip link set eth0 up; ip route add default via $gateway"; }
  assert_regex "$(console "$GUEST" "$(set_mac 02:11:22:33:44:55); $ping $gateway")" "1 packets transmitted, 0 packets received"
  # The other cases want their guest back.
  assert_regex "$(console "$GUEST" "$(set_mac "$mac"); $ping $gateway")" "1 packets received"
}

@test "another user can neither use the console nor read the key" {
  run as_other perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($ARGV[0])) or die "$!\n"' \
    "$RUN/jobs/$GUEST/console.sock"
  assert_failure
  assert_output --partial "Permission denied"
  run ! as_other cat "$RUN/jobs/$GUEST/ssh/key"
  assert_output --partial "Permission denied"
}

@test "what the console says is kept, and bounded" {
  local kept=$RUN/jobs/$GUEST/console
  # More than a mebibyte. (Its reader may be too slow for so much and be let go.)
  console "$GUEST" 'head -c 1200000 /dev/zero | tr "\0" x; echo o"ver"' >/dev/null
  eventually says 'xover' "$kept"
  run -0 stat -c %s "$kept"
  assert [ "$output" -gt 100000 ]
  assert [ "$output" -le 1048576 ]
}
