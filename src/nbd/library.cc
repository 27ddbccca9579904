#include "nbd/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/wanted_library.h"

namespace ringside::nbd {

#define RINGSIDE_LIBNBD "libnbd.so.0"
RINGSIDE_WANTS_LIBRARY("nbd", "suggested", RINGSIDE_LIBNBD);

Result<Library> load_library() {
  void* const library = ::dlopen(RINGSIDE_LIBNBD, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::NotFound,
                fmt::format("an NBD server needs libnbd (Debian: libnbd0): {}", ::dlerror()));
  Library functions;
  const bool complete =
      find_function(library, "nbd_create", functions.create) &&
      find_function(library, "nbd_get_error", functions.error) &&
      find_function(library, "nbd_set_uri_allow_tls", functions.allow_tls) &&
      find_function(library, "nbd_set_uri_allow_transports", functions.allow_transports) &&
      find_function(library, "nbd_set_uri_allow_local_file", functions.allow_local_file) &&
      find_function(library, "nbd_aio_connect_uri", functions.connect) &&
      find_function(library, "nbd_aio_is_connecting", functions.is_connecting) &&
      find_function(library, "nbd_aio_is_ready", functions.is_ready) &&
      find_function(library, "nbd_aio_is_dead", functions.is_dead) &&
      find_function(library, "nbd_aio_is_closed", functions.is_closed) &&
      find_function(library, "nbd_aio_get_fd", functions.fd) &&
      find_function(library, "nbd_aio_get_direction", functions.direction) &&
      find_function(library, "nbd_aio_notify_read", functions.notify_read) &&
      find_function(library, "nbd_aio_notify_write", functions.notify_write) &&
      find_function(library, "nbd_aio_command_completed", functions.completed) &&
      find_function(library, "nbd_get_size", functions.size) &&
      find_function(library, "nbd_is_read_only", functions.is_read_only) &&
      find_function(library, "nbd_can_flush", functions.can_flush) &&
      find_function(library, "nbd_get_block_size", functions.block_size) &&
      find_function(library, "nbd_aio_pread", functions.read) &&
      find_function(library, "nbd_aio_pwrite", functions.write) &&
      find_function(library, "nbd_aio_flush", functions.flush);
  if (!complete)
    return fail(ErrorCode::NotSupported,
                "an NBD server needs libnbd 1.4 or newer: an older libnbd.so.0 is installed");
  return functions;
}

}  // namespace ringside::nbd
