// What a case of the differential test is made of: the state that one instruction starts in and
// ends in, the same for the host's processor and for the software one. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ringside/x86/cpu_state.h"

namespace ringside::differential {

// The linear addresses that both sides use. Below 2 GiB, so that absolute and 32-bit addresses
// reach them; in one 2 MiB region, so that one page table maps them.
inline constexpr std::uint64_t kRegion = 0x10000000;
inline constexpr std::uint64_t kCodePage = kRegion;
inline constexpr std::uint64_t kCode = kCodePage + 0x800;  // where the instruction stands
// Two pages to write, one to read, then nothing. Nothing before either.
inline constexpr std::uint64_t kData = kRegion + 0x10000;
inline constexpr std::uint64_t kDataSize = 0x2000;
inline constexpr std::uint64_t kReadOnly = kData + kDataSize;
inline constexpr std::uint64_t kReadOnlySize = 0x1000;
inline constexpr std::uint64_t kUnmapped = kReadOnly + kReadOnlySize;

// In 16-bit code every segment but CS is based here, so that 16-bit offsets reach kData; CS on
// kCodePage.
inline constexpr std::uint64_t kBase16 = kData - 0x8000;

enum class Mode : std::uint8_t { Code16, Code32, Code64 };
inline constexpr std::uint64_t code_base(Mode mode) { return mode == Mode::Code16 ? kCodePage : 0; }
inline constexpr std::uint64_t data_base(Mode mode) { return mode == Mode::Code16 ? kBase16 : 0; }
inline const char* name(Mode mode) {
  return mode == Mode::Code16 ? "16-bit" : mode == Mode::Code32 ? "32-bit" : "64-bit";
}

struct UserState {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 2;
  x86::FpuState fpu;  // used when the case says so
};

struct Fault {
  unsigned vector = 0;
  std::uint32_t error_code = 0;
  std::uint64_t address = 0;  // page faults
};

struct Case {
  Mode mode = Mode::Code64;
  std::vector<std::uint8_t> bytes;
  bool repeats = false;   // REP: runs until the instruction is over
  bool branches = false;  // may leave RIP anywhere
  bool uses_fpu = false;  // fpu is loaded and compared
  UserState state;
};

struct Outcome {
  UserState state;
  std::optional<Fault> fault;
};

}  // namespace ringside::differential
