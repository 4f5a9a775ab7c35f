#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# headers_check.sh INCLUDE SOURCE...: every header of the SDK compiles alone, with g++ and clang++ as C++17
# and C++20, the C header also as C11 with gcc and clang; and so do backends that use them. Warnings are
# errors, and the folder is no system folder, where they would be hidden.
set -uo pipefail
include=$1
shift
strict='-Wall -Wextra -Wpedantic -Werror -fsyntax-only'
missing=''
failed=0
compiled=0
# NAME COMMAND...
compiles() {
  local name=$1 said
  shift
  compiled=$((compiled + 1))
  said=$("$@" 2>&1) || { echo "not ok - $name"; echo "$said" | head -20; failed=$((failed + 1)); }
}
for compiler in gcc clang; do
  command -v $compiler >/dev/null || { missing+=" $compiler"; continue; }
  # shellcheck disable=SC2086
  compiles "backend_abi.h, $compiler, C11" $compiler -std=c11 $strict -Wshadow -Wconversion -I "$include" -x c \
    - <<<'#include <spank-cloud/backend_abi.h>
int has_console(const cloud_backend_v1* table);
int has_console(const cloud_backend_v1* table) { return CLOUD_HAS(table, console); }'
done
for compiler in g++ clang++; do
  command -v $compiler >/dev/null || { missing+=" $compiler"; continue; }
  for standard in c++17 c++20; do
    for header in $(cd "$include" && find spank-cloud -type f); do
      # Twice: it guards itself.
      # shellcheck disable=SC2086
      compiles "$header, $compiler, $standard" $compiler -std=$standard $strict -Wshadow -Wconversion \
        -I "$include" -x c++ - <<<"#include <$header>
#include <$header>"
    done
    for source in "$@"; do
      # shellcheck disable=SC2086
      compiles "$(basename "$source"), $compiler, $standard" $compiler -std=$standard $strict -Wshadow -Wconversion \
        -I "$include" "$source"
    done
  done
done
[ "$failed" = 0 ] || { echo "$failed of $compiled do not compile"; exit 1; }
[ -z "$missing" ] || { echo "skipped:$missing not installed (scripts/install-dependencies.sh); the rest compiles"; exit 77; }
[ "$compiled" -gt 2 ] || { echo "no headers in $include"; exit 1; }
echo "ok - $compiled"
