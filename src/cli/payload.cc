#include "cli/payload.h"

#include <algorithm>

#include "base/state_hash.h"
#include "cli/files.h"

namespace ringside::cli {

Result<Payload> read_payload(const Options& options, const std::function<void()>& meanwhile) {
  Payload payload;
  if (!options.bios.empty()) {
    payload.image = TRY(read_file(options.bios, "firmware"));
    return payload;
  }
  machine::BootRequest& request = payload.request;
  request.meanwhile = meanwhile;
  payload.image = TRY(read_file(options.kernel, "kernel", meanwhile));
  request.kernel_name = options.kernel;
  request.kernel = payload.image;
  for (const ModuleOption& module : options.modules) {
    request.modules.push_back(
        {module.path, module.argument, TRY(read_file(module.path, "initrd", meanwhile))});
  }
  request.command_line = options.append;
  request.vcpus = options.cpus;
  request.virtio_devices = static_cast<unsigned>(options.disks.size());
  return payload;
}

std::uint64_t hash_of(const Payload& payload) {
  StateHasher hasher;
  hasher.add(payload.image);
  for (const machine::BootModule& module : payload.request.modules)
    hasher.add(module.content);
  return hasher.value();
}

Result<std::uint64_t> content_of(const Disks& disks, std::uint64_t payload,
                                 std::string_view command_line) {
  StateHasher hasher;
  std::vector<std::byte> piece(1u << 20);
  for (const std::shared_ptr<machine::BlockBackend>& disk : disks) {
    for (std::uint64_t at = 0; at < disk->size(); at += piece.size()) {
      const std::span<std::byte> part =
          std::span(piece).first(std::min<std::uint64_t>(piece.size(), disk->size() - at));
      if (!disk->read(at, part)) return fail(ErrorCode::System, "cannot read a disk to its end");
      hasher.add(part);
    }
  }
  hasher.field(payload);
  hasher.add(std::as_bytes(std::span(command_line)));
  return hasher.value();
}

}  // namespace ringside::cli
