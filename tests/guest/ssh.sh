#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# ssh.sh PROGRAM: runs the guest program as an ordinary user behind a real OpenSSH server, with one multiplexed connection as the host has it. In namespaces of its own (net, mount, pid), so
# nothing is left of it whatever happens.
set -uo pipefail
program=$1
[ "$(id -u)" = 0 ] || { echo "skipped: needs root for namespaces of its own"; exit 77; }
if [ -z "${IN_NAMESPACE:-}" ]; then
  # unshare itself ignores what would end it; with it ends all that is in there.
  IN_NAMESPACE=1 unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$@" &
  trap 'kill -9 $!; exit 130' INT TERM HUP
  wait $!
  exit
fi

# A user, an empty /run and /dev/shm, and a home of the test's own.
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /mnt
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/sshd /run/spank-cloud /mnt/home/.ssh
cp /etc/passwd /etc/group /etc/shadow /mnt/
echo "tester:x:54321:54321::/mnt/home:/bin/bash" >>/mnt/passwd
echo "tester:x:54321:" >>/mnt/group
echo "tester:*:19000::::::" >>/mnt/shadow
for file in passwd group shadow; do mount --bind "/mnt/$file" "/etc/$file"; done
install -m 755 "$program" /run/spank-cloud/guest
ssh-keygen -q -t ed25519 -N '' -f /mnt/key
cp /mnt/key.pub /mnt/home/.ssh/authorized_keys
chown -R 54321:54321 /mnt/home
chmod 700 /mnt/home /mnt/home/.ssh
ssh-keygen -q -t ed25519 -N '' -f /mnt/host_key
printf '%s\n' 'ListenAddress 127.0.0.1' 'Port 2222' 'HostKey /mnt/host_key' 'UsePAM no' 'MaxSessions 1000' \
  'PidFile none' >/mnt/sshd_config
/usr/sbin/sshd -f /mnt/sshd_config -E /mnt/sshd.log

failures=0
fail() { echo "not ok - $*"; failures=$((failures + 1)); }
ok() { echo "ok - $*"; }
is() { if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: expected '$2', got '$3'"; fi; }
has() { case $3 in *"$2"*) ok "$1" ;; *) fail "$1: no '$2' in: $3" ;; esac; }
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
guest="/run/spank-cloud/guest"
ssh_options=(-F /dev/null -i /mnt/key -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no
  -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ControlPath=/mnt/mux)
connect() {
  ssh "${ssh_options[@]}" -o ControlMaster=yes -o ControlPersist=no -N tester@127.0.0.1 </dev/null &
  master=$!
  eventually 10 ssh "${ssh_options[@]}" -O check tester@127.0.0.1 2>/dev/null
}
over_ssh() { ssh "${ssh_options[@]}" tester@127.0.0.1 "$@"; }
# FOLDER UMASK [LIMIT...] -- [VARIABLE...] -- COMMAND...: the bytes of a request.
request() {
  printf 'spank-cloud-task-1\0%s\0%s\0' "$1" "$2"
  shift 2
  local list
  for _ in limits environment; do
    list=()
    while [ "$1" != -- ]; do list+=("$1"); shift; done
    shift
    printf '%s\0' "${#list[@]}" ${list[@]+"${list[@]}"}
  done
  printf '%s\0' "$#" "$@" "${SCRIPT:-}"
}
put() { request "$@" | over_ssh $guest put; }
# A task of an ordinary environment in the home folder; its token goes to $token.
prepare() { token=$(put /mnt/home 22 -- PATH=/usr/bin:/bin HOME=/mnt/home -- "$@"); }
run() { over_ssh "exec $guest run $token"; }
status() { over_ssh "$guest status $token" 2>&1; }
nobody_sleeps() { ! pgrep -u 54321 -x sleep >/dev/null; }
sleeps() { pgrep -u 54321 -x sleep >/dev/null; }
# The status asked for once: asking for that of an ended task forgets it.
ended() { last=$(status); [ "$last" != running ]; }

listens() { (exec 3<>/dev/tcp/127.0.0.1/2222) 2>/dev/null; }
eventually 20 listens
eventually 10 connect || { fail "no connection: $(cat /mnt/sshd.log)"; exit 1; }

prepare sh -c 'exit 7'
is "a token is 32 digits" 32 ${#token}
is "a request is its user's alone" "600 tester" "$(stat -c '%a %U' "/dev/shm/spank-cloud-54321/$token.request")"
is "so is the folder" "700 tester" "$(stat -c '%a %U' /dev/shm/spank-cloud-54321)"
is "a task that waits" waiting "$(status)"
run
is "an exit status passes" 7 $?
has "a task is started once" "this task was started before" "$(run 2>&1)"
is "its status is kept" "exited 7" "$(status)"
has "until it was asked for" "no such task in the machine" "$(status)"
is "nothing is kept then" "" "$(ls /dev/shm/spank-cloud-54321)"
has "a damaged request is refused" "a task's request is damaged: no command" \
  "$(request / 22 -- -- | over_ssh $guest put 2>&1)"

prepare sh -c 'echo out; echo err >&2'
is "stdout and stderr are apart" "out" "$(run 2>/dev/null)"
prepare cat
head -c 5000000 /dev/urandom >/mnt/noise
is "every byte passes" "$(sha256sum </mnt/noise)" "$(run </mnt/noise | sha256sum)"
prepare sh -c 'cat; sleep 0.3; echo on'
is "the end of stdin is not the end of the task" on "$(run </dev/null)"
prepare sh -c 'echo "$$ $(ps -o pgid=,sid= -p $$)"' && is "a task leads a group and a session" \
  1 "$(run | tr -s ' ' '\n' | sort -u | wc -l)"

token=$(put /mnt/home 22 -- -- /usr/bin/env)
is "an empty environment" "" "$(run)"
token=$(put /mnt/home 22 -- PATH=/usr/bin 'A=a  b' $'B=1\n2' 'C=$(id)' D= -- env -0)
is "the environment is exactly that" $'PATH=/usr/bin\1A=a  b\1B=1\n2\1C=$(id)\1D=\1' "$(run | tr '\0' '\1')"
big=() chunk=$(head -c 100000 /dev/zero | tr '\0' x)
for i in {1..30}; do big+=("V$i=$chunk"); done
token=$(put /mnt/home 22 STACK=unlimited -- PATH=/usr/bin "${big[@]}" -- env)
is "an environment of 3 MB" 3000 "$(($(run | wc -c) / 1000 - 0))"
token=$(put /mnt/home 22 -- PATH=/usr/bin -- printf '[%s]' 'a b' '' '$(id)' "it's" $'\n' '*')
is "arguments pass unchanged" $'[a b][][$(id)][it\'s][\n][*]' "$(run)"
token=$(put / 027 NOFILE=77 CORE=0 NPROC=unlimited -- PATH=/usr/bin -- bash -c 'pwd; umask; ulimit -Sn; ulimit -Sc')
is "folder, umask and limits" "/ 0027 77 0" "$(run | xargs)"
token=$(put /not/here 22 -- HOME=/mnt/home PATH=/usr/bin -- /bin/pwd)
# In no order: stdout and stderr are two channels.
is "a folder that is not there" "/mnt/home
spank_cloud: the folder /not/here is not in the machine: starting in /mnt/home" "$(run 2>&1 | LC_ALL=C sort)"
prepare no-such-program
is "a command that is not there" "spank_cloud: no-such-program: No such file or directory (in the machine)
127" "$(run 2>&1; echo $?)"
SCRIPT=$'#!/bin/sh\necho "script $1"' prepare slurm_script one
is "a batch script runs in the place of the command" "script one" "$(run)"
prepare /etc/passwd
is "a command that is no program" "spank_cloud: /etc/passwd: Permission denied (in the machine)
126" "$(run 2>&1; echo $?)"

prepare sleep 1000
run & client=$!
eventually 10 sleeps
is "a task that runs" running "$(status)"
over_ssh "$guest signal $token 15"
wait $client
is "a signal ends it" 143 $?
is "and is recorded" "signalled 15" "$(status)"
prepare bash -c 'trap "echo caught; exit 3" USR1; sleep 1000 & wait'
run >/mnt/out & client=$!
eventually 10 sleeps
over_ssh "$guest signal $token 10"
wait $client
is "a task handles a signal" "3 caught" "$? $(cat /mnt/out)"
has "what has ended gets no signal" "this task has ended (exited 3)" "$(over_ssh "$guest signal $token 9" 2>&1)"
has "no such signal" "no signal has the number '99'" "$(over_ssh "$guest signal $token 99" 2>&1)"
eventually 5 nobody_sleeps && ok "what a task leaves behind is killed" || fail "a child outlives its task"

prepare bash -c '(setsid nohup sleep 1000 >/dev/null 2>&1 &) ; setsid sleep 1000 & sleep 0.2; exit 4'
began=$(date +%s%N)
run
is "daemons do not hold a task up" 4 $?
[ $((($(date +%s%N) - began) / 1000000)) -lt 3000 ] && ok "nor for long" || fail "it took too long"
nobody_sleeps && ok "nor outlive it" || fail "a daemon outlives its task: $(pgrep -u 54321 -a .)"

# `script` has the terminal that a multiplexed client takes the modes from.
terminal() { script -qefc "ssh -tt ${ssh_options[*]} tester@127.0.0.1 'exec $guest run $token'" /dev/null | tr -d '\r'; return "${PIPESTATUS[0]}"; }
kill_client() { pgrep -x ssh | grep -vx $master | xargs -r kill -9; }
prepare bash -c 'tty; : </dev/tty && echo "$(ps -o sid=,tpgid= -p $$)" | xargs -n1 | sort -u | grep -cx $$'
is "a terminal, and its session's leader" $'/dev/pts/N\n1' "$(sleep 2 | terminal | sed '1s/[0-9]*$/N/')"
prepare sleep 1000
(eventually 10 sleeps && printf '\003'; sleep 3) | terminal >/dev/null
ends=${PIPESTATUS[1]}
is "Ctrl-C interrupts" "130 signalled 2" "$ends $(status)"
prepare bash -c 'sleep 1; echo over'
has "Ctrl-Z stops nobody who could not continue" over "$( (eventually 10 sleeps; printf '\032'; sleep 3) | terminal)"
prepare bash --norc -i
has "job control" "Stopped" "$(printf 'sleep 1000\n' | (cat; eventually 10 sleeps; sleep 0.5; printf '\032'; sleep 1; printf 'jobs\nexit 5\nexit 5\n'; sleep 2) | terminal 2>&1)"
is "of an interactive shell" "exited 5" "$(status)"

# Slurm kills a step's processes: the client of the connection, not the connection.
for how in run terminal; do
  prepare bash -c 'trap "" HUP TERM; setsid sleep 1000 & sleep 1000 & while :; do sleep 1000; done'
  sleep 20 | $how >/dev/null 2>&1 & client=$!
  eventually 10 sleeps
  sleep 0.3
  kill_client
  eventually 10 nobody_sleeps && ok "$how: a killed client ends its task, hard if it must" ||
    fail "$how: a task outlives its client: $(pgrep -u 54321 -a .)"
  eventually 5 ended
  is "$how: and it is recorded" "signalled 9" "$last"
done
prepare bash -c 'trap "echo tidied >/mnt/home/tidied; exit 0" TERM; sleep 1000 & wait'
run </dev/null & client=$!
eventually 10 sleeps
kill_client
eventually 10 test -e /mnt/home/tidied && ok "a task may tidy up before" || fail "no SIGTERM reached the task"
eventually 10 nobody_sleeps || fail "it outlives its client"
prepare sleep 1000
run </dev/null & client=$!
eventually 10 sleeps
pkill -9 -f "guest run $token" -u 54321
eventually 5 nobody_sleeps && ok "a killed guest program takes its task along" || fail "the task goes on"
is "and the task is lost" lost "$(status)"

tokens=()
for _ in {1..30}; do prepare sh -c 'read x; exit 9'; tokens+=("$token"); done
clients=()
for token in "${tokens[@]}"; do (sleep 2; echo) | over_ssh "exec $guest run $token" & clients+=($!); done
ends=''
for client in "${clients[@]}"; do wait "$client"; ends+=$?; done
is "thirty tasks at once" 999999999999999999999999999999 "$ends"

began=$(date +%s%N)
for _ in {1..20}; do prepare true; run; done
echo "# put and run of one task: $((($(date +%s%N) - began) / 20000000)) ms"

prepare bash -c 'trap "" HUP TERM; setsid sleep 1000 & exec sleep 1000'
run </dev/null >/dev/null 2>&1 &
eventually 10 sleeps
kill -9 $master
eventually 10 nobody_sleeps && ok "a killed connection ends its tasks" || fail "a task outlives its connection: $(pgrep -u 54321 -a .)"

[ $failures = 0 ] || { echo "$failures failed"; exit 1; }
