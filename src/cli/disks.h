// The images of --disk and --firmware-vars. They are opened before the process gives up its rights.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "machine/machine.h"
#include "machine/storage/block_backend.h"

namespace ringside::cli {

// What errors call them.
inline constexpr std::string_view kDiskImage = "disk image", kFirmwareVars = "--firmware-vars:";

// The disks, and behind them the file of variables if there is one: all whose content is part of
// what a run begins with, and changes in it.
std::vector<DiskOption> images_of(const Options& options);

using Images = std::vector<std::shared_ptr<machine::BlockBackend>>;
enum class Access : std::uint8_t { AsGiven, ReadOnly };
// In that order.
Result<Images> open_images(const Options& options, Access access);
// How many bytes of variables there are among them; 0: none.
std::uint64_t size_of_variables(const Options& options, const Images& images);
// `images` in that order.
void give_images(machine::MachineOptions& machine, const Options& options, const Images& images);

}  // namespace ringside::cli
