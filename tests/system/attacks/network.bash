# SPDX-License-Identifier: Apache-2.0
# Frames that root of a machine makes, and what of them passes its port of the bridge. After lib and attacks.
SENDER=$BUILD/attacks/send_frames
GATEWAY=$(sed -n 's/^gateway = "\(.*\)"/\1/p' "$CONFIG" | head -n 1)
# More than a machine says by itself meanwhile.
FRAMES=60

# JOB: the interface of the node that its machine's port is.
port_of() { nft list table netdev "sc-$NODE-$1" | sed -n 's/.*ingress device "\([^"]*\)".*/\1/p'; }
# JOB: counts what gets past its machine's rules.
count_passed() {
  nft -f - <<END
table netdev passed {
  counter frames { }
  chain beyond { type filter hook ingress device "$(port_of "$1")" priority 100; counter name "frames"; }
}
END
}
passed() { nft reset counter netdev passed frames | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }
stop_counting() { nft delete table netdev passed 2>/dev/null || true; }
# JOB SENDER...: each kind of frame, sent with that command; prints those whose fate is the wrong one.
wrong_frames() {
  local job=$1 kind verdict count
  shift
  while read -r kind verdict; do
    passed >/dev/null
    [ "$("$@" eth0 "$ADDRESS" "$GATEWAY" "${GATEWAY%.*}.3" "$kind" $FRAMES)" = "sent $kind" ] || echo "$kind: not sent"
    count=$(passed)
    case $verdict in
      good) [ "$count" -ge $FRAMES ] || echo "$kind: $count of $FRAMES passed" ;;
      bad) [ "$count" -lt $((FRAMES / 2)) ] || echo "$kind: $count of $FRAMES passed" ;;
    esac
  done < <("$SENDER" kinds)
}
