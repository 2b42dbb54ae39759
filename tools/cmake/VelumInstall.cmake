# SPDX-License-Identifier: Apache-2.0
# velum.pc finds its prefix from where it lies, so an installed tree can be moved.
file(RELATIVE_PATH VELUM_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/velum.pc.in ${PROJECT_BINARY_DIR}/velum.pc @ONLY)
install(TARGETS velum_static velum_shared)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/velum DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING
  PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/velum.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET velum)
  install(TARGETS velum)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/models)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/models DESTINATION ${CMAKE_INSTALL_DATADIR}/velum
    PATTERN "__pycache__" EXCLUDE)
endif()
