#include "guests/core/core_headers.h"

#include <cstring>

namespace ringside::guests {

Elf64_Ehdr core_header(std::size_t segments) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = static_cast<Elf64_Half>(segments);
  return header;
}

Elf64_Phdr core_notes_header(std::uint64_t at, std::uint64_t size) {
  Elf64_Phdr header{};
  header.p_type = PT_NOTE;
  header.p_offset = at;
  header.p_filesz = size;
  return header;
}

Elf64_Phdr core_segment_header(Gva address, Gpa where, std::uint64_t size, std::uint64_t at) {
  Elf64_Phdr header{};
  header.p_type = PT_LOAD;
  header.p_flags = PF_R | PF_W | PF_X;
  header.p_offset = at;
  header.p_vaddr = address.value;
  header.p_paddr = where.value;
  header.p_filesz = size;
  header.p_memsz = size;
  return header;
}

}  // namespace ringside::guests
