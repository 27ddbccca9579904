#include "target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "support/qemu.h"

namespace ringside::bench {
namespace {

using testing::ChildProcess;
using testing::DebugClient;
using Stream = ChildProcess::Stream;

void attach(Target& target, const GuestChoice& choice) {
  target.client.emplace(target.port);
  testing::parse_stop(target.client->request("?"));
  for (const auto& [symbol, value] : choice.words)
    target.client->write(target[symbol.c_str()], testing::little_endian(value, 8));
  target.client->resume();
  for (const char& c : choice.says)
    target.process->await(Stream::Output, std::string_view(&c, 1));
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

void start_ringside(Target& target, const GuestChoice& choice) {
  target.process = std::make_unique<ChildProcess>(ringside_command(
      {"-e", choice.kvm ? "kvm" : testing::engine(), "-c", std::to_string(choice.cpus), "-m",
       choice.memory, "--pace", "off", "-G", "w0", target.image.path()}));
  target.port = port_of(*target.process);
  attach(target, choice);
}

void start_qemu(Target& target, const GuestChoice& choice) {
  target.port = free_port();
  std::vector<std::string> command =
      testing::qemu_command(choice.cpus, choice.memory,
                            {"-gdb", "tcp:127.0.0.1:" + std::to_string(target.port), "-S",
                             "-kernel", target.image.path32()});
  if (choice.kvm) {
    std::replace(command.begin(), command.end(), std::string("tcg"), std::string("kvm"));
    // Some KVMs offer an MSR of that feature and refuse it.
    std::replace(command.begin(), command.end(), std::string("max"),
                 std::string("max,-arch-capabilities"));
  }
  target.process = std::make_unique<ChildProcess>(std::move(command));
  for (const testing::Deadline deadline;;) {
    try {
      attach(target, choice);
      return;
    } catch (const std::exception&) {
      // It does not say when it listens.
      if (target.client || deadline.passed()) throw;
    }
  }
}

std::vector<std::string>& more_arguments() {
  static std::vector<std::string> arguments;
  return arguments;
}

}  // namespace

std::vector<std::string> ringside_command(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {RINGSIDE_PROGRAM};
  command.insert(command.end(), more_arguments().begin(), more_arguments().end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

void set_ringside_arguments(std::vector<std::string> arguments) {
  more_arguments() = std::move(arguments);
}

std::uint16_t port_of(ChildProcess& process) {
  const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  return static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
}

Target start_gdbserver() {
  Target target{nullptr, testing::GuestImage("native_counters"), 0, std::nullopt};
  target.process = std::make_unique<ChildProcess>(
      std::vector<std::string>{"gdbserver", "--once", "127.0.0.1:0", target.image.path()});
  const std::string line = target.process->await_line(Stream::Error, "Listening on port ");
  target.port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(' ') + 1)));
  target.client.emplace(target.port);
  target.client->request("qSupported:swbreak+");
  testing::parse_stop(target.client->request("?"));
  return target;
}

void reattach(Target& target) {
  target.client.emplace(target.port);
  // QEMU tells that the guest has stopped, unasked.
  if (!target.client->silent_for(std::chrono::milliseconds(100))) target.client->await_stop();
  testing::parse_stop(target.client->request("?"));
}

void stop_acknowledging(DebugClient& client) {
  if (client.request("QStartNoAckMode") == "OK") client.set_acks(testing::Acks::None);
}

Target start(Subject subject, const GuestChoice& choice) {
  Target target{nullptr, testing::GuestImage(choice.guest), 0, std::nullopt};
  if (subject == Subject::Ringside)
    start_ringside(target, choice);
  else
    start_qemu(target, choice);
  return target;
}

bool have_kvm() {
  static const bool have = [] {
    ChildProcess probe({RINGSIDE_PROGRAM, "--probe"});
    probe.await_exit();
    return probe.text(Stream::Output).find("kvm: not usable") == std::string::npos;
  }();
  return have;
}

}  // namespace ringside::bench
