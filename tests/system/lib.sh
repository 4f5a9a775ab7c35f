# SPDX-License-Identifier: Apache-2.0
#
# What the system tests share. Each test is a bash file that sources this, and runs jobs as the
# playground's user on the playground's Slurm. PLAYGROUND is its folder.
set -uo pipefail

[ -n "${PLAYGROUND:-}" ] && [ -d "$PLAYGROUND/slurm" ] || { echo "skipped: no playground is up (run ./run-tests)"; exit 77; }
export SLURM_CONF=$PLAYGROUND/slurm/slurm.conf
NODES=$(sed -n 's/^NodeName=\([^ ]*\) .*/\1/p' "$SLURM_CONF" | xargs)
NODE=${NODES%% *}
SECOND_NODE=${NODES##* }
JOB_USER=$(cat "$PLAYGROUND/etc/user")
JOB_UID=$(id -u "$JOB_USER")
HOME_DIR=$PLAYGROUND/home
STATE=$PLAYGROUND/state/$NODE
LEASES=$PLAYGROUND/etc/spank-cloud/iplist.csv
CONFIG=$PLAYGROUND/etc/spank-cloud/cloud.toml
LIBEXEC=$PLAYGROUND/prefix/libexec/spank-cloud
failures=0
cd "$HOME_DIR"

# Runs a command as the ordinary user with a clean environment; never longer than four minutes, then its status is 124.
as_user() {
  runuser -u "$JOB_USER" -- env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$HOME_DIR" USER="$JOB_USER" \
    SHELL=/bin/bash SLURM_CONF="$SLURM_CONF" ${AS_USER_ENV:-} timeout 240 "$@"
}
# Takes out what a task says while its machine boots, which depends on how busy the host is.
without_waiting() { sed '/^spank_cloud: waiting for the machine for /d'; }
fail() { echo "not ok - $*"; failures=$((failures + 1)); }
ok() { echo "ok - $*"; }
# NAME EXPECTED ACTUAL
is() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: expected '$2', got '$3'"; fi; }
# NAME PART TEXT
has() { case $3 in *"$2"*) ok "$1" ;; *) fail "$1: no '$2' in: $3" ;; esac; }
lacks() { case $3 in *"$2"*) fail "$1: '$2' is in: $3" ;; *) ok "$1" ;; esac; }
# SECONDS COMMAND...: polls until it succeeds.
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done
}
no_jobs() { [ -z "$(squeue -h -o %A)" ]; }
# RELEASE: whether the kernel is that or newer.
has_linux() { printf '%s\n' "$1" "$(uname -r)" | sort -C -V; }
# prolog|epilog NAME action|exec VALUE: a stage's table.
stage() { printf '[[%s.stage]]\nname = "%s"\n%s = "%s"\n' "$@"; }
job_id_of() { squeue -h -n "$1" -o %A; }
is_running() { [ "$(squeue -h -n "$1" -o %t)" = R ]; }

# On the first node, where the playground finds and ends it.
start_slurmd() {
  setsid slurmd -D -N "$NODE" </dev/null >>"$PLAYGROUND/slurm/log/slurmd-out.log" 2>&1 &
  local slurmd=$!
  echo "$slurmd $(sed 's/.*) //' "/proc/$slurmd/stat" | cut -d' ' -f20)" >"$PLAYGROUND/slurm/slurmd.started"
}

# The promise of every test: nothing of any job is left, and the node is idle.
node_is_clean() {
  local left='' node
  eventually 40 no_jobs || left+=" jobs: $(squeue -h -o '%A %t' | tr '\n' ',')"
  for node in $NODES; do
    eventually 20 sh -c "sinfo -h -n $node -o %T | sort -u | grep -qxE 'idle|planned'" || left+=" node: $(sinfo -h -n "$node" -o '%N %T %E')"
  done
  # An epilog is done when the node is idle; Slurm itself, the keeper and the kernel may need a moment more.
  left+=$(what_epilogs_left)
  eventually 10 nothing_is_left || left+=$(what_is_left)
  [ -z "$left" ] || { echo "$left"; return 1; }
}
nothing_is_left() { [ -z "$(what_is_left)" ]; }
what_epilogs_left() {
  local left='' node
  for node in $NODES; do
    # (.kvm is what the backend has found out about the node.)
    left+=$(find "$PLAYGROUND/state/$node/jobs" "$PLAYGROUND/state/$node/machines" "$PLAYGROUND/run/$node/jobs" \
      -mindepth 1 -maxdepth 1 ! -name '.kvm*' 2>/dev/null | sed 's/^/ file:/')
  done
  left+=$(grep -v '^#' "$LEASES" | grep -v ';;' | sed 's/^/ lease:/')
  left+=$(grep -o " $PLAYGROUND/state[^ ]*" /proc/self/mounts | sed 's/^/ mount:/')
  echo "$left"
}
what_is_left() {
  local left='' node
  for node in $NODES; do
    left+=$(find /sys/fs/cgroup \( -path "*slurm_$node/uid_*" -o -path "*/${node}_slurmstepd.scope/*" \) -name 'job_*' 2>/dev/null | sed 's/^/ cgroup:/')
  done
  left+=$(ip -o link | grep -o ' vc[0-9a-f]\{12\}' | sed 's/^/ veth:/')
  left+=$(pgrep -f "$LIBEXEC/keeper" | sed 's/^/ keeper:/')
  echo "$left"
}
finish() {
  local left
  if left=$(node_is_clean); then ok "nothing is left"; else fail "left:$left"; fi
  [ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
  exit 0
}
