# cloud_add_backend(NAME SOURCES file... [LIBRARIES target...])
#
# A backend is one shared object, cloud_backend_NAME.so, that exports exactly one symbol, has no
# undefined ones, binds eagerly and is never unloaded.
include_guard(GLOBAL)

function(cloud_add_backend name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  if(NOT name MATCHES "^[a-z][a-z0-9_]*$" OR NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cloud_add_backend(NAME SOURCES file... [LIBRARIES target...]): a name is of "
                        "lower-case letters, digits and '_'")
  endif()
  include(GNUInstallDirs)
  # Not a variable of this file: include_guard() would leave it unset in a second folder.
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/backend.map)
  set(target cloud_backend_${name})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE SpankCloud::sdk ${arg_LIBRARIES})
  target_link_options(
    ${target} PRIVATE -Wl,--version-script=${map} -Wl,-z,defs -Wl,-z,nodelete
    -Wl,-z,now)
  set_target_properties(
    ${target}
    PROPERTIES PREFIX ""
               CXX_VISIBILITY_PRESET hidden
               C_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON
               LINK_DEPENDS ${map}
               LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/backends)
  # The package says where; in the tree of spank-cloud itself it is below our own prefix.
  set(destination ${CMAKE_INSTALL_LIBDIR}/spank-cloud/backends)
  if(DEFINED SpankCloud_BACKEND_DIR)
    set(destination ${SpankCloud_BACKEND_DIR})
  endif()
  install(TARGETS ${target} LIBRARY DESTINATION ${destination})
endfunction()

# cloud_check_backend(NAME [LIVE] [ARGS argument...])
#
# Adds the test backend-check.NAME: cloud-backend-check looks at the file. With LIVE also
# backend-check-live.NAME, which makes machines, as root; ARGS are for that, such as
# --config /etc/spank-cloud/cloud.toml --user alice.
function(cloud_check_backend name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LIVE" "" "ARGS")
  if(NOT TARGET cloud_backend_${name} OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cloud_check_backend(NAME [LIVE] [ARGS argument...]): NAME is one that "
                        "cloud_add_backend() was given")
  endif()
  # In the tree of spank-cloud it is a target; the package knows where it is installed.
  set(program ${SpankCloud_BACKEND_CHECK})
  if(TARGET cloud-backend-check)
    set(program $<TARGET_FILE:cloud-backend-check>)
  elseif(NOT EXISTS "${program}")
    message(FATAL_ERROR "cloud-backend-check is not installed with this SpankCloud ('${program}')")
  endif()
  set(file $<TARGET_FILE:cloud_backend_${name}>)
  add_test(NAME backend-check.${name} COMMAND ${program} --not-installed ${file})
  set_tests_properties(backend-check.${name} PROPERTIES TIMEOUT 60)
  if(arg_LIVE)
    add_test(NAME backend-check-live.${name} COMMAND ${program} --live --not-installed ${arg_ARGS} ${file})
    set_tests_properties(backend-check-live.${name} PROPERTIES TIMEOUT 1200 RUN_SERIAL TRUE)
  endif()
endfunction()
