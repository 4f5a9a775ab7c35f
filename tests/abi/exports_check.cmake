# SPDX-License-Identifier: Apache-2.0
#
# cmake -DNM=... -DREADELF=... -DFILE=... -P exports_check.cmake
# A backend exports its entry point and nothing else, is bound at once and is never unloaded.
execute_process(COMMAND ${NM} -D --defined-only --format=just-symbols ${FILE}
                OUTPUT_VARIABLE symbols OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT symbols STREQUAL "cloud_backend_entry_v1")
  message(FATAL_ERROR "${FILE} exports\n${symbols}\nand shall export cloud_backend_entry_v1 alone")
endif()

execute_process(COMMAND ${READELF} --dynamic --wide ${FILE} OUTPUT_VARIABLE dynamic
                COMMAND_ERROR_IS_FATAL ANY)
foreach(flag IN ITEMS NOW NODELETE)
  if(NOT dynamic MATCHES "FLAGS_1\\)[^\n]* ${flag}")
    message(FATAL_ERROR "${FILE} is not linked with -z ${flag}:\n${dynamic}")
  endif()
endforeach()
