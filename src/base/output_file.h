// A file named on the command line into which bytes of the guest go: a journal, what it says on a
// serial port.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ringside {

// Made for its owner alone (mode 0600), whatever the umask is, or emptied; one that was there keeps
// its mode. It may be a device or a FIFO. What is not done: to follow a link, unless it is one of
// /dev or /proc (/dev/stdout), and to write into another user's file.
Result<Fd> open_output(const std::string& path);

}  // namespace ringside
