# One place for flags and for the shape of a folder: a static library from its *.cc files, and test
# programs from *_test.cc files.

add_library(ringside_flags INTERFACE)
target_compile_options(ringside_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Where strings are put together g++ 12 sees copies that overlap or go out of bounds (GCC bug 105651),
  # the latter with precompiled headers, and depending on how long the path of the clone is: no build may
  # fail because of that. clang and the sanitizers look for the same faults.
  foreach(warning restrict array-bounds stringop-overflow stringop-overread)
    target_compile_options(ringside_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-${warning}>)
  endforeach()
endif()
# All presets that share a build directory say the same, or the first `make test` after `make` would compile
# everything anew. Other compilers than the two that the sources are made with have warnings of their own.
if(RINGSIDE_WERROR AND "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" MATCHES "^(GNU 12|Clang 14)\\.")
  target_compile_options(ringside_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(RINGSIDE_SANITIZE)
  target_compile_options(ringside_flags INTERFACE
    -fsanitize=${RINGSIDE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ringside_flags INTERFACE -fsanitize=${RINGSIDE_SANITIZE})
endif()
if(RINGSIDE_FUZZ)
  target_compile_options(ringside_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(ringside_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
include(cmake/hardening.cmake)
include(cmake/precompiled.cmake)

# ringside_target(VARIABLE FOLDER): the library of src/FOLDER: ringside_ and the path, without engine/
function(ringside_target VARIABLE FOLDER)
  string(REGEX REPLACE "^engine/" "" name ${FOLDER})
  string(REPLACE "/" "_" name ${name})
  set(${VARIABLE} ringside_${name} PARENT_SCOPE)
endfunction()

# The rooms that libringside is made of (cmake/library.cmake). They are compiled for a shared library, as
# an embedder may put the archive into one of his own; and for others nothing of them is visible there
# but what says so, so that calls within them stay direct ones.
set(ringside_library_rooms base x86 rsp transport hypervisor debug/agent debug/trace debug/run debug/points
  debug/memory debug/target debug/client debug/monitor debug/packets debug/server library)

# ringside_room(FOLDER USES folder... LIBRARIES lib...): the library of the sources in src/FOLDER, those
# of its inner folders not among them
function(ringside_room FOLDER)
  cmake_parse_arguments(ARG "" "" "USES;LIBRARIES" ${ARGN})
  ringside_target(target ${FOLDER})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${FOLDER}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(${target} STATIC ${sources})
    if(FOLDER IN_LIST ringside_library_rooms)
      ringside_for_shared_library(${target})
      ringside_precompiled(${target} library)
    else()
      ringside_precompiled(${target} product)
    endif()
    set(kind PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(kind INTERFACE)
  endif()
  target_link_libraries(${target} ${kind} ringside_flags ${ARG_LIBRARIES})
  foreach(folder ${ARG_USES})
    ringside_target(used ${folder})
    target_link_libraries(${target} ${kind} ${used})
  endforeach()
endfunction()

# ringside_tests(FOLDER TESTS folder...): the program NAME_test of all tests in src/FOLDER and below,
# registered with ctest one case at a time
function(ringside_tests FOLDER)
  cmake_parse_arguments(ARG "" "" "TESTS" ${ARGN})
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${FOLDER}/*_test.cc)
  if(NOT RINGSIDE_TESTS OR NOT tests)
    return()
  endif()
  find_package(GTest REQUIRED)
  include(GoogleTest)
  get_filename_component(name ${FOLDER} NAME)
  add_executable(${name}_test ${tests})
  ringside_test_program(${name}_test)
  foreach(folder ${ARG_TESTS})
    ringside_target(used ${folder})
    target_link_libraries(${name}_test PRIVATE ${used})
  endforeach()
  target_link_libraries(${name}_test PRIVATE GTest::gtest GTest::gmock GTest::gtest_main rapidcheck)
  gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 300)
endfunction()
