// Makes host code of blocks that run often and runs it, as an equal of the interpreter: the guest
// cannot tell which of them executed an instruction (docs/decisions/0037-blocks-by-templates.md).
// One for all CPUs of a machine, owned by SoftVm; single thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/soft/cpu/board.h"
#include "engine/soft/translate/debug_image.h"
#include "engine/soft/translate/emitter/code_memory.h"
#include "engine/soft/translate/emitter/stubs.h"
#include "engine/soft/translate/emitter/vector_offsets.h"
#include "engine/soft/translate/gdb_interface.h"
#include "engine/soft/translate/host_code_listener.h"

namespace ringside::soft {

struct Form;

class Translator {
 public:
  ~Translator();
  // The others as in TranslatorOptions. Fails where the host forbids executable memory or lacks an
  // instruction that is needed (LAHF in 64-bit mode).
  static Result<std::unique_ptr<Translator>> create(Board& board, unsigned threshold,
                                                    std::size_t code_bytes,
                                                    std::shared_ptr<HostCodeListener> listener);
  // Whether create() would find what it needs of the host; the error says what it would not.
  static Result<void> works_here();

  // A block that is about to be interpreted from its start: has it run often enough, and is it one
  // that can be translated?
  bool is_due(Block& block) const {
    return !block.stops_first && block.runs != Block::kNeverTranslated &&
           ++block.runs >= threshold_;
  }
  // Makes its host code. `gpa` is its first byte's address, which `linear` is mapped to now. Null:
  // it stays interpreted, for now at least.
  HostBlock* translate(Block& block, Gpa gpa, std::uint64_t linear);

  // Host code of blocks that went is thrown away, and none is entered that was made for other
  // breakpoints. To be called before a block's is looked at.
  void synchronise() {
    if (epoch_ != board_.code.epoch()) throw_away();
    if (breakpoint_changes_ != board_.breakpoint_changes) forget_jumps();
  }

  // Runs from the block on, whose start is the CPU's RIP, until something is to be done outside: at
  // most to Cpu::limit. Gives the exit by which it left if a block that starts at RIP, and that
  // lies in the page that is fetched from, can be linked to it.
  ExitSlot* run(Cpu& cpu, HostBlock& block);
  // The block at this linear address, for jumps from elsewhere.
  void remember(std::uint64_t linear, HostBlock& block) {
    jumps_[jump_index(linear)] = {linear, &block};
  }

  std::size_t translated() const { return blocks_ever_; }

 private:
  Translator(Board& board, unsigned threshold, CodeMemory memory,
             std::shared_ptr<HostCodeListener> listener);
  void throw_away();
  void forget_jumps();
  std::vector<CodePart> parts() const;
  void tell_stubs() const;
  bool has_room(std::size_t code_bytes) const;
  bool has_paid() const;
  bool make_room(std::size_t code_bytes);
  void read_forms(const Block& block, const std::uint8_t* bytes);
  bool write_code(Gpa gpa, ExitSlot* exits);

  using Enter = ExitSlot* (*)(const void* entry, std::uint8_t* host_base);

  Board& board_;
  const unsigned threshold_;
  CodeMemory memory_;
  const std::unique_ptr<Assembler> code_;
  CpuOffsets offsets_;
  VectorOffsets vector_offsets_;
  JumpEntry* jumps_ = nullptr;
  Stubs stubs_;
  std::size_t first_free_ = 0;    // position after the stubs
  GdbObjectFile debug_image_;     // of the stubs, and of blocks as a whole
  std::uint8_t* data_ = nullptr;  // of host blocks and their exits
  std::uint8_t* next_data_ = nullptr;
  const std::shared_ptr<HostCodeListener> listener_;  // or null
  std::vector<Block*> translated_;                    // that have host code
  std::vector<Form> forms_;                           // of the block that is being translated
  std::uint64_t epoch_ = 0, breakpoint_changes_ = 0;
  std::uint64_t emptied_at_ = 0;  // in instructions: when all host code was thrown away last
  std::size_t blocks_ever_ = 0;
};

}  // namespace ringside::soft
