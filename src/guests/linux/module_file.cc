#include "guests/linux/module_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "guests/linux/kernel_memory.h"

namespace ringside::guests {
namespace {

constexpr std::string_view kBuildId = ".note.gnu.build-id";
constexpr std::size_t kLongestBuildId = 256;

template <typename T>
std::optional<T> value_at(std::span<const std::byte> bytes, std::uint64_t at) {
  T value;
  if (at > bytes.size() || bytes.size() - at < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::optional<std::string_view> text_in(std::span<const std::byte> bytes, std::uint64_t at,
                                        std::uint64_t size) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(bytes.data()) + at, size);
}

// What files of both widths are made of.
struct File64 {
  using Header = Elf64_Ehdr;
  using Section = Elf64_Shdr;
};
struct File32 {
  using Header = Elf32_Ehdr;
  using Section = Elf32_Shdr;
};

template <typename Elf>
Result<ModuleFile> read_file(std::span<const std::byte> bytes) {
  const auto bad = [](const char* why) { return fail(ErrorCode::BadRequest, why); };
  using Section = typename Elf::Section;
  const auto header = value_at<typename Elf::Header>(bytes, 0);
  if (!header || header->e_type != ET_REL) return bad("it is no relocatable ELF file");
  const auto section = [&](std::uint64_t index) {
    return value_at<Section>(bytes, header->e_shoff + index * sizeof(Section));
  };
  if (header->e_shentsize != sizeof(Section) || header->e_shoff > bytes.size())
    return bad("its table of sections is damaged");
  const auto names_section = section(header->e_shstrndx);
  if (!names_section) return bad("its table of sections is damaged");
  const auto names = text_in(bytes, names_section->sh_offset, names_section->sh_size);
  if (!names) return bad("its names of sections are damaged");
  ModuleFile file;
  for (std::uint64_t index = 0; index < header->e_shnum; ++index) {
    const auto found = section(index);
    if (!found || found->sh_name > names->size()) return bad("its table of sections is damaged");
    if ((found->sh_flags & SHF_ALLOC) == 0) continue;
    const std::string_view rest = names->substr(found->sh_name);
    file.sections.push_back({std::string(rest.substr(0, rest.find('\0'))), found->sh_size});
    if (file.sections.back().name != kBuildId || found->sh_size > kLongestBuildId) continue;
    if (const auto note = text_in(bytes, found->sh_offset, found->sh_size)) file.build_id = *note;
  }
  return file;
}

}  // namespace

Result<ModuleFile> read_module_file(std::span<const std::byte> bytes) {
  if (bytes.size() >= EI_NIDENT && std::memcmp(bytes.data(), ELFMAG, SELFMAG) == 0) {
    if (bytes[EI_CLASS] == std::byte{ELFCLASS64}) return read_file<File64>(bytes);
    if (bytes[EI_CLASS] == std::byte{ELFCLASS32}) return read_file<File32>(bytes);
  }
  return fail(ErrorCode::BadRequest, "it is no ELF file");
}

std::vector<std::uint64_t> place_sections(const ModuleFile& file, const Module& module) {
  std::multimap<std::string_view, std::uint64_t> known;
  for (const ModuleSection& section : module.sections)
    known.emplace(section.name, section.address.value);
  std::vector<std::uint64_t> places;
  std::uint64_t behind = module.base.value + module.size;
  for (const FileSection& section : file.sections) {
    const auto found = known.find(section.name);
    if (found == known.end()) {
      places.push_back(behind);
      behind += section.size;
      continue;
    }
    places.push_back(found->second);
    known.erase(found);
  }
  return places;
}

bool is_loaded_file(const ModuleFile& file, const Module& module, const KernelMemory& memory) {
  if (file.build_id.empty()) return false;
  const auto section = std::ranges::find(module.sections, kBuildId, &ModuleSection::name);
  if (section == module.sections.end()) return false;
  const auto loaded = memory.read(section->address, file.build_id.size());
  return loaded && std::memcmp(loaded->data(), file.build_id.data(), loaded->size()) == 0;
}

std::vector<std::string> file_names(std::string_view module) {
  const auto is_usual = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (module.empty() || !std::ranges::all_of(module, is_usual)) return {};
  std::string dashed(module);
  std::ranges::replace(dashed, '_', '-');
  std::vector<std::string> names = {std::string(module) + ".ko"};
  if (dashed != module) names.push_back(dashed + ".ko");
  return names;
}

std::string library_name(std::string_view module) {
  std::string name = printable(module);
  std::ranges::replace(name, '/', '?');
  return name + ".ko";
}

}  // namespace ringside::guests
