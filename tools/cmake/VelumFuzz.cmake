# SPDX-License-Identifier: Apache-2.0
# fuzz/<target>.c defines LLVMFuzzerTestOneInput. In the fuzz preset it becomes a libFuzzer program, elsewhere a test
# that runs it over fuzz/corpus/<target>/ and over random mutations of those files (fuzz/driver.c).
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/*.c)
list(FILTER fuzz_sources EXCLUDE REGEX "/driver\\.c$")

foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  set(target fuzz_${name})
  if(VELUM_FUZZ)
    add_executable(${target} ${source})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  elseif(BUILD_TESTING)
    add_executable(${target} ${source} ${PROJECT_SOURCE_DIR}/fuzz/driver.c)
    add_test(NAME fuzz.${name} COMMAND ${target} ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name} ${VELUM_FUZZ_MUTATIONS})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 LABELS fuzz
      ENVIRONMENT "VELUM_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
  else()
    continue()
  endif()
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${target} PRIVATE -Wno-missing-prototypes) # the entry point has no header
  target_link_libraries(${target} PRIVATE velum_flags velum_static m)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
endforeach()
