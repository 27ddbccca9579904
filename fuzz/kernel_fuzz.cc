// Arbitrary bytes as a kernel, its initrd and its command line. Every answer is a result or a
// sentence, and guest memory alone is written.
//
// Byte 0 is the number of bytes at the end that are the initrd; a kernel follows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "machine/boot/boot.h"
#include "platform/guest_ram.h"

namespace {

using namespace ringside;

hypervisor::GuestRam& ram() {
  static hypervisor::GuestRam memory = hypervisor::GuestRam::create(8u << 20).value();
  return memory;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> input = std::as_bytes(std::span(data + 1, size - 1));
  const std::size_t rest = std::min<std::size_t>(data[0], input.size());
  const auto kernel = input.first(input.size() - rest), initrd = input.last(rest);
  machine::BootRequest request;
  request.kernel_name = "kernel";
  request.kernel = kernel;
  request.command_line = "console=ttyS0";
  request.vcpus = 2;
  if (rest != 0) request.modules.push_back({"initrd", "words", {initrd.begin(), initrd.end()}});
  const Result<machine::BootResult> result = machine::boot(request, ram());
  if (result ? result->format.empty() : result.error().text().empty()) std::abort();
  return 0;
}
