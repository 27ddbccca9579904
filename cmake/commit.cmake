# The commit that is built, for `ringside --version`. One small source of the build has it, which is written
# anew where the commit has changed, and only then, so that nothing else is compiled for it.
#   included by CMakeLists.txt: gives ringside_commit_source() to who wants that source
#   cmake -DSOURCE=... -DOUTPUT=... -P commit.cmake: writes it
if(CMAKE_SCRIPT_MODE_FILE)
  # `git archive` puts the commit into this file (.gitattributes): a source package has no git.
  file(STRINGS ${SOURCE}/cmake/commit commit LIMIT_COUNT 1)
  string(SUBSTRING "${commit}" 0 12 commit)
  if(commit MATCHES "Format")
    # Not of a repository that happens to be around a source package. With changes it is told as such.
    set(commit)
    if(EXISTS ${SOURCE}/.git)
      execute_process(COMMAND git -C ${SOURCE} describe --always --dirty=-changed --abbrev=12 --exclude=*
        OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "cli/options/commit.h"

namespace ringside::cli {

std::string_view commit() { return "@commit@"; }

}  // namespace ringside::cli
]] @ONLY)
  return()
endif()

function(ringside_commit_source TARGET)
  set(source ${CMAKE_BINARY_DIR}/commit.cc)
  add_custom_target(ringside_commit BYPRODUCTS ${source} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${source}
      -P ${CMAKE_SOURCE_DIR}/cmake/commit.cmake
    COMMENT "")
  add_dependencies(${TARGET} ringside_commit)
  target_sources(${TARGET} PRIVATE ${source})
endfunction()
