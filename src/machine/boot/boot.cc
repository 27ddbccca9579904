#include "machine/boot/boot.h"

#include <fmt/format.h>

#include "machine/boot/acpi_placement.h"
#include "machine/boot/bios_remains.h"
#include "machine/boot/boot_entry.h"
#include "machine/boot/boot_protocols.h"
#include "machine/boot/kernel_payload.h"

namespace ringside::machine {
namespace {

constexpr std::string_view kSupported =
    "supported are multiboot 1 and 2 (ELF32, ELF64 or addresses in the header), Linux bzImage "
    "(boot protocol 2.06 or newer), and ELF vmlinux or any other ELF with a PVH note";

bool starts_with(Bytes file, std::string_view text) {
  return file.size() >= text.size() && std::memcmp(file.data(), text.data(), text.size()) == 0;
}

// What a file is that no loader takes, as the end of a sentence.
std::string describe(Bytes file) {
  if (file.empty()) return "is empty";
  if (starts_with(file, "#!")) return "is a script";
  if (starts_with(file, "MZ")) return "is a DOS or EFI program without a Linux setup header";
  if (starts_with(file, "CD001") || read_at<std::uint32_t>(file, 0x8001) == 0x30304443) {
    return "is a CD image, not a kernel";
  }
  if (starts_with(file, "070701")) return "is a cpio archive, as an initrd is (-i FILE)";
  const std::optional<Compression> compression = detect_compression(file);
  if (compression && *compression != Compression::None) {
    return fmt::format("is {} data; unpack it first", compression_name(*compression));
  }
  if (read_at<std::uint16_t>(file, 0x1fe) == 0xaa55) {
    return "is a boot sector or disk image, which firmware starts (--bios FILE -d IMAGE)";
  }
  return "is of no known format";
}

Error not_supported(const std::string& name, std::string_view found) {
  return Error(ErrorCode::BadRequest, fmt::format("kernel '{}' {}; {}", name, found, kSupported));
}

}  // namespace

Result<void> recognise(const std::string& name, std::span<const std::byte> beginning) {
  if (is_linux_image(beginning) || is_multiboot(beginning) || is_multiboot2(beginning)) return {};
  if (!is_elf(beginning)) return fail(not_supported(name, describe(beginning)));
  const Result<void> header = check_elf_header(beginning);
  if (!header) return fail(not_supported(name, header.error().text()));
  return {};
}

Result<Gpa> place_text(BootMemory& memory, const std::string& text, std::string_view what) {
  const Gpa place = TRY(memory.place_low(text.size() + 1, kLowMemory, what));
  memory.write(place, bytes_of_text(text.c_str(), text.size() + 1));
  return place;
}

Result<BootResult> boot(const BootRequest& request, hypervisor::GuestRam& ram) {
  BootMemory memory(ram, request.meanwhile);
  TRY(write_acpi_tables(ram, {.vcpus = request.vcpus,
                              .virtio_devices = request.virtio_devices,
                              .virtio_bus = request.virtio_bus,
                              .text_card = request.text_card}));
  const bool has_pci_devices = request.virtio_bus == VirtioBus::Pci;
  TRY(leave_bios(ram, {.vcpus = request.vcpus,
                       .pci_devices = has_pci_devices ? request.virtio_devices : 0,
                       .text_card = request.text_card}));
  if (is_linux_image(request.kernel)) return boot_linux_image(request, memory);
  if (is_multiboot(request.kernel)) return boot_multiboot(request, memory);
  if (is_multiboot2(request.kernel)) return boot_multiboot2(request, memory);

  std::string found;
  if (is_elf(request.kernel)) {
    Result<ElfImage> elf = parse_elf(request.kernel);
    if (elf) TRY(check_memory(*elf, memory, request.kernel_name));
    if (elf && is_linux_elf(*elf)) return boot_linux_elf(request, *elf, memory);
    if (elf && elf->pvh_entry) return boot_pvh(request, *elf, memory);
    found = elf ? fmt::format("is an ELF{} program without a multiboot header, a PVH note or Linux",
                              elf->is_64bit ? 64 : 32)
                : elf.error().text();
  } else {
    found = describe(request.kernel);
  }
  return fail(not_supported(request.kernel_name, found));
}

void shadow_firmware(Bytes image, hypervisor::GuestRam& ram) {
  constexpr std::uint64_t kShadow = 256u << 10, kOneMegabyte = 1u << 20;
  // PCs show the end of the firmware below 1 MiB as well: 128 KiB of it until it opens the rest,
  // which here is RAM from the start.
  const std::uint64_t shadow = std::min<std::uint64_t>(image.size(), kShadow);
  std::memcpy(ram.host({kOneMegabyte - shadow}, shadow), image.data() + image.size() - shadow,
              shadow);
}

Result<BootResult> boot_firmware(const std::string& name, Bytes image, std::uint64_t variables,
                                 hypervisor::GuestRam& ram) {
  if (image.empty() || image.size() % kPageSize != 0 || image.size() > kMostFirmware) {
    return fail(ErrorCode::BadRequest,
                fmt::format("firmware '{}' has {} bytes; it must be whole 4 KiB pages, at most 16M",
                            name, image.size()));
  }
  if (variables > kMostFirmware - image.size()) {
    return fail(
        ErrorCode::BadRequest,
        fmt::format("firmware '{}' has {}, and its variables {}; together they may have 16M", name,
                    megabytes(image.size()), megabytes(variables)));
  }
  TRY(ram.add_rom({(1ull << 32) - image.size()}, image));
  shadow_firmware(image, ram);
  return BootResult{"firmware, entered at the reset vector", x86::reset_state(), false};
}

}  // namespace ringside::machine
