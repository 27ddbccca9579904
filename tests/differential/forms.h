// Every instruction form that a scope claims, found by walking the opcode maps with every
// combination of prefixes, not from a list made by hand.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "differential/state.h"

namespace ringside::differential {

using Random = std::mt19937_64;

struct Encoding {
  Mode mode = Mode::Code64;
  std::vector<std::uint8_t> bytes;
  ZydisDecodedInstruction insn;
  std::vector<ZydisDecodedOperand> operands;  // the hidden ones too

  bool repeats() const;
  bool branches() const;
  bool is(std::initializer_list<ZydisMnemonic> mnemonics) const;
};

// What distinguishes a form: mode, opcode, LOCK and REP where they mean something, widths, kinds of
// operands. Its encodings differ in registers, addressing modes, immediates and idle prefixes.
struct Form {
  std::string name;
  std::size_t found = 0;
  std::vector<Encoding> encodings;  // some of those found
};

// Whether the scope's owner promises this instruction.
using Claim = std::function<bool(const Encoding&)>;

// Keyed by name, so that the order never changes.
std::map<std::string, Form> enumerate_forms(Mode mode, const Claim& claim,
                                            std::size_t encodings_per_form, Random& random);

// Decodes as the host would execute it. False: not an instruction.
bool decode_encoding(Mode mode, std::vector<std::uint8_t> bytes, Encoding& encoding);

std::string hex(const std::vector<std::uint8_t>& bytes);

}  // namespace ringside::differential
