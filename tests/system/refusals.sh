#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bad input: a clear word on the user's terminal, a job that fails, a node that stays.
. "$(dirname "$0")/lib.sh"
run() { as_user srun -Q "$@" hostname 2>&1; }
refused() {  # NAME PART OPTION...
  local name=$1 part=$2 text
  shift 2
  text=$(run "$@")
  if [ $? = 0 ]; then fail "$name: the job ran"; else has "$name" "$part" "$text"; fi
}
long=$(printf 'a%.0s' $(seq 300))
refused "unknown type" "choose kvm or lxc" --cloud-type=xen
refused "unknown image" "this site has tiny, tiny-squashfs" --cloud=lxc --cloud-image=nope
refused "lone image" "needs a type" --cloud-image=tiny
refused "contradiction" "contradict" --cloud=lxc --cloud-type=kvm
refused "bad create" "choose yes or no" --cloud-create=maybe
refused "bad run" "choose steps, all or host" --cloud=lxc --cloud-run=x
refused "missing mount" "/no/such: No such file" --cloud=lxc --cloud-mount=/no/such
refused "foreign mount" "Permission denied" --cloud=lxc --cloud-mount=/root
refused "a socket as mount" "neither a folder nor a regular file" --cloud=lxc --cloud-mount="$PLAYGROUND/slurm/munge/socket:/mnt/s"
mkfifo -m 666 pipe
refused "a FIFO as mount" "neither a folder nor a regular file" --cloud=lxc --cloud-mount="$HOME_DIR/pipe:/mnt/p"
echo top-secret >"$PLAYGROUND/secret-file" && chmod 600 "$PLAYGROUND/secret-file"
ln -f "$PLAYGROUND/secret-file" hard-link
refused "a hard link to what the user cannot read" "Permission denied" --cloud=lxc --cloud-mount="$HOME_DIR/hard-link:/mnt/h"
refused "the same as user-data" "Permission denied" --cloud=kvm --mem=700 --cloud-user-data="$HOME_DIR/hard-link"
rm -f pipe hard-link "$PLAYGROUND/secret-file"
refused "what root's process has open" "Too many levels of symbolic links" --cloud=lxc --cloud-mount=/proc/self/fd/2:/mnt/s
refused "mount over /proc" "shall not be at or below /proc" --cloud=lxc --cloud-mount=/tmp:/proc/x
refused "relative mount" "absolute path" --cloud=lxc --cloud-mount=tmp
refused "dots in mount" "'..'" --cloud=lxc --cloud-mount=/tmp/../root
for value in 'l;touch pwned' '$(touch pwned)' '`touch pwned`' '../lxc' '' "$long" $'lxc\nx' 'lxç' '-x' '%n'; do
  refused "type '${value:0:12}'" "--cloud-type" --cloud-type="$value"
  refused "image '${value:0:12}'" "--cloud-image" --cloud=lxc --cloud-image="$value"
done
is "no payload ran" "" "$(find "$HOME_DIR" -name 'pwned*')"
has "root gets no machine" "ordinary user" "$(timeout 60 srun -Q --cloud=lxc hostname 2>&1)"

text=$(as_user salloc -Q -n1 sh -c 'srun -Q --cloud-type=lxc hostname' 2>&1)
has "a step cannot ask for what its job has not" "has no machine on node" "$text"

# Anybody can set what the prolog sees, without our plugin: the prolog is the boundary.
hostile() {  # NAME PART VAR=VALUE...
  local name=$1 part=$2
  shift 2
  env -i SLURM_JOB_ID=999001 SLURM_JOB_UID="$JOB_UID" SLURM_JOB_GID="$(id -g "$JOB_USER")" SLURM_JOB_USER="$JOB_USER" \
    SLURMD_NODENAME="$NODE" "$@" "$PLAYGROUND/etc/prolog" >hostile.log 2>&1
  is "$name: the prolog does not drain the node" 0 $?
  has "$name" "$part" "$(cat "$PLAYGROUND/run/$NODE/jobs/999001/state" 2>&1)"
  env -i SLURM_JOB_ID=999001 SLURM_JOB_UID="$JOB_UID" SLURMD_NODENAME="$NODE" "$PLAYGROUND/etc/epilog" >/dev/null 2>&1
}
hostile "newline in a type" "--cloud-type" SPANK_cloud_type=$'lxc\nphase=ready'
hostile "path in a type" "--cloud-type" SPANK_cloud_type=../../lxc
hostile "a huge image name" "--cloud-image" SPANK_cloud_type=lxc SPANK_cloud_image="$(head -c 100000 /dev/zero | tr '\0' a)"
hostile "invalid UTF-8" "--cloud-mount" SPANK_cloud_type=lxc SPANK_cloud_mount=$'/tmp/\xff\xfe'
hostile "a shell in create" "--cloud-create" SPANK_cloud_type=lxc SPANK_cloud_create='$(reboot)'

broken() {  # NAME PART SED-EXPRESSION: the configuration broken in one place
  cp "$CONFIG" config.saved
  sed -i "$3" "$CONFIG"
  refused "$1" "$2" --cloud=lxc
  is "$1: a job without options runs" "$(hostname)" "$(run)"
  cat config.saved >"$CONFIG"
}
broken "broken TOML" "cloud.toml:" 's/^\[cloud\]/[cloud/'
broken "an unclosed table array" "cloud.toml:" '$a [[['
broken "an unclosed value" "cloud.toml:" '$a a = [1,'
broken "a lone quote" "cloud.toml:" '$a "'
broken "unknown key" "did you mean 'boot_timeout'?" 's/^boot_timeout/boot_timeuot/'
broken "bridge missing" "bridge 'nobridge' does not exist" 's/^bridge = .*/bridge = "nobridge"/'
broken "image folder missing" "No such file or directory" "s#images/tiny\"#images/gone\"#"
broken "image is no root" "holds no root file system" "s#images/tiny\"#run\"#"
broken "image is no squashfs" "no squashfs" "s#images/tiny\"#etc/user\"\nformat = \"squashfs\"#"
broken "backend option" "has no option 'writeable'; did you mean 'writable'?" 's/^image = "tiny"/image = "tiny"\nwriteable = "disk"/'
broken "no lease file" "lease file" "s#iplist.csv#nolist.csv#"
broken "backend folder" "does not exist" "s#spank-cloud/backends#spank-cloud/nobackends#"

# A second type: machines that only exist on paper, and take 20 s to boot.
cp "$CONFIG" config.saved
printf '[backend.null]\nimage = "tiny"\nregistry = "%s/run/null"\nboot_ms = 20000\n' "$PLAYGROUND" >>"$CONFIG"
has "srun --help lists the enabled types" "--cloud-type=[kvm|lxc|null]" "$(as_user srun --help)"
text=$(as_user salloc -Q --cloud-type=lxc srun -Q --cloud-type=null hostname 2>&1)
has "a step of another type than its job's" "this step asks for --cloud-type=null and its job has a machine of type lxc" "$text"
text=$(as_user salloc -Q --cloud-type=lxc srun -Q --cloud-image=gone hostname 2>&1)
has "a step of another image than its job's" "this step asks for --cloud-image=gone and its job's machine has image tiny" "$text"
is "a step that asks for its job's image" "0" "$(as_user salloc -Q --cloud-type=lxc srun -Q --cloud-image=tiny true >/dev/null 2>&1; echo $?)"
is "a step without the machine" "$(hostname)" "$(as_user salloc -Q --cloud-type=lxc srun -Q --cloud-create=no hostname 2>&1)"
is "a step without it by a variable" "$(hostname)" "$(as_user salloc -Q --cloud-type=lxc env SLURM_CLOUD_CREATE=no srun -Q hostname 2>&1)"
text=$(run --cloud=null)
has "a task that waits says so" "waiting for the machine for " "$text"
has "with progress" " s: booting" "$text"
has "a machine that tasks cannot enter" "tasks cannot run inside this machine of type null" "$text"
is "such a machine still lives beside its job" "$(hostname)" "$(run --cloud=null --cloud-run=host)"
sed -i 's/^boot_ms.*/fail_at = "start"/' "$CONFIG"
refused "a machine that does not start" "backend 'null'" --cloud=null
has "a step on the node says what has become of the machine" "the job's machine has failed" "$(
  as_user salloc -Q --cloud=null --cloud-run=host bash -c 'srun -Q sleep 2; srun -Q hostname' 2>&1)"
sed -i 's/^fail_at.*/crash_at = "start"/' "$CONFIG"
refused "a backend that crashes" "keeper has died" --cloud=null
cat config.saved >"$CONFIG"

# A configuration that breaks between a job's submission and its start; its folders are not the default ones.
had=$(ls -d /var/lib/spank-cloud /run/spank-cloud/"$NODE" 2>/dev/null)
job=$(as_user sbatch -H --parsable -o held.out --cloud-type=lxc --wrap 'srun -Q hostname')
echo '[cloud' >>"$CONFIG"
scontrol release "$job"
eventually 30 no_jobs
cat config.saved >"$CONFIG"
has "a configuration that breaks before a job starts" "configuration is broken" "$(cat held.out)"
is "makes nothing in other folders" "$had" "$(ls -d /var/lib/spank-cloud /run/spank-cloud/"$NODE" 2>/dev/null)"
echo x >data.yaml && chmod 644 data.yaml
refused "user-data for a container" "runs no cloud-init" --cloud-type=lxc --cloud-user-data="$HOME_DIR/data.yaml"
is "an empty variable is none" "$(hostname)" "$(AS_USER_ENV='SLURM_CLOUD_TYPE=' run)"
printf '#!/no/such/shell\necho x\n' >nosuch.sh && chmod 755 nosuch.sh
has "a script without its interpreter" "the interpreter /no/such/shell of" "$(as_user srun -Q --cloud-type=lxc "$HOME_DIR/nosuch.sh" 2>&1)"

printf '0 hostname\n1 hostname\n' >programs.conf
chmod 644 programs.conf
text=$(as_user srun -Q -n2 --overcommit --cloud-type=lxc --multi-prog programs.conf 2>&1)
has "--multi-prog is refused" "--multi-prog cannot run inside a machine" "$text"
lacks "and runs nothing on the host" "$(hostname)
$(hostname)" "$text"
is "but --cloud-run=host has it" "$(hostname) $(hostname)" "$(as_user srun -Q -n2 --overcommit --cloud-type=lxc --cloud-run=host --multi-prog programs.conf 2>&1 | xargs)"

# A node whose prolog is not ours, or does not run: the request came by a variable, which Slurm does
# not show to the node's plugin.
cp "$PLAYGROUND/etc/prolog" prolog.saved
printf '#!/bin/sh\nexit 0\n' >"$PLAYGROUND/etc/prolog"
text=$(AS_USER_ENV='SLURM_CLOUD_TYPE=lxc' run)
has "a node without our prolog fails the job" "has no machine on node" "$text"
AS_USER_ENV='SBATCH_CLOUD_TYPE=lxc SBATCH_CLOUD_RUN=all' as_user sbatch -Q --wait -o no-prolog.out --wrap 'echo on the bare host' >/dev/null 2>&1
has "its batch script too" "has no machine on node" "$(cat no-prolog.out)"
lacks "which is not run on the bare host" "on the bare host" "$(cat no-prolog.out)"
cat prolog.saved >"$PLAYGROUND/etc/prolog"

# Root makes nothing in a folder that is not the machine's own.
as_user mkdir -p outer outer/there && as_user touch inner
refused "a mount in another mount, where nothing is" "does not exist there" --cloud-type=lxc --cloud-mount="$HOME_DIR/outer:/data,$HOME_DIR/inner:/data/new"
refused "the same in a folder of root's" "does not exist there" --cloud-type=lxc --cloud-mount="/etc:/data,$HOME_DIR/inner:/data/spank-cloud-test"
refused "the same in the home folder" "does not exist there" --cloud-type=lxc --cloud-mount="$HOME_DIR/inner:$HOME_DIR/fresh"
is "makes nothing" "" "$(ls outer/new fresh /etc/spank-cloud-test 2>/dev/null)"
has "a mount in another mount, where a folder is" "$NODE-" "$(run --cloud-type=lxc --cloud-mount="$HOME_DIR/outer/there:/data/there,$HOME_DIR/outer:/data")"

backend=$PLAYGROUND/prefix/lib/spank-cloud/backends/cloud_backend_lxc.so
chmod g+w "$backend"
refused "a group-writable backend" "chmod go-w" --cloud=lxc
chmod g-w "$backend"
mv "$backend" "$backend.saved"
echo text >"$backend"
refused "a text file as backend" "shall be a shared object" --cloud=lxc
mv "$backend.saved" "$backend"

cp -p "$LEASES" leases.saved
printf '#IP;SLURM_JOB_ID;USED\n# a remark\n10.251.7.2;;\r\nforeign line\n10.251.7.2;;\n10.251.7.3;;x;y\n10.251.7.4;;\n10.251.7.5;12' >"$LEASES"
cp "$LEASES" leases.odd
has "a lease file with all that can be wrong still serves" "$NODE-" "$(run --cloud=lxc)"
eventually 20 no_jobs
is "and keeps every byte" "$(cksum <leases.odd)" "$(cksum <"$LEASES")"
printf '#IP;SLURM_JOB_ID;USED\n10.251.7.2;77;USED\n' >"$LEASES"
refused "no address left" "1 of 1 leased" --cloud=lxc
cp -p leases.saved "$LEASES"
finish
