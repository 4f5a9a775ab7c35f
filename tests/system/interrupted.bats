# SPDX-License-Identifier: Apache-2.0
# Hooks that are killed at, or get an error from, every system call that has an effect: strace ends them at the Nth call
# of a kind, until there is no Nth.
load lib

JOB=888100
EFFECTS="mkdir fsync renameat write openat fchmod fchmodat chmod fchown flock unlinkat unlink rmdir clone symlink fsetxattr"

left_of_job() {
  compgen -G "$STATE/jobs/$JOB" || true
  compgen -G "$STATE/machines/sc-$NODE-$JOB" || true
  compgen -G "$RUN/jobs/$JOB" || true
  grep ";$JOB;" "$LEASES" || true
  # The playground's own has as many lines.
  [ "$(wc -l <"$LEASES")" = "$(wc -l <"$PLAYGROUND/etc/pristine/${LEASES##*/}")" ] || echo "lines of the lease file"
  find "$STATE" "$RUN" "${LEASES%/*}" -name '*.tmp*'
  find /run/spank-cloud/records -name $JOB 2>/dev/null || true
}
# PROGRAM INJECTION CALL N: whether the call was reached; the status is in $status.
inject() {
  status=0
  hook "$1" $JOB strace -f -qq -o strace.out -e trace="$3" -e inject="$3:$2:when=$4" >inject.log 2>&1 || status=$?
  grep -qE 'INJECTED|killed by SIGKILL' strace.out
}
# WHAT: the next epilog cleans up after it.
is_cleaned_up_after() {
  local left
  points=$((points + 1))
  hook epilog $JOB >epilog.log 2>&1 || fail "the epilog after $1: $(cat epilog.log)"
  left=$(left_of_job)
  [ -z "$left" ] || fail "$1 leaves: $left"
}
# LEAST: not in a short run, which tries every fourth call of a kind.
there_were_points() {
  [ "$points" -ge $(($1 / step)) ] || fail "only $points points"
}

@test "a prolog that is killed at any call is cleaned up by its epilog" {
  local call n step points=0
  step=$(count 4 1)
  for call in $EFFECTS; do
    for ((n = 1; n <= 200; n += step)); do
      inject prolog signal=KILL "$call" "$n" || break
      is_cleaned_up_after "a prolog killed at $call $n"
    done
    hook epilog $JOB
  done
  there_were_points 60
}

@test "an epilog that is killed at any call is finished by the next" {
  local call n step points=0
  step=$(count 4 1)
  for call in $EFFECTS; do
    for ((n = 1; n <= 200; n += step)); do
      hook prolog $JOB
      inject epilog signal=KILL "$call" "$n" || break
      is_cleaned_up_after "an epilog killed at $call $n"
    done
  done
  there_were_points 40
}

@test "an error of any call neither drains the node nor leaves anything" {
  local fault n step points=0
  step=$(count 4 1)
  for fault in ENOSPC:write ENOSPC:mkdir ENOSPC:renameat ENOSPC:fsync EIO:fsync EDQUOT:write EROFS:mkdir ENOSPC:fsetxattr \
    EOPNOTSUPP:fsetxattr ENOSPC:symlink; do
    for ((n = 1; n <= 200; n += step)); do
      inject prolog "error=${fault%:*}" "${fault#*:}" "$n" || break
      # Slurm drains the node of a prolog that exits with anything but 0.
      [ $status = 0 ] || fail "a prolog with $fault at $n exits with $status: $(cat inject.log)"
      is_cleaned_up_after "$fault at $n"
    done
    hook epilog $JOB
  done
  there_were_points 30
}

# Those that a signal may interrupt (signal(7)), and that only we make: the loader of programs reads, too.
@test "a signal in any call of a hook changes nothing of what it does" {
  local call n points=0
  for call in flock poll wait4 write; do
    for ((n = 1; n <= $(count 8 60); n++)); do
      inject prolog error=EINTR "$call" "$n" || break
      [ $status = 0 ] || fail "a prolog with EINTR of $call at $n exits with $status: $(cat inject.log)"
      assert_equal "$(state_of $JOB phase)" prepared
      inject epilog error=EINTR "$call" "$n" || hook epilog $JOB
      [ $status = 0 ] || fail "an epilog with EINTR of $call at $n exits with $status: $(cat inject.log)"
      assert_equal "$(left_of_job)" ""
      points=$((points + 1))
    done
    hook epilog $JOB
  done
  [ "$points" -ge 5 ] || fail "only $points points"
}

# A file is on the disk before it gets its name, and the name before the next effect begins. The lease file and each
# record are replaced like that.
@test "a loss of power leaves the old file or the new one" {
  run -0 hook prolog $JOB strace -qq -o strace.out -e trace=openat,fsync,renameat
  # The state that users read and the copy of the configuration are of no use then, and not synced.
  grep -v '"\.state\.tmp"\|"state"\|cloud\.toml' strace.out >calls
  run -0 awk '
    function number(text) { sub(/^[^(]*\(/, "", text); sub(/[,)].*/, "", text); return text }
    /^openat\(.*\.tmp"/ { fd = $NF; synced = 0 }
    /^fsync\(/ { if (number($0) == fd) synced = 1; if (waiting != "" && number($0) == waiting) waiting = "" }
    /^renameat\(.*\.tmp"/ {
      if (waiting != "") { print "a name was not synced before the next: " $0; exit }
      if (!synced) { print "a file was renamed before it was synced: " $0; exit }
      waiting = number($0); renamed++
    }
    END { if (waiting != "") print "the last name was not synced"; if (renamed < 3) print "only " renamed " files were replaced" }
    ' calls
  assert_output ""
  run -0 hook epilog $JOB
}
