# SPDX-License-Identifier: Apache-2.0
# Language, warnings and hardening, in one interface target; instruction sets for the kernel families.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(velum_flags INTERFACE)
target_compile_definitions(velum_flags INTERFACE _GNU_SOURCE)
# No contraction: results in doubles are the same on every machine and in every kernel family.
target_compile_options(velum_flags INTERFACE -ffp-contract=off -Wall -Wextra -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -fstack-protector-strong $<$<BOOL:${VELUM_WERROR}>:-Werror>)
target_link_options(velum_flags INTERFACE -Wl,-z,relro,-z,now)

# The default for each type is replaced: one truth for the optimiser.
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

if(VELUM_SANITIZE)
  target_compile_options(velum_flags INTERFACE -fsanitize=${VELUM_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(velum_flags INTERFACE -fsanitize=${VELUM_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(velum_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(VELUM_COVERAGE)
  target_compile_options(velum_flags INTERFACE --coverage)
  target_link_options(velum_flags INTERFACE --coverage)
endif()
if(VELUM_FUZZ)
  target_compile_options(velum_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# src/kernels/<family>/ is compiled for its instruction set, and left out of the list on another processor.
function(velum_kernel_flags list)
  set(sources ${${list}})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(flags_avx2 -mavx2 -mfma)
    set(flags_ifma -mavx512f -mavx512dq -mavx512vl -mavx512bw -mavx512ifma)
    foreach(family avx2 ifma)
      set(files ${sources})
      list(FILTER files INCLUDE REGEX "/src/kernels/${family}/")
      if(files)
        set_source_files_properties(${files} PROPERTIES COMPILE_OPTIONS "${flags_${family}}")
      endif()
    endforeach()
  else()
    list(FILTER sources EXCLUDE REGEX "/src/kernels/(avx2|ifma)/")
  endif()
  set(${list} ${sources} PARENT_SCOPE)
endfunction()
