#include "cli/start/payload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/state_hash.h"
#include "cli/start/files.h"
#include "machine/boot/boot_image.h"
#include "machine/boot/kernel_payload.h"

namespace ringside::cli {

namespace {

bool is_packed(std::span<const std::byte> file) {
  const auto compression = machine::detect_compression(file);
  return compression && *compression != machine::Compression::None;
}

Reading kernel_reading(const Options& options, const Meanwhile& meanwhile) {
  Reading reading;
  reading.meanwhile = meanwhile;
  reading.begins_with = machine::kRecognisedBy;
  reading.check_beginning = [&name = options.kernel](std::span<const std::byte> beginning) {
    Result<void> known = machine::recognise(name, beginning);
    return is_packed(beginning) ? Result<void>() : known;
  };
  return reading;
}

// Of what firmware is to load into the guest's memory.
Reading reading_for_firmware(const Options& options, const Meanwhile& meanwhile) {
  Reading reading;
  reading.meanwhile = meanwhile;
  reading.most = std::min(options.memory, machine::kMostOfFirmwareKernel);
  reading.beyond =
      reading.most == options.memory
          ? fmt::format("there is no room for it in the guest's {} of memory; give it more with -m",
                        machine::megabytes(options.memory))
          : "firmware takes files of less than 4G";
  return reading;
}

Reading kernel_reading_for_firmware(const Options& options, const Meanwhile& meanwhile) {
  Reading reading = reading_for_firmware(options, meanwhile);
  reading.begins_with = machine::kRecognisedBy;
  reading.check_beginning =
      [&name = options.kernel](std::span<const std::byte> beginning) -> Result<void> {
    if (machine::is_for_firmware(beginning)) return {};
    return fail(ErrorCode::BadRequest,
                fmt::format("kernel '{}' is no Linux bzImage and no EFI program, which is what "
                            "firmware can start (--bios); others are loaded without it",
                            name));
  };
  return reading;
}

Reading firmware_reading(const Meanwhile& meanwhile) {
  Reading reading;
  reading.meanwhile = meanwhile;
  reading.most = machine::kMostFirmware;
  reading.beyond = fmt::format("firmware has at most {}", machine::megabytes(reading.most));
  return reading;
}

// What was packed as a whole, as distributions have Xen, once: `image` is what was in it then.
Result<bool> unpack_kernel(const Options& options, const Meanwhile& meanwhile, FileContent& image) {
  if (machine::recognise(options.kernel, image.bytes()) || !is_packed(image.bytes())) return false;
  auto unpacked = machine::unpack(image.bytes(), *machine::detect_compression(image.bytes()),
                                  options.memory, meanwhile);
  if (!unpacked && unpacked.error().code() == ErrorCode::BadRequest) {
    return fail(ErrorCode::BadRequest, fmt::format("cannot unpack kernel '{}': {}", options.kernel,
                                                   unpacked.error().text()));
  }
  if (!unpacked) return fail(unpacked.error());  // given up from outside
  image = FileContent(std::move(*unpacked));
  TRY(machine::recognise(options.kernel, image.bytes()));
  return true;
}

// An option ROM has its size in one byte, in pieces of 512 bytes.
Reading video_bios_reading(const Meanwhile& meanwhile) {
  Reading reading;
  reading.meanwhile = meanwhile;
  reading.most = 255 * 512;
  reading.beyond = "a video BIOS has at most 127K";
  return reading;
}

Reading module_reading(const Options& options, const Meanwhile& meanwhile) {
  Reading reading;
  reading.meanwhile = meanwhile;
  reading.most = options.memory;
  reading.beyond =
      fmt::format("there is no room for it in the guest's {} of memory; give it more with -m",
                  machine::megabytes(options.memory));
  return reading;
}

bool is_zero(std::span<const std::byte> bytes) {
  return bytes.front() == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// The pieces that are not all zeros, each with its place, and the size: equal for a hole and for
// zeros that are in the file.
Result<void> add_disk(StateHasher& hasher, machine::BlockBackend& disk,
                      const Meanwhile& meanwhile) {
  std::uint64_t size = disk.size();
  std::vector<std::byte> piece(1u << 20);
  const auto tell = [&](std::uint64_t done) {
    return meanwhile ? meanwhile({"reading the disks, for the journal", done, size})
                     : Result<void>();
  };
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    at = disk.after_hole(at) / piece.size() * piece.size();
    if (at >= size) break;
    const std::span<std::byte> part =
        std::span(piece).first(std::min<std::uint64_t>(piece.size(), size - at));
    using Outcome = machine::BlockBackend::Outcome;
    Outcome outcome = disk.read(at, part);
    for (; outcome == Outcome::UnderWay; outcome = disk.read(at, part))
      TRY(tell(at));
    if (outcome == Outcome::Failed) return fail(ErrorCode::System, "cannot read a disk to its end");
    if (!is_zero(part)) {
      hasher.field(at);
      hasher.add(part);
    }
    TRY(tell(at + part.size()));
  }
  hasher.field(size);
  return {};
}

// SeaBIOS has one for the text screen, if it is installed.
bool has_video_bios(const Options& options) {
  return !options.bios.empty() && options.vga == Vga::Text && std::filesystem::exists(kVideoBios);
}

using Opener = std::function<tl::expected<Fd, int>(const std::string& path)>;

// What goes with the kernel, which is there.
Result<void> read_modules(const Options& options, const Opener& open, const Reading& reading,
                          Payload& payload) {
  machine::BootRequest& request = payload.request;
  for (const ModuleOption& module : options.modules) {
    payload.modules.push_back(
        module.content != nullptr
            ? FileContent(*module.content)
            : TRY(read_open_file(open(module.path), module.path, "initrd", reading)));
    request.modules.push_back({module.path, module.argument, payload.modules.back().bytes()});
  }
  request.kernel_name = options.kernel;
  request.kernel = payload.kernel.bytes();
  request.command_line = options.append;
  return {};
}

Result<void> read_kernel_for_firmware(const Options& options, const Opener& open,
                                      const Meanwhile& meanwhile, Payload& payload) {
  if (options.kernel.empty()) return {};
  payload.kernel = TRY(read_open_file(open(options.kernel), options.kernel, "kernel",
                                      kernel_reading_for_firmware(options, meanwhile)));
  return read_modules(options, open, reading_for_firmware(options, meanwhile), payload);
}

}  // namespace

std::vector<std::string> payload_files(const Options& options) {
  std::vector<std::string> files;
  if (!options.bios.empty()) files.push_back(options.bios);
  if (has_video_bios(options)) files.emplace_back(kVideoBios);
  if (!options.kernel.empty()) files.push_back(options.kernel);
  for (const ModuleOption& module : options.modules)
    if (module.content == nullptr) files.push_back(module.path);
  return files;
}

Result<Payload> read_payload(const Options& options, sandbox::Outside& outside,
                             const Meanwhile& meanwhile) {
  const Opener open = [&outside](const std::string& path) { return outside.open_input(path); };
  const auto read = [&](const std::string& path, std::string_view what, const Reading& reading) {
    return read_open_file(open(path), path, what, reading);
  };
  Payload payload;
  if (!options.bios.empty()) {
    payload.firmware = TRY(read(options.bios, "firmware", firmware_reading(meanwhile)));
    if (has_video_bios(options)) {
      const FileContent content =
          TRY(read(kVideoBios, "video BIOS", video_bios_reading(meanwhile)));
      const std::span<const std::byte> bytes = content.bytes();
      payload.video_bios.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    TRY(read_kernel_for_firmware(options, open, meanwhile, payload));
    return payload;
  }
  payload.kernel = TRY(read(options.kernel, "kernel", kernel_reading(options, meanwhile)));
  payload.was_packed = TRY(unpack_kernel(options, meanwhile, payload.kernel));
  TRY(read_modules(options, open, module_reading(options, meanwhile), payload));
  machine::BootRequest& request = payload.request;
  request.meanwhile = meanwhile;
  request.vcpus = options.cpus;
  request.virtio_devices = virtio_devices(options);
  request.virtio_bus = options.virtio_bus;
  request.text_card = options.vga == Vga::Text;
  return payload;
}

Result<Payload> read_saved_kernel(const Options& options, const Meanwhile& meanwhile) {
  Payload payload;
  const Opener open = [](const std::string& path) { return open_file(path); };
  TRY(read_kernel_for_firmware(options, open, meanwhile, payload));
  return payload;
}

machine::FirmwareKernel kernel_for_firmware(const Payload& payload) {
  const machine::BootRequest& request = payload.request;
  return {request.kernel,
          request.modules.empty() ? std::span<const std::byte>() : request.modules[0].content,
          request.command_line};
}

bool has_firmware(const Options& options, const time::SavedOptions* saved) {
  return saved != nullptr ? !saved->roms.empty() : !options.bios.empty();
}

Result<hypervisor::GuestRam> create_memory(const Options& options,
                                           const time::SavedOptions* saved) {
  using Layout = hypervisor::GuestRam::Layout;
  hypervisor::GuestRam ram = TRY(hypervisor::GuestRam::create(
      options.memory, has_firmware(options, saved) ? Layout::AsFirmwareExpects : Layout::UpTo3GiB));
  if (saved != nullptr ? saved->text_card : options.vga == Vga::Text) ram.add_text_memory();
  return ram;
}

std::uint64_t hash_of(const Payload& payload) {
  StateHasher hasher;
  const bool firmware = payload.firmware.size() != 0;
  hasher.add(firmware ? payload.firmware.bytes() : payload.kernel.bytes());
  hasher.add(std::as_bytes(std::span(payload.video_bios)));
  if (firmware && payload.kernel.size() != 0) hasher.add(payload.kernel.bytes());
  for (const machine::BootModule& module : payload.request.modules)
    hasher.add(module.content);
  return hasher.value();
}

Result<std::uint64_t> content_of(const Images& disks, std::uint64_t payload, const Options& options,
                                 const Meanwhile& meanwhile) {
  StateHasher hasher;
  for (const std::shared_ptr<machine::BlockBackend>& disk : disks) {
    // Its requests take other parts of the device's work.
    bool is_remote = disk->is_remote();
    if (is_remote) hasher.field(is_remote);
    TRY(add_disk(hasher, *disk, meanwhile));
  }
  hasher.field(payload);
  hasher.add(std::as_bytes(std::span(options.append)));
  machine::VirtioBus virtio_bus = options.virtio_bus;
  if (virtio_devices(options) != 0) hasher.field(virtio_bus);
  bool has_network = options.network.has_value();
  if (has_network) hasher.field(has_network);
  for (const companions::SharedFolder& folder : options.shares)
    hasher.add(std::as_bytes(std::span(folder.tag)));
  const auto add_name = [&](std::string_view name) { hasher.add(std::as_bytes(std::span(name))); };
  if (options.vsock) {
    add_name("--vsock");
    std::uint32_t cid = options.vsock->cid;
    hasher.field(cid);
  }
  if (options.rng == Rng::Host) add_name("--rng");
  if (options.test_device) add_name("--test-device");
  if (is_there(options.console)) add_name("--console");
  if (options.vga == Vga::Text) add_name("--vga");
  return hasher.value();
}

}  // namespace ringside::cli
