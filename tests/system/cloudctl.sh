#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cloudctl beside running machines: enter, console, logs, trace, doctor, and reconcile with stray machines.
. "$(dirname "$0")/lib.sh"
CLOUDCTL=$PLAYGROUND/prefix/sbin/cloudctl
cloudctl() { "$CLOUDCTL" --config "$CONFIG" --node "$NODE" "$@"; }
user_ctl() { as_user "$CLOUDCTL" --config "$CONFIG" --node "$NODE" "$@"; }
other_ctl() { runuser -u nobody -- timeout 60 "$CLOUDCTL" --config "$CONFIG" --node "$NODE" "$@"; }
state_of() { echo "$PLAYGROUND/run/$NODE/jobs/$1/state"; }
chmod 755 "$PLAYGROUND"

as_user srun -Q -w "$NODE" -J box --cloud-type=lxc --cloud-run=host sleep 500 >box.out 2>&1 &
eventually 20 is_running box
box=$(job_id_of box)
eventually 20 grep -qs phase=ready "$(state_of "$box")"
is "enter: a command, word by word, and its exit status" '1 -c --node [a,b]7' \
  "$(user_ctl enter "$box" -- sh -c 'echo "$#" "$@"; exit 7' sh '-c --node [a,b]' | tr -d '\n'; echo "${PIPESTATUS[0]}")"
is "enter: in the machine" "$NODE-$box" "$(user_ctl enter "$box" -- hostname)"
is "enter: a shell by default" "$NODE-$box" "$(echo hostname | AS_USER_ENV=SHELL=/bin/sh user_ctl enter "$box" 2>/dev/null)"
has "enter: another user is refused" "job $box is not yours" "$(other_ctl enter "$box" -- id 2>&1)"
has "enter: root is told how" "runuser -u $JOB_USER -- cloudctl enter $box" "$(cloudctl enter "$box" -- id 2>&1)"
has "enter: a job that is not here" "job 999999 has no machine on node $NODE" "$(user_ctl enter 999999 2>&1)"
has "a command where none is wanted" "not expected: --" "$(cloudctl status -- id 2>&1)"
has "console: a container has none, and what to do" "of type lxc, has no console: cloudctl enter $box" "$(user_ctl console "$box" 2>&1)"
has "console --log: nor a log" "has no console" "$(user_ctl console --log "$box" 2>&1)"
out=$(user_ctl logs "$box")
has "logs: how the machine came up" "the machine is ready" "$out"
lacks "logs: not the keeper's for a user" "keeper.log" "$out"
has "logs: the keeper's for root" "$STATE/jobs/$box/keeper.log <==" "$(cloudctl logs "$box")"
has "logs: another user is refused" "job $box is not yours" "$(other_ctl logs "$box" 2>&1)"
out=$(cloudctl trace "$box")
for stage in 'prolog   address' 'keeper   start' 'keeper   boot' 'keeper   ready'; do has "trace: $stage" "$stage" "$out"; done
is "trace: perfetto's JSON" 'prolog machine X keeper start X' "$(cloudctl trace "$box" --format=perfetto | perl -MJSON::PP -0777 -ne '
  my @slices = grep { $_->{ph} ne "M" } @{decode_json($_)->{traceEvents}};
  print join " ", map { my $wanted = $_; map { "$_->{cat} $_->{name} $_->{ph}" } grep { $_->{name} eq $wanted && $_->{dur} > 0 } @slices } qw(machine start)')"

if [ -e "$PLAYGROUND/libvirt" ]; then
  as_user srun -Q -w "$NODE" -J guest --mem=700 --cloud-type=kvm --cloud-run=host sleep 300 >guest.out 2>&1 &
  eventually 20 is_running guest
  guest=$(job_id_of guest)
  eventually 20 test -S "$PLAYGROUND/run/$NODE/jobs/$guest/console.sock"
  has "enter: not before it is ready" "cannot be entered: it is booting" "$(user_ctl enter "$guest" 2>&1)"
  eventually 120 grep -qs phase=ready "$(state_of "$guest")"
  is "enter: a virtual machine" "$NODE-$guest" "$(user_ctl enter "$guest" -- hostname)"
  has "trace: what a guest's boot took" "keeper   kernel" "$(cloudctl trace "$guest")"
  # A guest that is ready for tasks may still be on the way to its console's prompt.
  shows_prompt() { [[ $(user_ctl console "$guest" </dev/null 2>/dev/null) == *'/ #'* ]]; }
  if eventually 60 shows_prompt; then ok "console: what was printed before, from a stdin without a terminal"; else fail "console: no prompt: $(user_ctl console "$guest" </dev/null 2>&1)"; fi
  answers() { [[ $(printf 'echo product $((6 * 7))\r' | user_ctl console "$guest" 2>&1) == *'product 42'* ]]; }
  if eventually 60 answers; then ok "console: input from a pipe is answered"; else fail "console: no answer to a pipe"; fi
  has "console --log: the same later" "product 42" "$(user_ctl console --log "$guest")"
  has "console: another user is refused" "job $guest is not yours" "$(other_ctl console "$guest" 2>&1)"
  has "console: and cannot use its socket" "Permission denied" "$(runuser -u nobody -- perl -MSocket -e '
    socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die $!; connect($s, pack_sockaddr_un($ARGV[0])) or print $!' "$PLAYGROUND/run/$NODE/jobs/$guest/console.sock" 2>&1)"

  # On a terminal of its own: `script` hands on what it reads, a key at a time.
  cat >terminal-fg.sh <<END
before=\$(stty -g)
"$CLOUDCTL" --config "$CONFIG" --node "$NODE" console $guest
status=\$?
[ "\$before" = "\$(stty -g)" ] && echo "restored \$status"
END
  # BYTES ANSWER: typed when the console is there, which is left when the answer is.
  type_in_console() {
    : >terminal.out
    { eventually 60 grep -q 'Ctrl-] detaches' terminal.out; sleep 1; printf "$1"
      eventually 60 grep -q "$2" terminal.out; printf '\035'
      eventually 60 grep -q restored terminal.out; } | as_user script -qec "bash $HOME_DIR/terminal-fg.sh" /dev/null >terminal.out
    cat terminal.out
  }
  out=$(type_in_console 'echo sum $((40 + 3))\r' 'sum 43')
  has "console on a terminal: says how to leave" "Ctrl-] detaches" "$out"
  has "console on a terminal: keys go to the machine" "sum 43" "$out"
  has "console on a terminal: Ctrl-] leaves and restores it" "detached; the machine goes on" "$out"
  has "console on a terminal: it is as before" "restored 0" "$out"
  out=$(type_in_console '\003echo alive $((1 + 1))\r' 'alive 2')
  has "console on a terminal: Ctrl-C is the machine's" "alive 2" "$out"
  cat >terminal-signal.sh <<END
before=\$(stty -g)
(for _ in \$(seq 300); do stty -a </dev/tty | grep -q -- ' -icanon' && break; sleep 0.1; done
 stty -a </dev/tty | grep -o -- ' -icanon'; sleep 0.3; pkill -\$1 -f "console $guest\$") &
"$CLOUDCTL" --config "$CONFIG" --node "$NODE" console $guest
echo "status \$?"
[ "\$before" = "\$(stty -g)" ] && echo restored
END
  for signal in TERM HUP INT; do
    : >terminal.out
    eventually 60 grep -q restored terminal.out | as_user script -qec "bash $HOME_DIR/terminal-signal.sh $signal" /dev/null >terminal.out 2>&1
    out=$(cat terminal.out)
    has "console, $signal: the terminal was raw" "-icanon" "$out"
    has "console, $signal: and is restored" "restored" "$out"
  done

  # What happens when libvirtd executes a create whose client has given up: a machine and no record.
  virsh=(virsh -q -c "$(sed -n 's/^uri = "\(.*\)"/\1/p' "$CONFIG")")
  cat >foreign.xml <<END
<domain type='qemu'><name>sc-$NODE-4242</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>
END
  timeout 60 "${virsh[@]}" create --paused foreign.xml >/dev/null
  rm -rf "$STATE/jobs/$guest"
  out=$(cloudctl reconcile 2>&1); is "reconcile with a stray guest" 0 $?
  has "reconcile: says what it ends" "sc-$NODE-$guest of backend 'kvm' belongs to no job that has a record" "$out"
  is "reconcile: ends the guest, and not one without our mark" "sc-$NODE-4242" "$(timeout 60 "${virsh[@]}" list --name | grep .)"
  is "reconcile: leaves no QEMU of it" "" "$(pgrep -f "guest=sc-$NODE-$guest,")"
  is "reconcile: nor its folder" no "$(test -e "$STATE/machines/sc-$NODE-$guest" && echo yes || echo no)"
  timeout 60 "${virsh[@]}" destroy "sc-$NODE-4242" >/dev/null
  scancel "$guest"
  is "reconcile: frees its address" 0 "$(grep -c ";$guest;USED" "$LEASES")"
else
  echo "# no libvirtd in this playground: consoles are not tested"
fi
init=$(sed -n 's/^init_pid=//p' "$(state_of "$box")")
has "reconcile: a machine with a record goes on" "spank-cloud-init" "$(tr '\0' ' ' <"/proc/${init:-none}/cmdline")"
rm -rf "$STATE/jobs/$box"
"$CLOUDCTL" --config "$CONFIG" --node "$SECOND_NODE" reconcile >/dev/null 2>&1
if [ -d "/proc/$init" ]; then ok "reconcile: another node's machines are not its own"; else fail "a reconcile of $SECOND_NODE ended a machine of $NODE"; fi
has "reconcile: a stray container" "sc-$NODE-$box of backend 'lxc'" "$(cloudctl reconcile 2>&1)"
if eventually 5 test ! -d "/proc/$init"; then ok "reconcile: is ended"; else fail "the init of a stray container lives"; fi
scancel "$box"
eventually 40 no_jobs

# doctor: nothing wrong here, and then one thing after the other.
out=$(cloudctl doctor); is "doctor: a node that works" 0 $?
lacks "doctor: has no problem" "problem" "$out"
has "doctor: asks Slurm" "ok      slurm TaskPlugin: task/cgroup" "$out"
has "doctor: needs root" "run it as root" "$(user_ctl doctor 2>&1)"
# NAME PART SED-SCRIPT: a configuration with one fault.
doctor_finds() {
  sed "$3" "$CONFIG" >"$PLAYGROUND/etc/faulty.toml"
  local out status
  out=$("$CLOUDCTL" --config "$PLAYGROUND/etc/faulty.toml" --node "$NODE" doctor 2>&1)
  status=$?
  has "doctor: $1" "$2" "$(grep ^problem <<<"$out")"
  is "doctor: $1: exit status" 1 $status
}
doctor_finds "a mistake of the configuration" "backend 'lxc' has no option 'colour'" 's/^\[backend.lxc\]/&\ncolour = "red"/'
doctor_finds "a bridge that is not there" "'br-absent' is no bridge of this node" 's/^bridge = .*/bridge = "br-absent"/'
doctor_finds "an image that is not there" "image tiny: $PLAYGROUND/images/absent" 's#^path = .*/images/tiny"#path = "'"$PLAYGROUND"'/images/absent"#'
doctor_finds "a program of a backend" "'init_program': /absent" 's#^init_program = .*#init_program = "/absent"#'
chmod o+w "$PLAYGROUND/images/tiny"
doctor_finds "an image that others can write" "chmod go-w $PLAYGROUND/images/tiny" ''
chmod o-w "$PLAYGROUND/images/tiny"
cp "$LEASES" leases.saved
sed 's/;;$/;77;USED/' leases.saved >"$LEASES"
doctor_finds "a pool that is used up" "has no free address (59 lines)" ''
cat leases.saved >"$LEASES"
mkdir -p "$PLAYGROUND/state/readonly"
mount -t tmpfs -o ro tmpfs "$PLAYGROUND/state/readonly"
doctor_finds "a folder that cannot be written" "write in $PLAYGROUND/state/readonly" 's#^run_dir = .*#run_dir = "'"$PLAYGROUND"'/state/readonly/run"#'
mount -o remount,rw "$PLAYGROUND/state/readonly"
sed 's#^state_dir = .*#state_dir = "'"$PLAYGROUND"'/state/readonly"#' "$CONFIG" >"$PLAYGROUND/etc/faulty.toml"
chmod 755 "$PLAYGROUND/state/readonly"
has "doctor: a state_dir in memory" "note    state_dir: $PLAYGROUND/state/readonly is a tmpfs" "$("$CLOUDCTL" --config "$PLAYGROUND/etc/faulty.toml" --node "$NODE" doctor 2>&1)"
umount "$PLAYGROUND/state/readonly"
rmdir "$PLAYGROUND/state/readonly"
if [ -e "$PLAYGROUND/libvirt" ]; then
  # In this test's own mount namespace: where a libvirtd of the machine would have its folders.
  mount -t tmpfs tmpfs /var/lib/libvirt
  mkdir -m 750 /var/lib/libvirt/qemu
  doctor_finds "a way to the guests' folders that is closed" "chmod o+x /var/lib/libvirt/qemu" 's#^uri = .*#uri = "qemu:///system"#'
  umount /var/lib/libvirt
  doctor_finds "a libvirtd that is not there" "libvirtd cannot be reached at qemu+unix:///system?socket=/absent" 's#^uri = .*#uri = "qemu+unix:///system?socket=/absent"#'
fi
mkdir -p "$PLAYGROUND/other"
cp "$LIBEXEC"/{enter,keeper,prolog,epilog} "$PLAYGROUND/other/"
has "doctor: programs beside each other" "0.1.0 are in $PLAYGROUND/other" "$(cloudctl doctor --libexec "$PLAYGROUND/other")"
printf '#!/bin/sh\necho 0.0.9\n' >"$PLAYGROUND/other/enter"
has "doctor: of different versions" "other/enter is version '0.0.9'" "$(cloudctl doctor --libexec "$PLAYGROUND/other")"
rm -r "$PLAYGROUND/other" "$PLAYGROUND/etc/faulty.toml"
has "doctor: without Slurm, a note" "note    slurm: not looked at" "$(SLURM_CONF=/absent cloudctl doctor)"
finish
