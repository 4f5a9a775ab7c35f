# SPDX-License-Identifier: Apache-2.0
# docs/backend-authors.md, run as it stands: from an empty folder to a job. Then what its backend promises.
load lib

PAGE=$ROOT/docs/backend-authors.md
MARKS=/run/spank-cloud-bubblewrap
# The page's project, what its blocks have said, and the configuration that it ends with.
work=$PLAYGROUND/author

# Every case is about what the page makes. A block that fails is found by the case of the page.
setup_file() {
  rm -rf "$work"
  mkdir -p "$work"/{page,project,said}
  name_installed_packages
  # Each block is a file page/NN.LANGUAGE.WORD, in the page's order.
  awk -v dir="$work/page" '
    /^```/ && !inside { inside = 1; split(substr($0, 4), words, " "); gsub("/", "_", words[2])
                        file = sprintf("%s/%02d.%s.%s", dir, ++count, words[1], words[2]); printf "" >file; next }
    /^```/ { inside = 0; close(file); next }
    inside { print >file }' "$PAGE"
  cd "$work/project"
  local block
  for block in "$work/page"/*; do run_block "${block##*/}"; done
  cp "$CONFIG" "$work/cloud.toml"
  restore_configuration
}
teardown_file() {
  rm -rf "$work" "$BACKENDS/cloud_backend_bubblewrap.so" /var/lib/dpkg
  rmdir $MARKS 2>/dev/null || true
}
setup() {
  begin_case
  cat "$work/cloud.toml" >"$CONFIG"
}
teardown() {
  rm -f "$BACKENDS/cloud_backend_fragile.so"
  chmod 755 "$work"
  end_case
}

# What the machine has installed is out of sight in the cell. With this apt-get has nothing to do.
name_installed_packages() {
  mkdir -p "$work/var" /var/lib/dpkg
  mount --bind /var "$work/var"
  cp "$work/var/lib/dpkg/status" /var/lib/dpkg/ || true
  umount "$work/var"
}
has_conformance_suite() { [ -x "$PLAYGROUND/prefix/sbin/cloud-backend-check" ]; }
# NAME: what it prints is in said/NAME, and its status in said/NAME.status.
run_block() {
  local status=0
  case $1 in
    *.sh.as=user)
      cp "$work/page/$1" "$HOME_DIR/block.sh"
      (cd "$HOME_DIR" && as_user bash -euo pipefail block.sh) </dev/null >"$work/said/$1" 2>"$work/said/$1.errors" || status=$?
      ;;
    *.sh.)
      if is_skipped "$1"; then return 0; fi
      # What a block sets is there for the next, as in the reader's shell.
      {
        cat "$work/variables" 2>/dev/null || true
        cat "$work/page/$1"
        echo "declare -p prefix config image user PATH >'$work/variables'"
      } >"$work/run"
      prefix=$PLAYGROUND/prefix config=$CONFIG image=tiny user=$JOB_USER timeout "$((300 * SLOWNESS))" bash -euo pipefail "$work/run" \
        </dev/null >"$work/said/$1" 2>"$work/said/$1.errors" 3>&- || status=$?
      ;;
    *.cmake.*|*.cpp.*) cp "$work/page/$1" "$(sed 's/^[0-9]*\.[a-z]*\.//' <<<"$1")" ;;
  esac
  echo "$status" >"$work/said/$1.status"
}
is_skipped() { ! has_conformance_suite && grep -q '^cloud-backend-check ' "$work/page/$1"; }
# The page has a site's names in place of this one's.
as_in_the_page() {
  sed -E "s#$PLAYGROUND/prefix#/usr#g; s#$CONFIG#/etc/spank-cloud/cloud.toml#g; s#\b(${NODES// /|})-[0-9]+#node17-4711#g; s#$JOB_USER#ann#g"
}

in_box() { quietly as_user srun -Q -w "$NODE" --cloud-type=bubblewrap "$@"; }
marks() { find $MARKS -name "sc-$NODE-*" -printf '%f\n' 2>/dev/null || true; }
# JOB: its mark and its processes.
left_of() { marks; pgrep -af "sc-$NODE-$1/passwd" || true; }
# A case's own configuration is the page's with that line in the backend's table.
with_option() { sed "s#^\[backend.bubblewrap\]#&\n$1#" "$work/cloud.toml" >"$CONFIG"; }

@test "the page's project is that of examples/backend" {
  local file
  for file in CMakeLists.txt bubblewrap.cpp; do run -0 diff "$work/page"/*."$file" "$ROOT/examples/backend/$file"; done
}

@test "every block of the page runs, and prints what the page says" {
  local block name last='' blocks=0 skipped=0 matched=0 wanted got
  for block in "$work/page"/*; do
    name=${block##*/}
    case $name in
      *.sh.|*.sh.as=user)
        last=$work/said/$name
        if is_skipped "$name"; then skipped=$((skipped + 1)); continue; fi
        blocks=$((blocks + 1))
        [ "$(<"$last.status")" = 0 ] || fail "$name: $(cat "$block" "$last" "$last.errors")"
        ;;
      *.text.)
        matched=$((matched + 1))
        wanted=$(sed 's/[][*?\\]/\\&/g; s/…/*/g' "$block")
        got=$(as_in_the_page <"$last")
        # shellcheck disable=SC2053
        [[ $got == $wanted ]] || fail "$name says '$(<"$block")' and it prints '$got'"
        ;;
      *.cmake.*|*.cpp.*) ;;
      *) fail "a block that is not run: $name" ;;
    esac
  done
  assert_equal "$((blocks + skipped)) $matched" "$(grep -c '^```sh' "$PAGE") $(grep -c '^```text' "$PAGE")"
  assert [ "$blocks" -gt 8 ]
  assert [ "$matched" -gt 3 ]
}

@test "a task in it is the job's user, in the same folder, without any capability" {
  run -0 in_box sh -c 'id -u; pwd; grep CapEff /proc/self/status | cut -f2; echo x >from-bubblewrap; id -G | tr " " "\n" | sort -n'
  assert_output "$JOB_UID
$HOME_DIR
0000000000000000
$(id -G "$JOB_USER" | tr ' ' '\n' | sort -n)"
  assert_equal "$(stat -c %U from-bubblewrap)" "$JOB_USER"
  run -7 in_box sh -c 'exit 7'
}

@test "its image is read-only, and --cloud-mount shows a folder" {
  run in_box touch /usr/x
  assert_output --partial "Read-only file system"
  as_user sh -c 'mkdir shared; echo shown >shared/f'
  run -0 in_box --cloud-mount="$HOME_DIR/shared:/mnt/s:ro" cat /mnt/s/f
  assert_output shown
  run in_box --cloud-mount="$HOME_DIR/shared:/mnt/s:ro" touch /mnt/s/g
  assert_output --partial "Read-only file system"
}

@test "every process of it is in one group of the job's, and its end leaves nothing" {
  local init pid groups
  machine bubblewrap
  assert_equal "$(marks)" "sc-$NODE-$job"
  init=$(state_of "$job" init_pid)
  # (With v1 also those that Slurm does not use; the unified hierarchy beside it and systemd's have no controller.)
  groups=$(for pid in "$init" $(pgrep -f "sc-$NODE-$job/passwd") $(pgrep -P "$init"); do
    grep -vE '^[0-9]+:name=' "/proc/$pid/cgroup" | if [ -e /sys/fs/cgroup/cgroup.controllers ]; then cat; else grep -v '^0::'; fi |
      cut -d: -f3
  done | sort -u)
  # One, in each hierarchy.
  assert_regex "$groups" "^[^[:space:]]*/job_$job/[^[:space:]]*/machine\$"
  # Root of the machine: on the node an id that nobody has.
  run -2 getent passwd "$(stat -c %u "/proc/$init")"
  end_jobs "$job"
  node_is_clean
  assert_equal "$(left_of "$job")" ""
}

@test "another user does not get in" {
  machine bubblewrap
  chmod 755 "$work"
  cp "$RUN/jobs/$job/state" "$work/state"
  chmod 644 "$work/state"
  run as_other "$LIBEXEC/enter" --dir "$work" -- id
  assert_failure
  assert_output --partial "only the job's user can"
}

@test "where its keeper was killed, the epilog ends it" {
  machine bubblewrap
  kill -9 "$(state_of "$job" keeper_pid)"
  end_jobs "$job"
  node_is_clean
  assert_equal "$(left_of "$job")" ""
}

@test "reconcile ends one that has no record" {
  machine bubblewrap
  rm -rf "$STATE/jobs/$job"
  run cloudctl reconcile
  assert_output --partial "sc-$NODE-$job of backend 'bubblewrap'"
  assert_equal "$(left_of "$job")" ""
}

@test "an address that it cannot have, an engine that fails, and one that is not there are named" {
  with_option 'pool = "playground"'
  run in_box hostname
  assert_output --partial "take 'pool' out of its table"
  with_option 'program = "/bin/false"'
  run in_box hostname
  assert_output --partial "/bin/false did not start the machine"
  with_option 'program = "/absent"'
  run in_box hostname
  assert_output --partial "/absent is no program that can be run"
}

@test "a backend that crashes while it is loaded takes nothing with it" {
  local crash="cloud_backend_fragile.so: crashes (Segmentation fault) while it is being loaded"
  cat >fragile.c <<'C'
#include <signal.h>
__attribute__((constructor)) static void crash(void) { raise(SIGSEGV); }
const void* cloud_backend_entry_v1(void) { return 0; }
C
  gcc -shared -fPIC -o "$BACKENDS/cloud_backend_fragile.so" fragile.c
  printf '\n[backend.fragile]\nimage = "tiny"\n' >>"$CONFIG"
  run -1 cloudctl check
  assert_output --partial "$crash"
  run -1 cloudctl backend list
  assert_output --partial "problem fragile: enabled at $CONFIG:"
  assert_output --partial "ok      lxc: "
  assert_output --partial "ok      null: 0.1.0, not in the configuration"
  run -1 cloudctl backend show fragile
  assert_output --partial "$crash"
  run cloudctl doctor
  assert_output --partial "ok      backend bubblewrap"
  # Its job is told why, and others' run.
  run on_node -w "$NODE" --cloud-type=fragile hostname
  assert_output --partial "$crash"
  run -0 in_lxc -w "$NODE" hostname
  assert_output --partial "$NODE-"
  run -0 in_box hostname
  assert_output --partial "$NODE-"
}
