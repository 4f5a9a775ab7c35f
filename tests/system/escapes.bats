# SPDX-License-Identifier: Apache-2.0
# What a user or a hook leaves behind in a way that is hard to find or to remove: it ends with the job all the same.
load lib

has_no_process() { ! pgrep -f "$1" >/dev/null; }
has_process() { pgrep -f "$1" >/dev/null; }
is_never_seen() {
  for _ in {1..20}; do has_no_process "$1" || return 1; done
}
# A prolog whose stage is the program, beside those that make a machine.
with_slow_stage() {
  printf '#!/bin/bash\n%s\n' "$1" >"$PLAYGROUND/etc/slow"
  chmod 755 "$PLAYGROUND/etc/slow"
  {
    stage prolog address action lease-address
    stage prolog slow exec "$PLAYGROUND/etc/slow"
    stage prolog machine action create-machine
  } >>"$CONFIG"
}
# JOB [COMMAND]...: a prolog in the background; $hook is what to wait for, the prolog's own pid is in the file "pid".
begin_prolog() {
  local id=$1
  shift
  # shellcheck disable=SC2016
  hook prolog "$id" "$@" sh -c 'echo $$ >pid; exec "$@"' sh >slow.log 2>&1 &
  hook=$!
}

@test "a chain of processes, each too short-lived to be found, ends with its job" {
  has_cgroup_v1 || skip "groups of version 2 are killed as a whole"
  local group
  machine lxc
  group=$(sed -n 's/.*:freezer://p' "/proc/$(state_of "$job" keeper_pid)/cgroup")
  # shellcheck disable=SC2016
  setsid bash -c 'echo $$ >"/sys/fs/cgroup/freezer$1/cgroup.procs"; exec setpriv --reuid "$2" --clear-groups \
    perl -e "\$0 = q(chain-of-forks); for (1 .. 4) { fork or do { while (1) { exit if fork } } }"' \
    chain "${group%/keeper}" "$JOB_UID" </dev/null >/dev/null 2>&1 3>&-
  # One look at all processes may miss them.
  eventually has_process chain-of-forks
  end_jobs "$job"
  node_is_clean
  # Zombies stay until the cell's init has got round to them.
  eventually is_never_seen chain-of-forks
}

trash_is_empty() { [ -z "$(find "$STATE" -path '*/trash/*' -print -quit)" ] && [ -z "$(strangers)" ]; }

@test "a tree deeper than descriptors, paths and stacks go is removed with its machine" {
  local depth
  depth=$(count 2500 20000)
  # (A shell goes by its folder's whole name, and no deeper than a name can be long.)
  cat >dig.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  const int depth = argc > 1 ? atoi(argv[1]) : 0;
  for (int i = 0; i < depth; ++i) if (mkdir("d", 0700) || chdir("d")) return 1;
  return printf("%d deep\n", depth) < 0;
}
END
  gcc -static -o dig dig.c
  # What removes it is a child of slurmd's, and must have fewer descriptors than there are levels.
  nofile=$(prlimit --pid "$(slurmd_pid)" --nofile --output SOFT --noheadings)
  prlimit --pid "$(slurmd_pid)" --nofile=1024:
  # shellcheck disable=SC2016
  run -0 in_lxc sh -c 'cd /tmp && $HOME/dig $0' "$depth"
  assert_output "$depth deep"
  eventually nodes_are_idle
  # What the epilog had no time for gives way to all else that the host does.
  LIMIT=900 eventually trash_is_empty
  node_is_clean
}

@test "a process of the node's that hides in groups of unusual depth ends with the job" {
  has_cgroup_v1 || skip "groups of version 2 are killed as a whole"
  # A machine's root may make groups in what is delegated to it, deeper than any path is long. (Here it has come out of the
  # machine's other namespaces, as a process that another backend let stay outside would be.)
  cat >deep.sh <<'END'
init=$1
group=/sys/fs/cgroup/systemd$(sed -n 's/.*:name=systemd://p' "/proc/$init/cgroup")
nsenter -U -t "$init" -S 0 -G 0 perl -e '
  chdir $ARGV[0] or die "$ARGV[0]: $!\n";
  for (1 .. 20) { my $name = chr(96 + $_) x 250; mkdir $name or die "mkdir: $!\n"; chdir $name or die "chdir: $!\n" }
  my $pid = fork // die; if (!$pid) { open STDOUT, ">/dev/null"; open STDERR, ">/dev/null"; exec "sleep", "987654" }
  open my $procs, ">", "cgroup.procs" or die "procs: $!\n"; syswrite($procs, $pid) or die "move: $!\n"; print "hidden\n"' "$group"
END
  machine lxc
  run -0 bash deep.sh "$(state_of "$job" init_pid)" 3>&-
  assert_output hidden
  has_process '^sleep 987654$'
  end_jobs "$job"
  run pgrep -fx 'sleep 987654'
  assert_output ""
}

@test "a prolog that slurmd tells to end gives back what it had, and its program ends" {
  # slurmd does so, with SIGTERM, when it takes too long.
  local status=0
  with_slow_stage 'sleep 98764'
  begin_prolog 888010
  eventually says ';888010;' "$LEASES"
  eventually has_process '^sleep 98764$' || fail "the slow stage does not run: $(cat slow.log)"
  kill "$(<pid)"
  # Another status would drain the node.
  wait "$hook" || status=$?
  assert_equal "$status" 0
  run cat "$LEASES"
  refute_output --partial ';888010;'
  run pgrep -f "$PLAYGROUND/etc/slow|^sleep 98764\$"
  assert_output ""
  hook epilog 888010
}

@test "what a prolog ran ends when slurmd kills the prolog's group" {
  # It does so where SIGTERM does not help.
  with_slow_stage $'sleep 98765\ntrue'
  begin_prolog 888011 setsid --wait
  eventually has_process '^sleep 98765$' || fail "the prolog runs no stage: $(cat slow.log)"
  kill -9 -- "-$(<pid)"
  wait "$hook" || true
  eventually has_no_process '^sleep 98765$'
  restore_configuration
  hook epilog 888011
}

teardown() {
  [ -z "${nofile:-}" ] || prlimit --pid "$(slurmd_pid)" --nofile="${nofile// /}:"
  rm -f "$PLAYGROUND/etc/slow"
  end_case
}
