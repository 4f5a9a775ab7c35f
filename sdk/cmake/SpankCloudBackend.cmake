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
  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/spank-cloud/backends)
endfunction()
