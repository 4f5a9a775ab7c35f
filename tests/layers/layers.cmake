# SPDX-License-Identifier: Apache-2.0
#
# Who may include what: `cmake -DROOT=<tree> -P layers.cmake`. Each row is a folder or file, and the
# pattern that an include of that place has to match. A new edge is a one-line change here.
cmake_minimum_required(VERSION 3.25)

set(violations 0)
function(check place include allowed)
  if(NOT include MATCHES "^(${allowed})$")
    message("${place}: may not include ${include}")
    math(EXPR violations "${violations} + 1")
    set(violations ${violations} PARENT_SCOPE)
  endif()
endfunction()

# Libraries that have one door each.
set(doors
    "toml\\+\\+/toml.h|core/config/table_reader.hpp|spank/site_summary.cpp"
    "boost/dll/.*|core/backend/loader.cpp"
    "libcgroup.h|core/job/cgroup.cpp"
    "libmnl/.*|core/network/nft_batch.cpp"
    "libnftnl/.*|core/network/nft_batch.cpp"
    "nlohmann/.*|(core/job/(record|trace_events)|backends/kvm/seed_content).cpp"
    "lxc/.*|backends/lxc/.*"
    "libvirt/.*|backends/kvm/.*"
    "slurm/.*|spank/.*"
    "CLI/.*|tools/.*")
# Our own headers, by who includes them; the first row that matches the file counts.
set(layers
    # The primitives below all else of ours, which core and the programs use, too.
    "sdk/include/spank-cloud/base/.*|spank-cloud/base/.*"
    "sdk/include/spank-cloud/container_backend.hpp|spank-cloud/(backend|process|program|registry|user_namespace).hpp"
    "sdk/include/.*|spank-cloud/(backend_abi.h|(base/.*|backend|descriptor|id_map|image_file).hpp)"
    "backends/lxc/.*|(backends/lxc|spank-cloud)/.*"
    "backends/null/.*|(backends/null|spank-cloud)/.*"
    "backends/kvm/guest/.*|backends/kvm/guest/.*|core/(error|machine/guest_request|system/unique_fd).hpp|spank-cloud/base/.*"
    "backends/kvm/.*|(backends/kvm|spank-cloud)/.*"
    "core/machine/(guest_request|ssh_command)\\.(hpp|cpp)|core/(error|machine/guest_request|machine/ssh_command).hpp"
    "core/(error|job/request|job/published_state)\\.(hpp|cpp)|core/(error|job/request|job/published_state|system/unique_fd).hpp"
    "spank/.*|spank/.*|core/(error|job/request|job/published_state|system/atomic_file|system/root_program).hpp|spank-cloud/base/.*"
    "enter/.*|enter/.*\
|core/(error|log|job/(cgroup_hierarchy|published_state)|machine/guest_request|machine/ssh_command).hpp\
|core/system/(local_socket|unique_fd|write_all).hpp|spank-cloud/base/.*"
    "core/machine/ssh_identity.cpp|core/machine/ssh_identity.hpp|spank-cloud/user_namespace.hpp"
    "core/.*|core/.*|spank-cloud/(backend_abi.h|base/.*)"
    "hooks/.*|hooks/.*|core/.*|enter/task_channel.hpp|spank-cloud/base/.*"
    "tools/backend_check/.*|tools/.*|core/.*|enter/machine_join.hpp|spank-cloud/(backend_abi.h|base/.*)"
    "tools/.*|tools/.*|core/.*|spank-cloud/base/.*")

file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/core/*.?pp ${ROOT}/spank/*.?pp ${ROOT}/hooks/*.?pp ${ROOT}/enter/*.?pp
     ${ROOT}/tools/*.?pp ${ROOT}/backends/*.?pp ${ROOT}/sdk/include/*.h ${ROOT}/sdk/include/*.hpp)
foreach(file ${files})
  set(own "")
  foreach(row ${layers})
    string(FIND "${row}" "|" bar)
    # The file's pattern may hold a '|' of its own inside parentheses.
    if(row MATCHES "^(([^|(]|\\([^)]*\\))+)\\|(.*)$")
      set(pattern "${CMAKE_MATCH_1}")
      set(allowed "${CMAKE_MATCH_3}")
      if(file MATCHES "^${pattern}$")
        set(own "${allowed}")
        break()
      endif()
    endif()
  endforeach()
  file(STRINGS ${ROOT}/${file} lines REGEX "^#include ")
  foreach(line ${lines})
    string(REGEX MATCH "[<\"]([^>\"]+)[>\"]" matched "${line}")
    set(include "${CMAKE_MATCH_1}")
    if(include MATCHES "^(core|spank|hooks|enter|tools|backends|sdk|tests|spank-cloud)/")
      check("${file}" "${include}" "${own}")
    endif()
    foreach(door ${doors})
      string(REGEX MATCH "^([^|]+)\\|(.*)$" parts "${door}")
      if(include MATCHES "^(${CMAKE_MATCH_1})$" AND NOT file MATCHES "^(${CMAKE_MATCH_2})$")
        message("${file}: may not include ${include}: that library has another door")
        math(EXPR violations "${violations} + 1")
      endif()
    endforeach()
  endforeach()
endforeach()
if(violations GREATER 0)
  message(FATAL_ERROR "${violations} includes cross a layer")
endif()
list(LENGTH files count)
if(count LESS 1)
  message(FATAL_ERROR "no files below ${ROOT}")
endif()
message("${count} files keep their layers")
