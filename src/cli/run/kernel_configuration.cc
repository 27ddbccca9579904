#include "cli/run/kernel_configuration.h"

#include <fmt/format.h>

#include <initializer_list>

namespace ringside::cli {
namespace {

struct Need {
  bool is_wanted;
  std::initializer_list<std::string_view> options;
  std::string_view consequence;
};

// A line "CONFIG_NAME=y" or "=m"; what is not set stands in a comment.
bool has(std::string_view configuration, std::string_view name) {
  const std::string line = fmt::format("\nCONFIG_{}=", name);
  const std::size_t at = configuration.find(line);
  if (at == std::string_view::npos || at + line.size() >= configuration.size()) return false;
  const char value = configuration[at + line.size()];
  return value == 'y' || value == 'm';
}

}  // namespace

std::vector<std::string> missing_in(std::string_view configuration, const GuestNeeds& needs) {
  const bool devices =
      needs.folders || needs.network || needs.disks || needs.sockets || needs.console;
  const std::initializer_list<Need> all = {
      {needs.serial,
       {"SERIAL_8250", "SERIAL_8250_CONSOLE"},
       "it says nothing on COM1, and there is no shell; a debugger sees it all the same"},
      {needs.initramfs, {"BLK_DEV_INITRD"}, "it does not unpack the initramfs"},
      {needs.initramfs,
       {"64BIT", "BINFMT_ELF", "BINFMT_SCRIPT"},
       "it cannot start the initramfs' programs"},
      {devices && needs.on_pci,
       {"PCI", "VIRTIO_PCI"},
       "it does not see folders, network and disks; --virtio mmio has them elsewhere"},
      {devices && !needs.on_pci, {"VIRTIO_MMIO"}, "it does not see folders, network and disks"},
      {needs.console, {"VIRTIO_CONSOLE"}, "it does not see --console"},
      {needs.folders, {"NET_9P", "NET_9P_VIRTIO", "9P_FS"}, "it cannot mount shared folders"},
      {needs.network, {"VIRTIO_NET", "PACKET"}, "it is not on the network"},
      {needs.disks, {"VIRTIO_BLK"}, "it does not see disks"},
      {needs.sockets, {"VSOCKETS", "VIRTIO_VSOCKETS"}, "it has no sockets by --vsock"},
  };
  const std::string lines = "\n" + std::string(configuration);
  std::vector<std::string> sentences;
  for (const Need& need : all) {
    std::string missing;
    for (const std::string_view option : need.options) {
      if (!need.is_wanted || has(lines, option)) continue;
      missing += fmt::format("{}CONFIG_{}", missing.empty() ? "" : ", ", option);
    }
    if (!missing.empty())
      sentences.push_back(fmt::format("without {} {}", missing, need.consequence));
  }
  return sentences;
}

bool has_modules(std::string_view configuration) {
  return has("\n" + std::string(configuration), "MODULES");
}

}  // namespace ringside::cli
