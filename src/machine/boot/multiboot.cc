// Multiboot 0.6.96: sections 3.1 (header), 3.2 (machine state) and 3.3 (information).
#include <fmt/format.h>

#include <array>

#include "machine/boot/boot_entry.h"
#include "machine/boot/boot_protocols.h"
#include "machine/boot/multiboot_addresses.h"

namespace ringside::machine {
namespace {

constexpr std::uint32_t kHeaderMagic = 0x1badb002, kLoaderMagic = 0x2badb002;
constexpr std::uint64_t kSearchEnd = 8192;

namespace header_flag {
constexpr std::uint32_t kAlignModules = 1u << 0, kMemoryInfo = 1u << 1, kVideo = 1u << 2,
                        kAddresses = 1u << 16, kRequirements = 0xffff;
}
namespace info_flag {
constexpr std::uint32_t kMemory = 1u << 0, kCommandLine = 1u << 2, kModules = 1u << 3,
                        kMemoryMap = 1u << 6, kLoaderName = 1u << 9;
}

struct Header {
  std::uint32_t magic, flags, checksum;
};
// Present when header_flag::kAddresses is set: where a file without useful headers goes.
struct Addresses {
  LoadAddresses load;
  std::uint32_t entry;
};

struct Info {
  std::uint32_t flags = 0, mem_lower = 0, mem_upper = 0, boot_device = 0, command_line = 0,
                mods_count = 0, mods_addr = 0;
  std::array<std::uint32_t, 4> symbols{};
  std::uint32_t mmap_length = 0, mmap_addr = 0, drives_length = 0, drives_addr = 0,
                config_table = 0, loader_name = 0, apm_table = 0;
  std::array<std::uint32_t, 10> video{};
};
static_assert(sizeof(Info) == 112);

struct Module {
  std::uint32_t start, end, text, reserved;
};

// The size field counts what follows it.
struct __attribute__((packed)) MapEntry {
  std::uint32_t size;
  std::uint64_t base, length;
  std::uint32_t type;
};
static_assert(sizeof(MapEntry) == 24);

std::optional<std::uint64_t> find_header(Bytes kernel) {
  for (std::uint64_t offset = 0; offset + sizeof(Header) <= kSearchEnd; offset += 4) {
    const auto header = read_at<Header>(kernel, offset);
    if (!header) break;
    if (header->magic == kHeaderMagic && header->magic + header->flags + header->checksum == 0) {
      return offset;
    }
  }
  return std::nullopt;
}

std::uint32_t low32(Gpa address) { return static_cast<std::uint32_t>(address.value); }

class Loader {
 public:
  Loader(const BootRequest& request, BootMemory& memory) : request_(request), memory_(memory) {}

  Result<BootResult> load();

 private:
  Result<std::string> load_by_addresses(std::uint64_t header_offset);
  Result<std::string> load_elf();
  Result<void> add_modules();
  Result<void> add_memory_map();
  template <typename... Args>
  tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::BadRequest,
                fmt::format("multiboot kernel '{}' {}", request_.kernel_name,
                            fmt::format(format, std::forward<Args>(args)...)));
  }

  const BootRequest& request_;
  BootMemory& memory_;
  std::uint64_t entry_ = 0;
  Info info_;
};

Result<std::string> Loader::load_by_addresses(std::uint64_t header_offset) {
  const auto where = read_at<Addresses>(request_.kernel, header_offset + sizeof(Header));
  if (!where) return bad("is cut short within its header");
  const Result<LoadedPart> part = part_by_addresses(request_.kernel, header_offset, where->load);
  if (!part) return bad("{}", part.error().text());
  TRY(memory_.load(part->base, part->content, part->memory_size,
                   fmt::format("multiboot kernel '{}'", request_.kernel_name)));
  entry_ = where->entry;
  return std::string("multiboot 1, loaded by the addresses of its header");
}

Result<std::string> Loader::load_elf() {
  Result<ElfImage> elf = parse_elf(request_.kernel);
  if (!elf) return bad("{}", elf.error().text());
  TRY(load_segments(*elf, memory_, request_.kernel_name));
  entry_ = elf->physical_entry();
  if (entry_ > 0xffffffff) return bad("starts at {:#x}, beyond 4 GiB", entry_);
  return fmt::format("multiboot 1, ELF{}", elf->is_64bit ? 64 : 32);
}

Result<void> Loader::add_modules() {
  std::vector<Module> table;
  for (const BootModule& module : request_.modules) {
    const std::string what = fmt::format("module '{}'", module.name);
    // Above the kernel and above 1 MiB, in the order given.
    const Gpa from{std::max<std::uint64_t>(memory_.end().value, 1u << 20)};
    // An empty module still has an address of its own.
    const Gpa place =
        TRY(memory_.place_low(std::max<std::size_t>(module.content.size(), 1), from, what));
    memory_.write(place, module.content);
    const std::string text =
        module.argument.empty() ? module.name : module.name + " " + module.argument;
    const Gpa text_place = TRY(place_text(memory_, text, what));
    table.push_back({low32(place), low32(place + module.content.size()), low32(text_place), 0});
  }
  info_.flags |= info_flag::kModules;
  info_.mods_count = static_cast<std::uint32_t>(table.size());
  if (table.empty()) return {};
  const Bytes bytes = std::as_bytes(std::span(table));
  const Gpa place = TRY(memory_.place_low(bytes.size(), kLowMemory, "the module table"));
  memory_.write(place, bytes);
  info_.mods_addr = low32(place);
  return {};
}

Result<void> Loader::add_memory_map() {
  std::vector<MapEntry> table;
  for (const MemoryRange& range : memory_.map()) {
    table.push_back({sizeof(MapEntry) - sizeof(std::uint32_t), range.base.value, range.size,
                     static_cast<std::uint32_t>(range.kind)});
    // In KiB: what lies below 640 KiB, and what lies above 1 MiB up to the first hole.
    if (range.base.value == 0) info_.mem_lower = static_cast<std::uint32_t>(range.size >> 10);
    if (range.base.value == 1u << 20)
      info_.mem_upper = static_cast<std::uint32_t>(range.size >> 10);
  }
  const Bytes bytes = std::as_bytes(std::span(table));
  const Gpa place = TRY(memory_.place_low(bytes.size(), kLowMemory, "the memory map"));
  memory_.write(place, bytes);
  info_.flags |= info_flag::kMemory | info_flag::kMemoryMap;
  info_.mmap_length = static_cast<std::uint32_t>(bytes.size());
  info_.mmap_addr = low32(place);
  return {};
}

Result<BootResult> Loader::load() {
  const std::optional<std::uint64_t> offset = find_header(request_.kernel);
  if (!offset) return bad("has no header");
  const std::uint32_t flags = read_at<Header>(request_.kernel, *offset)->flags;
  if ((flags & header_flag::kVideo) != 0) {
    return bad("asks for a video mode (header flag 2), and there is no display");
  }
  const std::uint32_t known = header_flag::kAlignModules | header_flag::kMemoryInfo;
  if ((flags & header_flag::kRequirements & ~known) != 0) {
    return bad("requires a feature that is not known here (header flags {:#x})", flags);
  }

  BootResult result;
  if ((flags & header_flag::kAddresses) != 0) {
    result.format = TRY(load_by_addresses(*offset));
  } else {
    result.format = TRY(load_elf());
  }
  TRY(add_modules());
  TRY(add_memory_map());
  const std::string command_line = request_.command_line.empty()
                                       ? request_.kernel_name
                                       : request_.kernel_name + " " + request_.command_line;
  info_.flags |= info_flag::kCommandLine | info_flag::kLoaderName;
  info_.command_line = low32(TRY(place_text(memory_, command_line, "the command line")));
  info_.loader_name = low32(TRY(place_text(memory_, "ringside", "the loader's name")));
  const Gpa info = TRY(memory_.place_low(sizeof info_, kLowMemory, "the multiboot information"));
  memory_.write(info, bytes_of(info_));

  result.entry = TRY(enter_32bit(memory_, entry_));
  result.entry.reg(x86::Gpr::Rax) = kLoaderMagic;
  result.entry.reg(x86::Gpr::Rbx) = info.value;
  return result;
}

}  // namespace

bool is_multiboot(Bytes kernel) { return find_header(kernel).has_value(); }

Result<BootResult> boot_multiboot(const BootRequest& request, BootMemory& memory) {
  return Loader(request, memory).load();
}

}  // namespace ringside::machine
