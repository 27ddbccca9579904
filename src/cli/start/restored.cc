#include "cli/start/restored.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/mebibytes.h"
#include "cli/start/disks.h"
#include "nbd/address.h"

namespace ringside::cli {
namespace {

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::BadRequest, fmt::format(format, std::forward<Args>(args)...));
}

// Other images, which somebody says are the right ones.
Result<void> check_named(const std::vector<DiskOption>& named,
                         const std::vector<time::SavedDisk>& saved) {
  if (named.size() != saved.size()) {
    return bad("--disk: the saved machine has {} disks, and {} are given; name all of them or none",
               saved.size(), named.size());
  }
  for (std::size_t i = 0; i < named.size(); ++i) {
    const time::SavedDisk now = TRY(look_at(named[i]));
    // What a server has is known when it is connected.
    if (nbd::is_address(named[i].path) || now.size == saved[i].size) continue;
    return bad("--disk: disk {} of the saved machine has {} bytes, and '{}' has {}", i,
               saved[i].size, named[i].path, now.size);
  }
  return {};
}

enum class Kind { Disk, FirmwareVariables };

Result<std::vector<DiskOption>> saved_images(Kind kind, const std::vector<time::SavedDisk>& saved) {
  const bool is_disk = kind == Kind::Disk;
  const std::string_view what = is_disk ? kDiskImage : kFirmwareVars;
  std::vector<DiskOption> disks;
  for (const time::SavedDisk& disk : saved) {
    disks.push_back({disk.path, disk.read_only});
    if (nbd::is_address(disk.path)) {
      return bad(
          "disk {} is a server's, and nobody knows whether it has changed since the machine was "
          "saved; -d for each disk takes them as they are",
          disk.path);
    }
    if (TRY(look_at(disks.back(), what)) == disk) continue;
    return bad(
        "{} {} has changed since the machine was saved, and the guest knows other content; {}",
        what, disk.path,
        is_disk ? "-d FILE for each disk takes images of the same sizes as they are"
                : "--firmware-vars FILE takes a file of the same size as it is");
  }
  return disks;
}

// What firmware is to start is part of what the guest reads, and nobody can name another.
Result<void> take_kernel(const time::SavedOptions& saved, Options& options) {
  for (const time::SavedDisk& file : saved.kernel_files) {
    const bool is_kernel = options.kernel.empty();
    const std::string_view what = is_kernel ? kKernel : kInitrd;
    if (TRY(look_at({file.path}, what)) != file) {
      return bad(
          "{} {}, which the firmware was given, has changed since the machine was saved, and the "
          "guest may know other content",
          what, file.path);
    }
    if (is_kernel) {
      options.kernel = file.path;
    } else {
      options.modules.push_back({file.path, ""});
    }
  }
  options.append = saved.kernel_command_line;
  return {};
}

// The machine has what was given; nobody can plug it in now.
Result<void> check_devices(const Options& given, const time::SavedOptions& saved) {
  const struct {
    bool given, there;
    const char* option;
    const char* device;
  } devices[] = {
      {given.network.has_value(), saved.network, "--net", "network card"},
      {given.vsock.has_value(), saved.vsock_cid != 0, "--vsock", "such device"},
      {given.rng == Rng::Host, saved.random, "--rng", "such device"},
      {is_there(given.console), saved.console, "--console", "such device"},
      {given.vga == Vga::Text, saved.text_card, "--vga", "screen"},
      {given.debug_exit, saved.debug_exit, "--debug-exit", "such port"},
      {given.test_device, saved.test_device, "--test-device", "such device"},
      {is_there(given.debugcon), saved.debugcon, "--debugcon", "such port"},
      {given.guest_gdb.has_value(), saved.guest_gdb, "--guest-gdb", "such port"},
  };
  for (const auto& device : devices) {
    if (device.given && !device.there)
      return bad("{}: the saved machine was started without it, and has no {}", device.option,
                 device.device);
  }
  return {};
}

// Other directories, which somebody says are the right ones: the guest knows the tags.
Result<std::vector<companions::SharedFolder>> shares_of(
    const std::vector<companions::SharedFolder>& given,
    const std::vector<time::SavedShare>& saved) {
  std::vector<companions::SharedFolder> shares;
  shares.reserve(saved.size());
  for (const time::SavedShare& share : saved) {
    shares.push_back({share.path, share.tag,
                      share.read_only ? share::Access::ReadOnly : share::Access::ReadWrite});
  }
  for (const companions::SharedFolder& folder : given) {
    const auto place = std::find_if(
        shares.begin(), shares.end(),
        [&](const companions::SharedFolder& share) { return share.tag == folder.tag; });
    if (place == shares.end())
      return bad("--share: the saved machine has no shared folder with the tag '{}'", folder.tag);
    *place = folder;
  }
  return shares;
}

// Where programs of the host are is not saved: a machine goes on as often as one likes, and each
// time they would be others.
Result<std::optional<vsock::VsockOptions>> vsock_of(const std::optional<vsock::VsockOptions>& given,
                                                    std::uint32_t cid) {
  if (cid == 0) return std::optional<vsock::VsockOptions>();
  vsock::VsockOptions options = given.value_or(vsock::VsockOptions());
  if (options.cid_given && options.cid != cid)
    return bad("--vsock: cid={}, but the saved machine has {}", options.cid, cid);
  options.cid = cid;
  return options;
}

}  // namespace

Result<Options> as_saved(const Options& given, const time::SavedOptions& saved) {
  if (given.cpus_given && given.cpus != saved.vcpus)
    return bad("--cpus {}: the saved machine has {}", given.cpus, saved.vcpus);
  if (given.memory_given && given.memory != saved.memory) {
    return bad("--memory: {}, but the saved machine has {}", in_mebibytes(given.memory),
               in_mebibytes(saved.memory));
  }
  if (given.virtio_bus_given && given.virtio_bus != saved.virtio_bus)
    return bad("--virtio: the saved machine has its disks on the other bus");
  if (given.processor && given.processor != saved.processor)
    return bad("--cpu: the saved machine has {}", name_of(saved.processor));
  TRY(check_devices(given, saved));
  Options options = given;
  options.processor = saved.processor;
  options.cpus = saved.vcpus;
  options.memory = saved.memory;
  options.debug_exit = saved.debug_exit;
  options.test_device = saved.test_device;
  options.virtio_bus = saved.virtio_bus;
  if (saved.network && !given.network) options.network.emplace();
  options.vsock = TRY(vsock_of(given.vsock, saved.vsock_cid));
  if (saved.random) options.rng = Rng::Host;
  options.shares = TRY(shares_of(given.shares, saved.shares));
  if (given.firmware_vars) {
    if (saved.firmware_vars.empty())
      return bad("--firmware-vars: the saved machine was started without them");
    const std::uint64_t size = saved.firmware_vars.front().size;
    if (TRY(look_at(*given.firmware_vars, kFirmwareVars)).size != size)
      return bad(
          "--firmware-vars: the saved machine's have {} bytes, and those of '{}' are not as "
          "many",
          size, given.firmware_vars->path);
  } else if (!saved.firmware_vars.empty()) {
    options.firmware_vars = TRY(saved_images(Kind::FirmwareVariables, saved.firmware_vars)).front();
  }
  if (given.disks.empty()) {
    options.disks = TRY(saved_images(Kind::Disk, saved.disks));
  } else {
    TRY(check_named(given.disks, saved.disks));
  }
  TRY(take_kernel(saved, options));
  return options;
}

std::string describe_restored(const std::string& path, const time::SavedOptions& saved) {
  return fmt::format("restored: {}, {} vCPU{}, {}, {} disk{}, after {} instructions", path,
                     saved.vcpus, saved.vcpus == 1 ? "" : "s", in_mebibytes(saved.memory),
                     saved.disks.size(), saved.disks.size() == 1 ? "" : "s",
                     saved.at.progress.instructions.value);
}

}  // namespace ringside::cli
