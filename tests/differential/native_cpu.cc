#include "differential/native_cpu.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstring>
#include <stdexcept>

#include "differential/native_entry.h"
#include "differential/native_modes.h"
#include "engine/soft/testing/host_features.h"
#include "ringside/types.h"
#include "ringside/x86/bits.h"

namespace ringside::differential {
namespace {

constexpr unsigned kDebugTrap = 1, kBreakpointTrap = 3;

bool map(std::uint64_t address, std::uint64_t size, int protection) {
  void* const at = reinterpret_cast<void*>(address);
  return mmap(at, size, protection,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0) == at;
}

// FXSAVE's image (SDM 1 table 10-2), with what XSAVE has beyond it, from and to the neutral form.
constexpr std::size_t kStOffset = 32, kXmmOffset = 160, kMxcsrOffset = 24;

void put_area(const x86::FpuState& fpu, std::uint8_t* image) {
  std::memset(image, 0, kFpuArea);
  image[kXsaveHeader] = 7;
  std::memcpy(image, &fpu.control, 2);
  std::memcpy(image + 2, &fpu.status, 2);
  std::uint8_t valid = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if (((fpu.tag >> (2 * i)) & 3) != 3) valid |= static_cast<std::uint8_t>(1u << i);
  }
  image[4] = valid;
  std::memcpy(image + kMxcsrOffset, &fpu.mxcsr, 4);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(image + kStOffset + 16 * i, fpu.st[i].data(), 10);
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(image + kXmmOffset + 16 * i, fpu.vector[i].data(), 16);
    std::memcpy(image + kYmmHigh + 16 * i, fpu.vector[i].data() + 16, 16);
  }
}

// The tag word says only empty (3) or not (0): the full tags follow from the values.
void get_area(const std::uint8_t* image, x86::FpuState& fpu) {
  std::memcpy(&fpu.control, image, 2);
  std::memcpy(&fpu.status, image + 2, 2);
  fpu.tag = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((image[4] & (1u << i)) == 0) fpu.tag |= static_cast<std::uint16_t>(3u << (2 * i));
  }
  std::memcpy(&fpu.mxcsr, image + kMxcsrOffset, 4);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(fpu.st[i].data(), image + kStOffset + 16 * i, 10);
  for (unsigned i = 0; i < 16; ++i) {
    std::memcpy(fpu.vector[i].data(), image + kXmmOffset + 16 * i, 16);
    std::memcpy(fpu.vector[i].data() + 16, image + kYmmHigh + 16 * i, 16);
  }
}

}  // namespace

std::optional<std::string> NativeCpu::start() {
  static std::optional<std::string> result = []() -> std::optional<std::string> {
    if (!map(kCodePage, kPageSize, PROT_READ | PROT_WRITE | PROT_EXEC) ||
        !map(kData, kDataSize, PROT_READ | PROT_WRITE) ||
        !map(kReadOnly, kReadOnlySize, PROT_READ | PROT_WRITE)) {
      return "the host's processor: the fixed addresses are taken";
    }
    auto* const read_only = reinterpret_cast<std::uint8_t*>(kReadOnly);
    for (unsigned i = 0; i < kReadOnlySize; ++i)
      read_only[i] = static_cast<std::uint8_t>(i * 7 + 1);
    if (mprotect(read_only, kReadOnlySize, PROT_READ) != 0) {
      return "the host's processor: mprotect fails";
    }
    take_signals();
    return std::nullopt;
  }();
  return result;
}

std::optional<std::string> NativeCpu::lacks(Mode mode) { return code_segments(mode).missing; }

std::span<std::uint8_t> NativeCpu::data() {
  return {reinterpret_cast<std::uint8_t*>(kData), kDataSize};
}
std::span<const std::uint8_t> NativeCpu::read_only() {
  return {reinterpret_cast<const std::uint8_t*>(kReadOnly), kReadOnlySize};
}

Outcome NativeCpu::run(const Case& test) { return run_in_segments(test, code_segments(test.mode)); }

Outcome run_in_segments(const Case& test, const CodeSegments& segments) {
  auto* const code = reinterpret_cast<std::uint8_t*>(code_base(test.mode) + test.state.rip);
  std::memcpy(code, test.bytes.data(), test.bytes.size());
  code[test.bytes.size()] = 0xcc;
  // A breakpoint costs less than a single step under virtualisation, but a branch may miss it.
  const bool stepped = test.branches;

  Entry entry;
  entry.gpr = test.state.gpr;
  entry.rip = test.state.rip;
  entry.rsp = test.state.gpr[4];
  entry.rflags = test.state.rflags | x86::rflags::IF | (stepped ? x86::rflags::TF : 0);
  entry.cs = segments.code;
  entry.ss = segments.data;
  if (test.uses_fpu) {
    entry.fpu = soft::testing::host_has(ZYDIS_ISA_SET_AVX) ? Entry::Fpu::Xsave : Entry::Fpu::Fxsave;
    put_area(test.state.fpu, entry.area.data());
  }
  const Departure& departure = enter(entry);
  if (!departure.entered) {
    throw std::runtime_error(fmt::format("exception {} with error code {:#x} on entering it",
                                         departure.vector, departure.error_code));
  }

  Outcome outcome;
  outcome.state.gpr = departure.gpr;
  outcome.state.rip = departure.rip;
  outcome.state.rflags = departure.rflags;
  if (test.uses_fpu) get_area(departure.area.data(), outcome.state.fpu);
  const auto vector = static_cast<unsigned>(departure.vector);
  const auto breakpoint_end = test.state.rip + test.bytes.size() + 1;
  const bool trapped = departure.signal == SIGTRAP;
  if (trapped && vector == kBreakpointTrap && !stepped && departure.rip == breakpoint_end) {
    outcome.state.rip -= 1;
  } else if (!trapped || vector != kDebugTrap) {
    outcome.fault = Fault{vector, static_cast<std::uint32_t>(departure.error_code), departure.cr2};
  }
  return outcome;
}

}  // namespace ringside::differential
