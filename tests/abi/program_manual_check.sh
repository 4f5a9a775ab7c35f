#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# program_manual_check.sh GROFF PROGRAM PAGE: the page has every command and option that the program's --help has,
# with its default, and no other.
set -euo pipefail
groff=$1 program=$2 page=$3
failed=0
fail() {
  echo "not ok - $(basename "$page"): $1"
  failed=1
}
said=$("$groff" -man -ww -Tascii -z "$page" 2>&1)
[ -z "$said" ] || fail "$said"
# One line a paragraph, without overstrikes.
text=$("$groff" -man -Tascii -P-cbou -rLL=2000n "$page")

# `command`, then `option TAB default` of it, for each command below the given one.
help_of() {
  local help inner
  help=$("$program" "$@" --help)
  awk '/^  -/ {
    name = $1; sub(/.*,/, "", name)
    rule = substr($0, 3); sub(/^[^ ]+ ?/, "", rule); sub(/   .*/, "", rule)
    # What depends on where it is run is no default to write down.
    fallback = rule ~ /=/ && rule !~ /\(Env:/ ? rule : ""; sub(/.*=/, "", fallback)
    print "option\t" name "\t" fallback }' <<<"$help"
  while read -r inner; do
    echo "command	$* $inner"
    help_of "$@" "$inner"
  done < <(awk '/^[^ ]/ { inside = 0 } inside && /^  [a-z]/ { print $1 } /^Subcommands:/ { inside = 1 }' <<<"$help")
}
# The paragraph that a word begins, with its tag.
paragraph_of() {
  awk -v wanted="$1" '/^       [^ ]/ { on = 0; line = $0; sub(/^ +(-h, )?/, "", line)
                                   rest = substr(line, length(wanted) + 1, 1)
                                   if (index(line, wanted) == 1 && (rest == "" || rest == " ")) on = 1 }
                     on' <<<"$text"
}
known=$(help_of | sort -u)
[ "$(grep -c ^option <<<"$known")" -ge 5 ] || { echo "not ok - $program --help has no options"; exit 1; }
while IFS=$'\t' read -r kind name fallback; do
  name=${name# }
  # A command that has commands is described by them.
  if [ "$kind" = command ] && grep -q "^command	 *$name " <<<"$known"; then continue; fi
  paragraph=$(paragraph_of "$name")
  if [ -z "$paragraph" ]; then fail "nothing of the $kind '$name'"; continue; fi
  [[ -z $fallback || $paragraph == *"default $fallback."* ]] || fail "'$name' has the default '$fallback' and not that of: $paragraph"
done <<<"$known"
while read -r name; do
  grep -q "^option	$name	" <<<"$known" || fail "there is no option '$name'"
done < <(sed -nE 's/^ {7}(-h, )?(--[a-z-]+).*/\2/p' <<<"$text")
for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
  grep -qx "$section" <<<"$text" || fail "no section $section"
done
[ "$failed" = 0 ] || exit 1
echo "ok - $(wc -l <<<"$known") commands and options"
