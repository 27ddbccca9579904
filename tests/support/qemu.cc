#include "support/qemu.h"

#include <exception>

#include "support/child_process.h"

namespace ringside::testing {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

}  // namespace

bool is_installed(const std::string& program) {
  try {
    ChildProcess process({program, "--version"});
    return process.await_exit() == 0;
  } catch (const std::exception&) {
    return false;
  }
}

bool have_qemu() { return is_installed(kQemu); }

std::vector<std::string> qemu_command(unsigned cpus, const std::string& memory,
                                      const std::vector<std::string>& more) {
  // clang-format off
  std::vector<std::string> command = {
      kQemu, "-M", "pc", "-accel", "tcg", "-cpu", "max", "-smp", std::to_string(cpus),
      "-m", memory, "-display", "none", "-serial", "stdio", "-monitor", "none", "-net", "none",
      "-no-reboot"};
  // clang-format on
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

}  // namespace ringside::testing
