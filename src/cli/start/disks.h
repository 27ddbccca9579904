// The images of --disk and --firmware-vars. They are opened before the process gives up its rights.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/options/options.h"
#include "machine/machine.h"
#include "machine/storage/block_backend.h"
#include "time/saved/saved_options.h"

namespace ringside::cli {

// What errors call them.
inline constexpr std::string_view kDiskImage = "disk image",
                                  kFirmwareVars = "--firmware-vars:", kKernel = "kernel",
                                  kInitrd = "initrd";

using Images = std::vector<std::shared_ptr<machine::BlockBackend>>;
enum class Access : std::uint8_t { AsGiven, ReadOnly };
// Those of NBD servers, and null for each other one: before anything of a guest is read, and where
// there are no threads yet.
Result<Images> connect_disks(const Options& options, Access access);
// In the order of images_of(). `connected` are those of connect_disks().
Result<Images> open_images(const Options& options, const Images& connected, Access access);
// How many bytes of variables there are among them; 0: none.
std::uint64_t size_of_variables(const Options& options, const Images& images);
// `images` in that order.
void give_images(machine::MachineOptions& machine, const Options& options, const Images& images);

// Disks that servers have are as large as those of the saved machine.
Result<void> check_sizes(const Options& options, const Images& images,
                         const std::vector<time::SavedDisk>& saved);

// The image as it is now; `what` it is begins an error.
// Of a server's nothing is known but its address.
Result<time::SavedDisk> look_at(const DiskOption& disk, std::string_view what = kDiskImage);

}  // namespace ringside::cli
