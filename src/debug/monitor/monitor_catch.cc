// monitor catch, pending.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/lower_case.h"
#include "debug/monitor/monitor.h"
#include "debug/target/caught_words.h"
#include "x86/msr_names.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

using hypervisor::Catch;
using hypervisor::CatchKind;
using Comparison = RegisterTest::Comparison;
using Words = std::span<const std::string_view>;

struct KindName {
  std::string_view name;
  CatchKind kind;
  std::uint32_t largest;  // number
};
constexpr KindName kKinds[] = {
    {"exception", CatchKind::Exception, 31},   {"interrupt", CatchKind::Interrupt, 255},
    {"msr", CatchKind::Msr, 0xffffffff},       {"io", CatchKind::Port, 0xffff},
    {"cr", CatchKind::ControlRegister, 8},     {"hlt", CatchKind::Halt, 0},
    {"task-switch", CatchKind::TaskSwitch, 0}, {"cpl", CatchKind::PrivilegeChange, 3}};

constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
    {"==", Comparison::Equal},    {"!=", Comparison::NotEqual}, {"<=", Comparison::NotAbove},
    {">=", Comparison::NotBelow}, {"<", Comparison::Below},     {">", Comparison::Above}};

const KindName& name_of(CatchKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [&](const KindName& one) { return one.kind == kind; });
}

bool has_direction(CatchKind kind) { return kind == CatchKind::Msr || kind == CatchKind::Port; }

std::string number_of(const Catch& wanted) {
  if (wanted.first == 0 && wanted.last >= name_of(wanted.kind).largest) return {};
  if (wanted.kind == CatchKind::Exception && !exception_name(wanted.first).empty())
    return fmt::format(" {} ({})", exception_name(wanted.first), wanted.first);
  if (wanted.kind == CatchKind::ControlRegister || wanted.kind == CatchKind::PrivilegeChange)
    return fmt::format(" {}", wanted.first);
  if (wanted.kind == CatchKind::Msr && !x86::name_of_msr(wanted.first).empty())
    return fmt::format(" {} ({:#x})", x86::name_of_msr(wanted.first), wanted.first);
  if (wanted.first != wanted.last) return fmt::format(" {:#x}-{:#x}", wanted.first, wanted.last);
  return fmt::format(" {:#x}", wanted.first);
}

std::string describe(const CatchList::Entry& entry) {
  std::string text = fmt::format("{}: {}{}", entry.number, name_of(entry.wanted.kind).name,
                                 number_of(entry.wanted));
  if (has_direction(entry.wanted.kind) && entry.wanted.reads != entry.wanted.writes)
    text += entry.wanted.reads ? " r" : " w";
  if (entry.condition) {
    const auto sign =
        std::find_if(std::begin(kComparisons), std::end(kComparisons),
                     [&](const auto& one) { return one.second == entry.condition->comparison; });
    text += fmt::format(" if ${} {} {:#x}", x86::info(entry.condition->name).name, sign->first,
                        entry.condition->value);
  }
  text += fmt::format(", {} hits", entry.hits.reached);
  if (entry.condition) text += fmt::format(", {} true", entry.hits.counted);
  return text + "\n";
}

Result<std::uint32_t> exception_by_name(std::string_view word) {
  const std::string wanted = lower_case(word);
  for (std::uint32_t vector = 0; vector < 32; ++vector) {
    const std::string name = lower_case(exception_name(vector));
    if (!name.empty() && (name == wanted || name.substr(1) == wanted)) return vector;
  }
  return fail(ErrorCode::BadRequest, fmt::format("{} is no exception", word));
}

// The registers that hold one.
std::string names_of_numbers() {
  std::string names;
  for (const std::string_view name : register_names()) {
    const auto found = x86::register_by_name(name);
    if (found && x86::info(*found).bits <= 64)
      names += fmt::format("{}{}", names.empty() ? "" : " ", name);
  }
  return names;
}

std::string_view shadow_words(hypervisor::PendingEvents::Shadow shadow) {
  switch (shadow) {
    case hypervisor::PendingEvents::Shadow::Sti:
      return "after sti: no interrupt before the next instruction is over";
    case hypervisor::PendingEvents::Shadow::StackLoad:
      return "after a load of ss: no interrupt and no trap before the next instruction is over";
    case hypervisor::PendingEvents::Shadow::None:
      break;
  }
  return "none";
}

std::string describe(const hypervisor::PendingEvents& events) {
  std::string exception = "none";
  if (events.exception) {
    const auto vector = static_cast<std::uint32_t>(events.exception->vector);
    exception = fmt::format("{} ({})", exception_name(vector), vector);
    if (events.exception->error_code)
      exception += fmt::format(", error code {:#x}", *events.exception->error_code);
  }
  if (events.debug_traps != 0)
    exception += fmt::format("; a #DB trap is due (dr6 {:#x})", events.debug_traps);
  std::string interrupt = "none";
  if (events.interrupt_waiting) {
    interrupt = events.vector ? fmt::format("{:#x}", *events.vector) : "of a vector not known";
    interrupt +=
        events.interrupts_enabled ? ", and rflags.if lets it in" : ", and rflags.if keeps it out";
  } else {
    interrupt += events.interrupts_enabled ? " (rflags.if is set)" : " (rflags.if is clear)";
  }
  return fmt::format(
      "  exception: {}\n  interrupt shadow: {}\n  NMI: {}{}\n  external interrupt: {}\n", exception,
      shadow_words(events.shadow), events.nmi_pending ? "pending" : "none",
      events.nmi_blocked ? ", blocked until iret" : "", interrupt);
}

}  // namespace

Result<RegisterTest> Monitor::register_test(Words words) {
  const std::string text = fmt::format("{}", fmt::join(words, ""));
  for (const auto& [sign, comparison] : kComparisons) {
    const std::size_t at = text.find(sign);
    if (at == std::string::npos) continue;
    const std::string_view name = std::string_view(text).substr(0, at);
    const std::string_view value = std::string_view(text).substr(at + sign.size());
    const auto found = x86::register_by_name(name.substr(name.starts_with('$') ? 1 : 0));
    if (!found || x86::info(*found).bits > 64) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("{} is no register that can be compared; these are: {}", name,
                              names_of_numbers()));
    }
    if (value.find('$') != std::string_view::npos) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("{} would be read once, now; what a register is compared with is a "
                              "number",
                              value));
    }
    return RegisterTest{*found, comparison, TRY(number(value))};
  }
  return fail(ErrorCode::BadRequest,
              "a condition is a register, a comparison and a number: if $rax == 5");
}

// NUMBER or, of ports, NUMBER-NUMBER; a name where there are some.
Result<void> Monitor::catch_numbers(Catch& wanted, std::string_view word) {
  const std::uint32_t largest = name_of(wanted.kind).largest;
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;
  const bool is_digit = word.find_first_of("0123456789") == 0;
  if (wanted.kind == CatchKind::Exception && !is_digit) {
    first = TRY(exception_by_name(word));
  } else if (const auto msr =
                 wanted.kind == CatchKind::Msr ? x86::msr_by_name(word) : std::nullopt) {
    first = *msr;
  } else if (const std::size_t dash = word.find('-');
             wanted.kind == CatchKind::Port && dash != std::string_view::npos) {
    first = TRY(number(word.substr(0, dash)));
    last = TRY(number(word.substr(dash + 1)));
  } else {
    const bool has_prefix = wanted.kind == CatchKind::ControlRegister && word.starts_with("cr");
    first = TRY(number(word.substr(has_prefix ? 2 : 0)));
  }
  if (!last) last = first;
  if (first > *last) {
    return fail(ErrorCode::BadRequest,
                fmt::format("{} goes backwards: the lower port comes first", word));
  }
  if (*last > largest)
    return fail(ErrorCode::BadRequest, fmt::format("{} is not in 0 to {:#x}", word, largest));
  wanted.first = static_cast<std::uint32_t>(first);
  wanted.last = static_cast<std::uint32_t>(*last);
  return {};
}

Result<std::string> Monitor::catches(Words words) {
  const CatchList& list = target_.catches();
  if (words.empty()) {
    std::string text;
    for (const CatchList::Entry& entry : list.all())
      text += describe(entry);
    return text.empty() ? "Nothing is caught.\n" : text;
  }
  if (words[0] == "delete") return delete_catch(words.subspan(1));
  if (words[0] == "triple-fault")
    return std::string("A triple fault is a stop without being asked for.\n");
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const KindName& one) { return one.name == words[0]; });
  if (kind == std::end(kKinds)) {
    static const auto names = [] {
      std::vector<std::string_view> all{"delete", "triple-fault"};
      for (const KindName& one : kKinds)
        all.push_back(one.name);
      return all;
    }();
    return fail(ErrorCode::BadRequest,
                fmt::format("nothing to catch is called {} (see help catch){}", words[0],
                            did_you_mean(words[0], names)));
  }
  Catch wanted;
  wanted.kind = kind->kind;
  words = words.subspan(1);
  std::optional<RegisterTest> condition;
  if (const auto found = std::find(words.begin(), words.end(), "if"); found != words.end()) {
    condition = TRY(register_test({found + 1, words.end()}));
    words = {words.begin(), found};
  }
  if (has_direction(wanted.kind) && !words.empty() &&
      (words.back() == "r" || words.back() == "w")) {
    wanted.reads = words.back() == "r";
    wanted.writes = !wanted.reads;
    words = words.first(words.size() - 1);
  }
  const bool numbered = kind->largest != 0;
  if (words.size() > (numbered ? 1u : 0u) || (wanted.kind == CatchKind::Port && words.empty()))
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help catch");
  if (!words.empty()) TRY(catch_numbers(wanted, words[0]));
  const unsigned number = TRY(target_.insert_catch(wanted, condition));
  const auto all = list.all();
  const auto made = std::find_if(all.begin(), all.end(),
                                 [&](const auto& entry) { return entry.number == number; });
  return fmt::format("Catch {}", describe(*made));
}

Result<std::string> Monitor::delete_catch(Words words) {
  if (words.size() != 1) return fail(ErrorCode::BadRequest, "say which: its number, or all");
  if (words[0] == "all") {
    const std::size_t count = target_.catches().all().size();
    target_.catches().remove_all();
    return fmt::format("{} taken out.\n", count);
  }
  const std::uint64_t which = TRY(number(words[0]));
  TRY(target_.catches().remove(static_cast<unsigned>(std::min<std::uint64_t>(which, ~0u))));
  return fmt::format("Catch {} is taken out.\n", which);
}

Result<std::string> Monitor::pending(Words words) {
  if (words.size() > 1)
    return fail(ErrorCode::BadRequest, "wrong number of arguments; see help pending");
  std::uint32_t first = 0, end = target_.vm().vcpu_count();
  if (!words.empty()) {
    const std::uint64_t which = TRY(number(words[0]));
    if (which >= end) return fail(ErrorCode::NotFound, "there is no such vCPU");
    first = static_cast<std::uint32_t>(which);
    end = first + 1;
  }
  std::string text;
  for (std::uint32_t i = first; i < end; ++i) {
    text += fmt::format("CPU #{}:\n", i);
    hypervisor::Vcpu& vcpu = target_.vm().vcpu({i});
    const auto events = vcpu.active() ? vcpu.pending_events() : std::nullopt;
    text += !vcpu.active() ? "  not started\n" : events ? describe(*events) : "  not known\n";
  }
  return text;
}

}  // namespace ringside::debug
