#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# zoo.sh CHECK ZOO: every backend of the zoo is refused by the check that is meant for it, with its reason, and by no
# other. CHECK is cloud-backend-check, ZOO the folder with the zoo's shared objects.
set -euo pipefail
check=$1 zoo=$2
slowness=${CLOUD_TEST_SLOWNESS:-1}
# In a cell, and below a folder that root alone can change, as the backends' own.
work=/var/lib/spank-cloud-zoo
mkdir "$work"

# NAME|CHECKS THAT REFUSE IT|PART OF THE REASON|OPTIONS. With --only, others refuse it, too: it is wrong everywhere.
zoo_list() {
  cat <<'END'
well_behaved|||
leaks_descriptor|growth|100 descriptors|
leaks_memory|growth|bytes of heap|
leaks_per_machine|growth_running|10 descriptors|
changes_directory|footprint|start(): the working directory was|
changes_umask|footprint|prepare(): the umask was|
changes_signal|footprint|stop(): the disposition of signal 13 was|
changes_environment|footprint|open(): the environment has changed|
leaves_thread|footprint|after close(): 1 threads more|
ignores_deadline|deadlines hung_machine|wait_ready() with 0 ms to go took|
waits_for_ever|hung_machine|of a machine that hangs: stop() with 300 ms to go took|
ends_later|hung_machine|of a machine that hangs: destroy() answered CLOUD_OK, and process|
asks_politely|hung_machine|of a machine that hangs: destroy() answered CLOUD_E_TIMEOUT|
ignores_cancellation|cancellation|stop(), cancelled after 0 ms, took|
destroys_once|twice unknown_machine deadlines hung_machine|a second time: destroy() answered CLOUD_E_NOT_FOUND|
starts_twice|twice|a second time, CLOUD_E_NODE was due: start() answered CLOUD_OK|
prints|footprint|start(): it printed 'starting'|
forgets_in_list|list|in a fresh process: list() names a running machine 0 times|
needs_its_memory|other_process list @killed|there is left: process|
leaves_process|killed_in_start|there is left: process|
outside_cgroup|cgroup|and not below|
gives_no_reason|messages|it gives no message|
tells_a_story|messages|its message is not one line|
exports_two|one_export loads|zoo_second_export|
may_be_unloaded|link_flags|without -z nodelete|
binds_lazily|link_flags|without -z now|
crashes_when_loaded|loads|crashes (Segmentation fault) while it is being loaded|
throws_when_asked|loads|cloud_backend_entry_v1() throws: no licence|
mumbles|options|its default 'heavy' is no integer|
invents_format|formats|no image can have its format 'tarball'|
hides_console|capabilities|does not claim CLOUD_CAP_CONSOLE|
takes_any_name|hostile_names|a machine with the name '' was started|
follows_names|hostile_references|destroy() followed a name|
uses_a_shell|hostile_fields|there is left: beside the work directory canary|
makes_home|hostile_fields|user.home '/../|
leaves_helper_in_open|killed_in_open|there is left: process|
leaves_helper_in_probe|killed_in_probe|there is left: process|
leaves_helper_in_info|killed_in_info|there is left: process|
leaves_helper_in_list|killed_in_list|there is left: process|
leaves_helper_in_close|killed_in_close|there is left: process|
leaves_file_in_prepare|killed_in_prepare|there is left: file /run/|
leaves_file_in_start|killed_in_start|there is left: file /run/|
leaves_file_in_console|killed_in_console|there is left: file /run/|
leaves_file_in_wait_ready|killed_in_wait_ready|there is left: file /run/|
leaves_file_in_stop|killed_in_stop|there is left: file /run/|
leaves_file_in_destroy|killed_in_destroy|there is left: file /run/|
claims_ssh|ssh sends_as_itself|did not call Host::guard_port|--boot-limit=3
claims_namespaces|namespaces|info()'s init_pid, is the node's|
owned_by_user|out_of_reach|(nobody), who may enter it and trace what runs there|
owned_by_account|out_of_reach|belongs to uid 1 (daemon), who may enter it|
runs_as_user|out_of_reach|while the machine is being started, its user nobody can reach process|
traceable_in_start|out_of_reach|while the machine is being started, its user nobody can reach process|
takes_signals|out_of_reach|of it: signal it|
has_mute_console|console|nothing came out of the console|
lies_about_state|life_cycle|info() says CLOUD_RUNNING after stop()|
keeps_running|destroys_running|there is left: process|--only=destroys_running
hangs|probe|it did not end within 2 s: it was in probe()|--only=probe --limit=2
ends_its_process|life_cycle|ended with exit status 3 in prepare()|--only=life_cycle
END
}

# NUMBER NAME: one of the list, in a folder of its own; prints what is wrong.
try() {
  local number=$1 name=$2 wanted reason options home=$work/$2 status=0 refused problems='' began=${EPOCHREALTIME/./} took
  IFS='|' read -r name wanted reason options < <(zoo_list | grep "^$name|")
  # Killed in every call but those that only prepare.
  wanted=${wanted/@killed/$(printf 'killed_in_%s ' open probe start wait_ready info list stop destroy close)}
  wanted=${wanted% }
  mkdir -p "$home"
  # Where nobody answers.
  printf '#IP;SLURM_JOB_ID;USED\n127.0.0.99;;\n' >"$home/iplist.csv"
  cat >"$home/cloud.toml" <<END
[cloud]
state_dir = "$home/state"
run_dir = "$home/run"
backend_dir = "$zoo"

[backend.$name]
image = "none"
registry = "$home/registry"
$([ "$name" != claims_ssh ] || printf 'pool = "nowhere"\n\n[pool.nowhere]\nfile = "%s/iplist.csv"\nbridge = "lo"\n' "$home")

[image.none]
path = "/"
END
  # That no other check refuses it is seen in the long run, and here of a right one.
  if [ -z "${CLOUD_TEST_LONG:-}" ] && [ -n "$wanted" ] && [[ $options != *--only* ]]; then
    options+="$(printf ' --only=%s' $wanted)"
    [[ $options == *life_cycle* ]] || options+=" --only=life_cycle"
  fi
  [[ $options == *--limit* ]] || options+=" --limit=$((120 * slowness))"
  # shellcheck disable=SC2086
  timeout $((240 * slowness)) "$check" --live --not-installed --config "$home/cloud.toml" $options \
    "$zoo/cloud_backend_$name.so" >"$home/tap" 2>"$home/err" || status=$?
  refused=$(sed -n 's/^not ok [0-9]* - \([a-z_]*\):.*/\1/p' "$home/tap" | xargs)
  [ "$refused" = "$wanted" ] || problems+="refused by '$refused', not by '$wanted'; "
  [ -z "$reason" ] || grep '^# ' "$home/tap" | grep -qF -- "$reason" || problems+="no reason '$reason'; "
  [ "$status" = "$([ -z "$wanted" ] && echo 0 || echo 1)" ] || problems+="exit status $status; "
  [ -z "$(ls -A "$home/registry" "$home/state" 2>/dev/null | grep -v '^/' | xargs)" ] || problems+="something is left in $home; "
  took="in $(((${EPOCHREALTIME/./} - began) / 1000))ms"
  if [ -z "$problems" ]; then
    echo "ok $number $name $took"
  else
    echo "not ok $number $name $took: $problems"
    sed 's/^/    /' "$home/tap" "$home/err"
  fi
}
export -f try zoo_list
export check zoo work slowness
# They mostly sleep.
zoo_list | cut -d'|' -f1 | nl -w1 -s' ' | xargs -P "${ZOO_JOBS:-6}" -L1 bash -c 'try "$@"' try >"$work/result" || true
# Every one that is built was tried, and every one that is listed has an answer.
[ "$(grep -cE '^(not )?ok ' "$work/result")" = "$(zoo_list | wc -l)" ] ||
  echo "not ok - not all of the list have an answer" >>"$work/result"
[ "$(zoo_list | cut -d'|' -f1 | sort)" = "$(find "$zoo" -name '*.so' -printf '%f\n' | sed 's/^cloud_backend_//; s/\.so$//' | sort)" ] ||
  echo "not ok - the list is not what is built" >>"$work/result"
# Its file alone needs no settings, though it has an option that is required.
"$check" --not-installed "$zoo/cloud_backend_well_behaved.so" >"$work/static" ||
  { cat "$work/static"; echo "not ok - well_behaved, without machines"; } >>"$work/result"
# One that others can write, in its own folder.
mkdir "$work/open"
cp "$zoo/cloud_backend_well_behaved.so" "$work/open/"
chmod g+w "$work/open/cloud_backend_well_behaved.so"
! "$check" "$work/open/cloud_backend_well_behaved.so" >"$work/open/tap" 2>&1 && grep -q '^# .*chmod go-w' "$work/open/tap" &&
  [ "$(sed -n 's/^not ok [0-9]* - \([a-z_]*\):.*/\1/p' "$work/open/tap" | head -1)" = trusted_path ] ||
  { cat "$work/open/tap"; echo "not ok - trusted_path does not refuse a file that others can write"; } >>"$work/result"
# No check without one that it refuses.
names=$("$check" --list | cut -d' ' -f1)
[ -n "$names" ] || echo "not ok - --list names no check" >>"$work/result"
for name in $names; do
  [ "$name" = trusted_path ] || zoo_list | cut -d'|' -f2 | grep -qw "$name" ||
    echo "not ok - $name refuses none of the zoo" >>"$work/result"
done
cat "$work/result"
! grep -q '^not ok' "$work/result"
