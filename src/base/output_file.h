// A file named on the command line into which bytes of the guest go: a journal, what it says on a
// serial port.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ringside {

// Made for its owner alone (mode 0600), whatever the umask is, or emptied; one that was there keeps
// its mode. It may be a device or a FIFO. What is not done: to follow a link, and to write into
// another user's file or FIFO; but for what is open already (/dev/stdout, /dev/stderr, /dev/fd/N,
// /proc/self/fd/N).
Result<Fd> open_output(const std::string& path);

}  // namespace ringside
