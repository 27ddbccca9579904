#include "support/guest_image.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace ringside::testing {
namespace {

// The two classes of ELF file differ in the names of their structures only.
template <typename Header, typename Section, typename Symbol>
std::uint64_t read_symbols(const std::vector<char>& file,
                           std::map<std::string, std::uint64_t>& symbols) {
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  const auto section = [&](std::size_t index) {
    Section result;
    std::memcpy(&result, file.data() + header.e_shoff + index * sizeof(Section), sizeof result);
    return result;
  };
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const Section table = section(i);
    if (table.sh_type != SHT_SYMTAB) continue;
    const Section names = section(table.sh_link);
    for (std::size_t at = 0; at + sizeof(Symbol) <= table.sh_size; at += sizeof(Symbol)) {
      Symbol symbol;
      std::memcpy(&symbol, file.data() + table.sh_offset + at, sizeof symbol);
      symbols[file.data() + names.sh_offset + symbol.st_name] = symbol.st_value;
    }
  }
  return header.e_entry;
}

}  // namespace

GuestImage::GuestImage(std::string_view name)
    : path_(std::string(RINGSIDE_GUESTS) + "/" + std::string(name) + ".elf") {
  std::ifstream stream(path_, std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream),
                               std::istreambuf_iterator<char>()};
  if (file.size() < sizeof(Elf64_Ehdr)) throw std::runtime_error("no guest " + path_);
  entry_ = file[EI_CLASS] == ELFCLASS64
               ? read_symbols<Elf64_Ehdr, Elf64_Shdr, Elf64_Sym>(file, symbols_)
               : read_symbols<Elf32_Ehdr, Elf32_Shdr, Elf32_Sym>(file, symbols_);
}

std::uint64_t GuestImage::operator[](const char* symbol) const {
  const auto found = symbols_.find(symbol);
  if (found == symbols_.end()) throw std::out_of_range(path_ + " has no symbol " + symbol);
  return found->second;
}

}  // namespace ringside::testing
