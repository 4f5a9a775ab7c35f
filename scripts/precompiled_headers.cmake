# The headers that most files include take most of a build: they are parsed once for each way of compiling. A file still
# includes what it uses: clang-tidy compiles every file without these (tests/house), and so does
# -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON.
include_guard(GLOBAL)

set(cloud_std_headers
    <algorithm> <array> <charconv> <chrono> <filesystem> <fstream> <functional> <map> <memory> <optional> <set> <sstream>
    <string> <string_view> <thread> <vector>)

# cloud_precompiled_set(NAME [HIDDEN] [LIBRARIES target...] [OPTIONS option...] HEADERS header...)
function(cloud_precompiled_set name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "HIDDEN" "" "LIBRARIES;OPTIONS;HEADERS")
  set(source ${CMAKE_BINARY_DIR}/precompiled/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(cloud_precompiled_${name} OBJECT EXCLUDE_FROM_ALL ${source})
  target_link_libraries(cloud_precompiled_${name} PRIVATE ${arg_LIBRARIES})
  target_compile_options(cloud_precompiled_${name} PRIVATE ${arg_OPTIONS})
  target_precompile_headers(cloud_precompiled_${name} PRIVATE ${arg_HEADERS})
  if(arg_HIDDEN)
    set_target_properties(cloud_precompiled_${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  endif()
endfunction()

# cloud_precompile(SET target...): `std` for libraries, `program` for programs, `backend` for what is built with the SDK
# and hides its symbols, and the sets that tests have. The options of a set must be those of its targets.
function(cloud_precompile set)
  foreach(target IN LISTS ARGN)
    target_precompile_headers(${target} REUSE_FROM cloud_precompiled_${set})
    # What only the precompiled header has read is a file's dependency, too (for tests/house).
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-deps>)
    # GCC 12 finds faults in libstdc++'s own strings (its bug 105651), which it is silent about in a system header and
    # not in a precompiled one.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread>)
  endforeach()
endfunction()

cloud_precompiled_set(std HEADERS ${cloud_std_headers})
cloud_precompiled_set(program OPTIONS -fPIE HEADERS ${cloud_std_headers})
set_target_properties(cloud_precompiled_program PROPERTIES POSITION_INDEPENDENT_CODE OFF)
cloud_precompiled_set(backend HIDDEN LIBRARIES SpankCloud::sdk HEADERS ${cloud_std_headers} <spank-cloud/backend.hpp>)
