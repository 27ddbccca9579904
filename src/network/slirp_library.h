// libslirp's functions, from the shared library when a network is wanted: most guests have none,
// and neither they nor the process that runs a guest should have libslirp and GLib loaded.
#pragma once

#include <slirp/libslirp.h>

#include "base/result.h"

namespace ringside::network {

struct SlirpLibrary {
  decltype(&::slirp_new) create = nullptr;
  decltype(&::slirp_cleanup) destroy = nullptr;
  decltype(&::slirp_input) input = nullptr;
  decltype(&::slirp_pollfds_fill) fill = nullptr;
  decltype(&::slirp_pollfds_poll) poll = nullptr;
  decltype(&::slirp_handle_timer) handle_timer = nullptr;
  decltype(&::slirp_add_hostxfwd) add_forward = nullptr;
  decltype(&::slirp_version_string) version = nullptr;
};

// It stays loaded.
Result<SlirpLibrary> load_slirp();

}  // namespace ringside::network
