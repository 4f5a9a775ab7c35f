# SPDX-License-Identifier: Apache-2.0
# A whole Debian 12 with systemd and cloud-init as a guest, customised by its seed, the site and the user.
# needs: debian12
load lib
load kvm

@test "a Debian guest runs the task as the user, under systemd, when cloud-init has done what the site and the user want" {
  local image=$PLAYGROUND/images/debian12 digest status=0 kind
  digest=$(sha256sum <"$image/debian12.qcow2")
  for kind in site user; do
    printf '#cloud-config\nwrite_files:\n  - {path: /etc/from-the-%s, content: %s}\n' $kind $kind >$kind.yaml
  done
  chmod 644 user.yaml
  sed "s#^path = .*#path = \"$image/debian12.qcow2\"#; s#^\[image.debian12\]#\n&\nuser_data = \"$HOME_DIR/site.yaml\"#" \
    "$image/debian12.toml" >>"$CONFIG"
  sed -i "s/^boot_timeout.*/boot_timeout = \"$((10 * SLOWNESS))m\"/; s/^\[backend.kvm\]/&\naccel = \"tcg\"/" "$CONFIG"
  # Longer than as_user lets anything take.
  runuser -u "$JOB_USER" -- env -i PATH=/usr/bin:/bin HOME="$HOME_DIR" USER="$JOB_USER" SHELL=/bin/bash SLURM_CONF="$SLURM_CONF" \
    timeout "$((600 * SLOWNESS))" srun -Q --mem=1500 --cloud-type=kvm --cloud-image=debian12 --cloud-ready=cloud-init \
    --cloud-user-data="$HOME_DIR/user.yaml" sh -c '
      hostname; id -un; pwd; cloud-init status; echo "init $(cat /proc/1/comm)"
      echo "failed $(systemctl --failed --no-legend --plain --no-pager | wc -l)"
      cat /etc/from-the-site; echo; cat /etc/from-the-user; echo; touch from-debian' >out 2>&1 3>&- || status=$?
  run cat out
  assert_equal $status 0
  assert_line --regexp "^$NODE-[0-9]+\$"
  assert_line "$JOB_USER"
  assert_line "$HOME_DIR"
  assert_line "status: done"
  assert_line "init systemd"
  assert_line "failed 0"
  assert_line site
  assert_line user
  # It says how far it is while one waits.
  assert_output --partial "the kernel is booting"
  assert_equal "$(stat -c %U from-debian)" "$JOB_USER"
  # Never the template.
  assert_equal "$(sha256sum <"$image/debian12.qcow2")" "$digest"
}
