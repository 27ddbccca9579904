// The units that random programs are made of: an instruction or a few that belong together, with
// what their operands need. Where they jump to, and which bytes of code they change, is settled
// when all of the program is there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "translator/code_writer.h"
#include "translator/random_insn.h"
#include "translator/stage.h"

namespace ringside::testing {

// What units leave open, and what others may refer to.
struct OpenEnds {
  struct Label {  // an instruction
    CodeMode mode;
    std::uint64_t at;
  };
  struct Branch {
    CodeWriter::Distance distance;
    std::size_t label;  // of the instruction behind it
    enum class Where : std::uint8_t { Near, Back, Anywhere } where;
  };
  struct Pointer {  // a constant that is to be the address of some instruction
    CodeMode mode;
    std::uint64_t place;
    unsigned size;
  };
  struct Change {  // a store whose address is to be a byte of code
    CodeWriter writer;
    std::uint64_t place;
    enum class What : std::uint8_t { Immediate, Direction, Anything } what;
  };
  std::vector<Label> labels;
  std::vector<Branch> branches;
  std::vector<Pointer> pointers;
  std::vector<Change> changes;
  // Bytes of code: immediates, and those in which INC and DEC of a register differ.
  std::vector<std::uint64_t> immediates, directions;
};

class RandomUnits {
 public:
  // Both outlive it.
  RandomUnits(Setting setting, Processor processor, Random& random, OpenEnds& ends)
      : setting_(setting), processor_(processor), random_(random), ends_(ends) {}

  // Nothing is known of the registers' values.
  void begin_part(CodeMode mode);
  void append(CodeWriter& writer);
  void append_last_jump(CodeWriter& writer);

  // Somewhere for an operand to point to.
  std::uint64_t pick_target();
  // The same as a register has it.
  std::uint64_t offset_of(std::uint64_t linear) const;

 private:
  void begin_insn(const CodeWriter& writer) {
    ends_.labels.push_back({writer.mode(), writer.at()});
  }
  unsigned pointer_size() const { return mode_ == CodeMode::Code16 ? 2 : 4; }
  Unwanted unwanted() const;
  void branch(const CodeWriter::Distance& distance, OpenEnds::Branch::Where where);
  OpenEnds::Branch::Where somewhere();

  // Registers whose value is known while the flow is straight.
  void forget(const Encoding& encoding);
  void load(CodeWriter& writer, unsigned reg, std::uint64_t value);
  void aim(CodeWriter& writer, ZydisRegister reg);
  void make_small(CodeWriter& writer, ZydisRegister reg);

  void prepare_operands(CodeWriter& writer, const Encoding& encoding);
  void place(Encoding& encoding, std::uint64_t at);
  void append_insn(CodeWriter& writer, Encoding encoding);
  void append_plain(CodeWriter& writer);
  void append_branch_prefixes(CodeWriter& writer);
  void append_jump_if(CodeWriter& writer);
  void append_flags(CodeWriter& writer);
  void append_vectors(CodeWriter& writer);
  void append_loop(CodeWriter& writer);
  void append_call(CodeWriter& writer);
  void append_indirect(CodeWriter& writer);
  void append_change(CodeWriter& writer);
  void append_call_to_kernel(CodeWriter& writer);
  void append_string(CodeWriter& writer);
  void append_stack_flags(CodeWriter& writer);
  void append_shadow(CodeWriter& writer);
  void append_port(CodeWriter& writer);
  void append_switch(CodeWriter& writer);
  void append_rounding(CodeWriter& writer);
  void append_halt(CodeWriter& writer);

  const Setting setting_;
  const Processor processor_;
  Random& random_;
  OpenEnds& ends_;
  CodeMode mode_ = CodeMode::Code64;
  std::array<std::optional<std::uint64_t>, 16> known_;
};

}  // namespace ringside::testing
