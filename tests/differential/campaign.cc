#include "differential/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "differential/inputs.h"
#include "differential/native_cpu.h"
#include "differential/soft_cpu.h"
#include "engine/soft/testing/host_features.h"
#include "engine/soft/testing/nan_lanes.h"
#include "ringside/x86/bits.h"

namespace ringside::differential {
namespace {

constexpr std::size_t kEncodingsPerForm = 12;
constexpr std::size_t kDifferencesPerForm = 3;
constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                  "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr unsigned kGeneralProtection = 13, kPageFault = 14;
constexpr unsigned kRsi = 6, kRdi = 7;
constexpr std::uint64_t kLinuxUserEnd = 0x7ffffffff000;

// Which bits of a register exist in the mode; above SP in 16-bit code lies what the test left
// there.
std::uint64_t register_mask(Mode mode, unsigned i) {
  if (mode == Mode::Code64) return ~std::uint64_t{0};
  if (i >= 8) return 0;
  return mode == Mode::Code16 && i == 4 ? 0xffff : 0xffffffff;
}

class Comparison {
 public:
  Comparison(const Case& test, const Outcome& native, const Outcome& soft)
      : test_(test), native_(native), soft_(soft) {}

  std::string differences(const Freedom& freedom) {
    const bool refused = soft_.fault && soft_.fault->vector == kGeneralProtection;
    const bool goes_on = !native_.fault || native_.fault->vector == kPageFault;
    if (freedom.alignment && refused && goes_on) return text_;
    if (!freedom.fault || native_.fault.has_value() != soft_.fault.has_value()) compare_faults();
    if (freedom.result) return text_;
    compare_registers(freedom);
    compare_flags(freedom);
    if (test_.uses_fpu) compare_fpu(freedom);
    return text_;
  }

 private:
  void say(std::string_view what, std::uint64_t native, std::uint64_t soft) {
    text_ += fmt::format(" {}: host {:x} soft {:x};", what, native, soft);
  }
  void compare_faults() {
    const Fault native = native_.fault.value_or(Fault{~0u, 0, 0});
    const Fault soft = soft_.fault.value_or(Fault{~0u, 0, 0});
    if (native.vector != soft.vector) {
      say("vector", native.vector, soft.vector);
    } else if (native_.fault) {
      // Linux hides what is mapped in its own half behind a constant.
      const bool kernel = native.vector == kPageFault && native.address >= kLinuxUserEnd;
      if (native.error_code != soft.error_code && !kernel) {
        say("error code", native.error_code, soft.error_code);
      }
      if (native.vector == kPageFault && native.address != soft.address) {
        say("cr2", native.address, soft.address);
      }
    }
  }
  void compare_registers(const Freedom& freedom) {
    for (unsigned i = 0; i < 16; ++i) {
      std::uint64_t mask = register_mask(test_.mode, i);
      if (freedom.index_upper_halves && (i == kRsi || i == kRdi)) mask &= 0xffffffff;
      const std::uint64_t native = native_.state.gpr[i] & mask, soft = soft_.state.gpr[i] & mask;
      if (native != soft) say(kNames[i], native, soft);
    }
    if (native_.state.rip != soft_.state.rip) say("rip", native_.state.rip, soft_.state.rip);
  }
  void compare_flags(const Freedom& freedom) {
    using namespace x86::rflags;
    // A fault leaves the flags alone, and then none is undefined.
    const std::uint64_t undefined = native_.fault ? 0 : freedom.flags;
    const std::uint64_t mask = (kArithmetic | DF | NT | AC | ID) & ~undefined;
    const std::uint64_t native = native_.state.rflags & mask, soft = soft_.state.rflags & mask;
    if (freedom.flags_before && native == (test_.state.rflags & mask)) return;
    if (native != soft) say("flags", native, soft);
  }
  void compare_fpu(const Freedom& freedom) {
    const x86::FpuState &native = native_.state.fpu, &soft = soft_.state.fpu;
    for (unsigned i = 0; i < 16; ++i) {
      auto wanted = soft.vector[i];
      if (freedom.nan_lane == 4) soft::testing::take_nans<float>(native.vector[i], wanted);
      if (freedom.nan_lane == 8) soft::testing::take_nans<double>(native.vector[i], wanted);
      compare_bytes(fmt::format("ymm{}", i), native.vector[i].data(), wanted.data(), 32);
    }
    if (native.mxcsr != soft.mxcsr) say("mxcsr", native.mxcsr, soft.mxcsr);
    if (freedom.x87) return;
    for (unsigned i = 0; i < 8; ++i) {
      compare_bytes(fmt::format("st{}", i), native.st[i].data(), soft.st[i].data(), 10);
    }
    if (native.control != soft.control) say("fcw", native.control, soft.control);
    if (native.status != soft.status) say("fsw", native.status, soft.status);
    for (unsigned i = 0; i < 8; ++i) {
      const bool native_empty = ((native.tag >> (2 * i)) & 3) == 3;
      const bool soft_empty = ((soft.tag >> (2 * i)) & 3) == 3;
      if (native_empty != soft_empty) say(fmt::format("empty{}", i), native_empty, soft_empty);
    }
  }
  void compare_bytes(const std::string& what, const std::uint8_t* native, const std::uint8_t* soft,
                     std::size_t size) {
    if (std::memcmp(native, soft, size) == 0) return;
    text_ += fmt::format(" {}: host {} soft {};", what, hex({native, native + size}),
                         hex({soft, soft + size}));
  }

  const Case& test_;
  const Outcome& native_;
  const Outcome& soft_;
  std::string text_;
};

std::string describe(const Form& form, const Case& test, const std::string& differences) {
  std::string text = fmt::format("{} [{}]:{} from", form.name, hex(test.bytes), differences);
  for (unsigned i = 0; i < (test.mode == Mode::Code64 ? 16u : 8u); ++i) {
    text += fmt::format(" {}={:x}", kNames[i], test.state.gpr[i]);
  }
  return text + fmt::format(" flags={:x}", test.state.rflags);
}

class Campaign {
 public:
  Campaign(const Scope& scope, std::uint64_t seed) : scope_(scope), random_(seed) {
    std::ranges::copy(NativeCpu::read_only(), soft_.read_only().begin());
    for (std::uint8_t& byte : NativeCpu::data())
      byte = static_cast<std::uint8_t>(random_());
    std::ranges::copy(NativeCpu::data(), soft_.data().begin());
  }

  Report run(Mode mode, unsigned cases_per_form) {
    const auto forms = enumerate_forms(mode, scope_.claims, kEncodingsPerForm, random_);
    report_.forms = forms.size();
    for (const auto& [name, form] : forms)
      run_form(form, cases_per_form);
    return report_;
  }

 private:
  void run_form(const Form& form, unsigned cases) {
    const Encoding& first = form.encodings[0];
    Case probe;
    probe.mode = first.mode;
    probe.bytes = first.bytes;
    if (!soft_.implemented(probe)) {
      report_.unimplemented.push_back(fmt::format("{} [{}]", form.name, hex(probe.bytes)));
      return;
    }
    if (!soft::testing::host_has(first.insn.meta.isa_set)) {
      report_.absent.insert(ZydisISASetGetString(first.insn.meta.isa_set));
      return;
    }
    report_.encodings += form.encodings.size();
    std::size_t shown = 0;
    for (unsigned i = 0; i < cases; ++i) {
      const std::string difference =
          run_case(form, form.encodings[i % form.encodings.size()], (i & 1) != 0);
      if (difference.empty()) continue;
      if (shown++ == 0) ++report_.forms_that_differ;
      if (shown <= kDifferencesPerForm) report_.differences.push_back(difference);
    }
  }

  // A hypervisor under the host emulates an instruction now and then, and not always rightly: a
  // difference counts when it comes again. What the software CPU does must always be the same.
  std::string run_case(const Form& form, const Encoding& encoding, bool stepwise) {
    Case test = make_case(encoding, soft_.data(), random_);
    if (scope_.prepare) scope_.prepare(encoding, test, soft_.data(), random_);
    std::ranges::copy(soft_.data(), before_.begin());
    ++report_.cases;
    const Ran first = run_once(encoding, test, stepwise);
    if (first.faulted) ++report_.faults;
    if (first.difference.empty()) return "";
    const std::vector<std::uint8_t> soft_memory(soft_.data().begin(), soft_.data().end());
    std::ranges::copy(before_, soft_.data().begin());
    const Ran second = run_once(encoding, test, stepwise);
    if (!std::ranges::equal(soft_memory, soft_.data())) {
      return describe(form, test, " the software CPU differs from itself: " + first.difference);
    }
    if (!second.difference.empty()) return describe(form, test, second.difference);
    report_.passing.push_back(describe(form, test, first.difference));
    return "";
  }

  struct Ran {
    std::string difference;
    bool faulted = false;
  };
  Ran run_once(const Encoding& encoding, const Case& test, bool stepwise) {
    const std::span<std::uint8_t> native_memory = NativeCpu::data(), soft_memory = soft_.data();
    std::memcpy(native_memory.data(), soft_memory.data(), soft_memory.size());
    const Outcome native = NativeCpu::run(test);
    const Outcome soft = soft_.run(test, stepwise);
    Freedom freedom;
    if (scope_.freedom) {
      freedom = scope_.freedom(encoding, test, native.fault.has_value());
    } else {
      freedom.flags = undefined_flags_of(encoding);
    }
    // A misaligned access to an absent page may be #AC or #PF: their order is open.
    if ((test.state.rflags & x86::rflags::AC) != 0) freedom.fault = true;
    std::string difference = Comparison(test, native, soft).differences(freedom);
    if (!freedom.result && !freedom.memory &&
        std::memcmp(native_memory.data(), soft_memory.data(), soft_memory.size()) != 0) {
      const auto [at, other] = std::ranges::mismatch(native_memory, soft_memory);
      difference +=
          fmt::format(" memory at {:x}: host {:02x} soft {:02x};",
                      kData + static_cast<std::uint64_t>(at - native_memory.begin()), *at, *other);
    }
    return {difference, native.fault.has_value()};
  }

  const Scope& scope_;
  Random random_;
  SoftCpu soft_;
  std::array<std::uint8_t, kDataSize> before_{};  // the case's memory
  Report report_;
};

}  // namespace

std::uint64_t undefined_flags_of(const Encoding& encoding) {
  return encoding.insn.cpu_flags == nullptr ? 0 : encoding.insn.cpu_flags->undefined;
}

Report run_campaign(Mode mode, const Scope& scope, unsigned cases_per_form, std::uint64_t seed) {
  return Campaign(scope, seed).run(mode, cases_per_form * effort());
}

unsigned effort() {
  const char* const text = std::getenv("RINGSIDE_DIFFERENTIAL");
  return text == nullptr ? 1 : static_cast<unsigned>(std::max(1, std::atoi(text)));
}

}  // namespace ringside::differential
