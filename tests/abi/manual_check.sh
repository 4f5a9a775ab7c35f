#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# manual_check.sh GROFF DIR: the pages in DIR make groff complain of nothing.
set -uo pipefail
groff=$1 pages=0
for page in "$2"/*.7; do
  said=$("$groff" -man -ww -Tutf8 -z "$page" 2>&1)
  [ -z "$said" ] || { echo "$page: $said"; exit 1; }
  grep -q '^\.SH OPTIONS$' "$page" || { echo "$page has no options"; exit 1; }
  pages=$((pages + 1))
done
[ "$pages" -ge 1 ] || { echo "no pages in $2"; exit 1; }
