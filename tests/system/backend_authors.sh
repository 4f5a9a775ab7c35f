#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/backend-authors.md, run as it stands: from an empty folder to a job. Then what its backend promises.
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/system/lib.sh"
CLOUDCTL=$PLAYGROUND/prefix/sbin/cloudctl
BACKENDS=$PLAYGROUND/prefix/lib/spank-cloud/backends
MARKS=/run/spank-cloud-bubblewrap
had_marks=$(test -e $MARKS && echo yes)
work=$PLAYGROUND/author
rm -rf "$work"
mkdir -p "$work/doc" "$work/project"
cp "$CONFIG" "$work/config.saved"
cleanup() {
  cat "$work/config.saved" >"$CONFIG"
  rm -rf "$work" "$BACKENDS"/cloud_backend_{bubblewrap,fragile}.so
  [ -n "$had_marks" ] || rmdir $MARKS 2>/dev/null
}
trap cleanup EXIT

# Each block is a file doc/NN.LANGUAGE.WORD, in the page's order.
awk -v dir="$work/doc" '
  /^```/ && !inside { inside = 1; split(substr($0, 4), words, " "); gsub("/", "_", words[2])
                      file = sprintf("%s/%02d.%s.%s", dir, ++count, words[1], words[2]); printf "" >file; next }
  /^```/ { inside = 0; close(file); next }
  inside { print >file }' "$root/docs/backend-authors.md"
for file in CMakeLists.txt bubblewrap.cpp; do
  if cmp -s "$work/doc"/*."$file" "$root/examples/backend/$file"; then ok "the page's $file is the example's"; else fail "the page's $file is not the example's"; fi
done

# Where the page has names of a site, in place of this one's.
any_node="($(tr ' ' '|' <<<"$NODES"))"
as_in_the_page() {
  sed -E "s#$PLAYGROUND/prefix#/usr#g; s#$CONFIG#/etc/spank-cloud/cloud.toml#g; s#\b$any_node-[0-9]+#node17-4711#g; s#$JOB_USER#ann#g"
}
blocks=0 skipped=0 matched=0
cd "$work/project"
: >"$work/output"
for block in "$work/doc"/*; do
  case $(basename "$block") in
    *.sh.as=user)
      cp "$block" "$HOME_DIR/block.sh"
      (cd "$HOME_DIR" && as_user bash -euo pipefail block.sh) </dev/null >"$work/output" 2>"$work/errors"
      status=$?
      is "block $(basename "$block")" 0 $status
      blocks=$((blocks + 1))
      ;;
    *.sh.)
      if grep -q '^cloud-backend-check ' "$block" && [ ! -x "$PLAYGROUND/prefix/sbin/cloud-backend-check" ]; then
        echo "# skipped: cloud-backend-check is not built"
        skipped=$((skipped + 1))
        continue
      fi
      # What a block sets is there for the next, as in the reader's shell.
      { [ ! -e "$work/variables" ] || cat "$work/variables"; cat "$block"; echo "declare -p prefix config image user PATH >'$work/variables'"; } >"$work/run"
      prefix=$PLAYGROUND/prefix config=$CONFIG image=tiny user=$JOB_USER timeout 300 bash -euo pipefail "$work/run" </dev/null >"$work/output" 2>"$work/errors"
      status=$?
      is "block $(basename "$block"): $(head -1 "$block" | cut -c1-60)" 0 $status
      [ "$failures" = 0 ] || { cat "$work/output" "$work/errors"; exit 1; }
      blocks=$((blocks + 1))
      ;;
    *.text.)
      wanted=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' "$block")
      got=$(as_in_the_page <"$work/output")
      # shellcheck disable=SC2053
      if [[ $got == $wanted ]]; then ok "prints what $(basename "$block") says"; else fail "$(basename "$block") says '$(cat "$block")' and it prints '$got'"; fi
      matched=$((matched + 1))
      ;;
    *.cmake.*|*.cpp.*) cp "$block" "$(basename "$block" | sed 's/^[0-9]*\.[a-z]*\.//')" ;;
    *) fail "a block that is not run: $(basename "$block")" ;;
  esac
done
page=$root/docs/backend-authors.md
is "every block was run or compared" "$(grep -c '^```sh' "$page") $(grep -c '^```text' "$page")" "$((blocks + skipped)) $matched"
if [ "$blocks" -gt 8 ] && [ "$matched" -gt 3 ]; then ok "and there are some"; else fail "only $blocks blocks were run and $matched compared"; fi
cd "$HOME_DIR"

run() { as_user srun -Q -w "$NODE" --cloud-type=bubblewrap "$@" 2>&1 | without_waiting; }
state_of() { echo "$PLAYGROUND/run/$NODE/jobs/$1/state"; }
init_of() { sed -n 's/^init_pid=//p' "$(state_of "$1")"; }
marks() { find $MARKS -name "sc-$NODE-*" -printf '%f\n' 2>/dev/null; }
start() {  # NAME
  as_user srun -Q -w "$NODE" -J "$1" --cloud-type=bubblewrap --cloud-run=host sleep 120 >"$1.out" 2>&1 &
  eventually 20 is_running "$1"
  eventually 20 grep -qs phase=ready "$(state_of "$(job_id_of "$1")")"
}
is "the user's ids and groups" "$JOB_UID $(id -G "$JOB_USER" | tr ' ' '\n' | sort -n | xargs)" \
  "$(run sh -c 'id -u; id -G' | tr ' ' '\n' | sort -n | xargs | awk -v u="$JOB_UID" '{print u, $0}' | sed "s/ $JOB_UID $JOB_UID/ $JOB_UID/")"
is "no capability" 0000000000000000 "$(run grep CapEff /proc/self/status | cut -f2)"
is "the same folder, with the user's files" "$HOME_DIR $JOB_USER" "$(run sh -c 'pwd; echo x >from-bubblewrap; stat -c %U from-bubblewrap' | xargs)"
is "the exit status" 7 "$(run sh -c 'exit 7' >/dev/null; echo $?)"
has "the image is read-only" "Read-only file system" "$(run touch /usr/x)"
as_user mkdir -p shared && as_user sh -c 'echo shown >shared/f'
is "--cloud-mount" shown "$(run --cloud-mount="$HOME_DIR/shared:/mnt/s:ro" cat /mnt/s/f)"
has "read-only" "Read-only file system" "$(run --cloud-mount="$HOME_DIR/shared:/mnt/s:ro" touch /mnt/s/g)"

start box
id=$(job_id_of box) init=$(init_of "$(job_id_of box)")
is "one mark" "sc-$NODE-$id" "$(marks)"
# (With v1 also those that Slurm does not use; the unified hierarchy beside it and systemd's have no controller.)
groups=$(for pid in "$init" $(pgrep -f "sc-$NODE-$id/passwd") $(pgrep -P "$init"); do
  grep -vE '^[0-9]+:name=' "/proc/$pid/cgroup" | { [ -e /sys/fs/cgroup/cgroup.controllers ] && cat || grep -v '^0::'; } | cut -d: -f3; done | sort | uniq -c)
is "every process of it is in one group of the job's, in each hierarchy" "1 /job_$id/" \
  "$(wc -l <<<"$groups") $(grep -o "/job_$id/.*/machine\$" <<<"$groups" | cut -d/ -f1-2 | sed 's#$#/#')"
has "its owner is the user" "$JOB_UID" "$(stat -c %u "/proc/$init")"
has "another user does not get in" "only the job's user can" "$(cp "$(state_of "$id")" "$work/state"; chmod 755 "$PLAYGROUND" "$work"; chmod 644 "$work/state"
  runuser -u nobody -- timeout 20 "$LIBEXEC/enter" --dir "$work" -- id 2>&1)"
scancel "$id"
if left=$(node_is_clean); then ok "its end leaves nothing"; else fail "its end leaves:$left"; fi
is "nor a mark, nor a process" "" "$(marks; pgrep -f "sc-$NODE-$id/passwd")"

start orphan
id=$(job_id_of orphan)
kill -9 "$(sed -n 's/^keeper_pid=//p' "$(state_of "$id")")"
scancel "$id"
if left=$(node_is_clean); then ok "a killed keeper leaves nothing after the epilog"; else fail "a killed keeper leaves:$left"; fi
is "nor a mark, nor a process" "" "$(marks; pgrep -f "sc-$NODE-$id/passwd")"

start stray
id=$(job_id_of stray)
rm -rf "$STATE/jobs/$id"
has "reconcile finds a machine without a record" "sc-$NODE-$id of backend 'bubblewrap'" "$("$CLOUDCTL" --config "$CONFIG" --node "$NODE" reconcile 2>&1)"
is "and ends it" "" "$(marks; pgrep -f "sc-$NODE-$id/passwd")"
scancel "$id"
eventually 40 no_jobs

cp "$CONFIG" "$work/config.on"
sed -i 's/^\[backend.bubblewrap\]/&\npool = "playground"/' "$CONFIG"
has "an address that it cannot have" "take 'pool' out of its table" "$(run hostname)"
cat "$work/config.on" >"$CONFIG"
sed -i 's#^\[backend.bubblewrap\]#&\nprogram = "/bin/false"#' "$CONFIG"
has "an engine that fails" "/bin/false did not start the machine" "$(run hostname)"
sed -i 's#^program = "/bin/false"#program = "/absent"#' "$CONFIG"
has "an engine that is not there" "/absent is no program that can be run" "$(run hostname)"
cat "$work/config.on" >"$CONFIG"
eventually 40 no_jobs

# A file that crashes while it is loaded takes nothing with it.
cat >"$work/fragile.c" <<'C'
#include <signal.h>
__attribute__((constructor)) static void crash(void) { raise(SIGSEGV); }
const void* cloud_backend_entry_v1(void) { return 0; }
C
gcc -shared -fPIC -o "$BACKENDS/cloud_backend_fragile.so" "$work/fragile.c"
printf '\n[backend.fragile]\nimage = "tiny"\n' >>"$CONFIG"
crash="cloud_backend_fragile.so: crashes (Segmentation fault) while it is being loaded"
out=$("$CLOUDCTL" --config "$CONFIG" check 2>&1); is "check survives a file that crashes" 1 $?
has "and says which" "$crash" "$out"
out=$("$CLOUDCTL" --config "$CONFIG" backend list 2>&1); is "backend list: an enabled one is broken" 1 $?
has "backend list: which" "problem fragile: enabled at $CONFIG:" "$out"
has "backend list: and which are not" "ok      lxc: " "$out"
has "backend list: of what is not configured" "ok      null: 0.1.0, not in the configuration" "$out"
has "backend show of it" "$crash" "$("$CLOUDCTL" --config "$CONFIG" backend show fragile 2>&1)"
is "backend show of it fails" 1 "$("$CLOUDCTL" --config "$CONFIG" backend show fragile >/dev/null 2>&1; echo $?)"
has "doctor goes on after it" "ok      backend bubblewrap" "$("$CLOUDCTL" --config "$CONFIG" --node "$NODE" doctor 2>&1)"
has "its job is told why" "$crash" "$(as_user srun -Q -w "$NODE" --cloud-type=fragile hostname 2>&1)"
has "others' jobs run" "$NODE-" "$(as_user srun -Q -w "$NODE" --cloud-type=lxc hostname 2>&1)"
has "here, too" "$NODE-" "$(run hostname)"
finish
