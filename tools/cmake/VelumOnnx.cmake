# SPDX-License-Identifier: Apache-2.0
# The ONNX messages in C: protoc-c over the schema that libonnx-dev installs.
find_path(ONNX_PROTO_DIR onnx.proto PATH_SUFFIXES onnx REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)

# Adds the generated source to the target and its folder, as a system folder, to the include path: <onnx.pb-c.h>.
function(velum_onnx_schema target)
  set(folder ${PROJECT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${folder}/onnx.pb-c.c ${folder}/onnx.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${folder} -I${ONNX_PROTO_DIR} onnx.proto
    DEPENDS ${ONNX_PROTO_DIR}/onnx.proto VERBATIM)
  set_source_files_properties(${folder}/onnx.pb-c.c PROPERTIES COMPILE_OPTIONS -w)
  target_sources(${target} PRIVATE ${folder}/onnx.pb-c.c ${folder}/onnx.pb-c.h)
  target_include_directories(${target} SYSTEM PUBLIC ${folder})
endfunction()
