// The register table (registers.inc) as an enum, a constexpr array, and access to a CpuState.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "x86/cpu_state.h"

namespace ringside::x86 {

enum class Register : std::uint8_t {
#define R(name, gdb, bits, type, group) name,
#include "x86/registers.inc"
#undef R
};

// Which part of the machine a register belongs to; each becomes a feature of target.xml.
enum class RegisterGroup : std::uint8_t { General, X87, Sse, Segments, System };

struct RegisterInfo {
  std::string_view name;
  std::uint16_t bits;
  std::string_view type;
  RegisterGroup group;
  constexpr std::size_t size() const { return bits / 8u; }  // bytes on the wire
};

inline constexpr RegisterInfo kRegisters[] = {
#define R(name, gdb, bits, type, group) {gdb, bits, type, RegisterGroup::group},
#include "x86/registers.inc"
#undef R
};
inline constexpr std::size_t kRegisterCount = sizeof kRegisters / sizeof kRegisters[0];
// The seeds' `g` packet: rax..gs, 164 bytes.
inline constexpr std::size_t kSeedRegisterCount = 24;

constexpr const RegisterInfo& info(Register r) { return kRegisters[static_cast<std::size_t>(r)]; }
std::optional<Register> register_by_name(std::string_view name);

// A register's bytes, little-endian as on the wire.
struct RegisterValue {
  std::array<std::uint8_t, 16> bytes{};

  static RegisterValue from_u64(std::uint64_t value) {
    RegisterValue result;
    std::memcpy(result.bytes.data(), &value, sizeof value);
    return result;
  }
  std::uint64_t as_u64() const {
    std::uint64_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
};

// Where each register lives in a CpuState. A selector written through set_register changes the
// selector only; x86/selector_load.h has what goes with it.
RegisterValue get_register(const CpuState& state, Register r);
void set_register(CpuState& state, Register r, const RegisterValue& value);

}  // namespace ringside::x86
