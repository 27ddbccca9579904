// What a guest starts from, as it lies in the host's files now.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/options/options.h"
#include "cli/start/disks.h"
#include "cli/start/files.h"
#include "machine/boot/boot.h"
#include "machine/firmware/firmware_kernel.h"
#include "platform/guest_ram.h"
#include "sandbox/outside.h"
#include "time/saved/saved_options.h"

namespace ringside::cli {

struct Payload {
  FileContent firmware;
  FileContent kernel;       // unpacked, but for firmware
  bool was_packed = false;  // the file has it in another form
  std::vector<FileContent> modules;
  std::string video_bios;        // beside firmware, for the text screen
  machine::BootRequest request;  // for a kernel, also of firmware's; points into these
};

// Where Debian's package seabios has the video BIOS of its firmware for a card that is not on PCI.
inline constexpr const char* kVideoBios = "/usr/share/seabios/vgabios-isavga.bin";

// What no loader would take is refused before it is read whole. `meanwhile` is called now and then,
// and may be null.
Result<Payload> read_payload(const Options& options, sandbox::Outside& outside,
                             const Meanwhile& meanwhile);
// The files that it reads.
std::vector<std::string> payload_files(const Options& options);

// Of a saved machine with firmware: the kernel alone, if there is one.
Result<Payload> read_saved_kernel(const Options& options, const Meanwhile& meanwhile);
// The kernel that firmware is to start, if it is; points into `payload`.
machine::FirmwareKernel kernel_for_firmware(const Payload& payload);

// `saved`: of the machine that goes on, or null. A saved machine has no ROM but its firmware.
bool has_firmware(const Options& options, const time::SavedOptions* saved);
// The guest's memory, where firmware expects it if there is some.
Result<hypervisor::GuestRam> create_memory(const Options& options, const time::SavedOptions* saved);

// Figures that a journal tells contents by. A replay reads what the recorded run read only if its
// disks begin with the same content. Holes of a disk are as many zeros, and are not read.
std::uint64_t hash_of(const Payload& payload);
Result<std::uint64_t> content_of(const Images& disks, std::uint64_t payload, const Options& options,
                                 const Meanwhile& meanwhile);

}  // namespace ringside::cli
