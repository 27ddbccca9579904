// Processes beside the one that runs the guest, made at its start, with which it talks through one
// socket. A companion does what that process has given up the right to do (docs/decisions/0051).
#pragma once

#include <cstdint>
#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::sandbox {

enum class CompanionSocket : std::uint8_t { Packets, Stream };

struct CompanionFiles {
  int socket = -1;
  int kept = -1;  // by another number than in the process that made the companion
};

// `serve` is called in the companion with its end of the socket. It is to return when the other end
// has closed; then the companion ends. The other end is what is returned here.
//
// In the companion nothing else is open than `kept`, the standard streams are /dev/null, and
// signals of a terminal, or of who ends a whole group of processes, are ignored. Where there are no
// threads yet. `name`: at most 15 bytes, for ps(1).
Result<Fd> start_companion(const char* name, CompanionSocket kind,
                           const std::function<void(CompanionFiles)>& serve, int kept = -1);

}  // namespace ringside::sandbox
