#include "target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::DebugClient;
using Stream = ChildProcess::Stream;

constexpr const char* kQemu = "qemu-system-x86_64";

void start(Target& target, std::uint16_t port) {
  target.client.emplace(port);
  testing::parse_stop(target.client->request("?"));
  target.client->resume();
  target.process->await(Stream::Output, "r");
  target.client->stop();
}

// A port that is free now; QEMU cannot be told to choose one.
std::uint16_t free_port() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

}  // namespace

Target ringside_target(std::string_view guest, unsigned cpus) {
  Target target{"ringside", nullptr, testing::GuestImage(guest), std::nullopt};
  target.process = std::make_unique<ChildProcess>(
      std::vector<std::string>{RINGSIDE_PROGRAM, "-e", testing::engine(), "-c",
                               std::to_string(cpus), "-m", "64M", "-G", "w0", target.image.path()});
  const std::string line =
      target.process->await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  start(target, static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
  return target;
}

Target qemu_target(std::string_view guest, unsigned cpus) {
  Target target{"QEMU TCG", nullptr, testing::GuestImage(guest), std::nullopt};
  const std::uint16_t port = free_port();
  target.process = std::make_unique<ChildProcess>(
      std::vector<std::string>{kQemu,
                               "-M",
                               "pc",
                               "-accel",
                               "tcg",
                               "-cpu",
                               "max",
                               "-smp",
                               std::to_string(cpus),
                               "-m",
                               "64M",
                               "-display",
                               "none",
                               "-serial",
                               "stdio",
                               "-monitor",
                               "none",
                               "-net",
                               "none",
                               "-no-reboot",
                               "-gdb",
                               "tcp:127.0.0.1:" + std::to_string(port),
                               "-S",
                               "-kernel",
                               target.image.path32()});
  for (const testing::Deadline deadline;;) {
    try {
      start(target, port);
      return target;
    } catch (const std::exception&) {
      // It does not say when it listens.
      if (target.client || deadline.passed()) throw;
    }
  }
}

bool have_qemu() {
  try {
    ChildProcess process({kQemu, "--version"});
    return process.await_exit() == 0;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace ringside::bench
