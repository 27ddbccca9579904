// Differential testing of vector and x87 instructions: the same bytes on the same random state run
// natively on the host and in the software CPU, and everything that came out is compared. Encodings
// are written by hand in the rows, so that the oracle shares neither decoder nor handlers with the
// engine. Test code, single thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/soft/testing/vector_values.h"

namespace ringside::soft::oracle {

// The image of FXSAVE64 (SDM 1 table 10-2), then what it lacks. The layout is known to the native
// code in the .cc file.
struct alignas(16) State {
  std::uint16_t control = 0x37f, status = 0;
  std::uint8_t valid = 0, reserved = 0;  // the abridged tags
  std::uint16_t opcode = 0;
  std::uint64_t instruction_pointer = 0, data_pointer = 0;
  std::uint32_t mxcsr = 0x1f80, mxcsr_mask = 0;
  std::array<std::array<std::uint8_t, 16>, 8> st{};  // by stack position
  std::array<std::array<std::uint8_t, 16>, 16> xmm{};
  std::array<std::uint8_t, 96> unused{};
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rflags = 2;
};
static_assert(sizeof(State) == 512 + 144);

enum class Trap : std::uint8_t { None, InvalidOpcode, Protection, SimdError, X87Error, Other };
const char* name(Trap trap);

inline constexpr std::uint64_t kMemoryAddress = 0x10000000;  // of the data, in host and guest
inline constexpr unsigned kMemorySize = 8192;
using Memory = std::array<std::uint8_t, 1024>;         // the part that tests fill and compare
inline constexpr unsigned kMemoryOffset = 4096 - 512;  // a page boundary in the middle

struct Outcome {
  State state;
  Memory memory;
  Trap trap = Trap::None;
};
// One instruction. The state's control words may unmask exceptions.
Outcome run_native(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory);
Outcome run_soft(std::span<const std::uint8_t> bytes, const State& state, const Memory& memory);

// ---- Rows
using testing::Data;
enum class Operand : std::uint8_t { Vector, General };  // what a register number means

// `bytes`: hexadecimal; a mandatory prefix first. "/r" a ModRM byte with both operands, "/0".."/7"
// one with that field, "ib" a random immediate, "W" before the opcode: REX.W.
struct Row {
  const char* name;
  const char* bytes;
  Data data = Data::Integers;
  unsigned memory = 0;    // bytes of the memory form's operand; 0: there is none
  bool registers = true;  // there is a register form
  Operand reg = Operand::Vector, rm = Operand::Vector;
  std::uint64_t undefined_flags = 0;        // RFLAGS
  std::uint16_t undefined_status = 0;       // x87 status
  std::uint16_t undefined_after_error = 0;  // x87 status, when an unmasked exception is pending
  bool flags_open_after_error = false;      // RFLAGS then
  // A case in which one of these x87 exceptions is unmasked and raised is not compared.
  std::uint16_t not_unmasked = 0;
  // With #XM the manual leaves open whether the change to MMX mode has happened already.
  bool x87_open_after_trap = false;
  // Bytes of the memory operand that are not compared.
  unsigned open_from = 0, open_to = 0;
  bool rdi_is_data = false;  // RDI points to memory (MASKMOVQ, MASKMOVDQU)
  bool any_nan = false;      // of several NaNs any may come out, in lanes of `data`
};

// Runs `cases` random cases of each form (register and memory) of each row and reports differences
// as gtest failures, a few per form. Prints how many there were.
// Set RINGSIDE_CASES to try another number.
void check(std::span<const Row> rows, unsigned cases);

// Random states.
class Values {
 public:
  explicit Values(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t bits() { return values_.bits(); }
  bool one_in(unsigned n) { return values_.one_in(n); }
  State state(Data data);
  Memory memory(Data data);

 private:
  std::mt19937_64 engine_;
  testing::VectorValues values_{engine_};
};

}  // namespace ringside::soft::oracle
