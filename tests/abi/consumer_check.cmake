# SPDX-License-Identifier: Apache-2.0
#
# cmake -DSDK=<binary dir of sdk> -DSOURCE=<consumer> -DNAME=<its backend> -DVERSION=<that one's>
#       -DWORK=<dir> -DLIBDIR=<lib> -DLOAD=<load_backend>
#       -DCHECK=<exports_check.cmake> -DNM=... -DREADELF=... -DGENERATOR=... -DCXX=...
#       -P consumer_check.cmake
# A backend of a project of its own, built against the installed SDK, loads.
file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)

function(step)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

step(${CMAKE_COMMAND} -DCMAKE_INSTALL_PREFIX=${prefix} -P ${SDK}/cmake_install.cmake)
step(${CMAKE_COMMAND} -DCMAKE_INSTALL_PREFIX=${prefix} -P ${SDK}/../tools/backend_check/cmake_install.cmake)
foreach(standard IN ITEMS 17 20)
  set(build ${WORK}/build-c++${standard})
  step(${CMAKE_COMMAND} -S ${SOURCE} -B ${build} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
       -DCMAKE_CXX_STANDARD=${standard} -DCMAKE_PREFIX_PATH=${prefix}
       -DCMAKE_INSTALL_PREFIX=${prefix}
       "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror")
  step(${CMAKE_COMMAND} --build ${build})
  step(${CMAKE_COMMAND} --install ${build})
  set(backends ${prefix}/${LIBDIR}/spank-cloud/backends)
  step(${CMAKE_COMMAND} -DNM=${NM} -DREADELF=${READELF} -DFILE=${backends}/cloud_backend_${NAME}.so -P
       ${CHECK})
  step(${LOAD} ${backends} ${NAME} ${VERSION})
  step(${CMAKE_CTEST_COMMAND} --test-dir ${build} --output-on-failure --no-tests=error)
endforeach()
