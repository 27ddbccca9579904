// The monitor command `help`: the list of all commands, in groups, and a page for each.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "debug/monitor/monitor.h"

namespace ringside::debug {
namespace {

// What a list of commands says of one: the first sentence of its help, in one line.
std::string first_sentence(std::string_view help) {
  std::string sentence(help.substr(0, help.find(".\n")));
  sentence.resize(std::min(sentence.size(), sentence.find(". ")));
  std::replace(sentence.begin(), sentence.end(), '\n', ' ');
  if (!sentence.ends_with('.')) sentence += '.';
  return sentence;
}

// Of the commands here, by their names in the table; the owner's say it themselves.
std::string_view group_of(std::string_view name) {
  using Group = std::pair<std::string_view, std::vector<std::string_view>>;
  static const std::array<Group, 3> groups = {{
      {"vCPUs, registers and memory",
       {"registers", "vcpus", "pending", "msr", "linear-pc", "x", "xp", "physical"}},
      {"Address translation", {"walk", "gva2gpa", "info tlb", "info mem", "bind", "cr3"}},
      {"Stops", {"breakpoints", "watch-phys", "unwatch-phys", "catch", "forget", "modules watch"}},
  }};
  for (const auto& [heading, names] : groups)
    if (std::find(names.begin(), names.end(), name) != names.end()) return heading;
  return "The session";
}

// Lines under their headings, these in the order in which they first came.
class GroupedList {
 public:
  void add(std::string_view heading, std::string line) {
    for (auto& [known, lines] : groups_) {
      if (known == heading) {
        lines += line;
        return;
      }
    }
    groups_.emplace_back(heading, std::move(line));
  }
  std::string text() const {
    std::string text;
    for (const auto& [heading, lines] : groups_)
      text += fmt::format("{}{}:\n{}", text.empty() ? "" : "\n", heading, lines);
    return text;
  }

 private:
  std::vector<std::pair<std::string_view, std::string>> groups_;
};

}  // namespace

std::string Monitor::list_of_commands() const {
  GroupedList list;
  const auto add = [&](std::string_view group, std::string_view name, std::string_view usage,
                       std::string_view help) {
    list.add(group, fmt::format("  {:<27}  {}\n", fmt::format("{} {}", name, usage),
                                first_sentence(help)));
  };
  for (const Entry& entry : table())
    add(group_of(entry.name), entry.name, entry.usage, entry.help);
  for (const MonitorCommand& command : options_.commands) {
    add(command.group.empty() ? "The machine" : std::string_view(command.group), command.name,
        command.usage, command.help);
  }
  return list.text();
}

Result<std::string> Monitor::help(Words words) {
  if (words.empty()) return list_of_commands();
  std::string text;
  const auto page = [&](std::string_view name, std::string_view usage, std::string_view help) {
    text += fmt::format("{}{}{}\n{}\n", name, usage.empty() ? "" : " ", usage, help);
  };
  for (const Entry& entry : table()) {
    if (matches(words, entry.name) == 0 && matches(words, entry.alias) == 0) continue;
    page(entry.name, entry.usage, entry.help);
    if (!entry.alias.empty()) text += fmt::format("Also as {}.\n", entry.alias);
  }
  for (const MonitorCommand& command : options_.commands) {
    if (matches(words, command.name) != 0) page(command.name, command.usage, command.help);
  }
  if (text.empty())
    return fail(ErrorCode::NotFound,
                "there is no such command" + did_you_mean(words[0], command_names()));
  return text;
}

}  // namespace ringside::debug
