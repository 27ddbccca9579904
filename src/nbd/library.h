// libnbd's functions, from the shared library when a server is named: few guests have one, and
// neither they nor the process that runs a guest should have libnbd and what it needs (GnuTLS,
// libxml2, ICU) loaded.
#pragma once

#include <libnbd.h>

#include "base/result.h"

namespace ringside::nbd {

struct Library {
  decltype(&::nbd_create) create = nullptr;
  decltype(&::nbd_get_error) error = nullptr;
  decltype(&::nbd_set_uri_allow_tls) allow_tls = nullptr;
  decltype(&::nbd_set_uri_allow_transports) allow_transports = nullptr;
  decltype(&::nbd_set_uri_allow_local_file) allow_local_file = nullptr;
  decltype(&::nbd_aio_connect_uri) connect = nullptr;
  decltype(&::nbd_aio_is_connecting) is_connecting = nullptr;
  decltype(&::nbd_aio_is_ready) is_ready = nullptr;
  decltype(&::nbd_aio_is_dead) is_dead = nullptr;
  decltype(&::nbd_aio_is_closed) is_closed = nullptr;
  decltype(&::nbd_aio_get_fd) fd = nullptr;
  decltype(&::nbd_aio_get_direction) direction = nullptr;
  decltype(&::nbd_aio_notify_read) notify_read = nullptr;
  decltype(&::nbd_aio_notify_write) notify_write = nullptr;
  decltype(&::nbd_aio_command_completed) completed = nullptr;
  decltype(&::nbd_get_size) size = nullptr;
  decltype(&::nbd_is_read_only) is_read_only = nullptr;
  decltype(&::nbd_can_flush) can_flush = nullptr;
  decltype(&::nbd_get_block_size) block_size = nullptr;
  decltype(&::nbd_aio_pread) read = nullptr;
  decltype(&::nbd_aio_pwrite) write = nullptr;
  decltype(&::nbd_aio_flush) flush = nullptr;
};

// It stays loaded.
Result<Library> load_library();

}  // namespace ringside::nbd
