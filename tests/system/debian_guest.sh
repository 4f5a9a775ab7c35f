#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A whole Debian 12 with systemd and cloud-init as a guest, customised by its seed, the site and the user.
. "$(dirname "$0")/lib.sh"
cp "$CONFIG" config.saved
# Where an earlier run has built the image, the playground has it already.
grep -q '^\[image.debian12\]' "$CONFIG" ||
  sed "s#^path = .*#path = \"$PLAYGROUND/images/debian12.qcow2\"#" "$PLAYGROUND/images/debian12.toml" >>"$CONFIG"
cat >site.yaml <<'U'
#cloud-config
write_files:
  - {path: /etc/from-the-site, content: site}
U
cat >user.yaml <<'U'
#cloud-config
write_files:
  - {path: /etc/from-the-user, content: user}
U
chmod 644 user.yaml
sed -i "s#^\[image.debian12\]#&\nuser_data = \"$HOME_DIR/site.yaml\"#; s/^boot_timeout.*/boot_timeout = \"10m\"/; s/^\[backend.kvm\]/&\naccel = \"tcg\"/" "$CONFIG"
digest=$(sha256sum <"$PLAYGROUND/images/debian12.qcow2")
text=$(runuser -u "$JOB_USER" -- env -i PATH=/usr/bin:/bin HOME="$HOME_DIR" USER="$JOB_USER" SHELL=/bin/bash SLURM_CONF="$SLURM_CONF" \
  timeout 600 srun -Q --mem=1500 --cloud-type=kvm --cloud-image=debian12 --cloud-ready=cloud-init --cloud-user-data="$HOME_DIR/user.yaml" \
  sh -c 'hostname; id -un; pwd; cloud-init status; echo "init $(cat /proc/1/comm)"; echo "failed $(systemctl --failed --no-legend --plain --no-pager | wc -l)"
    cat /etc/from-the-site; echo; cat /etc/from-the-user; echo; touch from-debian; sudo -n true 2>&1 || echo no root' 2>&1)
has "a Debian guest runs the task" "$NODE-" "$text"
has "as the job's user" "$JOB_USER" "$text"
has "in its home folder" "$HOME_DIR" "$text"
has "when cloud-init has finished" "status: done" "$text"
has "under systemd" "init systemd" "$text"
has "with no failed unit" "failed 0" "$text"
has "with the site's user-data" $'\nsite' "$text"
has "and the user's" $'\nuser' "$text"
has "it says how far it is while one waits" "the kernel is booting" "$text"
is "it writes the user's files" "$JOB_USER" "$(stat -c %U from-debian)"
is "and never the template" "$digest" "$(sha256sum <"$PLAYGROUND/images/debian12.qcow2")"
cat config.saved >"$CONFIG"
finish
