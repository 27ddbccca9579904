#include "network/slirp_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace ringside::network {
namespace {

#define RINGSIDE_LIBSLIRP "libslirp.so.0"

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

// For whoever packs the program, or lists what it is made of: the note of the ELF file that names
// libraries which are opened when they are wanted (uapi-group.org, ELF dlopen metadata).
__asm__(
    ".pushsection .note.dlopen, \"a\", @note\n"
    ".balign 4\n"
    ".long 4\n"
    ".long 2f - 1f\n"
    ".long 0x407c0c0a\n"
    ".asciz \"FDO\"\n"
    "1: .asciz \"[{\\\"feature\\\":\\\"network\\\",\\\"priority\\\":\\\"recommended\\\","
    "\\\"soname\\\":[\\\"" RINGSIDE_LIBSLIRP
    "\\\"]}]\"\n"
    "2: .balign 4\n"
    ".popsection\n");

Result<SlirpLibrary> load_slirp() {
  void* const library = ::dlopen(RINGSIDE_LIBSLIRP, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::NotFound,
                fmt::format("--net user needs libslirp (Debian: libslirp0): {}", ::dlerror()));
  SlirpLibrary functions;
  const bool complete = find(library, "slirp_new", functions.create) &&
                        find(library, "slirp_cleanup", functions.destroy) &&
                        find(library, "slirp_input", functions.input) &&
                        find(library, "slirp_pollfds_fill", functions.fill) &&
                        find(library, "slirp_pollfds_poll", functions.poll) &&
                        find(library, "slirp_handle_timer", functions.handle_timer) &&
                        find(library, "slirp_add_hostxfwd", functions.add_forward) &&
                        find(library, "slirp_version_string", functions.version);
  if (!complete)
    return fail(ErrorCode::NotSupported,
                "--net user needs libslirp 4.7 or newer: an older "
                "libslirp.so.0 is installed on this host");
  return functions;
}

}  // namespace ringside::network
