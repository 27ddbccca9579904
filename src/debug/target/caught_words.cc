#include "debug/target/caught_words.h"

#include <fmt/format.h>

#include <string_view>

#include "ringside/x86/exception.h"
#include "x86/msr_names.h"

namespace ringside::debug {
namespace {

using hypervisor::CatchKind;
using hypervisor::exit::Caught;

std::string words_of_exception(const Caught& what) {
  const std::string_view name = exception_name(what.number);
  std::string text = fmt::format(
      "{} exception {}", what.delivered ? "has got" : "is about to get",
      name.empty() ? std::to_string(what.number) : fmt::format("{} ({})", name, what.number));
  if (what.error_code) text += fmt::format(", error code {:#x}", *what.error_code);
  if (what.number == static_cast<std::uint32_t>(x86::Vector::PageFault))
    text += fmt::format(", for address {:#x}", what.value);
  if (what.delivered) text += ", in the midst of another event";
  return text;
}

std::string words_of_interrupt(const Caught& what) {
  switch (what.source) {
    case Caught::Source::Nmi:
      return "is about to get an NMI";
    case Caught::Source::Instruction:
      return fmt::format("is about to execute int {:#x}", what.number);
    case Caught::Source::External:
      break;
  }
  return fmt::format("is about to get external interrupt {:#x}", what.number);
}

std::string words_of_access(const Caught& what, std::string_view where) {
  return fmt::format("{} {:#x} {} {}", what.is_write ? "wrote" : "read", what.value,
                     what.is_write ? "to" : "from", where);
}

std::string words_of_msr(std::uint32_t number) {
  const std::string_view name = x86::name_of_msr(number);
  return name.empty() ? fmt::format("MSR {:#x}", number)
                      : fmt::format("MSR {} ({:#x})", name, number);
}

std::string did(const Caught& what) {
  switch (what.kind) {
    case CatchKind::Exception:
      return words_of_exception(what);
    case CatchKind::Interrupt:
      return words_of_interrupt(what);
    case CatchKind::Msr:
      return words_of_access(what, words_of_msr(what.number));
    case CatchKind::Port:
      return words_of_access(what, fmt::format("port {:#x} ({} {})", what.number, what.width,
                                               what.width == 1 ? "byte" : "bytes"));
    case CatchKind::ControlRegister:
      return fmt::format("wrote {:#x} to cr{}", what.value, what.number);
    case CatchKind::Halt:
      return "executed hlt";
    case CatchKind::TaskSwitch:
      return fmt::format("switched to the task of selector {:#x}", what.number);
    case CatchKind::PrivilegeChange:
      break;
  }
  return fmt::format("went from privilege level {} to {}", what.value, what.number);
}

}  // namespace

std::string_view exception_name(std::uint32_t vector) {
  static constexpr std::string_view kNames[] = {"#DE", "#DB", "",    "#BP", "#OF", "#BR", "#UD",
                                                "#NM", "#DF", "",    "#TS", "#NP", "#SS", "#GP",
                                                "#PF", "",    "#MF", "#AC", "#MC", "#XM"};
  return vector < std::size(kNames) ? kNames[vector] : std::string_view();
}

std::string words_of(VcpuId vcpu, const Caught& what) {
  return fmt::format("vCPU {} {}", vcpu.value, did(what));
}

}  // namespace ringside::debug
