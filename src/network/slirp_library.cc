#include "network/slirp_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/wanted_library.h"

namespace ringside::network {

#define RINGSIDE_LIBSLIRP "libslirp.so.0"
RINGSIDE_WANTS_LIBRARY("network", "recommended", RINGSIDE_LIBSLIRP);

Result<SlirpLibrary> load_slirp() {
  void* const library = ::dlopen(RINGSIDE_LIBSLIRP, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::NotFound,
                fmt::format("--net user needs libslirp (Debian: libslirp0): {}", ::dlerror()));
  SlirpLibrary functions;
  const bool complete = find_function(library, "slirp_new", functions.create) &&
                        find_function(library, "slirp_cleanup", functions.destroy) &&
                        find_function(library, "slirp_input", functions.input) &&
                        find_function(library, "slirp_pollfds_fill", functions.fill) &&
                        find_function(library, "slirp_pollfds_poll", functions.poll) &&
                        find_function(library, "slirp_handle_timer", functions.handle_timer) &&
                        find_function(library, "slirp_add_hostxfwd", functions.add_forward) &&
                        find_function(library, "slirp_version_string", functions.version);
  if (!complete)
    return fail(ErrorCode::NotSupported,
                "--net user needs libslirp 4.7 or newer: an older "
                "libslirp.so.0 is installed on this host");
  return functions;
}

}  // namespace ringside::network
