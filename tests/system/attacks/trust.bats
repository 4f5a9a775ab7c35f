# SPDX-License-Identifier: Apache-2.0
# Who could have written what root goes by: one rule for the configuration, leases, programs and images, and advice that
# opens nothing.
load ../lib

CONF_D=$PLAYGROUND/etc/spank-cloud/conf.d
setup() {
  begin_case
  # Where states are published is known from the last good configuration: there the reason is.
  run -0 hook prolog 888050
  run -0 hook epilog 888050
}
teardown() {
  chmod 755 "$PLAYGROUND/etc/spank-cloud" "$PLAYGROUND/images"
  chmod go-w "$CONFIG" "$LEASES"
  chown root "$CONFIG" "$LEASES"
  rm -rf "$CONF_D" "$PLAYGROUND"/etc/theirs* "$PLAYGROUND/open" "$PLAYGROUND/images/tiny/bin/rights"
  end_case
}

# PART: a job with a machine is refused with it, one without runs, and `check` and `doctor` say the same.
is_refused() {
  refused "$1" --cloud-type=lxc
  run -0 on_node hostname
  assert_output "$HOST"
  run -1 cloudctl check
  assert_output --partial "$1"
  run -1 cloudctl doctor
  assert_output --partial "$1"
}

@test "a configuration that others can write is not gone by" {
  chmod o+w "$CONFIG"
  is_refused "$CONFIG (mode 0646) is writable by others than root"
}

@test "a configuration of somebody else's is not gone by" {
  chown nobody "$CONFIG"
  is_refused "$CONFIG belongs to uid"
  refute_output --partial "chown"
}

@test "one file of conf.d that others can write, and the whole configuration is not gone by" {
  mkdir "$CONF_D"
  echo '[cloud]' >"$CONF_D/theirs.toml"
  chmod 664 "$CONF_D/theirs.toml"
  is_refused "$CONF_D/theirs.toml (mode 0664) is writable by others than root"
}

@test "a folder above the configuration that others can write: what it says cannot be believed" {
  chmod 775 "$PLAYGROUND/etc/spank-cloud"
  is_refused "$PLAYGROUND/etc/spank-cloud (mode 0775) is writable by others than root: choose a path"
}

@test "a program of an untrusted configuration does not run, with or without a machine" {
  printf '#!/bin/sh\ntouch %s\n' "$PLAYGROUND/etc/theirs-ran" >"$PLAYGROUND/etc/theirs"
  chmod 755 "$PLAYGROUND/etc/theirs"
  {
    stage prolog theirs exec "$PLAYGROUND/etc/theirs"
    echo 'when = "always"'
    stage prolog machine action create-machine
  } >>"$CONFIG"
  run -0 on_node hostname
  assert [ -e "$PLAYGROUND/etc/theirs-ran" ]
  rm "$PLAYGROUND/etc/theirs-ran"
  chmod o+w "$CONFIG"
  run -0 on_node hostname
  assert [ ! -e "$PLAYGROUND/etc/theirs-ran" ]
}

@test "a job ends with the configuration that its prolog had where that cannot be trusted any more" {
  machine lxc
  chmod o+w "$CONFIG"
  end_jobs "$job"
  chmod o-w "$CONFIG"
  node_is_clean
}

@test "a lease file that others can write gives no address, and gets none back until it is mended" {
  chmod o+w "$LEASES"
  refused "$LEASES (mode 0646) is writable by others than root" --cloud-type=lxc
  run -1 cloudctl doctor
  assert_output --partial "$LEASES (mode 0646) is writable by others than root"
  chmod o-w "$LEASES"
  run -0 hook prolog 888040
  chmod o+w "$LEASES"
  run -0 hook epilog 888040
  assert_output --partial "is writable by others than root"
  assert_equal "$(grep -c ';888040;USED' "$LEASES")" 1
  chmod o-w "$LEASES"
  # By whatever hook comes next, but not at once again.
  is_released() {
    hook epilog 888041 >later.log 2>&1
    [ ! -e "$STATE/jobs/888040" ]
  }
  eventually is_released || fail "$(cat later.log)"
  assert_equal "$(grep -c ';888040;' "$LEASES" || true)" 0
}

@test "doctor finds an image with programs that give rights to who can reach them, and advises nothing that opens a hole" {
  local image=$PLAYGROUND/images/tiny
  chmod 755 "$PLAYGROUND/images"
  # (busybox, of which there is a set-uid link in many images.)
  cp "$image/bin/busybox" "$image/bin/rights"
  finds() {
    run -1 cloudctl doctor
    assert_output --partial "$1"
    refute_output --regexp 'chmod [0-7]+ /|chown root'
  }
  chmod 4755 "$image/bin/rights"
  finds "$image/bin/rights, a set-uid program of uid 0"
  chmod 2755 "$image/bin/rights"
  finds "$image/bin/rights, a set-gid program of gid 0"
  chmod 755 "$image/bin/rights"
  setcap cap_net_raw+ep "$image/bin/rights"
  finds "$image/bin/rights, a program with capabilities"
  # A group of users is no wall.
  chmod 4755 "$image/bin/rights"
  chmod 750 "$PLAYGROUND/images"
  chgrp "$JOB_GID" "$PLAYGROUND/images"
  finds "$image/bin/rights, a set-uid program of uid 0"
  chgrp root "$PLAYGROUND/images"
  run cloudctl doctor
  refute_output --partial "$image/bin/rights"
  rm "$image/bin/rights"
}

@test "N5: a site's program behind a link that others could turn is not run" {
  mkdir -m 777 "$PLAYGROUND/open"
  printf '#!/bin/sh\nexit 0\n' >"$PLAYGROUND/etc/theirs"
  chmod 755 "$PLAYGROUND/etc/theirs"
  ln -s "$PLAYGROUND/etc/theirs" "$PLAYGROUND/open/link"
  {
    stage prolog theirs exec "$PLAYGROUND/open/link"
    stage prolog machine action create-machine
  } >>"$CONFIG"
  refused "$PLAYGROUND/open (mode 0777) is writable by others than root" --cloud-type=lxc
  rm -r "$PLAYGROUND/open"
}

@test "a node whose /etc/subuid gives machines' ids to somebody makes no machines" {
  [ -e /etc/subuid ] || skip "there is no /etc/subuid to be replaced"
  printf 'alice:100000:65536\nmallory:%s:1\n' "$(sed -n 's/^subid_first = //p' "$CONFIG")" >subuid
  mount --bind subuid /etc/subuid
  run in_lxc true
  umount /etc/subuid
  assert_failure 125
  assert_output --partial "/etc/subuid gives ids of machines to mallory (line 2)"
}
