# SPDX-License-Identifier: Apache-2.0
#
# The guest program as an ordinary user's behind a real OpenSSH server, with one multiplexed connection as the host has it.
# In a cell (tests/cluster/in-cell); PROGRAM is the guest program.
bats_require_minimum_version 1.5.0
bats_load_library bats-support
bats_load_library bats-assert

guest=/run/spank-cloud/guest
slowness=${CLOUD_TEST_SLOWNESS:-1}
ssh_options=(-F /dev/null -i /tmp/key -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no
  -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ControlPath=/tmp/mux)
exec {never}<> <(:)

nap() { read -rt "$1" -u "$never" || true; }
eventually() {
  local end=$((SECONDS + 60 * slowness))
  until "$@"; do
    [ $SECONDS -lt "$end" ] || { echo "# in vain: $*" >&2; return 1; }
    nap 0.05
  done
}
over_ssh() { ssh "${ssh_options[@]}" tester@127.0.0.1 "$@" 3>&-; }
is_connected() { ssh "${ssh_options[@]}" -O check tester@127.0.0.1 2>/dev/null; }
listens() { (exec 4<>/dev/tcp/127.0.0.1/2222) 2>/dev/null; }
connect() {
  ssh "${ssh_options[@]}" -o ControlMaster=yes -o ControlPersist=no -N tester@127.0.0.1 </dev/null 3>&- &
  echo $! >/tmp/master
  eventually is_connected
}

setup_file() {
  # A home and a server of the test's own.
  mkdir -p /run/sshd /run/spank-cloud /run/tester/.ssh
  echo "tester:x:54321:54321::/run/tester:/bin/bash" >>/etc/passwd
  echo "tester:x:54321:" >>/etc/group
  echo "tester:*:19000::::::" >>/etc/shadow
  install -m 755 "$PROGRAM" "$guest"
  ssh-keygen -q -t ed25519 -N '' -f /tmp/key
  cp /tmp/key.pub /run/tester/.ssh/authorized_keys
  chown -R 54321:54321 /run/tester
  chmod 700 /run/tester /run/tester/.ssh
  ssh-keygen -q -t ed25519 -N '' -f /tmp/host_key
  printf '%s\n' 'ListenAddress 127.0.0.1' 'Port 2222' 'HostKey /tmp/host_key' 'UsePAM no' \
    'MaxSessions 1000' 'PidFile none' >/tmp/sshd_config
  /usr/sbin/sshd -f /tmp/sshd_config -E /tmp/sshd.log 3>&-
  eventually listens
  connect
}
setup() { is_connected || connect; }
teardown() {
  rm -f /run/tester/{tidied,started,pid} /tmp/out /tmp/over
  eventually nobody_sleeps
}

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
prepare() { token=$(put /run/tester 22 -- PATH=/usr/bin:/bin HOME=/run/tester -- "$@"); }
task() { over_ssh "exec $guest run $token"; }
state() { over_ssh "$guest status $token" 2>&1; }
# The status asked for once: asking for that of an ended task forgets it.
has_ended() { last=$(state); [ "$last" != running ]; }
sleeps() { pgrep -u 54321 -x sleep >/dev/null; }
nobody_sleeps() { ! sleeps; }
# `script` has the terminal that a multiplexed client takes the modes from.
terminal() {
  script -qefc "ssh -tt ${ssh_options[*]} tester@127.0.0.1 'exec $guest run $token'" /dev/null 3>&- | tr -d '\r'
  return "${PIPESTATUS[0]}"
}
# Slurm kills a step's processes: the client of the connection, not the connection. Of a task that runs.
kill_client() {
  local client
  client=$(pgrep -x ssh | grep -vx "$(cat /tmp/master)")
  [ "$(wc -w <<<"$client")" = 1 ]
  kill -9 "$client"
}

@test "a request is its user's alone, and a task is started once" {
  prepare sh -c 'exit 7'
  assert_equal ${#token} 32
  assert_equal "$(stat -c '%a %U' "/dev/shm/spank-cloud-54321/$token.request")" "600 tester"
  assert_equal "$(stat -c '%a %U' /dev/shm/spank-cloud-54321)" "700 tester"
  assert_equal "$(state)" waiting
  run -7 task
  run task
  assert_output --partial "this task was started before"
}

@test "its status is kept until it was asked for" {
  prepare sh -c 'exit 7'
  run -7 task
  assert_equal "$(state)" "exited 7"
  run state
  assert_output --partial "no such task in the machine"
  assert_equal "$(find /dev/shm/spank-cloud-54321 -name "$token*")" ""
}

@test "a damaged request is refused" {
  run over_ssh $guest put < <(request / 22 -- --)
  assert_output --partial "a task's request is damaged: no command"
}

@test "stdout and stderr are apart, and every byte passes" {
  prepare sh -c 'echo out; echo err >&2'
  run -0 --separate-stderr task
  assert_output out
  assert_equal "$stderr" err
  prepare cat
  head -c 5000000 /dev/urandom >/tmp/noise
  assert_equal "$(task </tmp/noise | sha256sum)" "$(sha256sum </tmp/noise)"
  prepare sh -c 'cat; sleep 0.3; echo on'
  run -0 task </dev/null
  assert_output on
}

@test "a task leads a group and a session" {
  prepare sh -c 'echo "$$ $(ps -o pgid=,sid= -p $$)"'
  assert_equal "$(task | tr -s ' ' '\n' | sort -u | wc -l)" 1
}

@test "environment and arguments pass unchanged, large or empty" {
  token=$(put /run/tester 22 -- -- /usr/bin/env)
  run -0 task
  assert_output ""
  token=$(put /run/tester 22 -- PATH=/usr/bin 'A=a  b' $'B=1\n2' 'C=$(id)' D= -- env -0)
  assert_equal "$(task | tr '\0' '\1')" $'PATH=/usr/bin\1A=a  b\1B=1\n2\1C=$(id)\1D=\1'
  local big=() chunk i
  chunk=$(head -c 100000 /dev/zero | tr '\0' x)
  for i in {1..30}; do big+=("V$i=$chunk"); done
  token=$(put /run/tester 22 STACK=unlimited -- PATH=/usr/bin "${big[@]}" -- env)
  assert_equal "$(($(task | wc -c) / 1000))" 3000
  token=$(put /run/tester 22 -- PATH=/usr/bin -- printf '[%s]' 'a b' '' '$(id)' "it's" $'\n' '*')
  assert_equal "$(task)" $'[a b][][$(id)][it\'s][\n][*]'
}

@test "folder, umask and limits are the request's" {
  token=$(put / 027 NOFILE=77 CORE=0 NPROC=unlimited -- PATH=/usr/bin -- bash -c 'pwd; umask; ulimit -Sn; ulimit -Sc')
  assert_equal "$(task | xargs)" "/ 0027 77 0"
  token=$(put /not/here 22 -- HOME=/run/tester PATH=/usr/bin -- /bin/pwd)
  run -0 --separate-stderr task
  assert_output /run/tester
  assert_equal "$stderr" "spank_cloud: the folder /not/here is not in the machine: starting in /run/tester"
}

@test "what cannot be run says so; a batch script runs in the place of the command" {
  prepare no-such-program
  run -127 task
  assert_output "spank_cloud: no-such-program: No such file or directory (in the machine)"
  prepare /etc/passwd
  run -126 task
  assert_output "spank_cloud: /etc/passwd: Permission denied (in the machine)"
  SCRIPT=$'#!/bin/sh\necho "script $1"' prepare slurm_script one
  run -0 task
  assert_output "script one"
}

@test "a signal ends a task, and is recorded" {
  local status=0
  prepare sleep 1000
  task & local client=$!
  eventually sleeps
  assert_equal "$(state)" running
  over_ssh "$guest signal $token 15"
  wait $client || status=$?
  assert_equal $status 143
  assert_equal "$(state)" "signalled 15"
}

@test "a task handles a signal; what has ended gets none" {
  local status=0
  prepare bash -c 'trap "echo caught; exit 3" USR1; sleep 1000 & wait'
  task >/tmp/out & local client=$!
  eventually sleeps
  over_ssh "$guest signal $token 10"
  wait $client || status=$?
  assert_equal "$status $(cat /tmp/out)" "3 caught"
  run over_ssh "$guest signal $token 9"
  assert_output --partial "this task has ended (exited 3)"
  run over_ssh "$guest signal $token 99"
  assert_output --partial "no signal has the number '99'"
  # What it left behind is killed.
  eventually nobody_sleeps
}

@test "daemons do not hold a task up, nor outlive it" {
  # Each ends when the test says so, and not before: a task that waited for them would never end.
  prepare bash -c '(setsid nohup sleep 1000 >/dev/null 2>&1 &); setsid sleep 1000 &
    until [ "$(pgrep -u 54321 -xc sleep)" = 2 ]; do :; done; exit 4'
  run -4 task
  assert nobody_sleeps
}

# COMMAND...: types what the command prints on a terminal of the task's, whose stdin stays open until the task is over;
# prints what the terminal shows. Its end would be a key, too.
typing() {
  { "$@"; eventually test -e /tmp/over; } 3>&- | {
    local status=0
    terminal || status=$?
    touch /tmp/over
    return $status
  }
}

@test "a task with a terminal is its session's leader" {
  prepare bash -c 'tty; : </dev/tty && echo "$(ps -o sid=,tpgid= -p $$)" | xargs -n1 | sort -u | grep -cx $$'
  run -0 typing true
  assert_output --regexp $'^/dev/pts/[0-9]+\n1$'
}

@test "Ctrl-C interrupts a task with a terminal" {
  interrupt() { eventually sleeps; printf '\003'; }
  prepare sleep 1000
  run -130 typing interrupt
  assert_equal "$(state)" "signalled 2"
}

@test "Ctrl-Z stops nobody who could not continue" {
  # The task ends when it is told to, some time after the key.
  stop() { eventually test -e /run/tester/started; printf '\032'; nap 0.3; touch /run/tester/go; }
  rm -f /run/tester/go
  prepare bash -c 'touch started; until [ -e go ]; do sleep 0.1; done; echo over'
  run -0 typing stop
  assert_output --partial over
}

@test "an interactive shell has job control" {
  work() {
    printf 'sleep 1000\n'
    eventually sleeps
    printf '\032'
    eventually is_stopped
    printf 'jobs\nexit 5\nexit 5\n'
  }
  is_stopped() { [ "$(ps -o state= -C sleep)" = T ]; }
  prepare bash --norc -i
  run -5 typing work
  assert_output --partial Stopped
  assert_equal "$(state)" "exited 5"
}

# Slurm kills a step's processes: the client of the connection, not the connection.
end_by_client() {
  prepare bash -c 'trap "" HUP TERM; setsid sleep 1000 & sleep 1000 & while :; do sleep 1000; done'
  { eventually test -e /tmp/over; } 3>&- | "$1" >/dev/null 2>&1 3>&- &
  eventually sleeps
  kill_client
  eventually nobody_sleeps
  eventually has_ended
  assert_equal "$last" "signalled 9"
  touch /tmp/over
}
@test "a killed client ends its task, hard if it must" { end_by_client task; }
@test "a killed client ends its task with a terminal, hard if it must" { end_by_client terminal; }

@test "a task whose client is killed may tidy up before" {
  prepare bash -c 'trap "echo tidied >/run/tester/tidied; exit 0" TERM; sleep 1000 & wait'
  task </dev/null &
  eventually sleeps
  kill_client
  eventually test -e /run/tester/tidied
  eventually nobody_sleeps
}

@test "a killed guest program takes its task along" {
  prepare sleep 1000
  task </dev/null &
  eventually sleeps
  # The guest program is the parent of what it runs.
  kill -9 "$(ps -o ppid= -C sleep | xargs)"
  eventually nobody_sleeps
  assert_equal "$(state)" lost
}

@test "thirty tasks at once" {
  local tokens=() clients=() ends='' status
  for _ in {1..30}; do prepare sh -c 'read x; exit 9'; tokens+=("$token"); done
  for token in "${tokens[@]}"; do
    { eventually test -e /tmp/over; echo; } 3>&- | over_ssh "exec $guest run $token" & clients+=($!)
  done
  touch /tmp/over
  for client in "${clients[@]}"; do
    status=0
    wait "$client" || status=$?
    ends+=$status
  done
  assert_equal "$ends" 999999999999999999999999999999
}

@test "a killed connection ends its tasks" {
  prepare bash -c 'trap "" HUP TERM; setsid sleep 1000 & exec sleep 1000'
  task </dev/null >/dev/null 2>&1 &
  eventually sleeps
  kill -9 "$(cat /tmp/master)"
  eventually nobody_sleeps
}
