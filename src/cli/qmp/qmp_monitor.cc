#include "cli/qmp/qmp_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/options/number.h"
#include "cli/qmp/qmp_machine.h"

namespace ringside::cli {
namespace {

constexpr std::string_view kRefusal =
    "this changes something or takes long, and only a debugger (-G) may";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr const char* kBlanks = " \t\r\n";
  for (std::size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;
       at = line.find_first_not_of(kBlanks, at)) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

bool is(const std::vector<std::string_view>& words, std::initializer_list<std::string_view> line) {
  return std::ranges::equal(words, line);
}

// Done already.
class Done final : public qmp::Task {
 public:
  std::optional<Result<std::string>> advance() override { return std::string(); }
};

std::string status(const QmpMachine& machine) {
  switch (machine.state()) {
    case qmp::RunState::Running:
      return "VM status: running\n";
    case qmp::RunState::Paused:
      return "VM status: paused\n";
    case qmp::RunState::Debug:
      return "VM status: paused (debug)\n";
    case qmp::RunState::Suspended:
      return "VM status: paused (suspended)\n";
    case qmp::RunState::SavesVm:
      break;
  }
  return "VM status: paused (save-vm)\n";
}

std::string cpus(const QmpMachine& machine, unsigned current) {
  std::string text;
  for (unsigned i = 0; i < machine.vcpu_count(); ++i) {
    text += fmt::format("{} CPU #{}: thread_id={}\n", i == current ? '*' : ' ', i,
                        machine.thread_of(i));
  }
  return text;
}

// Ours, from lines "  START-END (ram)" and "  START-END (i/o): NAME" below a heading for each of
// the two spaces.
std::string flat_views(const machine::Machine& machine) {
  constexpr std::string_view kHeading = "address-space: ";
  std::string memory, ports;
  std::string* into = nullptr;
  std::string_view text;
  const std::string map = machine.describe_memory_map();
  for (text = map; !text.empty();) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(kHeading)) {
      into = line.substr(kHeading.size()) == "memory" ? &memory : &ports;
      continue;
    }
    const std::size_t bracket = line.find('(');
    if (into == nullptr || bracket == std::string_view::npos) continue;
    const std::string_view what = line.substr(bracket + 1);
    std::string_view name;
    if (what == "ram)") name = ": pc.ram";
    if (what == "rom)") name = ": pc.rom";
    *into += fmt::format("{}(prio 0, {}{}\n", line.substr(0, bracket), what, name);
  }
  return "FlatView #0\n AS \"I/O\", root: io\n Root memory region: io\n" + ports +
         "\nFlatView #1\n AS \"memory\", root: system\n Root memory region: system\n" + memory +
         "\n";
}

std::string host_address(const QmpMachine& machine, std::string_view word) {
  const auto address = parse_number(word);
  if (!address) return fmt::format("gpa2hva: '{}' is not a number\n", word);
  const hypervisor::RamSlot* slot = machine.subjects().ram.find(Gpa{*address}, 1);
  if (slot == nullptr) {
    const bool is_device =
        machine.subjects().vm.memory().kind(Gpa{*address}) == hypervisor::MemoryKind::Mmio;
    return is_device ? fmt::format("Memory at address {:#x} is not RAM\n", *address)
                     : fmt::format("No memory is mapped at address {:#x}\n", *address);
  }
  return fmt::format("Host virtual address for {:#x} ({}) is {}\n", *address,
                     slot->read_only ? "pc.rom" : "pc.ram",
                     static_cast<const void*>(slot->host + (*address - slot->base.value)));
}

// Programs look for the address before the colon.
std::string say_unreadable(std::string text) {
  constexpr std::string_view kOurs = "Cannot access memory at ";
  const std::size_t at = text.rfind(kOurs);
  if (at == std::string::npos) return text;
  std::string_view number = std::string_view(text).substr(at + kOurs.size());
  number = number.substr(0, number.find_first_of(":\n"));
  // The lines before, without the name of the command.
  const std::string before = text.starts_with('x') ? std::string() : text.substr(0, at);
  return before + fmt::format("{:016x}: Cannot access memory\n", parse_number(number).value_or(0));
}

std::string with_returns(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') result += '\r';
    result += c;
  }
  return result;
}

std::string look(const QmpMachine& machine, std::string_view line, unsigned vcpu) {
  const std::vector<std::string_view> words = words_of(line);
  if (words.empty()) return {};
  if (is(words, {"info", "status"})) return status(machine);
  if (is(words, {"info", "cpus"})) return cpus(machine, vcpu);
  if (is(words, {"info", "version"})) return fmt::format("7.2.0 {}\n", machine.version());
  if (is(words, {"info", "mtree", "-f"})) return flat_views(machine.subjects().machine);
  if (words[0] == "gpa2hva") {
    return words.size() == 2 ? host_address(machine, words[1])
                             : "gpa2hva: wants one guest-physical address\n";
  }
  std::string text = machine.subjects().debugger.monitor(line, VcpuId{vcpu}, kRefusal);
  const std::string_view command = words[0].substr(0, words[0].find('/'));
  if (command == "x" || command == "xp") return say_unreadable(std::move(text));
  return text;
}

}  // namespace

std::unique_ptr<qmp::Task> begin_monitor_line(QmpMachine& machine, std::string_view line) {
  const std::vector<std::string_view> words = words_of(line);
  if (is(words, {"stop"}) || is(words, {"s"})) return machine.stop();
  if (is(words, {"system_reset"})) return machine.reset();
  if (is(words, {"system_powerdown"})) return machine.power_down();
  if (is(words, {"system_wakeup"})) return machine.wake_up();
  if (is(words, {"cont"}) || is(words, {"c"})) {
    machine.cont();
    return std::make_unique<Done>();
  }
  if (is(words, {"quit"}) || is(words, {"q"})) {
    machine.quit();
    return std::make_unique<Done>();
  }
  return nullptr;
}

std::string look_by_monitor(const QmpMachine& machine, std::string_view line, unsigned vcpu) {
  return with_returns(look(machine, line, vcpu));
}

}  // namespace ringside::cli
