// monitor breakpoints, watch-phys, unwatch-phys, bind.
#include <fmt/format.h>

#include "debug/monitor/monitor.h"

namespace ringside::debug {
namespace {

constexpr std::string_view kKinds[] = {"write", "read", "access"};

std::string_view name_of(hypervisor::WatchKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string counts(const AgentProgram& program, const HitCounts& hits) {
  std::string text = fmt::format("{} hits", hits.reached);
  if (!program.conditions.empty()) text += fmt::format(", {} true", hits.counted);
  if (hits.by_vcpu.size() > 1) {
    for (std::size_t i = 0; i < hits.by_vcpu.size(); ++i)
      text += fmt::format("{}vCPU {}: {}", i == 0 ? " (" : ", ", i, hits.by_vcpu[i]);
    text += ')';
  }
  return text;
}

std::string in_parentheses(const std::string& text) {
  return text.empty() ? text : " (" + text + ")";
}

Result<hypervisor::WatchKind> kind_of(std::string_view word) {
  if (word == "w") return hypervisor::WatchKind::Write;
  if (word == "r") return hypervisor::WatchKind::Read;
  if (word == "a") return hypervisor::WatchKind::Access;
  return fail(ErrorCode::BadRequest, "the kind is r, w or a");
}

// How the engine realises it, where it says so.
std::string describe_breakpoint(hypervisor::Vm& vm, Gva address) {
  hypervisor::Breakpoints* const engine = vm.breakpoints();
  return engine == nullptr ? std::string() : engine->describe_breakpoint(address);
}
std::string describe_watchpoint(hypervisor::Vm& vm, const Stoppoint& stoppoint) {
  hypervisor::Watchpoints* const engine = vm.watchpoints();
  if (engine == nullptr) return {};
  return engine->describe_watchpoint(stoppoint.address, stoppoint.size, stoppoint.kind);
}

std::string describe(const StoppointList::Entry& entry, hypervisor::Vm& vm) {
  const Stoppoint& stoppoint = entry.stoppoint;
  const Gva address = stoppoint.address;
  const std::string hits = counts(entry.program, entry.hits);
  if (stoppoint.cause == StopCause::HardwareBreakpoint) {
    return fmt::format("{:#018x} hardware breakpoint{}, {}\n", address.value,
                       in_parentheses(describe_breakpoint(vm, address)), hits);
  }
  const bool physical = stoppoint.cause == StopCause::PhysicalWatchpoint;
  const std::string mechanism = physical ? "vCPUs and devices" : describe_watchpoint(vm, stoppoint);
  return fmt::format("{:#018x} {}{} watchpoint of {} bytes{}, {}\n", address.value,
                     physical ? "physical " : "", name_of(stoppoint.kind), stoppoint.size,
                     in_parentheses(mechanism), hits);
}

std::string describe(const BreakpointTable& table, const BreakpointTable::Wish& wish,
                     const BreakpointTable::Place& place) {
  const Gpa at = place.sight.where;
  std::string text = fmt::format("{} at physical {:#x}",
                                 table.engine_installs() ? "breakpoint" : "int3", at.value);
  if (place.sight.space) text += fmt::format(" (where cr3 is {:#x})", *place.sight.space);
  if (!table.is_there(wish, at)) return text + ", given away, ";
  return text + (table.armed(at) ? ", armed, " : ", overwritten by the guest, ");
}

// How the linear address itself is looked out for.
std::string describe(const BreakpointTable::Wish& wish, hypervisor::Vm& vm) {
  if (wish.by_address != BreakpointTable::ByAddress::No) {
    return fmt::format("at the linear address{}, ",
                       in_parentheses(describe_breakpoint(vm, wish.address)));
  }
  return vm.spare_breakpoints() != nullptr ? "followed at resumes only (no debug register), " : "";
}

}  // namespace

Result<std::string> Monitor::breakpoints(Words words) {
  if (!words.empty()) return fail(ErrorCode::BadRequest, "breakpoints has no arguments");
  std::string text;
  const BreakpointTable& table = target_.breakpoints();
  for (const auto& [address, wish] : table.wishes()) {
    std::string where;
    for (const BreakpointTable::Place& place : wish.places)
      where += describe(table, wish, place);
    if (wish.pending()) where += "pending, ";
    where += describe(wish, target_.vm());
    if (const auto space = target_.spaces().space_of(address))
      where += fmt::format("only where cr3 is {:#x}, ", *space);
    if (const std::string task = target_.spaces().task_of(address); !task.empty())
      where += fmt::format("only in {}, ", task);
    if (wish.program.persists) where += "persistent, ";
    if (wish.program.of_server) where += "for `modules watch`, ";
    if (wish.traced) where += wish.wanted ? "also a tracepoint, " : "a tracepoint";
    text += fmt::format("{:#018x} {}{}\n", address.value, where,
                        wish.wanted ? counts(wish.program, wish.hits) : std::string());
  }
  for (const StoppointList::Entry& entry : target_.stoppoints().all())
    text += describe(entry, target_.vm());
  return text.empty() ? "No breakpoints are inserted now.\n" : text;
}

Result<std::string> Monitor::watch_physical(Words words) {
  if (words.empty()) {
    std::string text;
    for (const StoppointList::Entry& entry : target_.stoppoints().all()) {
      if (entry.stoppoint.cause == StopCause::PhysicalWatchpoint)
        text += describe(entry, target_.vm());
    }
    return text.empty() ? "No physical memory is watched.\n" : text;
  }
  if (words.size() < 2 || words.size() > 3)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help watch-phys");
  Stoppoint stoppoint{StopCause::PhysicalWatchpoint, Gva{TRY(number(words[0]))},
                      TRY(number(words[1])), hypervisor::WatchKind::Write};
  if (words.size() == 3) stoppoint.kind = TRY(kind_of(words[2]));
  TRY(target_.insert_stoppoint(stoppoint, {}));
  return fmt::format("Watching {} bytes at physical {:#x} ({}).\n", stoppoint.size,
                     stoppoint.address.value, name_of(stoppoint.kind));
}

Result<std::string> Monitor::unwatch_physical(Words words) {
  if (words.size() != 1)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help unwatch-phys");
  const Gva address{TRY(number(words[0]))};
  std::vector<Stoppoint> found;
  for (const StoppointList::Entry& entry : target_.stoppoints().all()) {
    const Stoppoint& stoppoint = entry.stoppoint;
    if (stoppoint.cause == StopCause::PhysicalWatchpoint && stoppoint.address == address)
      found.push_back(stoppoint);
  }
  if (found.empty()) return fail(ErrorCode::NotFound, "nothing is watched there");
  for (const Stoppoint& stoppoint : found)
    TRY(target_.remove_stoppoint(stoppoint));
  return "No longer watched.\n";
}

Result<std::string> Monitor::forget(Words words) {
  if (!words.empty()) return fail(ErrorCode::BadRequest, "forget has no arguments");
  std::vector<Gva> persistent;
  for (const auto& [address, wish] : target_.breakpoints().wishes()) {
    if (wish.program.persists) persistent.push_back(address);
  }
  for (const Gva address : persistent)
    target_.remove_breakpoint(address);
  return fmt::format("{} breakpoints taken out.\n", persistent.size());
}

Result<std::string> Monitor::bind(Words words) {
  AddressSpaces& spaces = target_.spaces();
  if (words.empty()) {
    std::string text;
    for (const auto& [address, cr3] : spaces.all())
      text += fmt::format("{:#018x} counts where cr3 is {:#x}\n", address.value, cr3);
    for (const auto& [address, task] : spaces.tasks())
      text += fmt::format("{:#018x} counts in {}\n", address.value, task.words);
    return text.empty() ? "Nothing is bound.\n" : text;
  }
  if (words.size() >= 3 && (words[1] == "pid" || words[1] == "comm")) return bind_to_task(words);
  if (words.size() == 2 && (words[1] == "pid" || words[1] == "comm")) {
    return fail(ErrorCode::BadRequest, fmt::format("{0} wants {1} behind it: bind ADDRESS {0} {1}",
                                                   words[1], words[1] == "pid" ? "PID" : "NAME"));
  }
  if (words.size() > 2)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help bind");
  const Gva address{TRY(number(words[0]))};
  if (words.size() == 2 && words[1] == "off") {
    spaces.release(address);
    TRY(target_.place_again(session_.current, address));
    return fmt::format("{:#x} counts everywhere.\n", address.value);
  }
  if (spaces.full()) return fail(ErrorCode::BadRequest, AddressSpaces::kFull);
  const std::uint64_t cr3 = words.size() == 2
                                ? TRY(number(words[1]))
                                : TRY(current().read_register(x86::Register::Cr3)).as_u64();
  spaces.release(address);
  spaces.bind(address, cr3);
  TRY(target_.place_again(session_.current, address));
  return fmt::format("{:#x} counts where cr3 is {:#x}.\n", address.value,
                     *spaces.space_of(address));
}

Result<std::string> Monitor::cr3(Words words) {
  std::optional<std::uint64_t>& chosen = session_.addresses.cr3;
  if (words.size() > 1)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help cr3");
  if (words.size() == 1 && words[0] == "off") {
    chosen.reset();
  } else if (words.size() == 1) {
    chosen = TRY(number(words[0])) & AddressSpaces::kTable;
  }
  return chosen ? fmt::format("Linear addresses are those of cr3 {:#x}.\n", *chosen)
                : std::string("Linear addresses are those of the current vCPU.\n");
}

Result<std::string> Monitor::watch_modules(Words words) {
  if (words.size() > 1 || (!words.empty() && words[0] != "on" && words[0] != "off"))
    return fail(ErrorCode::BadRequest, "say on or off");
  const bool was = !session_.library_events.empty();
  if (!words.empty() && words[0] == "on" && !was) {
    if (!options_.guest.library_events)
      return fail(ErrorCode::NotSupported, "nothing is known of the modules of this guest");
    if (!session_.reads_libraries) {
      return fail(ErrorCode::NotSupported,
                  "this debugger has not asked for the list of modules; in GDB type info "
                  "sharedlibrary");
    }
    session_.library_events = TRY(options_.guest.library_events());
  }
  if (!words.empty() && words[0] == "off") {
    for (const Gva address : std::exchange(session_.library_events, {})) {
      const BreakpointTable::Wish* const wish = target_.breakpoints().wish_at(address);
      if (wish != nullptr && wish->program.of_server) target_.remove_breakpoint(address);
    }
  }
  return fmt::format("The debugger is {} when modules come and go.\n",
                     session_.library_events.empty() ? "not told" : "told");
}

// A name may have blanks, as those of some of the kernel's own tasks: single ones.
Result<std::string> Monitor::bind_to_task(Words words) {
  AddressSpaces& spaces = target_.spaces();
  const Gva address{TRY(number(words[0]))};
  if (spaces.full()) return fail(ErrorCode::BadRequest, AddressSpaces::kFull);
  if (!options_.guest.task_test)
    return fail(ErrorCode::NotSupported, "nothing is known of the tasks of this guest");
  const std::string name = fmt::format("{}", fmt::join(words.subspan(2), " "));
  auto runs = TRY(options_.guest.task_test(words[1], name));
  const std::string task = fmt::format("{} {}", words[1], name);
  spaces.release(address);
  spaces.bind(address, AddressSpaces::Task{task, std::move(runs)});
  TRY(target_.place_again(session_.current, address));
  return fmt::format("{:#x} counts in {}.\n", address.value, task);
}

}  // namespace ringside::debug
