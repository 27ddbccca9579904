#include "machine/boot/elf_sections.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

namespace ringside::machine {
namespace {

tl::unexpected<Error> bad(std::string text) { return fail(ErrorCode::BadRequest, std::move(text)); }

constexpr std::uint64_t kAlignment = 16;
std::uint64_t align(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename Header, typename Section>
Result<SectionHeaders> place(Bytes file, BootMemory& memory, Gpa from) {
  const auto header = read_at<Header>(file, 0);
  if (!header || header->e_shnum == 0) return SectionHeaders{};
  if (header->e_shentsize != sizeof(Section)) {
    return bad(fmt::format("is an ELF file with section headers of {} bytes, not {}",
                           header->e_shentsize, sizeof(Section)));
  }
  const std::optional<Bytes> bytes =
      slice(file, header->e_shoff, std::uint64_t{header->e_shnum} * sizeof(Section));
  if (!bytes) return bad("is an ELF file cut short: it ends within its section headers");
  std::vector<Section> sections(header->e_shnum);
  std::memcpy(sections.data(), bytes->data(), bytes->size());

  const auto is_placed = [](const Section& section) {
    return (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_STRTAB) &&
           (section.sh_flags & SHF_ALLOC) == 0 && section.sh_addr == 0 && section.sh_size != 0;
  };
  std::uint64_t size = 0, in_file = 0;
  for (const Section& section : sections) {
    if (!is_placed(section)) continue;
    if (!slice(file, section.sh_offset, section.sh_size))
      return bad("is an ELF file cut short: it ends within its symbols");
    in_file += section.sh_size;
    size += align(section.sh_size);
    // No more is copied than there is.
    if (in_file > file.size()) return bad("is an ELF file whose symbols overlap");
  }
  if (size != 0) {
    Gpa at = TRY(memory.place_low(size, from, "the kernel's symbols"));
    for (Section& section : sections) {
      if (!is_placed(section)) continue;
      memory.write(at, *slice(file, section.sh_offset, section.sh_size));
      section.sh_addr = static_cast<decltype(section.sh_addr)>(at.value);
      at = at + align(section.sh_size);
    }
  }
  const Bytes placed = std::as_bytes(std::span(sections));
  return SectionHeaders{
      header->e_shnum, sizeof(Section), header->e_shstrndx, {placed.begin(), placed.end()}};
}

}  // namespace

Result<SectionHeaders> place_sections(Bytes file, BootMemory& memory, Gpa from) {
  return file[EI_CLASS] == std::byte{ELFCLASS32}
             ? place<Elf32_Ehdr, Elf32_Shdr>(file, memory, from)
             : place<Elf64_Ehdr, Elf64_Shdr>(file, memory, from);
}

}  // namespace ringside::machine
