#include "support/qemu.h"

#include "support/child_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

}  // namespace

std::string no_qemu() { return host::no_program(kQemu); }

std::string qemu_says(const std::vector<std::string>& question) {
  std::vector<std::string> command = {kQemu};
  command.insert(command.end(), question.begin(), question.end());
  ChildProcess process(command);
  process.await_exit();
  return process.text(ChildProcess::Stream::Output);
}

bool qemu_is(const std::string& version) {
  return qemu_says({"--version"}).starts_with("QEMU emulator version " + version + ".");
}

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
