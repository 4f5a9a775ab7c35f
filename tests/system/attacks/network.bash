# SPDX-License-Identifier: Apache-2.0
# Frames that root of a machine makes, and what of them passes its port of the bridge. After lib and attacks.
SENDER=$BUILD/attacks/send_frames
GATEWAY=$(sed -n 's/^gateway = "\(.*\)"/\1/p' "$CONFIG" | head -n 1)
# More than a machine says by itself meanwhile.
FRAMES=60

# JOB: the interface of the node that its machine's port is.
port_of() { nft list table netdev "sc-$NODE-$1" | sed -n 's/.*ingress device "\([^"]*\)".*/\1/p'; }
# JOB: counts what gets past its machine's rules, at the port and at the bridge.
count_passed() {
  local port
  port=$(port_of "$1")
  nft -f - <<END
table netdev passed {
  counter frames { }
  chain beyond { type filter hook ingress device "$port" priority 100; counter name "frames"; }
}
table bridge passed {
  counter frames { }
  chain beyond { type filter hook prerouting priority 300; iifname "$port" counter name "frames"; }
}
END
}
passed() { nft reset counter "$1" passed frames | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }
stop_counting() {
  local family
  for family in netdev bridge; do nft delete table "$family" passed 2>/dev/null || true; done
}
# SENDER...: each kind of frame, sent with that command; prints those whose fate is the wrong one.
wrong_frames() {
  local kind verdict count at_bridge
  [ "$("$SENDER" kinds | wc -l)" -gt 40 ] || echo "$SENDER knows too few kinds"
  while read -r kind verdict; do
    passed netdev >/dev/null
    passed bridge >/dev/null
    [ "$("$@" eth0 "$ADDRESS" "$GATEWAY" "${GATEWAY%.*}.3" "$kind" $FRAMES)" = "sent $kind" ] || echo "$kind: not sent"
    count=$(passed netdev)
    at_bridge=$(passed bridge)
    case $verdict in
      good) [ "$at_bridge" -ge $FRAMES ] || echo "$kind: $at_bridge of $FRAMES passed" ;;
      bad) [ $((count + at_bridge)) -lt $((FRAMES / 2)) ] || echo "$kind: $count of $FRAMES passed, $at_bridge at the bridge" ;;
    esac
  done < <("$SENDER" kinds)
}
