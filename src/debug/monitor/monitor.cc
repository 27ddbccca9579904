#include "debug/monitor/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/hex.h"
#include "debug/target/vcpu_words.h"
#include "hypervisor/guest_memory.h"
#include "ringside/x86/bits.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r\n"), line.size()));
    if (line.empty()) return words;
    const std::size_t end = std::min(line.find_first_of(" \t\r\n"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Result<void> want(std::size_t given, std::size_t least, std::size_t most) {
  if (given < least || given > most)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; help shows what it takes");
  return {};
}

Result<bool> on_or_off(std::string_view word) {
  if (word == "on") return true;
  if (word == "off") return false;
  return fail(ErrorCode::BadRequest, "say on or off");
}

}  // namespace

std::size_t matches(std::span<const std::string_view> words, std::string_view name) {
  if (name.empty()) return 0;
  const std::vector<std::string_view> wanted = split(name);
  const bool same =
      words.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), words.begin());
  return same ? wanted.size() : 0;
}

std::span<const Monitor::Entry> Monitor::table() {
  static const Entry entries[] = {
      {"help", "", "[COMMAND]", "Lists the commands, or says what one does.", &Monitor::help},
      {"registers", "info registers", "[-a|CPU|NAME...]",
       "Shows a vCPU's registers with the hidden parts of its segments.\n"
       "Those of the current vCPU, of vCPU number CPU, or of all (-a). With names only those\n"
       "registers, of the current vCPU.",
       &Monitor::registers},
      {"vcpus", "info cpus", "", "Lists the vCPUs: thread, mode, where they are and what they do.",
       &Monitor::vcpus},
      {"breakpoints", "info breakpoints", "",
       "Lists what the debugger has inserted: how it is realised, where, and how often it was hit.",
       &Monitor::breakpoints},
      {"walk", "", "ADDRESS [CR3]",
       "Walks the page tables for a linear address and shows the entry of every level.\n"
       "ADDRESS and CR3 are numbers (0x1f, 31) or registers ($rsp).",
       &Monitor::walk},
      {"gva2gpa", "", "ADDRESS", "Translates a linear address to a physical one.",
       &Monitor::gva2gpa},
      {"x", "", "[/FMT] ADDRESS",
       "Shows memory at a linear address.\n"
       "FMT is a count, a format (x, d, u, o or c) and a size (b 1, h 2, w 4, g 8 bytes), as in\n"
       "x /4xg $rsp + 8. Without it one word in hexadecimal.\n"
       "Looking at a device changes nothing in it.",
       &Monitor::examine},
      {"xp", "", "[/FMT] ADDRESS", "Shows memory at a physical address, as x does.",
       &Monitor::examine_physical},
      {"physical", "", "ADDRESS [COUNT]",
       "Shows COUNT (64) bytes of physical memory, and as text. Looking at a device changes "
       "nothing\n"
       "in it.",
       &Monitor::physical},
      {"info tlb", "", "[START [END]]",
       "Lists every page that the page tables map, from START to END.\n"
       "The letters: X no execute, G global, P large page, D dirty, A accessed, C not cached,\n"
       "T written through, U user, W writable. The tables are read as they are in memory.",
       &Monitor::tlb},
      {"info mem", "", "[START [END]]",
       "Lists the ranges that the page tables map, with what all levels together allow.",
       &Monitor::mem},
      {"watch-phys", "", "[ADDRESS LENGTH [r|w|a]]",
       "Watches guest-physical memory: reads, writes (the default) or any access.\n"
       "All vCPUs, through whatever linear address, and what devices write. A hit is a stop with\n"
       "its reason in words. Without arguments lists them.",
       &Monitor::watch_physical, 1},
      {"unwatch-phys", "", "ADDRESS", "Takes out what watch-phys set there.",
       &Monitor::unwatch_physical, 0},
      {"catch", "", "[WHAT [NUMBER] [r|w] [if REGISTER COMPARISON NUMBER]|delete NUMBER|all]",
       "Stops the machine at what a vCPU does, wherever that is.\n"
       "WHAT is one of:\n"
       "  exception [VECTOR|#PF]  interrupt [VECTOR]  before it is delivered; int n counts as an\n"
       "                          interrupt, int3 as #BP\n"
       "  msr [NAME|NUMBER] [r|w]  io PORT[-PORT] [r|w]  cr [NUMBER] (writes)  hlt  task-switch\n"
       "  cpl [LEVEL]             after the instruction\n"
       "The condition compares a register with a number (==, !=, <, <=, >, >=, without signs).\n"
       "A hit is a stop with its reason in words, in the present only: a journey passes them. "
       "They\n"
       "stay until `delete` or the end of the session. A triple fault is always a stop.\n"
       "Without arguments lists them.",
       &Monitor::catches, 1},
      {"pending", "info pending", "[CPU]",
       "Shows which events wait for vCPUs, and what holds them off.\n"
       "An exception that is queued, the shadow after sti and loads of ss, NMIs, and the external\n"
       "interrupt that is next.",
       &Monitor::pending},
      {"bind", "", "[ADDRESS [CR3|pid PID|comm NAME|off]]",
       "Lets breakpoints and watchpoints at a linear address count in one address space only.\n"
       "That of CR3, or of the current vCPU. It stays until `off` or the end of the session,\n"
       "whether there is a breakpoint now or not. Without arguments lists what is bound.\n"
       "With pid or comm they count in one task of a Linux in the guest: a thread or all of a\n"
       "process by its number, or what is called so.",
       &Monitor::bind, 1},
      {"cr3", "", "[CR3|off]",
       "Reads and writes memory in another address space than the vCPU's own.\n"
       "What this debugger asks for by a linear address, x included, is looked up in the page\n"
       "tables at CR3, and its new breakpoints and watchpoints are bound to it (help bind). Until\n"
       "`off` or the end of the session. Tell yours to forget memory (GDB: maintenance flush\n"
       "dcache).",
       &Monitor::cr3},
      {"forget", "", "",
       "Takes out breakpoints whose commands persist, as an earlier session may have left them.",
       &Monitor::forget, 0},
      {"modules watch", "", "[on|off]",
       "Tells the debugger when a module of Linux comes or goes, so that it reads the list again.\n"
       "That is a short stop of the guest each time. For debuggers that have read the list\n"
       "(qXfer:libraries), as GDB has after `info sharedlibrary`.",
       &Monitor::watch_modules, 1},
      {"linear-pc", "", "[on|off]",
       "Shows rip as a linear address outside 64-bit mode, as debuggers need it, or as it is.",
       &Monitor::linear_pc},
      {"msr", "", "[NAME|NUMBER [VALUE]]",
       "Shows or changes a model-specific register: by name (IA32_EFER, efer, MSR_EFER) or "
       "number.\n"
       "Without arguments shows all that have a name and that this vCPU has.",
       &Monitor::msr, 2},
      {"info status", "", "", "Says whether the guest runs.", &Monitor::status},
      {"stop", "", "",
       "Says how to stop the guest. That is the debugger's, so that it knows: Ctrl-C.",
       &Monitor::stop},
      {"cont", "", "",
       "Says how to let the guest run. That is the debugger's, so that it knows: continue, or "
       "detach.",
       &Monitor::cont},
      {"control", "", "",
       "Takes the machine over, where no other debugger has it: it stops.\n"
       "For a debugger that has come while another had the machine, and that only looks so far.",
       &Monitor::control},
      {"quit", "", "", "Ends the virtual machine.", &Monitor::quit, 0},
      // After everything that begins with the same word.
      {"info", "", "[SUBJECT]", "Lists what it knows of.", &Monitor::info},
  };
  return entries;
}

std::string Monitor::run(std::string_view line) {
  std::vector<std::string_view> words = split(line);
  if (words.empty()) return help({}).value();
  // As in QEMU, a format may follow its command without a blank: xp/4xw.
  if (const std::size_t slash = words[0].find('/'); slash != 0 && slash != std::string_view::npos) {
    words.insert(words.begin() + 1, words[0].substr(slash));
    words[0] = words[0].substr(0, slash);
  }
  const bool looks = session_.role == Session::Role::Looks;
  // A command of ours with a longer name comes before one of the owner's that begins like it.
  std::size_t longest = 0;
  for (const Entry& entry : table())
    longest = std::max(longest, matches(words, entry.name));
  for (const MonitorCommand& command : options_.commands) {
    const std::size_t used = matches(words, command.name);
    if (used != 0 && used >= longest) {
      const char* rest = words[used - 1].data() + words[used - 1].size();
      const auto consumed = static_cast<std::size_t>(rest - line.data());
      std::string_view arguments = line.substr(consumed);
      arguments.remove_prefix(std::min(arguments.find_first_not_of(' '), arguments.size()));
      const bool only_looks = command.looks || (command.looks_alone && arguments.empty());
      if (looks && !only_looks) return fmt::format("{}: {}\n", command.name, session_.refusal);
      if (command.moves_machine && session_.non_stop)
        return fmt::format("{}: in non-stop mode the machine is not moved as a whole\n",
                           command.name);
      if (!command.begin) return command.run(arguments);
      work_ = command.begin(arguments);
      return {};
    }
  }
  for (const Entry& entry : table()) {
    std::size_t used = matches(words, entry.name);
    if (used == 0) used = matches(words, entry.alias);
    if (used == 0) continue;
    if (looks && words.size() - used >= entry.changes_from)
      return fmt::format("{}: {}\n", entry.name, session_.refusal);
    Result<std::string> text = (this->*entry.run)(Words(words).subspan(used));
    return text ? *text : fmt::format("{}: {}\n", entry.name, text.error().text());
  }
  return fmt::format("There is no command \"{}\"{} help lists those that there are.\n", words[0],
                     did_you_mean_and(words[0], command_names()));
}

std::vector<std::string_view> Monitor::names() const {
  std::vector<std::string_view> all;
  for (const Entry& entry : table()) {
    all.push_back(entry.name);
    if (!entry.alias.empty()) all.push_back(entry.alias);
  }
  for (const MonitorCommand& command : options_.commands)
    all.push_back(command.name);
  return all;
}

std::vector<std::string_view> Monitor::command_names() const {
  std::vector<std::string_view> first_words = names();
  for (std::string_view& name : first_words)
    name = name.substr(0, name.find(' '));
  return first_words;
}

Result<std::uint64_t> Monitor::number(std::string_view word) {
  std::uint64_t sum = 0;
  bool minus = false;
  for (;;) {
    const std::size_t end = std::min(word.find_first_of("+-"), word.size());
    const std::uint64_t value = TRY(term(word.substr(0, end)));
    sum = minus ? sum - value : sum + value;
    if (end == word.size()) return sum;
    minus = word[end] == '-';
    word.remove_prefix(end + 1);
  }
}

Result<std::uint64_t> Monitor::term(std::string_view word) {
  if (word.substr(0, 1) == "$") {
    const auto r = x86::register_by_name(word.substr(1));
    if (r && x86::info(*r).bits > 64)
      return fail(ErrorCode::BadRequest, fmt::format("{} is wider than a number", word));
    if (!r) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("{} is not a register{}", word,
                              did_you_mean(word.substr(1), register_names())));
    }
    return TRY(current().read_register(*r)).as_u64();
  }
  if (word.substr(0, 2) == "0x") {
    const auto value = parse_hex(word.substr(2));
    if (value) return *value;
  } else {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error == std::errc() && end == word.data() + word.size()) return value;
  }
  if (word.empty()) return fail(ErrorCode::BadRequest, "a number is missing beside + or -");
  return fail(ErrorCode::BadRequest, fmt::format("{} is not a number", word));
}

Result<std::string> Monitor::vcpus(Words words) {
  TRY(want(words.size(), 0, 0));
  std::string text;
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
    hypervisor::Vcpu& vcpu = target_.vm().vcpu({i});
    text +=
        fmt::format("{} CPU #{}: thread {}", VcpuId{i} == session_.current ? '*' : ' ', i, i + 1);
    if (!vcpu.active()) {
      text += ", not started\n";
      continue;
    }
    const x86::CpuState state = TRY(vcpu.state());
    text +=
        fmt::format(", {}, rip {:#x}, cr3 {:#x}", short_name(mode_of(state)), state.rip, state.cr3);
    if (const auto count = vcpu.instructions())
      text += fmt::format(", {} instructions", count->value);
    if (vcpu.activity() == hypervisor::VcpuActivity::Asleep) {
      text += fmt::format(" ({})", words_of(vcpu.activity()));
    } else if (vcpu.halted()) {
      text += " (halted)";
    }
    if (const StopEvent* event = target_.control().event_of({i}))
      text += event->cause == StopCause::Dead ? fmt::format(" (dead: {})", target_.words_of({i}))
                                              : std::string(" (has stopped)");
    text += '\n';
  }
  return text;
}

Result<std::string> Monitor::gva2gpa(Words words) {
  TRY(want(words.size(), 1, 1));
  const std::uint64_t address = TRY(number(words[0]));
  const Result<Gpa> where = hypervisor::translate(target_.vm(), session_.current, Gva{address});
  return where ? fmt::format("gpa: {:#x}\n", where->value) : "Unmapped\n";
}

Result<std::string> Monitor::physical(Words words) {
  TRY(want(words.size(), 1, 2));
  const std::uint64_t address = TRY(number(words[0]));
  const std::uint64_t count = words.size() == 2 ? TRY(number(words[1])) : 64;
  if (count > 4096) return fail(ErrorCode::BadRequest, "at most 4096 bytes at a time");
  ShadowedMemory memory(target_.vm(), target_.breakpoints(), session_.current,
                        {AddressKind::Physical, {}});
  const std::vector<std::byte> bytes = TRY(memory.read(address, count));
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 16) {
    text += fmt::format("{:016x}:", address + i);
    const std::size_t end = std::min(i + 16, bytes.size());
    for (std::size_t j = i; j < end; ++j)
      text += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[j]));
    text += "  ";
    for (std::size_t j = i; j < end; ++j) {
      const char c = static_cast<char>(bytes[j]);
      text += c >= ' ' && c <= '~' ? c : '.';
    }
    text += '\n';
  }
  return text;
}

Result<std::string> Monitor::control(Words words) {
  TRY(want(words.size(), 0, 0));
  if (session_.role == Session::Role::Controls) return "This debugger has the machine.\n";
  if (session_.controlled)
    return fail(ErrorCode::Busy,
                "another debugger has the machine; it can be had once that has gone");
  session_.wants_control = true;
  return "This debugger has the machine now, and it is stopped. Tell yours to forget its "
         "registers\n"
         "(GDB: maintenance flush register-cache).\n";
}

Result<std::string> Monitor::quit(Words words) {
  TRY(want(words.size(), 0, 0));
  quit_ = true;
  return "The machine ends.\n";
}

Result<std::string> Monitor::linear_pc(Words words) {
  TRY(want(words.size(), 0, 1));
  if (words.size() == 1) session_.linear_pc = TRY(on_or_off(words[0]));
  return fmt::format("rip is shown {}\n",
                     session_.linear_pc ? "as a linear address" : "as the register is");
}

}  // namespace ringside::debug
