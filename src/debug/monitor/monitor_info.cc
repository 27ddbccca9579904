// monitor info, info registers, info status, msr, stop, cont.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/lower_case.h"
#include "base/nearest_word.h"
#include "debug/client/changes.h"
#include "debug/monitor/monitor.h"
#include "ringside/x86/registers.h"
#include "x86/msr_names.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

constexpr std::string_view kInfo = "info ";

bool is_number(std::string_view word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

// Of registers with hidden parts QEMU's line says more than a number would.
std::string_view start_of_line(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kLines[] = {
      {"es", "ES ="},   {"cs", "CS ="},  {"ss", "SS ="},  {"ds", "DS ="},   {"fs", "FS ="},
      {"gs", "GS ="},   {"ldt", "LDT="}, {"tr", "TR ="},  {"ldtr", "LDT="}, {"gdt", "GDT="},
      {"gdtr", "GDT="}, {"idt", "IDT="}, {"idtr", "IDT="}};
  for (const auto& [register_name, start] : kLines) {
    if (name == register_name) return start;
  }
  return {};
}

std::string line_of(std::string_view text, std::string_view start) {
  const std::size_t at = text.find("\n" + std::string(start));
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + 1);
  return std::string(rest.substr(0, rest.find('\n') + 1));
}

std::string format_value(const x86::RegisterInfo& info, const x86::RegisterValue& value) {
  if (info.bits <= 64)
    return fmt::format("{} {:#0{}x}\n", info.name, value.as_u64(), info.bits / 4 + 2);
  std::string digits;
  for (std::size_t i = info.size(); i-- > 0;)
    digits += fmt::format("{:02x}", value.bytes[i]);
  return fmt::format("{} 0x{}\n", info.name, digits);
}

}  // namespace

std::span<const std::string_view> register_names() {
  static const auto names = [] {
    std::array<std::string_view, x86::kRegisterCount> result;
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = x86::kRegisters[i].name;
    return result;
  }();
  return names;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto found = nearest_word(word, candidates);
  return found ? fmt::format("; did you mean {}?", *found) : std::string();
}

std::string did_you_mean_and(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string question = did_you_mean(word, candidates);
  return question.empty() ? ";" : question;
}

// ---- info

std::vector<std::string_view> Monitor::info_subjects() const {
  std::vector<std::string_view> subjects;
  for (const std::string_view name : names()) {
    if (name.starts_with(kInfo)) subjects.push_back(name.substr(kInfo.size()));
  }
  std::ranges::sort(subjects);
  return subjects;
}

// Reached only by a subject that is none: those that there are have entries of their own.
Result<std::string> Monitor::info(Words words) {
  const std::vector<std::string_view> subjects = info_subjects();
  if (!words.empty()) {
    return fail(ErrorCode::NotFound,
                fmt::format("nothing is known of \"{}\"{} info alone lists what is", words[0],
                            did_you_mean_and(words[0], subjects)));
  }
  std::string text;
  const auto line = [&](std::string_view name, std::string_view usage, std::string_view help) {
    text += fmt::format("{:<28} {}\n", fmt::format("{}{} {}", kInfo, name, usage),
                        help.substr(0, help.find('\n')));
  };
  for (const std::string_view subject : subjects) {
    const auto is = [&](std::string_view name) {
      return name.starts_with(kInfo) && name.substr(kInfo.size()) == subject;
    };
    for (const Entry& entry : table()) {
      if (is(entry.name) || is(entry.alias)) line(subject, entry.usage, entry.help);
    }
    for (const MonitorCommand& command : options_.commands) {
      if (is(command.name)) line(subject, command.usage, command.help);
    }
  }
  return text;
}

// The guest runs, and is held for this command only.
bool Monitor::holds_running_guest() const {
  const RunControl& control = target_.control();
  return control.phase() == RunControl::Phase::Paused && !control.stopped();
}

Result<std::string> Monitor::status(Words words) {
  if (!words.empty()) return fail(ErrorCode::BadRequest, "info status has no arguments");
  if (!holds_running_guest()) return std::string("VM status: paused (the debugger holds it)\n");
  const bool sleeps = target_.vm().vcpu({0}).activity() == hypervisor::VcpuActivity::Asleep;
  return std::string(sleeps ? "VM status: asleep (ACPI S3)\n" : "VM status: running\n");
}

Result<std::string> Monitor::stop(Words words) {
  if (!words.empty()) return fail(ErrorCode::BadRequest, "stop has no arguments");
  return std::string(holds_running_guest()
                         ? "The guest runs. Stop it from the debugger, so that it knows: Ctrl-C.\n"
                         : "The guest is stopped already.\n");
}

// A guest that ran behind its debugger's back would change registers and memory that the debugger
// has read, and stop at breakpoints that nobody waits for.
Result<std::string> Monitor::cont(Words words) {
  if (!words.empty()) return fail(ErrorCode::BadRequest, "cont has no arguments");
  return std::string(holds_running_guest()
                         ? "The guest runs already.\n"
                         : "The debugger holds the guest. Let it run from there, so that it knows: "
                           "continue, or detach.\n");
}

// ---- Registers

Result<std::string> Monitor::registers(Words words) {
  const auto all_of = [this](VcpuId id) -> Result<std::string> {
    hypervisor::Vcpu& vcpu = target_.vm().vcpu(id);
    return fmt::format("\nCPU#{}\n{}", id.value,
                       format_registers(TRY(vcpu.state()), vcpu.halted()));
  };
  if (words.empty()) return all_of(session_.current);
  std::string text;
  if (words.size() == 1 && words[0] == "-a") {
    for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
      if (target_.is_active(i)) text += TRY(all_of({i}));
    }
    return text;
  }
  if (words.size() == 1 && is_number(words[0])) {
    const std::uint64_t index = TRY(number(words[0]));
    if (!target_.is_active(index)) return fail(ErrorCode::NotFound, "there is no such vCPU");
    return all_of({static_cast<std::uint32_t>(index)});
  }
  for (const std::string_view word : words)
    text += TRY(one_register(word));
  return text;
}

Result<std::string> Monitor::one_register(std::string_view name) {
  if (name.starts_with('$') || name.starts_with('%')) name.remove_prefix(1);
  const std::string lower = lower_case(name);
  if (const std::string_view start = start_of_line(lower); !start.empty())
    return line_of(format_registers(TRY(current().state()), false), start);
  const auto r = x86::register_by_name(lower);
  if (!r) {
    return fail(ErrorCode::NotFound, fmt::format("\"{}\" is not a register{}", name,
                                                 did_you_mean(name, register_names())));
  }
  return format_value(x86::info(*r), TRY(current().read_register(*r)));
}

// ---- MSRs

std::string Monitor::all_msrs() {
  std::string text;
  for (const x86::MsrName& msr : x86::msr_names()) {
    const Result<std::uint64_t> value = current().read_msr(msr.number);
    if (value) text += fmt::format("msr {:#x} = {:#018x} ({})\n", msr.number, *value, msr.name);
  }
  return text.empty() ? "None can be read.\n" : text;
}

Result<std::string> Monitor::msr(Words words) {
  if (words.empty()) return all_msrs();
  if (words.size() > 2) return fail(ErrorCode::BadRequest, "msr takes a register and a value");
  std::uint64_t index = 0;
  if (const auto known = x86::msr_by_name(words[0])) {
    index = *known;
  } else if (Result<std::uint64_t> given = number(words[0]); given) {
    index = *given;
  } else {
    std::vector<std::string_view> names;
    for (const x86::MsrName& msr : x86::msr_names()) {
      names.push_back(msr.name);
      names.push_back(msr.name.substr(std::string_view("IA32_").size()));
    }
    return fail(ErrorCode::NotFound, fmt::format("\"{}\" is neither a number nor an MSR{}",
                                                 words[0], did_you_mean(words[0], names)));
  }
  if (index > 0xffffffff) return fail(ErrorCode::BadRequest, "an MSR's number has 32 bits");
  const auto msr = static_cast<std::uint32_t>(index);
  if (words.size() == 2) {
    const std::uint64_t value = TRY(number(words[1]));
    TRY(may_change(options_));
    TRY(current().write_msr(msr, value));
  }
  const std::uint64_t value = TRY(current().read_msr(msr));
  const std::string_view name = x86::name_of_msr(msr);
  return fmt::format("msr {:#x} = {:#018x}{}\n", msr, value,
                     name.empty() ? std::string() : fmt::format(" ({})", name));
}

}  // namespace ringside::debug
