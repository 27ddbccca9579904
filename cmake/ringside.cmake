# One place for flags and for the shape of a folder: a static library from its *.cc files and a test
# program from its *_test.cc files.

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
if(RINGSIDE_WERROR)
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
target_include_directories(ringside_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
include(cmake/precompiled.cmake)

# ringside_folder(NAME folder USES other... LIBRARIES lib...): library ringside_NAME, and with tests
# the program NAME_test, registered with ctest one case at a time.
function(ringside_folder)
  cmake_parse_arguments(ARG "" "NAME;FOLDER" "USES;LIBRARIES;TEST_LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${ARG_FOLDER}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(sources)
    add_library(ringside_${ARG_NAME} STATIC ${sources})
    ringside_precompiled(ringside_${ARG_NAME} product)
    set(kind PUBLIC)
  else()
    add_library(ringside_${ARG_NAME} INTERFACE)
    set(kind INTERFACE)
  endif()
  list(TRANSFORM ARG_USES PREPEND ringside_)
  target_link_libraries(ringside_${ARG_NAME} ${kind} ringside_flags ${ARG_USES} ${ARG_LIBRARIES})
  if(RINGSIDE_TESTS AND tests)
    find_package(GTest REQUIRED)
    include(GoogleTest)
    add_executable(${ARG_NAME}_test ${tests})
    ringside_test_program(${ARG_NAME}_test)
    target_link_libraries(${ARG_NAME}_test PRIVATE ringside_${ARG_NAME} ${ARG_TEST_LIBRARIES}
      GTest::gtest GTest::gmock GTest::gtest_main rapidcheck)
    gtest_discover_tests(${ARG_NAME}_test TEST_PREFIX "${ARG_NAME}." DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT 300)
  endif()
endfunction()
