// Shared libraries that are opened when they are wanted, because most runs do without.
#pragma once

#include <dlfcn.h>

namespace ringside {

// False: the library has no function of that name.
template <typename Function>
bool find_function(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace ringside

// Once in a source that opens one. For whoever packs the program, or lists what it is made of: the
// note of the ELF file that names such libraries (uapi-group.org, ELF dlopen metadata). Only an
// assembler makes it, and so all three are string literals.
#define RINGSIDE_WANTS_LIBRARY(feature, priority, file)                                  \
  __asm__(                                                                               \
      ".pushsection .note.dlopen, \"a\", @note\n"                                        \
      ".balign 4\n"                                                                      \
      ".long 4\n"                                                                        \
      ".long 2f - 1f\n"                                                                  \
      ".long 0x407c0c0a\n"                                                               \
      ".asciz \"FDO\"\n"                                                                 \
      "1: .asciz \"[{\\\"feature\\\":\\\"" feature "\\\",\\\"priority\\\":\\\"" priority \
      "\\\",\\\"soname\\\":[\\\"" file                                                   \
      "\\\"]}]\"\n"                                                                      \
      "2: .balign 4\n"                                                                   \
      ".popsection\n")
