#include "machine/boot/elf_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

namespace ringside::machine {
namespace {

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
  static constexpr std::uint16_t kMachine = EM_386;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
  static constexpr std::uint16_t kMachine = EM_X86_64;
};

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "32-bit x86";
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "64-bit ARM";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "64-bit PowerPC";
    default:
      return fmt::format("machine number {}", machine);
  }
}

// XEN_ELFNOTE_PHYS32_ENTRY of xen/include/public/elfnote.h: name "Xen", type 18.
std::optional<std::uint32_t> find_pvh_note(Bytes notes) {
  constexpr std::uint32_t kPhys32Entry = 18;
  const auto aligned = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
  std::uint64_t at = 0;
  while (const auto note = read_at<Elf64_Nhdr>(notes, at)) {  // the same for both classes
    const std::uint64_t name = at + sizeof *note;
    const std::uint64_t description = name + aligned(note->n_namesz);
    const std::optional<Bytes> owner = slice(notes, name, note->n_namesz);
    if (owner && note->n_type == kPhys32Entry && note->n_namesz == 4 &&
        std::memcmp(owner->data(), "Xen", 4) == 0 && note->n_descsz >= 4) {
      return read_at<std::uint32_t>(notes, description);
    }
    at = description + aligned(note->n_descsz);
  }
  return std::nullopt;
}

tl::unexpected<Error> bad(std::string text) { return fail(ErrorCode::BadRequest, std::move(text)); }

template <typename Class>
Result<typename Class::Header> parse_header(Bytes file) {
  const auto header = read_at<typename Class::Header>(file, 0);
  if (!header) return bad("is an ELF file that ends within its header");
  if (header->e_machine != Class::kMachine) {
    return bad(fmt::format("is an ELF file for {}", machine_name(header->e_machine)));
  }
  if (header->e_type != ET_EXEC && header->e_type != ET_DYN) {
    return bad(header->e_type == ET_REL
                   ? "is an ELF object file, not a linked program"
                   : fmt::format("is an ELF file of type {}, not a program", header->e_type));
  }
  if (header->e_phnum == 0) return bad("is an ELF file without program headers");
  if (header->e_phentsize != sizeof(typename Class::Program)) {
    return bad(fmt::format("is an ELF file with program headers of {} bytes, not {}",
                           header->e_phentsize, sizeof(typename Class::Program)));
  }
  return *header;
}

template <typename Class>
Result<ElfImage> parse(Bytes file, bool is_64bit) {
  // A kernel's notes take less, and all of them are gone through.
  constexpr std::uint64_t kMostNotes = 1u << 20;
  std::uint64_t notes = 0;
  const typename Class::Header header = TRY(parse_header<Class>(file));
  ElfImage image;
  image.is_64bit = is_64bit;
  image.entry = header.e_entry;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    // The product cannot overflow: both factors are 16-bit. The sum can, and slice() sees it.
    const std::uint64_t offset =
        header.e_phoff + std::uint64_t{i} * sizeof(typename Class::Program);
    const auto program =
        offset < header.e_phoff ? std::nullopt : read_at<typename Class::Program>(file, offset);
    if (!program) return bad("is an ELF file that ends within its program headers");
    if (program->p_type != PT_LOAD && program->p_type != PT_NOTE) continue;
    const std::optional<Bytes> content = slice(file, program->p_offset, program->p_filesz);
    if (!content) {
      return bad(fmt::format("is an ELF file cut short: segment {} ends at byte {}, the file at {}",
                             i, std::uint64_t{program->p_offset} + std::uint64_t{program->p_filesz},
                             file.size()));
    }
    if (program->p_type == PT_NOTE) {
      notes += content->size();
      if (notes > kMostNotes) return bad("is an ELF file with more than 1M of notes");
      if (!image.pvh_entry) image.pvh_entry = find_pvh_note(*content);
      continue;
    }
    if (program->p_memsz < program->p_filesz) {
      return bad(
          fmt::format("is an ELF file whose segment {} is larger in the file than in memory", i));
    }
    if (program->p_memsz == 0) continue;
    image.segments.push_back({{program->p_paddr}, program->p_vaddr, *content, program->p_memsz});
  }
  if (image.segments.empty()) return bad("is an ELF file with nothing to load");
  return image;
}

}  // namespace

std::uint64_t ElfImage::physical_entry() const {
  for (const ElfSegment& segment : segments) {
    const std::uint64_t offset = entry - segment.virtual_address;
    if (offset < segment.memory_size) return segment.physical.value + offset;
  }
  return entry;
}

bool is_elf(Bytes file) {
  return file.size() >= SELFMAG && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

Result<void> check_elf_header(Bytes beginning) {
  if (beginning.size() < EI_NIDENT) return bad("is an ELF file that ends within its header");
  if (beginning[EI_DATA] != std::byte{ELFDATA2LSB}) return bad("is a big-endian ELF file");
  if (beginning[EI_CLASS] == std::byte{ELFCLASS32}) {
    TRY(parse_header<Elf32>(beginning));
  } else if (beginning[EI_CLASS] == std::byte{ELFCLASS64}) {
    TRY(parse_header<Elf64>(beginning));
  } else {
    return bad("is an ELF file of an unknown class");
  }
  return {};
}

Result<ElfImage> parse_elf(Bytes file) {
  TRY(check_elf_header(file));
  return file[EI_CLASS] == std::byte{ELFCLASS32} ? parse<Elf32>(file, false)
                                                 : parse<Elf64>(file, true);
}

Result<void> check_memory(const ElfImage& elf, const BootMemory& memory, std::string_view name) {
  std::uint64_t left = memory.size();
  const std::string what = fmt::format("a segment of '{}'", name);
  for (const ElfSegment& segment : elf.segments) {
    TRY(memory.check(segment.physical, segment.memory_size, what));
    if (segment.memory_size > left) {
      return bad(
          fmt::format("the segments of '{}' take more than the guest's {} of memory; give "
                      "it more with -m",
                      name, megabytes(memory.size())));
    }
    left -= segment.memory_size;
  }
  return {};
}

Result<void> load_segments(const ElfImage& elf, BootMemory& memory, std::string_view name) {
  TRY(check_memory(elf, memory, name));
  const std::string what = fmt::format("a segment of '{}'", name);
  for (const ElfSegment& segment : elf.segments) {
    TRY(memory.load(segment.physical, segment.content, segment.memory_size, what));
  }
  return {};
}

}  // namespace ringside::machine
