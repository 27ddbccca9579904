// The first program of a guest that `ringside run` has made an initramfs for: a shell on the
// console, with what was asked for around it.
#pragma once

#include <string_view>

namespace ringside::cli {

// /init. It reads /etc/ringside, a text for the shell that sets:
//   console   the terminal's name
//   shares    the tags of shared folders, with blanks between them
//   network   yes, or nothing
// and loads /modules/NAME.ko for each line of /modules/order.
extern const std::string_view kInitScript;
// What udhcpc calls (/etc/udhcpc/default.script).
extern const std::string_view kLeaseScript;

}  // namespace ringside::cli
