#include "support/guest_process.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace ringside::testing {
namespace {

std::vector<std::string> command(const GuestImage& image, const GuestOptions& options) {
  std::vector<std::string> result = {RINGSIDE_PROGRAM,
                                     "-e",
                                     options.on_engine == nullptr ? engine() : options.on_engine,
                                     "-c",
                                     std::to_string(options.cpus),
                                     "-m",
                                     "32M",
                                     "--virtio",
                                     options.virtio};
  if (options.start != GuestOptions::Start::WithoutDebug) {
    result.push_back("-G");
    result.push_back(options.start == GuestOptions::Start::Held ? "w0" : "0");
  }
  result.insert(result.end(), options.arguments.begin(), options.arguments.end());
  if (options.firmware) {
    result.push_back("--bios");
    result.push_back(std::filesystem::path(image.path()).replace_extension(".bin"));
  } else {
    result.push_back(image.path());
  }
  return result;
}

}  // namespace

std::string engine() {
  const char* name = std::getenv("RINGSIDE_ENGINE");
  return name == nullptr ? "soft" : name;
}

GuestProcess::GuestProcess(std::string_view guest, const GuestOptions& options)
    : image_(guest), process_(command(image_, options)) {
  if (options.start == GuestOptions::Start::WithoutDebug) return;
  const std::string line =
      process_.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  port_ = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
}

DebugClient GuestProcess::attach() {
  try {
    DebugClient client(port_);
    parse_stop(client.request("?"));
    return client;
  } catch (const std::exception& error) {
    // Whether the program has gone, and what it said, is the first that a reader asks.
    throw std::runtime_error(std::string(error.what()) + "\nthe program's standard error:\n" +
                             process_.text(ChildProcess::Stream::Error) +
                             (process_.running() ? "it runs" : "it has ended"));
  }
}

void GuestProcess::await_said(std::string_view characters) {
  for (const char c : characters)
    process_.await(ChildProcess::Stream::Output, std::string_view(&c, 1));
}

void GuestProcess::await_said_numbers(unsigned vcpus) {
  std::string characters;
  for (unsigned i = 0; i < vcpus; ++i)
    characters += static_cast<char>('0' + i);
  await_said(characters);
}

std::uint64_t await_change(GuestProcess& guest, std::uint64_t address, std::uint64_t before) {
  for (const Deadline deadline; !deadline.passed();) {
    DebugClient client = guest.attach();
    const std::uint64_t now = client.read_u64(address);
    client.detach();
    if (now != before) return now;
  }
  throw std::runtime_error("the guest does not get on");
}

}  // namespace ringside::testing
