// The PVH entry of Xen (xen/include/public/arch-x86/hvm/start_info.h): 32-bit, flat, EBX points to
// hvm_start_info.
#include <fmt/format.h>

#include "machine/boot/acpi_placement.h"
#include "machine/boot/boot_entry.h"
#include "machine/boot/boot_protocols.h"

namespace ringside::machine {
namespace {

struct StartInfo {
  std::uint32_t magic = 0x336ec578, version = 1, flags = 0, module_count = 0;
  std::uint64_t modules = 0, command_line = 0, rsdp = 0, memory_map = 0;
  std::uint32_t memory_map_entries = 0, reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct ModuleEntry {
  std::uint64_t address, size, command_line, reserved;
};

struct MapEntry {
  std::uint64_t base, size;
  std::uint32_t type, reserved;
};

template <typename T>
Result<std::uint64_t> place_table(BootMemory& memory, const std::vector<T>& table,
                                  std::string_view what) {
  if (table.empty()) return 0;
  const Bytes bytes = std::as_bytes(std::span(table));
  const Gpa place = TRY(memory.place_low(bytes.size(), kLowMemory, what));
  memory.write(place, bytes);
  return place.value;
}

}  // namespace

Result<BootResult> boot_pvh(const BootRequest& request, const ElfImage& elf, BootMemory& memory) {
  TRY(load_segments(elf, memory, request.kernel_name));

  StartInfo info;
  info.rsdp = kAcpiStart.value;
  std::vector<ModuleEntry> modules;
  for (const BootModule& module : request.modules) {
    const std::string what = fmt::format("module '{}'", module.name);
    if (module.content.empty()) continue;
    const Gpa place = TRY(memory.place_high(module.content.size(), {1ull << 32}, what));
    memory.write(place, module.content);
    const Gpa text = TRY(place_text(memory, module.argument, what));
    modules.push_back({place.value, module.content.size(), text.value, 0});
  }
  std::vector<MapEntry> map;
  for (const MemoryRange& range : memory.map()) {
    map.push_back({range.base.value, range.size, static_cast<std::uint32_t>(range.kind), 0});
  }
  info.module_count = static_cast<std::uint32_t>(modules.size());
  info.modules = TRY(place_table(memory, modules, "the module table"));
  info.memory_map_entries = static_cast<std::uint32_t>(map.size());
  info.memory_map = TRY(place_table(memory, map, "the memory map"));
  info.command_line = TRY(place_text(memory, request.command_line, "the command line")).value;
  const Gpa place = TRY(memory.place_low(sizeof info, kLowMemory, "the start information"));
  memory.write(place, bytes_of(info));

  BootResult result;
  result.format = fmt::format("ELF{} with a PVH note, 32-bit entry", elf.is_64bit ? 64 : 32);
  result.entry = TRY(enter_32bit(memory, *elf.pvh_entry));
  result.entry.reg(x86::Gpr::Rbx) = place.value;
  return result;
}

}  // namespace ringside::machine
