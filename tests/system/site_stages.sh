#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A site's own numbered scripts run unchanged beside built-in stages, in order.
. "$(dirname "$0")/lib.sh"
scripts=$PLAYGROUND/etc/prolog.d
out=$PLAYGROUND/etc/stages.out
mkdir -p "$scripts"
cp "$CONFIG" config.saved
cat >"$scripts/08_first" <<EOF
#!/bin/bash
echo "08 cloud=\$SPANK_cloud create=\$SPANK_cloud_create type=\$SPANK_cloud_type job=\$SLURM_JOB_ID" >>$out
EOF
cat >"$scripts/10_second" <<EOF
#!/bin/bash
echo "10 $(basename "$0")" >>$out
# A daemon that keeps stdout open, as screen does. It has left the script's group, which ends with the script.
(setsid sleep 300 & echo \$! >$PLAYGROUND/etc/daemon.pid
 until [ "\$(cut -d' ' -f5 /proc/\$!/stat)" = \$! ]; do sleep 0.01; done)
EOF
echo 'exit 3' >"$scripts/.hidden"
chmod 755 "$scripts"/*
{
  stage prolog site exec "$scripts"
  echo "undo = '$PLAYGROUND/etc/undo'"
  stage prolog address action lease-address
  stage prolog machine action create-machine
  stage epilog machine action destroy-machine
  stage epilog address action release-address
} >>"$CONFIG"
printf '#!/bin/bash\necho undone >>%s\n' "$out" >"$PLAYGROUND/etc/undo"
chmod 755 "$PLAYGROUND/etc/undo"
rm -f "$out"
has "the job runs" "$NODE-" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
has "what the original plugin set" "08 cloud=lxc create=yes type=lxc" "$(cat "$out")"
is "in name order" "08 10" "$(cut -d' ' -f1 "$out" | xargs)"
daemon=$(cat "$PLAYGROUND/etc/daemon.pid")
# It is setsid until it becomes sleep.
eventually 10 grep -qsx sleep "/proc/$daemon/comm"
is "a daemon of a stage's lives on" "sleep S" "$(sed 's/^[0-9]* (\(.*\)) \(.\).*/\1 \2/' "/proc/$daemon/stat")"
kill "$daemon"
rm -f "$out"
is "not for a job without a machine" "$(hostname)" "$(as_user srun -Q hostname)"
is "whose job never saw it" "no" "$(test -e "$out" && echo yes || echo no)"
printf '#!/bin/bash\necho "the filer is away"; exit 4\n' >"$scripts/10_second"
has "a script that fails is named, with what it said" "10_second ended with status 4: the filer is away" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
has "and its stage is undone" undone "$(cat "$out")"
chmod 777 "$scripts/08_first"
has "a script that others can write is not run" "chmod go-w" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
chmod 755 "$scripts/08_first"
chown nobody "$scripts/08_first"
has "nor one that is another's" "chown root" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
chown root "$scripts/08_first"
chmod g+w "$PLAYGROUND/etc"
has "nor one in a folder that others can write" "chmod go-w $PLAYGROUND/etc" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
chmod g-w "$PLAYGROUND/etc"
printf '#!/bin/bash\nsleep 100\n' >"$scripts/10_second"
sed -i 's/^exec = .*/&\ntimeout = "1s"/' "$CONFIG"
has "a script that hangs is killed" "took longer than 1 s" "$(as_user srun -Q --cloud=lxc hostname 2>&1)"
cat config.saved >"$CONFIG"
rm -rf "$scripts" "$out" "$PLAYGROUND/etc/undo" "$PLAYGROUND/etc/daemon.pid"
finish
