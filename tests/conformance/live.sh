#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# live.sh CHECK FILE [SETTING...]: the whole suite for a backend that needs nothing but a folder, its "registry".
# A SETTING is a line of its table in cloud.toml.
set -euo pipefail
check=$1 file=$2
shift 2
name=$(basename "$file" .so)
name=${name#cloud_backend_}
# In a cell.
home=/var/lib/spank-cloud-conformance
mkdir "$home"
{
  printf '[cloud]\nstate_dir = "%s/state"\nrun_dir = "%s/run"\nbackend_dir = "%s"\n\n' "$home" "$home" "$(dirname "$file")"
  printf '[backend.%s]\nimage = "none"\nregistry = "%s/registry"\n' "$name" "$home"
  printf '%s\n' "$@"
  printf '\n[image.none]\npath = "/"\n'
} >"$home/cloud.toml"
"$check" --slowness "${CLOUD_TEST_SLOWNESS:-1}" --live --not-installed --config "$home/cloud.toml" "$file"
left=$(ls -A "$home/registry" "$home/state" 2>/dev/null | grep -v '^/' | xargs)
[ -z "$left" ] || { echo "not ok - the run leaves $left"; exit 1; }
