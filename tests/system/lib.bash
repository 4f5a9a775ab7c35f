# SPDX-License-Identifier: Apache-2.0
#
# What the system tests share: bats loads it into every file of cases. A file runs in the cell of a playground
# ($PLAYGROUND, tests/system/fixture) as root, and its jobs as the playground's user on the playground's Slurm.
#
# Each case begins with an empty home folder, where it is, and with the playground's own configuration. When it is
# over, however that came, its jobs are cancelled, the configuration is restored, and what is left of any job fails it.
bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

export SLURM_CONF=$PLAYGROUND/slurm/slurm.conf
JOB_USER=$(<"$PLAYGROUND/etc/user")
JOB_UID=$(id -u "$JOB_USER")
JOB_GID=$(id -g "$JOB_USER")
NODE=$(<"$PLAYGROUND/etc/node")
SECOND_NODE=$(<"$PLAYGROUND/etc/second-node")
NODES="$NODE $SECOND_NODE"
HOST=$(hostname)
HOME_DIR=$PLAYGROUND/home
STATE=$PLAYGROUND/state/$NODE
RUN=$PLAYGROUND/run/$NODE
LEASES=$PLAYGROUND/etc/spank-cloud/iplist.csv
CONFIG=$PLAYGROUND/etc/spank-cloud/cloud.toml
LIBEXEC=$PLAYGROUND/prefix/libexec/spank-cloud
BACKENDS=$PLAYGROUND/prefix/lib/spank-cloud/backends
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# How much slower than a quiet machine of today this one may be: every limit on time is multiplied by it.
SLOWNESS=${CLOUD_TEST_SLOWNESS:-1}
# A pipe that nobody writes to, for naps without a process.
exec {never}<> <(:)

setup() { begin_case; }
teardown() { end_case; }

begin_case() {
  find "$HOME_DIR" -mindepth 1 -delete
  cd "$HOME_DIR"
}
# What a file's own teardown() calls last.
end_case() {
  restore_configuration
  local left user
  # (scancel takes one user at a time.)
  for user in "$JOB_USER" nobody; do scancel -u "$user" 2>/dev/null || true; done
  left=$(node_is_clean) || {
    touch "$PLAYGROUND/dirty"
    fail "the case leaves:$left"
  }
}
restore_configuration() {
  local file
  for file in "$PLAYGROUND"/etc/pristine/*; do cmp -s "$file" "$PLAYGROUND/etc/spank-cloud/${file##*/}" ||
    cat "$file" >"$PLAYGROUND/etc/spank-cloud/${file##*/}"; done
}

# ---- waiting
nap() { read -rt "$1" -u "$never" || true; }
# COMMAND...: until it succeeds; at most a minute on a quiet machine, LIMIT=SECONDS in front for what takes longer.
eventually() {
  local end=$((SECONDS + ${LIMIT:-60} * SLOWNESS))
  until "$@"; do
    [ $SECONDS -lt "$end" ] || { echo "# in vain: $*" >&2; return 1; }
    nap 0.1
  done
}
# SHORT LONG: how often a thing is done here, and with ./run-tests --long.
count() { [ -n "${CLOUD_TEST_LONG:-}" ] && echo "$2" || echo "$1"; }

# ---- jobs
# COMMAND...: as the ordinary user with a clean environment and what is in AS_USER_ENV; its status is 124 after four minutes.
# (Without descriptor 3, which is bats' own: bats waits until nobody has it.)
as_user() {
  # shellcheck disable=SC2086
  runuser -u "$JOB_USER" -- env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$HOME_DIR" USER="$JOB_USER" SHELL=/bin/bash \
    SLURM_CONF="$SLURM_CONF" ${AS_USER_ENV:-} timeout "$((240 * SLOWNESS))" "$@" 3>&-
}
# The same as a user who is somebody else.
as_other() {
  runuser -u nobody -- env -i PATH=/usr/bin:/bin SLURM_CONF="$SLURM_CONF" timeout "$((240 * SLOWNESS))" env -C /tmp "$@" 3>&-
}
# Takes out what a task says while its machine boots, which depends on how busy the host is.
without_waiting() { sed '/^spank_cloud: waiting for the machine for /d'; }
# COMMAND...: all that it says but that, and its status.
quietly() {
  "$@" 2>&1 | without_waiting
  return "${PIPESTATUS[0]}"
}
# [SRUN-OPTION...] COMMAND...: a job of one task in a container, in a virtual machine, on the node.
in_lxc() { quietly as_user srun -Q --cloud-type=lxc "$@"; }
in_kvm() { quietly as_user srun -Q --mem=700 --cloud-type=kvm "$@"; }
on_node() { quietly as_user srun -Q "$@"; }
# PART SRUN-OPTION...: such a job fails, with a word that has the part.
refused() {
  local part=$1
  shift
  run ! as_user srun -Q "$@" hostname
  assert_output --partial "$part"
}
# JOB: the KiB of memory that Slurm counts for its extern step, where the machine lives; 0 where it does not say.
counted_kib() {
  local kib
  kib=$(sstat -n -a -P -j "$1.extern" --format=MaxRSS 2>/dev/null | tr -dc 0-9)
  echo "${kib:-0}"
}
# JOB: whether Slurm counts more than a second of CPU time for it.
has_counted_cpu() {
  local digits
  digits=$(sstat -n -a -P -j "$1.extern" --format=AveCPU 2>/dev/null | tr -dc 0-9)
  [ "${digits:-0}" -gt 1 ]
}
# TYPE [SBATCH-OPTION...]: a job of the user's with a machine beside it that is ready; the job's id is in $job.
machine() {
  begin_machine "$@"
  LIMIT=240 eventually phase_is "$job" ready || fail "no machine: $(cat "$RUN/jobs/$job/state" 2>&1)"
}
# The same without waiting for the machine.
begin_machine() {
  local type=$1
  shift
  job=$(as_user sbatch --parsable --no-requeue -o /dev/null --cloud-type="$type" --cloud-run=host "$@" --wrap 'exec sleep 1000')
}
# JOB KEY: what is published of its machine.
state_of() {
  local line
  [ -r "$RUN/jobs/$1/state" ] || return 0
  while IFS= read -r line; do
    if [[ $line == "$2="* ]]; then echo "${line#*=}"; fi
  done <"$RUN/jobs/$1/state"
}
# JOB PHASE
phase_is() {
  local line
  [ -r "$RUN/jobs/$1/state" ] || return 1
  while IFS= read -r line; do
    if [ "$line" = "phase=$2" ]; then return 0; fi
  done <"$RUN/jobs/$1/state"
  return 1
}
# JOB...: cancels them, and waits until they are gone.
end_jobs() {
  scancel "$@" 2>/dev/null || true
  eventually no_jobs
}
# (A question that gets no answer is no answer.)
no_jobs() { local jobs; jobs=$(squeue -h -o %A) && [ -z "$jobs" ]; }
job_id_of() { squeue -h -n "$1" -o %A; }
is_running() { [ "$(squeue -h -n "$1" -o %t)" = R ]; }
# PATTERN FILE: whether a line of the file, which may not be there, has the extended regular expression.
says() { grep -qsE -- "$1" "$2"; }
# PID: whether it runs; a zombie that nobody has reaped yet does not.
lives() { grep -qs '^State:.[RSDTt]' "/proc/$1/status"; }
is_over() { ! lives "$1"; }

# ---- the node
# prolog|epilog JOB [VARIABLE=VALUE | COMMAND]...: runs a hook by hand, as slurmd does; a COMMAND, as strace, in its place.
hook() {
  local program=$1 id=$2
  shift 2
  env -i SLURM_JOB_ID="$id" SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$JOB_GID" SLURM_JOB_USER="$JOB_USER" SLURMD_NODENAME="$NODE" \
    SLURM_JOB_RESTART_COUNT=0 SPANK_cloud_type=lxc "$@" "$LIBEXEC/$program" --config "$CONFIG" 3>&-
}
cloudctl() { "$PLAYGROUND/prefix/sbin/cloudctl" --config "$CONFIG" --node "$NODE" "$@" 3>&-; }
# RELEASE: whether the kernel is that or newer.
has_linux() { printf '%s\n' "$1" "$(uname -r)" | sort -C -V; }
has_cgroup_v1() { [ -d /sys/fs/cgroup/freezer ]; }
# prolog|epilog NAME action|exec VALUE: a stage's table.
stage() { printf '[[%s.stage]]\nname = "%s"\n%s = "%s"\n' "$@"; }
slurmd_pid() { cat "$PLAYGROUND/slurm/$NODE.pid"; }
start_slurmd() { "$ROOT/tests/cluster/private-slurm" node --dir "$PLAYGROUND/slurm" --node "$NODE" 3>&-; }
# SIGNAL: ends the slurmd of the first node, and waits for its end.
end_slurmd() {
  local pid
  pid=$(slurmd_pid)
  kill "-$1" "$pid"
  eventually is_over "$pid"
}

# The promise of every case: nothing of any job is left, and the nodes are idle.
node_is_clean() {
  local left=''
  eventually no_jobs 2>/dev/null || left+=" jobs: $(squeue -h -o '%A %t' | tr '\n' ',')"
  eventually nodes_are_idle 2>/dev/null || left+=" nodes: $(sinfo -h -N -o '%N %T %E' | sort -u | tr '\n' ',')"
  # An epilog is done when the node is idle; Slurm itself, the keeper and the kernel may need a moment more.
  left+=$(what_epilogs_left)
  eventually nothing_is_left 2>/dev/null || left+=$(what_is_left)
  [ -z "$left" ] || { echo "$left"; return 1; }
}
nodes_are_idle() {
  local states
  states=$(sinfo -h -N -o %T) && [ -n "$states" ] && [ -z "$(grep -vxE 'idle|planned' <<<"$states")" ]
}
nothing_is_left() { [ -z "$(what_is_left)" ]; }
what_epilogs_left() {
  # (.kvm is what the backend has found out about the node.)
  find "$PLAYGROUND"/state/*/jobs "$PLAYGROUND"/state/*/machines "$PLAYGROUND"/run/*/jobs -mindepth 1 -maxdepth 1 \
    ! -name '.kvm*' -printf ' file:%p' 2>/dev/null || true
  sed -n '/^#/d; /;;/!s/^/ lease:/p' "$LEASES"
  nft list tables | sed -n 's/.* \(sc-.*\)/ rules:\1/p' || true
  grep -o " $PLAYGROUND/state[^ ]*" /proc/self/mounts | sed 's/^/ mount:/' || true
}
what_is_left() {
  find /sys/fs/cgroup -path '*/job_*' -prune -printf ' cgroup:%p' -o -path '*/machine/qemu*' -prune -printf ' cgroup:%p' 2>/dev/null || true
  ip -o link | grep -o ' v[ck][0-9a-f]\{12\}' | sed 's/^/ interface:/' || true
  strangers | sed 's/^/ process:/'
}
# What process 1 of the cell has taken over, and its daemons have started; the test was started from outside.
strangers() {
  ps -e -o pid=,ppid=,comm=,args= | awk '
    { parent[$1] = $2; name[$1] = $3; line[$1] = $0 }
    END {
      for (pid in line) {
        for (root = pid; parent[root] in parent; root = parent[root]);
        if (root == 1 && pid != 1 && name[pid] !~ /^(munged|slurmctld|slurmscriptd|slurmd|libvirtd)$/) print line[pid]
      }
    }'
}
