// What is measured: a guest under some program's debug server. Owned by the run; its end ends the
// process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "support/guest_process.h"

namespace ringside::bench {

struct Target {
  std::string name;
  std::unique_ptr<testing::ChildProcess> process;
  testing::GuestImage image;
  std::optional<testing::DebugClient> client;  // attached; the guest is stopped and has said 'r'

  std::uint64_t operator[](const char* symbol) const { return image[symbol]; }
};

using MakeTarget = std::function<Target(std::string_view guest, unsigned cpus)>;

Target ringside_target(std::string_view guest, unsigned cpus);
// Debian's qemu-system-x86_64 with TCG.
Target qemu_target(std::string_view guest, unsigned cpus);
bool have_qemu();

}  // namespace ringside::bench
