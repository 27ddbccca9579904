#include "cli/run/prepare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "cli/run/initramfs.h"
#include "cli/run/kernel_configuration.h"
#include "cli/run/kernel_modules.h"
#include "cli/start/files.h"
#include "cli/terminal/notice.h"
#include "cli/terminal/progress.h"

namespace ringside::cli {
namespace {

// The terminal that Linux has for a console, in its words. None where the user has named one.
std::string console_of(const Options& options) {
  if (options.append.find("console=") != std::string::npos) return {};
  if (options.vga == Vga::Text) return "tty0";
  if (std::holds_alternative<StdioStream>(options.console)) return "hvc0";
  return is_there(options.serial) ? "ttyS0" : "";
}

// Those of the devices that the guest has, and the file system that most disks have. Others are as
// large again, each, for what few disks need.
std::vector<std::string> wanted_modules(const Options& options) {
  std::vector<std::string> names = {"virtio_pci", "virtio_mmio"};
  if (is_there(options.console)) names.emplace_back("virtio_console");
  if (!options.shares.empty()) names.insert(names.end(), {"9pnet_virtio", "9p"});
  if (options.network) names.insert(names.end(), {"virtio_net", "af_packet"});
  // ext4 asks for the checksum by the name of an algorithm, and so it is not among what it needs.
  if (!options.disks.empty()) names.insert(names.end(), {"virtio_blk", "crc32c_generic", "ext4"});
  if (options.vsock) names.emplace_back("vmw_vsock_virtio_transport");
  if (options.rng == Rng::Host) names.emplace_back("virtio_rng");
  return names;
}

GuestNeeds needs_of(const Options& options, const std::string& console) {
  GuestNeeds needs;
  needs.initramfs = options.run->initramfs != Initramfs::None || !options.modules.empty();
  needs.serial = console == "ttyS0";
  needs.console = is_there(options.console);
  needs.folders = !options.shares.empty();
  needs.network = options.network.has_value();
  needs.disks = !options.disks.empty();
  needs.sockets = options.vsock.has_value();
  needs.on_pci = options.virtio_bus == machine::VirtioBus::Pci;
  return needs;
}

Result<void> say_what_is_missing(const KernelFiles& files, const GuestNeeds& needs) {
  bool wants_modules =
      needs.folders || needs.network || needs.disks || needs.sockets || needs.console;
  if (!files.configuration.empty()) {
    const FileContent content = TRY(read_file(files.configuration, "kernel configuration"));
    const std::string_view text(reinterpret_cast<const char*>(content.bytes().data()),
                                content.size());
    for (const std::string& sentence : missing_in(text, needs))
      notice("kernel: {}", sentence);
    wants_modules = wants_modules && has_modules(text);
  }
  if (wants_modules && files.modules.empty()) {
    notice(
        "run: there are no modules of this kernel in its tree ('make modules' makes them), in "
        "lib/modules/VERSION beside its boot folder, or in /lib/modules/VERSION; drivers that are "
        "not built in are missing");
  }
  return {};
}

Result<std::vector<std::byte>> make_initramfs(const Options& options, const KernelFiles& files,
                                              const std::string& console, const Places& places) {
  if (options.run->initramfs == Initramfs::Directory) {
    Progress progress;
    return directory_initramfs(options.run->directory, options.memory,
                               [&](const Stage& stage) -> Result<void> {
                                 progress.at(stage);
                                 return {};
                               });
  }
  const std::string busybox = TRY(find_busybox(places.root));
  std::vector<KernelModule> modules;
  if (!files.modules.empty())
    modules = TRY(collect_modules(files.modules, wanted_modules(options)));
  GuestSetup setup{console, {}, options.network.has_value()};
  for (const companions::SharedFolder& folder : options.shares)
    setup.shares.push_back(folder.tag);
  return busybox_initramfs(busybox, modules, setup);
}

}  // namespace

Result<void> prepare_run(Options& options, const Places& places) {
  if (!options.run) return {};
  if (options.kernel.empty()) options.kernel = TRY(find_kernel(places));
  // It is read later; what is said of the files beside it would only be in the way of that error.
  if (::access(options.kernel.c_str(), R_OK) != 0)
    return fail(Error::from_errno(fmt::format("cannot read kernel '{}'", options.kernel), errno));
  const KernelFiles files = files_of(options.kernel, places);
  notice("run: {}{}", files.kernel,
         files.version.empty() ? std::string() : fmt::format(", Linux {}", files.version));
  options.run->symbols = files.symbols;
  const std::string console = console_of(options);
  if (!console.empty()) {
    const std::string given = std::exchange(options.append, "console=" + console);
    if (!given.empty()) options.append += " " + given;
  }
  TRY(say_what_is_missing(files, needs_of(options, console)));
  if (options.run->initramfs == Initramfs::None) return {};
  std::vector<std::byte> archive = TRY(make_initramfs(options, files, console, places));
  ModuleOption initramfs;
  initramfs.path = "made by run";
  initramfs.content = std::make_shared<const std::vector<std::byte>>(std::move(archive));
  options.modules.push_back(std::move(initramfs));
  return {};
}

}  // namespace ringside::cli
