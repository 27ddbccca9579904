#include <algorithm>

#include "guests/linux/code_data.h"
#include "guests/linux/layout_search.h"

namespace ringside::guests {
namespace {

constexpr std::uint32_t kLargestModule = 4096;     // struct module
constexpr std::uint64_t kLargestCode = 64u << 20;  // what it has in memory
constexpr std::size_t kMostSeen = 32, kLongestName = 64;
constexpr std::uint32_t kUnformed = 3;  // MODULE_STATE_UNFORMED
constexpr std::uint32_t kMostSections = 256, kSectionsSeen = 16;

bool is_list_node(const KernelMemory& memory, Gva at) {
  const auto next = memory.pointer(at), prev = memory.pointer(at + size_of(memory.word()));
  if (!next || !prev) return false;
  return memory.pointer(*next + size_of(memory.word())) == at && memory.pointer(*prev) == at;
}

class ModuleSearch {
 public:
  ModuleSearch(const KernelMemory& memory, Gva list) : memory_(memory), list_(list) {
    // Nobody moves the first three members: state, list, and the name, which fills 64 bytes up
    // (MODULE_NAME_LEN, include/linux/module.h).
    layout_.state = {0, 4, 1};
    layout_.list = {word(), 2 * word(), 1};
    layout_.name = {3 * word(), 64 - word(), 64 - word()};
  }

  // Whether it was found where modules are. Sections need not be there.
  bool run() {
    std::optional<Gva> next = memory_.pointer(list_);
    std::uint32_t best = kUnformed;
    for (std::size_t count = 0; next && *next != list_ && count < kMostSeen; ++count) {
      const Gva module = *next - layout_.list.offset;
      const auto state = memory_.get<std::uint32_t>(module);
      const auto name = memory_.text(module + layout_.name.offset, layout_.name.size);
      // Whoever reads the list says that it leads astray.
      if (!state || *state > kUnformed || !name || name->empty()) break;
      // Those that live are whole, and the next best are those that come.
      if (*state < best) {
        best = *state;
        modules_.clear();
      }
      if (*state == best && best != kUnformed) modules_.push_back(module);
      next = memory_.pointer(*next);
    }
    if (modules_.empty()) return true;
    if (!find_code()) return false;
    find_sections();
    return true;
  }
  const ModuleLayout& layout() const { return layout_; }

 private:
  std::uint32_t word() const { return size_of(memory_.word()); }

  // Its memory, of which the structure itself is a part.
  bool holds(Gva module, std::uint32_t at) const {
    const auto base = memory_.pointer(module + at);
    const auto size = memory_.get<std::uint32_t>(module + at + word());
    return base && size && base->value % kPageSize == 0 && *size <= kLargestCode &&
           module >= *base && module.value - base->value < *size;
  }
  bool find_code() {
    for (std::uint32_t at = layout_.name.offset + layout_.name.size; at < kLargestModule;
         at += word()) {
      if (!std::ranges::all_of(modules_, [&](Gva module) { return holds(module, at); })) continue;
      layout_.base = {at, word(), 1};
      layout_.size = {at + word(), 4, 1};
      return true;
    }
    return false;
  }

  // The group of attributes that /sys/module/NAME/sections shows.
  void find_sections() {
    for (std::uint32_t at = layout_.size.offset; at < kLargestModule; at += word()) {
      const auto is_group = [&](Gva module) {
        const auto group = memory_.pointer(module + at);
        const auto name = group ? memory_.pointer(*group) : std::nullopt;
        return name && memory_.text(*name, kLongestName) == "sections";
      };
      if (!std::ranges::all_of(modules_, is_group)) continue;
      layout_.section_attributes = {at, word(), 1};
      if (find_elements(*memory_.pointer(modules_.front() + at))) return;
    }
  }
  bool find_elements(Gva group) {
    constexpr std::uint32_t kMostBefore = 16, kMostWords = 24;
    for (std::uint32_t count_at = word(); count_at <= kMostBefore * word(); count_at += word()) {
      const auto count = memory_.get<std::uint32_t>(group + count_at);
      if (!count || *count < 2 || *count > kMostSections) continue;
      const std::uint32_t first = count_at + word();
      for (std::uint32_t size = 2 * word(); size <= kMostWords * word(); size += word()) {
        if (!are_sections(group + first, size, std::min(*count, kSectionsSeen))) continue;
        layout_.section_count = {count_at, 4, 1};
        layout_.sections = {first, 0, 0};
        layout_.section_name = {0, word(), 1};
        layout_.section_address = {size - word(), word(), 1};
        layout_.section_size = size;
        return true;
      }
    }
    return false;
  }
  // Each begins with its name and ends with its address.
  bool are_sections(Gva first, std::uint32_t size, std::uint32_t count) const {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto name = memory_.pointer(first + std::uint64_t{i} * size);
      const auto text = name ? memory_.text(*name, kLongestName) : std::nullopt;
      if (!text || text->size() < 2 || (text->front() != '.' && text->front() != '_')) return false;
    }
    return true;
  }

  const KernelMemory& memory_;
  Gva list_;
  std::vector<Gva> modules_;
  ModuleLayout layout_;
};

}  // namespace

Result<ModuleLayout> search_module_layout(const KernelMemory& memory, Gva module_list) {
  ModuleSearch search(memory, module_list);
  if (search.run()) return search.layout();
  return fail(ErrorCode::NotFound,
              "the kernel has no type information (BTF) in its memory, and its modules do not show "
              "where a struct module has its code");
}

std::optional<Gva> search_module_list(const KernelMemory& memory, const Kallsyms& symbols) {
  const auto function = symbols.address("find_module_all");
  if (!function) return std::nullopt;
  for (const Gva address : addresses_in_code(memory, *function)) {
    if (address.value % size_of(memory.word()) == 0 && is_list_node(memory, address))
      return address;
  }
  return std::nullopt;
}

}  // namespace ringside::guests
