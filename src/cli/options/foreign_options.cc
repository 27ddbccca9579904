#include "cli/options/foreign_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/nearest_word.h"

namespace ringside::cli {
namespace {

struct Foreign {
  std::string_view word, here;
};

// Nobody means a short option with its value when writing one of these.
constexpr Foreign kUnmistakable[] = {
    {"-kernel", "KERNEL alone, without an option"},
    {"-initrd", "--initrd FILE (-i)"},
    {"-append", "--append TEXT (-a)"},
    {"-smp", "--cpus N (-c)"},
    {"-gdb", "--gdb ENDPOINT (-G), such as -G 1234"},
    {"-serial", "--serial WHERE (-s)"},
    {"-debugcon", "--debugcon WHERE"},
    {"-bios", "--bios FILE"},
    {"-drive", "--disk FILE (-d), a raw image"},
    {"-hda", "--disk FILE (-d), a raw image"},
    {"-accel", "--engine kvm|soft (-e)"},
    {"-enable-kvm", "--engine kvm (-e)"},
    {"-nographic", "not needed: COM1 is on the terminal"},
    {"-display", "not needed: COM1 is on the terminal"},
    {"-vga", "--vga text"},
    {"-machine", "not needed: there is one machine"},
    {"-cpu", "--cpu v2 or v3"},
    {"-no-reboot", "not needed: a reboot ends ringside with status 0"},
    {"-monitor", "not needed: a debugger types 'monitor help'"},
    {"-qmp", "--qmp unix:PATH"},
};
constexpr Foreign kShort[] = {
    {"-s", "-G 1234"},
    {"-S", "-G w1234 (w: wait for a debugger)"},
    {"-M", "not needed: there is one machine"},
};

// Whether words[i] is the text of --append, which may look like anything.
bool is_text(std::span<const std::string_view> words, std::size_t i) {
  return i > 0 && (words[i - 1] == "-a" || words[i - 1] == "--append");
}

// Whether words[i], which is -s, has a value as --serial takes it.
bool is_serial(std::span<const std::string_view> words, std::size_t i) {
  if (i + 1 == words.size()) return false;
  const std::string_view value = words[i + 1];
  const bool is_port = !value.empty() && value.back() >= '0' && value.back() <= '9';
  return value == "none" || value == "stdio" || is_port || value.starts_with("file:") ||
         value.starts_with("unix:");
}

const Foreign* find(std::span<const Foreign> table, std::string_view word) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Foreign& foreign) { return foreign.word == word; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

std::optional<std::string> qemu_options(std::span<const std::string_view> words,
                                        Suspicion suspicion) {
  std::vector<const Foreign*> met;
  bool sure = suspicion == Suspicion::AfterAnError;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (is_text(words, i) || (words[i] == "-s" && is_serial(words, i))) continue;
    const Foreign* foreign = find(kUnmistakable, words[i]);
    if (foreign != nullptr) sure = true;
    if (foreign == nullptr) foreign = find(kShort, words[i]);
    if (foreign != nullptr && std::find(met.begin(), met.end(), foreign) == met.end())
      met.push_back(foreign);
  }
  if (!sure || met.empty()) return std::nullopt;
  std::string list;
  for (const Foreign* foreign : met)
    list += fmt::format("{}{} is {}", list.empty() ? "" : "; ", foreign->word, foreign->here);
  return "options as QEMU has them, and what to type here: " + list;
}

std::optional<std::string> unknown_option(std::span<const std::string_view> words,
                                          std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--") || words[i] == "--" || is_text(words, i)) continue;
    const std::string_view name = words[i].substr(2, words[i].find('=') - 2);
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::optional<std::string_view> meant = nearest_word(name, names);
    return fmt::format("there is no option --{}{}", name,
                       meant ? fmt::format("; --{} is near to it", *meant) : std::string());
  }
  return std::nullopt;
}

}  // namespace ringside::cli
