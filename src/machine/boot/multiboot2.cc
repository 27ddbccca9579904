// Multiboot2 Specification 2.0: a kernel is loaded as its header says (3.1), entered in flat 32-bit
// mode (3.3), and finds a list of what there is (3.6).
#include <fmt/format.h>

#include <algorithm>

#include "machine/boot/acpi_placement.h"
#include "machine/boot/boot_entry.h"
#include "machine/boot/boot_protocols.h"
#include "machine/boot/elf_sections.h"
#include "machine/boot/multiboot2_header.h"
#include "machine/boot/multiboot2_information.h"

namespace ringside::machine {
namespace {

constexpr std::uint32_t kLoaderMagic = 0x36d76289;
constexpr Gpa kOneMegabyte{1u << 20};
constexpr std::uint64_t kRsdpSize = 36;

class Loader {
 public:
  Loader(const BootRequest& request, BootMemory& memory)
      : request_(request), memory_(memory), what_(fmt::format("'{}'", request.kernel_name)) {}

  Result<BootResult> load();

 private:
  Result<std::string> load_by_addresses();
  Result<std::string> load_elf();
  // By how much a kernel that takes [begin, end) is moved, from where it is linked.
  Result<std::uint64_t> distance(std::uint64_t begin, std::uint64_t end) const;
  Result<void> add_modules();
  Result<void> check_console() const;
  // Where what goes with the kernel begins: above it, and where it is moved, in what it has left.
  Gpa beside_kernel() const {
    return header_.relocation ? kOneMegabyte : std::max(memory_.end(), kOneMegabyte);
  }
  template <typename... Args>
  tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::BadRequest,
                fmt::format("multiboot 2 kernel '{}' {}", request_.kernel_name,
                            fmt::format(format, std::forward<Args>(args)...)));
  }

  const BootRequest& request_;
  BootMemory& memory_;
  std::string what_;
  Multiboot2Header header_;
  std::uint64_t entry_ = 0;
  Gpa base_;
  Multiboot2Information information_;
};

Result<std::uint64_t> Loader::distance(std::uint64_t begin, std::uint64_t end) const {
  if (!header_.relocation) return 0;
  const Relocation& wish = *header_.relocation;
  const BootMemory::Room room{.size = end - begin,
                              .from = {std::max<std::uint64_t>(wish.lowest, kOneMegabyte.value)},
                              .limit = {std::uint64_t{wish.highest} + 1},
                              .alignment = wish.alignment};
  using Preference = Relocation::Preference;
  const bool as_linked_serves = begin >= wish.lowest && end <= room.limit.value &&
                                begin % room.alignment == 0 &&
                                memory_.check({begin}, room.size, what_).has_value();
  if (wish.preference != Preference::Lowest && wish.preference != Preference::Highest &&
      as_linked_serves) {
    return 0;
  }
  const std::optional<Gpa> place =
      wish.preference == Preference::Highest ? memory_.highest(room) : memory_.lowest(room);
  if (!place) {
    return bad("wants {} between {:#x} and {:#x}, where the guest's memory has no room",
               megabytes(room.size), wish.lowest, wish.highest);
  }
  return place->value - begin;
}

Result<std::string> Loader::load_by_addresses() {
  if (!header_.entry) return bad("has addresses in its header, but no entry");
  LoadAddresses addresses = *header_.addresses;
  // 3.1.5: from the file's beginning.
  constexpr std::uint32_t kFileStart = 0xffffffff;
  if (addresses.load == kFileStart)
    addresses.load = addresses.header - static_cast<std::uint32_t>(header_.offset);
  const Result<LoadedPart> part = part_by_addresses(request_.kernel, header_.offset, addresses);
  if (!part) return bad("{}", part.error().text());
  const std::uint64_t begin = part->base.value;
  const std::uint64_t moved = TRY(distance(begin, begin + part->memory_size));
  base_ = part->base + moved;
  TRY(memory_.load(base_, part->content, part->memory_size,
                   fmt::format("multiboot 2 kernel {}", what_)));
  entry_ = *header_.entry + moved;
  return std::string("multiboot 2, loaded by the addresses of its header");
}

Result<std::string> Loader::load_elf() {
  Result<ElfImage> elf = parse_elf(request_.kernel);
  if (!elf) return bad("{}", elf.error().text());
  TRY(check_memory(*elf, memory_, request_.kernel_name));
  std::uint64_t begin = ~std::uint64_t{0}, end = 0;
  for (const ElfSegment& segment : elf->segments) {
    begin = std::min(begin, segment.physical.value);
    end = std::max(end, segment.physical.value + segment.memory_size);
  }
  const std::uint64_t moved = TRY(distance(begin, end));
  entry_ = header_.entry.value_or(0) + moved;
  if (!header_.entry) entry_ = elf->physical_entry() + moved;
  for (ElfSegment& segment : elf->segments)
    segment.physical.value += moved;
  base_ = {begin + moved};
  TRY(load_segments(*elf, memory_, request_.kernel_name));
  Result<SectionHeaders> sections = place_sections(request_.kernel, memory_, beside_kernel());
  if (!sections) return bad("{}", sections.error().text());
  if (sections->count != 0) information_.add_sections(*sections);
  return fmt::format("multiboot 2, ELF{}", elf->is_64bit ? 64 : 32);
}

Result<void> Loader::add_modules() {
  for (const BootModule& module : request_.modules) {
    const std::string what = fmt::format("module '{}'", module.name);
    // An empty one has an address of its own.
    const Gpa place = TRY(
        memory_.place_low(std::max<std::size_t>(module.content.size(), 1), beside_kernel(), what));
    memory_.write(place, module.content);
    information_.add_module(place, place + module.content.size(), module.argument);
  }
  return {};
}

// 3.1.6. A card that shows text is there if --vga says so, and none that shows graphics.
Result<void> Loader::check_console() const {
  if (!header_.requires_console || (request_.text_card && header_.shows_text)) return {};
  if (header_.shows_text) return bad("requires a console; --vga text gives it one");
  return bad("requires a console with graphics, and there is none");
}

Result<BootResult> Loader::load() {
  const std::optional<std::uint64_t> offset = find_multiboot2_header(request_.kernel);
  if (!offset) return bad("has no header");
  Result<Multiboot2Header> header = parse_multiboot2_header(request_.kernel, *offset);
  if (!header) return bad("{}", header.error().text());
  header_ = *header;
  TRY(check_console());

  // As GRUB hands it on: without the kernel's name.
  information_.add_command_line(request_.command_line);
  information_.add_loader_name("ringside");
  BootResult result;
  result.format = TRY(header_.addresses ? load_by_addresses() : load_elf());
  if (entry_ > 0xffffffff) return bad("starts at {:#x}, beyond 4 GiB", entry_);
  TRY(add_modules());
  information_.add_memory(memory_.map());
  information_.add_rsdp(memory_.read(kAcpiStart, kRsdpSize));
  if (header_.relocation) information_.add_load_base(base_);
  if (request_.text_card) information_.add_text_screen();
  const std::vector<std::byte> information = information_.finish();
  const Gpa place =
      TRY(memory_.place_low(information.size(), kLowMemory, "the multiboot information"));
  memory_.write(place, information);

  result.entry = TRY(enter_32bit(memory_, entry_));
  result.entry.reg(x86::Gpr::Rax) = kLoaderMagic;
  result.entry.reg(x86::Gpr::Rbx) = place.value;
  return result;
}

}  // namespace

bool is_multiboot2(Bytes kernel) { return find_multiboot2_header(kernel).has_value(); }

Result<BootResult> boot_multiboot2(const BootRequest& request, BootMemory& memory) {
  return Loader(request, memory).load();
}

}  // namespace ringside::machine
