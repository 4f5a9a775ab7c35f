# SPDX-License-Identifier: Apache-2.0
# What root of a container may send, and reach (F2).
load ../lib
load attacks
load network

teardown() {
  stop_counting
  end_programs
  end_case
}
# A machine, with its address in $ADDRESS.
networked() {
  machine lxc "$@"
  ADDRESS=$(sed -n "s/;$job;USED.*//p" "$LEASES")
}

@test "F2: of what root of a container sends, what is its own passes, and nothing else" {
  networked
  count_passed "$job"
  assert_equal "$(wrong_frames as_machines_root "$job" "$SENDER")" ""
  end_jobs "$job"
  assert_equal "$(nft list tables | grep -v passed)" ""
}

@test "F2: frames that come by way of an ifb of the machine's, which the port's rules do not see, end at the bridge" {
  networked
  count_passed "$job"
  # They wait in the ifb until nothing is at eth0 that would take them for new: then they go on as seen already.
  in_machine() { as_machines_root "$job" "$@" || fail "not possible: $*"; }
  in_machine ip link add ifb9 type ifb
  in_machine ip link set ifb9 up
  in_machine tc qdisc add dev ifb9 root tbf rate 8kbit burst 200 latency 100s
  in_machine tc qdisc add dev eth0 clsact
  in_machine tc filter add dev eth0 egress protocol all u32 match u32 0 0 action mirred egress redirect dev ifb9
  as_machines_root "$job" "$SENDER" eth0 "$ADDRESS" "$GATEWAY" "${GATEWAY%.*}.3" router_advertisement 30
  in_machine tc qdisc del dev eth0 clsact
  # Some of them have left the ifb.
  has_sent() { [ "$(as_machines_root "$job" ip -s link show dev eth0 | sed -n '/TX:/{n;p}' | awk '{print $2}')" -ge 30 ]; }
  eventually has_sent
  assert_equal "$(passed bridge)" 0
  end_jobs "$job"
}

@test "F2: rules that a site's own firewall flushes are there again at once" {
  local round
  networked
  # By now the keeper looks by itself some seconds apart: 6 s after it was ready, and 6 s later.
  nap 8
  guarded() { nft list table netdev "sc-$NODE-$job" >/dev/null 2>&1 && nft list table bridge "sc-$NODE-$job" >/dev/null 2>&1; }
  for round in 1 2 3; do
    nft flush ruleset
    LIMIT=1 eventually guarded || fail "flush $round: no rules"
  done
  count_passed "$job"
  as_machines_root "$job" "$SENDER" eth0 "$ADDRESS" "$GATEWAY" "${GATEWAY%.*}.3" router_advertisement 30
  assert_equal "$(passed netdev)" 0
  stop_counting
  end_jobs "$job"
  assert_equal "$(nft list ruleset)" ""
}

@test "F2: a machine that runs is held back, whatever became of its record" {
  networked
  mv "$STATE/jobs/$job" "$PLAYGROUND/record"
  sed -i 's/^\[backend.lxc\]/&\nenabled = false/' "$CONFIG"
  cloudctl reconcile || true
  run -0 nft list table netdev "sc-$NODE-$job"
  mv "$PLAYGROUND/record" "$STATE/jobs/$job"
  restore_configuration
  end_jobs "$job"
}

@test "F2: a router advertisement leaves the node's routes as they are, also where its bridge speaks IPv6" {
  local bridge
  networked
  bridge=$(sed -n 's/^bridge = "\(.*\)"/\1/p' "$CONFIG" | head -n 1)
  sysctl -qw "net.ipv6.conf.$bridge.disable_ipv6=0" "net.ipv6.conf.$bridge.accept_ra=2"
  run -0 as_machines_root "$job" "$SENDER" eth0 "$ADDRESS" "$GATEWAY" "${GATEWAY%.*}.3" router_advertisement 5
  nap 0.5
  run -0 ip -6 route show default
  assert_output ""
  # The node's own end of the port has no address to speak to.
  run -0 ip -6 address show dev "$(port_of "$job")"
  assert_output ""
  end_jobs "$job"
}

# PORT [SECONDS]: what comes of a connection to it on the node.
reaches() { as_machines_root "$job" "$PWD/connect.py" "$GATEWAY" "$1" "${2:-1}"; }

@test "F2: of the node a machine reaches what the pool lists" {
  networked
  ./listen.py 7001 7002 >listening 2>&1 3>&- &
  local first=$job
  eventually says listens listening
  assert_equal "$(reaches 7001)" TimeoutError
  sed -i 's#^dns = .*#&\nnode_services = ["tcp/7001"]#; /^node_services = \["icmp"\]/d' "$CONFIG"
  networked
  assert_equal "$(reaches 7001 $((5 * SLOWNESS)))" connected
  assert_equal "$(reaches 7002)" TimeoutError
  end_jobs "$first" "$job"
}

@test "F2: machines of two jobs do not reach each other, not even through the node" {
  local first theirs
  networked
  first=$job theirs=$ADDRESS
  networked
  # By the bridge, and by way of the gateway, which forwards it.
  sysctl -qw net.ipv4.ip_forward=1
  run as_machines_root "$job" timeout 3 busybox ping -c 1 -W 1 "$theirs"
  assert_failure
  as_machines_root "$job" ip route add "$theirs/32" via "$GATEWAY"
  run as_machines_root "$job" timeout 3 busybox ping -c 1 -W 1 "$theirs"
  assert_failure
  run -0 busybox ping -c 1 -W "$((3 * SLOWNESS))" "$theirs"
  end_jobs "$first" "$job"
}

@test "the rules of a machine that nobody knows any more go with reconcile" {
  nft "add table netdev sc-$NODE-4242; add table bridge sc-$NODE-4242; add table netdev sc-elsewhere-4242"
  run cloudctl reconcile
  assert_equal "$(nft list tables)" "table netdev sc-elsewhere-4242"
  nft delete table netdev sc-elsewhere-4242
  assert_output --partial "removing the rules of machine sc-$NODE-4242"
}
