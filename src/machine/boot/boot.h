// Boot loaders: recognise a kernel by its content, put it into guest RAM and say how the boot
// processor starts. Runs once, before the engine exists.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stage.h"
#include "machine/bus/platform_map.h"
#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::machine {

struct BootModule {
  std::string name;      // for messages
  std::string argument;  // multiboot: the text after the first blank
  std::span<const std::byte> content;
};

struct BootRequest {
  std::string kernel_name;  // for messages
  std::span<const std::byte> kernel;
  std::string command_line;
  std::vector<BootModule> modules;  // the first is the initrd for Linux
  unsigned vcpus = 1;               // what the ACPI tables tell
  Meanwhile meanwhile = {};
  unsigned virtio_devices = 0;
  VirtioBus virtio_bus = VirtioBus::Mmio;
  bool text_card = false;  // Linux is told of a text mode
};

struct BootResult {
  std::string format;   // what was recognised, in words
  x86::CpuState entry;  // of the boot processor
  bool is_linux = false;
};

// A kernel can be told by the first kRecognisedBy bytes of its file, or all of a shorter one: an
// error is boot()'s.
inline constexpr std::size_t kRecognisedBy = 64u << 10;
Result<void> recognise(const std::string& name, std::span<const std::byte> beginning);

// BadRequest with a sentence that names the kernel, what was found and what is supported.
Result<BootResult> boot(const BootRequest& request, hypervisor::GuestRam& ram);

// So much of firmware at most, with its variables.
inline constexpr std::uint64_t kMostFirmware = 16u << 20;
// Firmware: the image ends at 4 GiB, and the processor starts at the reset vector. `variables` is
// how many bytes there are to be below it.
Result<BootResult> boot_firmware(const std::string& name, std::span<const std::byte> image,
                                 std::uint64_t variables, hypervisor::GuestRam& ram);

// The part of it that is RAM, again: for a reset.
void shadow_firmware(std::span<const std::byte> image, hypervisor::GuestRam& ram);

}  // namespace ringside::machine
