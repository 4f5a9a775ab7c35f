# SPDX-License-Identifier: Apache-2.0
# cloudctl beside machines that run: enter, console, logs, trace.
load lib
load kvm
keep_guest_at_the_end_of_a_case

CLOUDCTL=$PLAYGROUND/prefix/sbin/cloudctl
user_ctl() { as_user "$CLOUDCTL" --config "$CONFIG" --node "$NODE" "$@"; }
other_ctl() { as_other "$CLOUDCTL" --config "$CONFIG" --node "$NODE" "$@"; }

# A container and a virtual machine for all cases.
setup_file() {
  begin_machine lxc
  export BOX=$job
  machine kvm --mem=700
  export GUEST=$job
  eventually phase_is "$BOX" ready
}

@test "enter: a command, word by word, with its exit status, or a shell" {
  run -7 user_ctl enter "$BOX" -- sh -c 'echo "$#" "$@"; exit 7' sh '-c --node [a,b]'
  assert_output '1 -c --node [a,b]'
  run -0 user_ctl enter "$BOX" -- hostname
  assert_output "$NODE-$BOX"
  assert_equal "$(echo hostname | AS_USER_ENV=SHELL=/bin/sh user_ctl enter "$BOX" 2>/dev/null)" "$NODE-$BOX"
  run -0 user_ctl enter "$GUEST" -- hostname
  assert_output "$NODE-$GUEST"
}

@test "enter: who may not is told so, and root is told how" {
  run other_ctl enter "$BOX" -- id
  assert_failure
  assert_output --partial "job $BOX is not yours"
  run cloudctl enter "$BOX" -- id
  assert_failure
  assert_output --partial "runuser -u $JOB_USER -- cloudctl enter $BOX"
  run user_ctl enter 999999
  assert_failure
  assert_output --partial "job 999999 has no machine on node $NODE"
}

@test "a command where none is wanted is refused" {
  run cloudctl status -- id
  assert_failure
  assert_output --partial "not expected: --"
}

@test "logs: how the machine came up, for the user; the keeper's, too, for root; and for nobody else" {
  run -0 user_ctl logs "$BOX"
  assert_output --partial "the machine is ready"
  refute_output --partial keeper.log
  run -0 cloudctl logs "$BOX"
  assert_output --partial "$STATE/jobs/$BOX/keeper.log <=="
  run other_ctl logs "$BOX"
  assert_failure
  assert_output --partial "job $BOX is not yours"
}

@test "trace: every stage of a start, also as perfetto's JSON" {
  local part
  run -0 cloudctl trace "$BOX"
  for part in 'prolog   address' 'keeper   start' 'keeper   boot' 'keeper   ready'; do assert_output --partial "$part"; done
  run -0 cloudctl trace "$GUEST"
  assert_output --partial 'keeper   kernel'
  cloudctl trace "$BOX" --format=perfetto >trace.json
  run -0 perl -MJSON::PP -0777 -ne '
    my @slices = grep { $_->{ph} ne "M" } @{decode_json($_)->{traceEvents}};
    print join " ", map { my $wanted = $_; map { "$_->{cat} $_->{name} $_->{ph}" } grep { $_->{name} eq $wanted && $_->{dur} > 0 } @slices }
      qw(machine start)' trace.json
  assert_output 'prolog machine X keeper start X'
}

@test "console: a container has none and no log, and it is said what to do" {
  run user_ctl console "$BOX"
  assert_failure
  assert_output --partial "of type lxc, has no console: cloudctl enter $BOX"
  run user_ctl console --log "$BOX"
  assert_failure
  assert_output --partial "has no console"
}

@test "console: what was printed before, input from a pipe, and the log of both" {
  # A guest that is ready for tasks may still be on the way to its console's prompt.
  shows_prompt() { [[ $(user_ctl console "$GUEST" </dev/null 2>/dev/null) == *'/ #'* ]]; }
  eventually shows_prompt || fail "no prompt: $(user_ctl console "$GUEST" </dev/null 2>&1)"
  answers() { [[ $(printf 'echo product $((6 * 7))\r' | user_ctl console "$GUEST" 2>&1) == *'product 42'* ]]; }
  eventually answers
  run -0 user_ctl console --log "$GUEST"
  assert_output --partial "product 42"
}

@test "console: another user is refused, and cannot use its socket" {
  run other_ctl console "$GUEST"
  assert_failure
  assert_output --partial "job $GUEST is not yours"
  run as_other perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!; connect($s, pack_sockaddr_un($ARGV[0])) or die "$!\n"' \
    "$RUN/jobs/$GUEST/console.sock"
  assert_failure
  assert_output --partial "Permission denied"
}

# KEYS...: the console on a terminal of its own, whose keys are what the command prints; all that is seen goes to the file `seen`.
console_on_terminal() {
  rm -f tty pid over seen
  cat >terminal.sh <<END
before=\$(stty -g)
tty >tty
sh -c 'echo \$\$ >pid; exec "\$@"' sh "$CLOUDCTL" --config "$CONFIG" --node "$NODE" console $GUEST
status=\$?
[ "\$before" = "\$(stty -g)" ] && echo "restored \$status"
touch over
END
  as_user script -qec "bash terminal.sh" /dev/null < <("$@" 3>&-) >seen 2>&1
}
is_raw() { [ -s tty ] && [ -s pid ] && stty -F "$(cat tty)" -a 2>/dev/null | grep -q -- ' -icanon'; }
# LINE ANSWER: typed when the console is there, which is left when the answer is.
type_line() {
  eventually says 'Ctrl-\] detaches' seen
  eventually is_raw
  printf "$1"
  eventually says "$2" seen
  printf '\035'
  eventually test -e over
}
# SIGNAL: ends the console when its terminal is raw.
send_signal() {
  eventually is_raw && echo raw >was
  kill "-$1" "$(cat pid)"
  eventually test -e over
}

@test "console on a terminal: it says how to leave, keys go to the machine, and Ctrl-] leaves and restores it" {
  console_on_terminal type_line 'echo sum $((40 + 3))\r' 'sum 43'
  run cat seen
  assert_output --partial "Ctrl-] detaches"
  assert_output --partial "sum 43"
  assert_output --partial "detached; the machine goes on"
  assert_output --partial "restored 0"
}

@test "console on a terminal: Ctrl-C is the machine's" {
  console_on_terminal type_line '\003echo alive $((1 + 1))\r' 'alive 2'
  run cat seen
  assert_output --partial "alive 2"
}

@test "console on a terminal: a signal that ends it restores the terminal" {
  local signal
  for signal in TERM HUP INT; do
    rm -f was
    console_on_terminal send_signal $signal
    assert_equal "$(cat was)" raw
    run cat seen
    assert_output --partial restored
  done
}
