# SPDX-License-Identifier: Apache-2.0
# A site's own numbered scripts run unchanged beside built-in stages, in order.
load lib

SCRIPTS=$PLAYGROUND/etc/prolog.d
OUT=$PLAYGROUND/etc/stages.out

# NAME LINE...: a script of the site's, of these lines.
script() {
  local name=$1
  shift
  printf '%s\n' '#!/bin/bash' "$@" >"$SCRIPTS/$name"
  chmod 755 "$SCRIPTS/$name"
}
# PART: a job that wants a machine fails with a word that has the part.
refused() {
  run ! in_lxc hostname
  assert_output --partial "$1"
}

setup() {
  begin_case
  mkdir -p "$SCRIPTS"
  # shellcheck disable=SC2016
  script 08_first 'echo "08 cloud=$SPANK_cloud create=$SPANK_cloud_create type=$SPANK_cloud_type job=$SLURM_JOB_ID" >>'"$OUT"
  script 10_second "echo 10 >>$OUT"
  # What is hidden is no script.
  script .hidden 'exit 3'
  printf '#!/bin/bash\necho undone >>%s\n' "$OUT" >"$PLAYGROUND/etc/undo"
  chmod 755 "$PLAYGROUND/etc/undo"
  {
    stage prolog site exec "$SCRIPTS"
    echo "undo = '$PLAYGROUND/etc/undo'"
    stage prolog address action lease-address
    stage prolog machine action create-machine
    stage epilog machine action destroy-machine
    stage epilog address action release-address
  } >>"$CONFIG"
}
teardown() {
  if [ -n "${daemon:-}" ]; then kill "$daemon" 2>/dev/null || true; fi
  chmod g-w "$PLAYGROUND/etc"
  rm -rf "$SCRIPTS" "$OUT" "$PLAYGROUND/etc/undo" "$PLAYGROUND/etc/daemon.pid"
  end_case
}

@test "a site's scripts run in the order of their names, and see what the original plugin set" {
  # (--cloud is the original plugin's option.)
  run -0 quietly as_user srun -Q --cloud=lxc sh -c 'hostname; echo $SLURM_JOB_ID'
  assert_line --index 0 "$NODE-${lines[1]}"
  assert_equal "$(cat "$OUT")" "08 cloud=lxc create=yes type=lxc job=${lines[1]}"$'\n10'
}

@test "they do not run for a job without a machine" {
  run -0 on_node hostname
  assert_output "$HOST"
  [ ! -e "$OUT" ]
}

@test "a daemon that a script starts lives on, and keeps nobody waiting" {
  # It keeps stdout open, as screen does. It has left the script's group, which ends with the script.
  # shellcheck disable=SC2016
  script 10_second 'setsid sleep 300 &' "echo \$! >$PLAYGROUND/etc/daemon.pid" \
    'until [ "$(cut -d" " -f5 "/proc/$!/stat")" = $! ]; do sleep 0.01; done'
  run -0 in_lxc hostname
  assert_output --partial "$NODE-"
  daemon=$(cat "$PLAYGROUND/etc/daemon.pid")
  # It is setsid until it becomes sleep.
  eventually says '^sleep$' "/proc/$daemon/comm"
  run -0 sed 's/^[0-9]* (\(.*\)) \(.\).*/\1 \2/' "/proc/$daemon/stat"
  assert_output "sleep S"
  kill "$daemon"
  eventually is_over "$daemon"
}

@test "a script that fails is named with what it said, and its stage is undone" {
  script 10_second 'echo "the filer is away"; exit 4'
  refused "10_second ended with status 4: the filer is away"
  run -0 cat "$OUT"
  assert_line undone
}

@test "a script that hangs is killed" {
  script 10_second 'sleep 100'
  sed -i 's/^exec = .*/&\ntimeout = "1s"/' "$CONFIG"
  refused "took longer than 1 s"
}

@test "a script that others than root could have written is not run" {
  chmod 777 "$SCRIPTS/08_first"
  refused "chmod go-w"
  chmod 755 "$SCRIPTS/08_first"
  chown nobody "$SCRIPTS/08_first"
  # Root does not take over what another has written.
  refused "must belong to root: look at what is in it"
  chown root "$SCRIPTS/08_first"
  chmod g+w "$PLAYGROUND/etc"
  refused "$PLAYGROUND/etc (mode 0775) is writable by others than root: choose a path"
}
