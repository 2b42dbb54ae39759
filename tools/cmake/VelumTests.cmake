# SPDX-License-Identifier: Apache-2.0
# tests/<layer>/test_*.c and check_*.c: a program each, linked with the archive, so that internal functions are in reach.
# tests/<layer>/test_*.sh and test_*.py: run with VELUM (the command) and VELUM_SOURCE_DIR in the environment.
# They inherit the caller's environment, VELUM_DATA (a folder of data sets) among it. A test that exits with 77 counts
# as skipped. Labels: the layer.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_package(Python3 COMPONENTS Interpreter REQUIRED)

set(test_environment "VELUM_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
if(TARGET velum)
  list(APPEND test_environment "VELUM=$<TARGET_FILE:velum>")
endif()

# tests/circuits/sim/test_a.c -> test name circuits.sim.a, layer circuits
function(velum_name_test source name_out layer_out)
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/tests ${source})
  get_filename_component(folder ${path} DIRECTORY)
  get_filename_component(file ${path} NAME_WE)
  string(REGEX REPLACE "^test_" "" file ${file})
  string(REGEX REPLACE "/.*" "" layer "${folder}")
  string(REPLACE "/" "." name "${folder}.${file}")
  string(REGEX REPLACE "^\\." "" name ${name}) # in tests/ itself
  set(${name_out} ${name} PARENT_SCOPE)
  set(${layer_out} ${layer} PARENT_SCOPE)
endfunction()

# Seconds; instrumented builds are several times slower.
set(test_timeout 300)
if(VELUM_SANITIZE OR VELUM_COVERAGE)
  set(test_timeout 1200)
endif()

function(velum_register_test name layer)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${test_timeout} SKIP_RETURN_CODE 77 LABELS "${layer}"
    ENVIRONMENT "${test_environment}")
endfunction()

# The helper library of a folder: tests/kernels -> test_helpers_kernels, tests -> test_helpers_
function(velum_helpers_of source out)
  get_filename_component(folder ${source} DIRECTORY)
  file(RELATIVE_PATH id ${PROJECT_SOURCE_DIR}/tests ${folder})
  string(REPLACE "/" "_" id "${id}")
  set(${out} "test_helpers_${id}" PARENT_SCOPE)
endfunction()

# Sources that are no tests themselves are helpers of the tests in their folder; those in tests/ itself help all.
file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*.c)
set(test_helpers ${test_sources})
list(FILTER test_helpers EXCLUDE REGEX "/(test|check)_[^/]*$")
list(FILTER test_sources INCLUDE REGEX "/(test|check)_[^/]*$")

set(test_includes ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/cli
  ${PROJECT_SOURCE_DIR}/bench)
foreach(source ${test_helpers})
  velum_helpers_of(${source} helpers)
  if(NOT TARGET ${helpers})
    add_library(${helpers} OBJECT)
    target_include_directories(${helpers} PRIVATE ${test_includes})
    target_include_directories(${helpers} SYSTEM PRIVATE ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${helpers} PRIVATE velum_flags velum_static PkgConfig::CMOCKA PkgConfig::JANSSON)
  endif()
  target_sources(${helpers} PRIVATE ${source})
endforeach()

foreach(source ${test_sources})
  velum_name_test(${source} name layer)
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${source})
  target_include_directories(${target} PRIVATE ${test_includes})
  target_include_directories(${target} SYSTEM PRIVATE ${PROJECT_BINARY_DIR}/generated)
  velum_helpers_of(${source} helpers)
  set(helpers test_helpers_ ${helpers})
  list(REMOVE_DUPLICATES helpers)
  list(TRANSFORM helpers REPLACE "(.+)" "$<TARGET_NAME_IF_EXISTS:\\1>")
  target_link_libraries(${target} PRIVATE velum_flags ${helpers} $<TARGET_NAME_IF_EXISTS:velum_bench> velum_static PkgConfig::CMOCKA PkgConfig::JANSSON PkgConfig::SODIUM
    PkgConfig::PROTOBUF_C m)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${target} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  velum_register_test(${name} "${layer}")
endforeach()

file(GLOB_RECURSE test_scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/test_*.sh
  ${PROJECT_SOURCE_DIR}/tests/test_*.py)
foreach(source ${test_scripts})
  velum_name_test(${source} name layer)
  if(source MATCHES "\\.py$")
    add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} -B ${source} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  else()
    add_test(NAME ${name} COMMAND bash ${source} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endif()
  velum_register_test(${name} "${layer}")
endforeach()
