#include "differential/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "differential/inputs.h"
#include "differential/native_cpu.h"
#include "differential/soft_cpu.h"
#include "x86/bits.h"

namespace ringside::differential {
namespace {

constexpr std::size_t kEncodingsPerForm = 12;
constexpr std::size_t kDifferencesPerForm = 3;
constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                  "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr unsigned kPageFault = 14;
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

  std::string differences(std::uint64_t undefined_flags, bool undefined_result, bool any_fault) {
    if (!any_fault || native_.fault.has_value() != soft_.fault.has_value()) compare_faults();
    if (undefined_result) return text_;
    compare_registers();
    compare_flags(native_.fault ? 0 : undefined_flags);
    if (test_.uses_fpu) compare_fpu();
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
  void compare_registers() {
    for (unsigned i = 0; i < 16; ++i) {
      const std::uint64_t mask = register_mask(test_.mode, i);
      const std::uint64_t native = native_.state.gpr[i] & mask, soft = soft_.state.gpr[i] & mask;
      if (native != soft) say(kNames[i], native, soft);
    }
    if (native_.state.rip != soft_.state.rip) say("rip", native_.state.rip, soft_.state.rip);
  }
  void compare_flags(std::uint64_t undefined) {
    using namespace x86::rflags;
    const std::uint64_t mask = (kArithmetic | DF | NT | AC | ID) & ~undefined;
    const std::uint64_t native = native_.state.rflags & mask, soft = soft_.state.rflags & mask;
    if (native != soft) say("flags", native, soft);
  }
  void compare_fpu() {
    const x86::FpuState &native = native_.state.fpu, &soft = soft_.state.fpu;
    for (unsigned i = 0; i < 16; ++i) {
      compare_bytes(fmt::format("xmm{}", i), native.vector[i].data(), soft.vector[i].data(), 16);
    }
    for (unsigned i = 0; i < 8; ++i) {
      compare_bytes(fmt::format("st{}", i), native.st[i].data(), soft.st[i].data(), 10);
    }
    if (native.mxcsr != soft.mxcsr) say("mxcsr", native.mxcsr, soft.mxcsr);
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

std::uint64_t table_undefined_flags(const Encoding& encoding) {
  return encoding.insn.cpu_flags == nullptr ? 0 : encoding.insn.cpu_flags->undefined;
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
    Case probe;
    probe.mode = form.encodings[0].mode;
    probe.bytes = form.encodings[0].bytes;
    if (!soft_.implemented(probe)) {
      report_.unimplemented.push_back(fmt::format("{} [{}]", form.name, hex(probe.bytes)));
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

  std::string run_case(const Form& form, const Encoding& encoding, bool stepwise) {
    Case test = make_case(encoding, soft_.data(), random_);
    if (scope_.prepare) scope_.prepare(encoding, test, soft_.data(), random_);
    const std::span<std::uint8_t> native_memory = NativeCpu::data(), soft_memory = soft_.data();
    std::memcpy(native_memory.data(), soft_memory.data(), soft_memory.size());
    const Outcome native = NativeCpu::run(test);
    const Outcome soft = soft_.run(test, stepwise);
    ++report_.cases;
    if (native.fault) ++report_.faults;
    std::uint64_t undefined = table_undefined_flags(encoding);
    if (scope_.undefined_flags) undefined = scope_.undefined_flags(encoding, test);
    const bool no_result = scope_.undefined_result &&
                           scope_.undefined_result(encoding, test, native.fault.has_value());
    // A misaligned access to an absent page may be #AC or #PF: their order is open.
    const bool any_fault = (test.state.rflags & x86::rflags::AC) != 0 ||
                           (scope_.any_fault && scope_.any_fault(encoding));
    std::string difference =
        Comparison(test, native, soft).differences(undefined, no_result, any_fault);
    if (!no_result &&
        std::memcmp(native_memory.data(), soft_memory.data(), soft_memory.size()) != 0) {
      const auto [at, other] = std::ranges::mismatch(native_memory, soft_memory);
      difference +=
          fmt::format(" memory at {:x}: host {:02x} soft {:02x};",
                      kData + static_cast<std::uint64_t>(at - native_memory.begin()), *at, *other);
    }
    return difference.empty() ? difference : describe(form, test, difference);
  }

  const Scope& scope_;
  Random random_;
  SoftCpu soft_;
  Report report_;
};

}  // namespace

Report run_campaign(Mode mode, const Scope& scope, unsigned cases_per_form, std::uint64_t seed) {
  return Campaign(scope, seed).run(mode, cases_per_form * effort());
}

unsigned effort() {
  const char* const text = std::getenv("RINGSIDE_DIFFERENTIAL");
  return text == nullptr ? 1 : static_cast<unsigned>(std::max(1, std::atoi(text)));
}

}  // namespace ringside::differential
