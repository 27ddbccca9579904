#include "engine/soft/translate/debug_image.h"

#include <elf.h>

#include <array>
#include <cstring>
#include <string_view>

namespace ringside::soft {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename T>
void append(Bytes& bytes, const T& value) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

void append_text(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
}

// DWARF 4, 7.6.
void append_unsigned(Bytes& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

// ---- Call frame information (DWARF 4, 6.4, with the registers of the psABI for AMD64, 3.6.2)

constexpr std::uint8_t kStackPointer = 7, kReturnAddress = 16;
constexpr std::uint8_t kAdvance4 = 0x04, kSameValue = 0x08, kDefineCfa = 0x0c,
                       kDefineCfaOffset = 0x0e, kOffset = 0x80;
constexpr std::uint8_t kMinusEight = 0x78;  // in SLEB128; offsets are multiples of it
constexpr std::uint32_t kNoParent = 0xffffffff;

// By the numbers that registers have in instructions.
constexpr std::array<std::uint8_t, 16> kDwarfNumber = {0, 2, 1,  3,  7,  6,  4,  5,
                                                       8, 9, 10, 11, 12, 13, 14, 15};

// Puts the length in front and fills up with DW_CFA_nop.
void append_entry(Bytes& section, Bytes entry) {
  while (entry.size() % 8 != 4)
    entry.push_back(0);
  append(section, static_cast<std::uint32_t>(entry.size()));
  section.insert(section.end(), entry.begin(), entry.end());
}

Bytes common_entry() {
  Bytes entry;
  append(entry, kNoParent);
  entry.push_back(1);  // version
  append_text(entry, "");
  append_unsigned(entry, 1);  // a byte of code is the unit
  entry.push_back(kMinusEight);
  entry.push_back(kReturnAddress);
  entry.insert(entry.end(), {kDefineCfa, kStackPointer, 8, kOffset | kReturnAddress, 1});
  return entry;
}

Bytes frame_entry(std::uint64_t start, std::uint64_t size, std::span<const FrameRow> frames) {
  Bytes entry;
  append(entry, std::uint32_t{0});  // the common entry's place
  append(entry, start);
  append(entry, size);
  std::size_t position = 0;
  unsigned pushed = 0;
  for (const FrameRow& row : frames) {
    if (row.position != position) {
      entry.push_back(kAdvance4);
      append(entry, static_cast<std::uint32_t>(row.position - position));
      position = row.position;
    }
    entry.push_back(kDefineCfaOffset);
    append_unsigned(entry, row.depth);
    for (; pushed < row.pushed; ++pushed) {
      entry.push_back(kOffset | kDwarfNumber[kPushedRegisters[pushed]]);
      append_unsigned(entry, pushed + 2);  // below the return address
    }
    for (; pushed > row.pushed; --pushed)
      entry.insert(entry.end(), {kSameValue, kDwarfNumber[kPushedRegisters[pushed - 1]]});
  }
  return entry;
}

// ---- The file

class File {
 public:
  enum Section : std::uint16_t { kNone, kText, kDebugFrame, kSymbols, kStrings, kSections };

  explicit File(std::uint64_t start, std::uint64_t size) : bytes_(sizeof(Elf64_Ehdr)) {
    names_.push_back(0);
    Elf64_Shdr& text = declare(kText, ".text", SHT_NOBITS);
    text.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    text.sh_addr = start;
    text.sh_offset = bytes_.size();
    text.sh_size = size;
  }

  Elf64_Shdr& add(Section section, const char* name, Elf64_Word type, const Bytes& content) {
    Elf64_Shdr& header = declare(section, name, type);
    place(header, content);
    return header;
  }

  Bytes finish() {
    // The names of sections stand among the strings of symbols' names.
    place(headers_[kStrings], names_);
    align();
    Elf64_Ehdr file{};
    std::memcpy(file.e_ident, ELFMAG, SELFMAG);
    file.e_ident[EI_CLASS] = ELFCLASS64;
    file.e_ident[EI_DATA] = ELFDATA2LSB;
    file.e_ident[EI_VERSION] = EV_CURRENT;
    file.e_type = ET_EXEC;
    file.e_machine = EM_X86_64;
    file.e_version = EV_CURRENT;
    file.e_ehsize = sizeof(Elf64_Ehdr);
    file.e_shoff = bytes_.size();
    file.e_shentsize = sizeof(Elf64_Shdr);
    file.e_shnum = kSections;
    file.e_shstrndx = kStrings;
    std::memcpy(bytes_.data(), &file, sizeof file);
    for (const Elf64_Shdr& header : headers_)
      append(bytes_, header);
    return std::move(bytes_);
  }

  Elf64_Word name(std::string_view text) {
    const std::size_t at = names_.size();
    append_text(names_, text);
    return static_cast<Elf64_Word>(at);
  }
  void declare_strings() { declare(kStrings, ".strtab", SHT_STRTAB); }

 private:
  Elf64_Shdr& declare(Section section, const char* text, Elf64_Word type) {
    Elf64_Shdr& header = headers_[section];
    header.sh_name = name(text);
    header.sh_type = type;
    header.sh_addralign = 8;
    return header;
  }
  void place(Elf64_Shdr& header, const Bytes& content) {
    align();
    header.sh_offset = bytes_.size();
    header.sh_size = content.size();
    bytes_.insert(bytes_.end(), content.begin(), content.end());
  }
  void align() { bytes_.resize((bytes_.size() + 7) & ~std::size_t{7}); }

  Bytes bytes_, names_;
  std::array<Elf64_Shdr, kSections> headers_{};
};

}  // namespace

std::vector<std::uint8_t> debug_image(std::uint64_t start, std::size_t size,
                                      std::span<const CodePart> parts,
                                      std::span<const FrameRow> frames) {
  File file(start, size);
  Bytes frame_section;
  append_entry(frame_section, common_entry());
  append_entry(frame_section, frame_entry(start, size, frames));
  file.add(File::kDebugFrame, ".debug_frame", SHT_PROGBITS, frame_section);
  Bytes symbols;
  append(symbols, Elf64_Sym{});
  for (const CodePart& part : parts) {
    Elf64_Sym symbol{};
    symbol.st_name = file.name(part.name);
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    symbol.st_shndx = File::kText;
    symbol.st_value = start + part.position;
    symbol.st_size = part.size;
    append(symbols, symbol);
  }
  Elf64_Shdr& table = file.add(File::kSymbols, ".symtab", SHT_SYMTAB, symbols);
  table.sh_link = File::kStrings;
  table.sh_info = 1;  // the first one that is not local
  table.sh_entsize = sizeof(Elf64_Sym);
  file.declare_strings();
  return file.finish();
}

}  // namespace ringside::soft
