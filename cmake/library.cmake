# libringside, the debug server for other people's VMMs: the folders up to src/library in one archive,
# the headers that an embedder includes, and what finds them (CMake package, pkg-config).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)

set(objects)
foreach(folder base x86 rsp transport hypervisor debug_agent debug_run debug_points debug_memory
    debug_target debug_client debug_monitor debug_packets debug_server library)
  list(APPEND objects $<TARGET_OBJECTS:ringside_${folder}>)
endforeach()
add_library(ringside_archive STATIC ${objects})
set_target_properties(ringside_archive PROPERTIES OUTPUT_NAME ringside EXPORT_NAME ringside
  LINKER_LANGUAGE CXX)
target_compile_features(ringside_archive INTERFACE cxx_std_20)
target_link_libraries(ringside_archive INTERFACE fmt::fmt tl::expected)
target_include_directories(ringside_archive INTERFACE
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ringside)
install(TARGETS ringside_archive EXPORT ringsideTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT ringsideTargets NAMESPACE ringside:: DESTINATION ${package})
configure_package_config_file(cmake/ringsideConfig.cmake.in ${CMAKE_BINARY_DIR}/ringsideConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ringsideConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
# Wherever the tree is moved or staged to.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/ringside.pc.in ${CMAKE_BINARY_DIR}/ringside.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/ringsideConfig.cmake ${CMAKE_BINARY_DIR}/ringsideConfigVersion.cmake
  DESTINATION ${package})
install(FILES ${CMAKE_BINARY_DIR}/ringside.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/ringside DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
