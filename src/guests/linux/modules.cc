#include "guests/linux/modules.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/result.h"

namespace ringside::guests {
namespace {

constexpr std::size_t kLongestName = 64, kLongestSection = 128;

// enum module_state: MODULE_STATE_LIVE, COMING, GOING, UNFORMED.
char state_of(std::uint32_t state) {
  constexpr std::string_view kStates = "LCGU";
  return state < kStates.size() ? kStates[state] : '?';
}

std::vector<ModuleSection> sections_of(const KernelMemory& memory, const ModuleLayout& layout,
                                       Gva module) {
  std::vector<ModuleSection> sections;
  const auto attributes = memory.pointer(module + layout.section_attributes.offset);
  if (!attributes || attributes->value == 0 || layout.section_size == 0) return sections;
  const auto count = memory.get<std::uint32_t>(*attributes + layout.section_count.offset);
  for (std::uint32_t i = 0; count && i < *count && i < kMostSections; ++i) {
    const Gva section =
        *attributes + (layout.sections.offset + std::uint64_t{i} * layout.section_size);
    const auto name = memory.pointer(section + layout.section_name.offset);
    const auto address = memory.pointer(section + layout.section_address.offset);
    const auto text = name ? memory.text(*name, kLongestSection) : std::nullopt;
    if (!text || !address) break;
    sections.push_back({*text, *address});
  }
  return sections;
}

}  // namespace

Result<ModuleList> list_modules(const LinuxKernel& kernel) {
  const ModuleLayout layout = TRY(kernel.modules());
  if (!kernel.module_list()) {
    return fail(ErrorCode::NotFound,
                "the kernel's symbols have no list of modules: it was built without "
                "CONFIG_MODULES or CONFIG_KALLSYMS_ALL");
  }
  const KernelMemory& memory = kernel.memory();
  ModuleList list;
  list.word = kernel.word();
  std::unordered_set<std::uint64_t> seen;
  std::optional<Gva> next = memory.pointer(*kernel.module_list());
  while (next && *next != *kernel.module_list()) {
    if (!seen.insert(next->value).second) {
      list.cut_off = "the list runs in a circle";
      return list;
    }
    if (seen.size() > kMostModules) {
      list.cut_off = "the list has no end";
      return list;
    }
    const Gva at = *next - layout.list.offset;
    const auto state = memory.get<std::uint32_t>(at + layout.state.offset);
    const auto name =
        memory.text(at + layout.name.offset, std::min<std::size_t>(layout.name.size, kLongestName));
    const auto base = memory.pointer(at + layout.base.offset);
    const auto size = memory.get<std::uint32_t>(at + layout.size.offset);
    if (!state || !name || !base || !size) {
      next.reset();
      break;
    }
    // One that is not formed yet is not in its place.
    if (state_of(*state) != 'U') {
      list.modules.push_back(
          {*name, *base, *size, state_of(*state), sections_of(memory, layout, at)});
    }
    next = memory.pointer(*next);
  }
  if (!next) list.cut_off = "the list leads to memory that is not there";
  return list;
}

std::string describe_modules(const ModuleList& list) {
  const unsigned width = 2 * size_of(list.word) + 2;
  std::string text = fmt::format("{:<{}} {:>8} {:<7} {}\n", "CODE", width, "SIZE", "STATE", "NAME");
  for (const Module& module : list.modules) {
    const char* const state = module.state == 'L'   ? "live"
                              : module.state == 'C' ? "coming"
                              : module.state == 'G' ? "going"
                                                    : "?";
    text += fmt::format("{:#0{}x} {:>8} {:<7} {}\n", module.base.value, width, module.size, state,
                        module.name);
  }
  if (list.modules.empty()) text = "No modules are loaded.\n";
  if (!list.cut_off.empty()) text += "This is not all: " + list.cut_off + ".\n";
  return text;
}

}  // namespace ringside::guests
