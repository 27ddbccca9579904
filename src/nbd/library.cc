#include "nbd/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace ringside::nbd {
namespace {

#define RINGSIDE_LIBNBD "libnbd.so.0"

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
    "1: .asciz \"[{\\\"feature\\\":\\\"nbd\\\",\\\"priority\\\":\\\"suggested\\\","
    "\\\"soname\\\":[\\\"" RINGSIDE_LIBNBD
    "\\\"]}]\"\n"
    "2: .balign 4\n"
    ".popsection\n");

Result<Library> load_library() {
  void* const library = ::dlopen(RINGSIDE_LIBNBD, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::NotFound,
                fmt::format("an NBD server needs libnbd (Debian: libnbd0): {}", ::dlerror()));
  Library functions;
  const bool complete = find(library, "nbd_create", functions.create) &&
                        find(library, "nbd_get_error", functions.error) &&
                        find(library, "nbd_set_uri_allow_tls", functions.allow_tls) &&
                        find(library, "nbd_set_uri_allow_transports", functions.allow_transports) &&
                        find(library, "nbd_set_uri_allow_local_file", functions.allow_local_file) &&
                        find(library, "nbd_aio_connect_uri", functions.connect) &&
                        find(library, "nbd_aio_is_connecting", functions.is_connecting) &&
                        find(library, "nbd_aio_is_ready", functions.is_ready) &&
                        find(library, "nbd_aio_is_dead", functions.is_dead) &&
                        find(library, "nbd_aio_is_closed", functions.is_closed) &&
                        find(library, "nbd_aio_get_fd", functions.fd) &&
                        find(library, "nbd_aio_get_direction", functions.direction) &&
                        find(library, "nbd_aio_notify_read", functions.notify_read) &&
                        find(library, "nbd_aio_notify_write", functions.notify_write) &&
                        find(library, "nbd_aio_command_completed", functions.completed) &&
                        find(library, "nbd_get_size", functions.size) &&
                        find(library, "nbd_is_read_only", functions.is_read_only) &&
                        find(library, "nbd_can_flush", functions.can_flush) &&
                        find(library, "nbd_get_block_size", functions.block_size) &&
                        find(library, "nbd_aio_pread", functions.read) &&
                        find(library, "nbd_aio_pwrite", functions.write) &&
                        find(library, "nbd_aio_flush", functions.flush);
  if (!complete)
    return fail(ErrorCode::NotSupported,
                "an NBD server needs libnbd 1.4 or newer: an older libnbd.so.0 is installed");
  return functions;
}

}  // namespace ringside::nbd
