# The headers of others that nearly every source reads are compiled once for all of them. Each source
# includes what it uses all the same: with RINGSIDE_PRECOMPILED=OFF everything compiles without.
option(RINGSIDE_PRECOMPILED "Compile the headers of others once for all sources" ON)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)

# ringside_for_shared_library(TARGET): compiles the target as part of a shared library
function(ringside_for_shared_library TARGET)
  set_target_properties(${TARGET} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# ringside_precompiled_headers(NAME LIBRARIES lib... OPTIONS option... HEADERS header...): a set of headers
function(ringside_precompiled_headers NAME)
  if(NOT RINGSIDE_PRECOMPILED)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LIBRARIES;OPTIONS;HEADERS" ${ARGN})
  # CMake keeps precompiled headers with a target, and a target has a source.
  set(source ${CMAKE_BINARY_DIR}/precompiled_${NAME}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(ringside_precompiled_${NAME} OBJECT ${source})
  target_link_libraries(ringside_precompiled_${NAME} PRIVATE ringside_flags fmt::fmt tl::expected
    ${ARG_LIBRARIES})
  target_compile_options(ringside_precompiled_${NAME} PRIVATE ${ARG_OPTIONS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # One from a compiler cache was made when the list of its headers had another time.
    target_compile_options(ringside_precompiled_${NAME} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  target_precompile_headers(ringside_precompiled_${NAME} PRIVATE <algorithm> <array> <cstdint>
    <cstring> <functional> <memory> <optional> <span> <string> <string_view> <tl/expected.hpp>
    <variant> <vector> ${ARG_HEADERS})
endfunction()

# ringside_precompiled(TARGET NAME): the sources of TARGET use the set NAME, and are compiled as it is
function(ringside_precompiled TARGET NAME)
  target_compile_options(${TARGET} PRIVATE ${ringside_options_of_${NAME}})
  if(RINGSIDE_PRECOMPILED)
    target_precompile_headers(${TARGET} REUSE_FROM ringside_precompiled_${NAME})
  endif()
endfunction()

set(ringside_options_of_product ${ringside_product_options} ${ringside_program_options})
set(ringside_options_of_library ${ringside_product_options} ${ringside_library_options})
foreach(name product library)
  ringside_precompiled_headers(${name} OPTIONS ${ringside_options_of_${name}} HEADERS <fmt/format.h>)
endforeach()
if(RINGSIDE_PRECOMPILED)
  ringside_for_shared_library(ringside_precompiled_library)
endif()

# Optimising the tests takes longer than they then run. What they test is optimised like the product.
set(test_options $<$<NOT:$<CONFIG:Debug>>:-O1>)
if(RINGSIDE_TESTS)
  find_package(GTest REQUIRED)
  # Not gmock and rapidcheck: what g++ leaves to do for them in each source outweighs what it spares,
  # for few sources use them.
  ringside_precompiled_headers(tests LIBRARIES GTest::gtest OPTIONS ${test_options}
    HEADERS <fmt/format.h> <gtest/gtest.h>)
endif()

# ringside_test_program(TARGET): how a program of tests is compiled
function(ringside_test_program TARGET)
  target_compile_options(${TARGET} PRIVATE ${test_options})
  ringside_precompiled(${TARGET} tests)
endfunction()
