# libringside, the debug server for other people's VMMs: the folders up to src/library, the headers
# that an embedder includes, and what finds them (CMake package, pkg-config). An archive with the whole
# of it, and a shared library that shows the C interface only: C++ types change too easily.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)
set(fmt_version_needed 9)

set(objects)
foreach(folder ${ringside_library_rooms})
  ringside_target(target ${folder})
  list(APPEND objects $<TARGET_OBJECTS:${target}>)
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

# The version stands in the C header too, where a compiler reads it.
file(STRINGS include/ringside/ringside.h version_lines REGEX "define RINGSIDE_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" version_in_header "${version_lines}")
string(REPLACE ";" "." version_in_header "${version_in_header}")
if(NOT version_in_header STREQUAL PROJECT_VERSION)
  message(FATAL_ERROR "include/ringside/ringside.h says ${version_in_header}, the project is ${PROJECT_VERSION}")
endif()

# Not with sanitizers: it would ask for them in every program that loads it. The number of the C interface
# changes when a function goes, or a field other than at the end of a struct that has its size.
set(interface 1)
if(NOT RINGSIDE_SANITIZE)
  add_library(ringside_shared SHARED ${objects})
  set_target_properties(ringside_shared PROPERTIES OUTPUT_NAME ringside EXPORT_NAME shared
    LINKER_LANGUAGE CXX VERSION ${interface}.${PROJECT_VERSION} SOVERSION ${interface}
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/src/library/exported.map)
  target_link_libraries(ringside_shared PRIVATE fmt::fmt)
  target_link_options(ringside_shared PRIVATE ${ringside_product_link_options}
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/src/library/exported.map -Wl,-z,defs)
  target_include_directories(ringside_shared INTERFACE
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  install(TARGETS ringside_shared EXPORT ringsideSharedTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ringsideSharedTargets NAMESPACE ringside:: DESTINATION ${package})
endif()

configure_package_config_file(cmake/ringsideConfig.cmake.in ${CMAKE_BINARY_DIR}/ringsideConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ringsideConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ringsideConfig.cmake ${CMAKE_BINARY_DIR}/ringsideConfigVersion.cmake
  DESTINATION ${package})

# Wherever the tree is moved or staged to.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(pc_url)
if(PROJECT_HOMEPAGE_URL)
  set(pc_url "URL: ${PROJECT_HOMEPAGE_URL}\n")
endif()
foreach(name ringside ringside-cxx)
  configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

install(DIRECTORY include/ringside DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
