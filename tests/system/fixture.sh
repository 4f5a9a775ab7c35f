#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# up | down | run FILE: the playground that the system tests share, in $PLAYGROUND.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "$(id -u)" != 0 ] || [ -z "${PLAYGROUND:-}" ]; then
  echo "skipped: needs root and PLAYGROUND=/a/folder/of/its/own (run ./run-tests)"
  exit 77
fi
case $1 in
  up)
    # From here, as there is no network in the namespace where the tests run.
    "$here/../../images/build" minimal "$2/images" >/dev/null
    "$here/../cluster/playground" up --dir "$PLAYGROUND" --build "$2" --second-node n2 --kvm "$2/images"
    ;;
  down) "$here/../cluster/playground" down --dir "$PLAYGROUND" ;;
  run)
    if [ "$2" = systemd.sh ] && [ ! -d "$PLAYGROUND/images/debian" ]; then
      mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Retries "3"' --include=systemd-sysv,dbus bookworm "$PLAYGROUND/images/debian.new"
      mv "$PLAYGROUND/images/debian.new" "$PLAYGROUND/images/debian"
    fi
    if [ "$2" = debian_guest.sh ]; then
      "$here/../../images/build" debian12 "$3/images" >/dev/null
      cp "$3"/images/debian12.{qcow2,toml} "$PLAYGROUND/images/"
    fi
    exec "$here/../cluster/playground" exec --dir "$PLAYGROUND" "$here/$2"
    ;;
esac
