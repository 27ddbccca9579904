#include "engine/soft/translate/translator.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/log.h"
#include "base/populate.h"
#include "engine/soft/translate/emitter/host_flags.h"
#include "engine/soft/translate/emitter/host_processor.h"
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

struct HostBlockWithExits {
  HostBlock block;
  ExitSlot exits[Emitter::kSlots];
};

constexpr std::size_t kJumpBytes = sizeof(JumpEntry) << kJumpBits;
// Of the memory that is asked for: the rest is for what belongs to a block beside its code.
constexpr std::size_t code_part(std::size_t bytes) { return bytes / 4 * 3; }

constexpr std::uint32_t kArithmetic = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF |
                                      ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;

bool has_memory_operand(const Decoded& decoded) {
  for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
    if (decoded.is_memory(i)) return true;
  }
  return false;
}

// Something may look at the guest while this instruction has not been executed yet.
bool may_be_left_before(const Form& form) {
  if (form.emit == nullptr || form.check != vector_use::kNone) return true;
  switch (form.decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_NOP:
      return false;
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
      return true;
    default:
      return has_memory_operand(form.decoded);
  }
}

bool reads_flags(const Form& form) {
  const auto* flags = form.decoded.insn.cpu_flags;
  return flags != nullptr && (flags->tested & kArithmetic) != 0;
}

// Gives all arithmetic flags new values, whatever its operands are.
bool writes_all_flags(const Form& form) {
  const auto* flags = form.decoded.insn.cpu_flags;
  if (flags == nullptr) return false;
  const std::uint32_t written = flags->modified | flags->set_0 | flags->set_1 | flags->undefined;
  if ((written & kArithmetic) != kArithmetic) return false;
  switch (form.decoded.insn.meta.category) {
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_ROTATE:
      return form.decoded.is_immediate(1) && form.insn->extra != 0;
    default:
      return true;
  }
}

// From the last instruction to the first: after the block anybody may read them.
void find_live_flags(std::vector<Form>& forms) {
  bool live = true;
  for (auto form = forms.rbegin(); form != forms.rend(); ++form) {
    form->flags_live = live;
    if (may_be_left_before(*form) || reads_flags(*form)) {
      live = true;
    } else if (writes_all_flags(*form)) {
      live = false;
    }
  }
}

// The table is written as a whole.
JumpEntry* new_jumps(std::uint8_t* memory) {
  populate(memory, kJumpBytes);
  return new (memory) JumpEntry[std::size_t{1} << kJumpBits];
}

}  // namespace

Result<std::unique_ptr<Translator>> Translator::create(Board& board, unsigned threshold,
                                                       std::size_t code_bytes,
                                                       std::shared_ptr<HostCodeListener> listener) {
  TRY(host_processor::suffices(host_processor::extended_features()));
  CodeMemory memory = TRY(
      CodeMemory::create(code_part(code_bytes), code_bytes - code_part(code_bytes) + kJumpBytes));
  try {
    return std::unique_ptr<Translator>(
        new Translator(board, threshold, std::move(memory), std::move(listener)));
  } catch (const AssemblerError& error) {
    return fail(ErrorCode::System, fmt::format("the assembler: {}", error.what()));
  }
}

Result<void> Translator::works_here() {
  TRY(host_processor::suffices(host_processor::extended_features()));
  TRY(CodeMemory::create(kPageSize, kPageSize));
  return {};
}

Translator::Translator(Board& board, unsigned threshold, CodeMemory memory,
                       std::shared_ptr<HostCodeListener> listener)
    : board_(board),
      threshold_(threshold),
      memory_(std::move(memory)),
      code_(std::make_unique<Assembler>(memory_)),
      offsets_(board.cpus.front()->offsets()),
      vector_offsets_(vector_offsets_of(*board.cpus.front())),
      jumps_(new_jumps(memory_.data())),
      stubs_(write_stubs(*code_, offsets_, jumps_)),
      first_free_(code_->position()),
      debug_image_(debug_image(reinterpret_cast<std::uint64_t>(memory_.executable()),
                               memory_.code_bytes(), parts(), stubs_.frames)),
      data_(memory_.data() + kJumpBytes),
      next_data_(data_),
      listener_(std::move(listener)) {
  tell_stubs();
}

Translator::~Translator() = default;

// The stubs by their names, and what is behind them: blocks, now or later.
std::vector<CodePart> Translator::parts() const {
  std::vector<CodePart> parts;
  for (const NamedStub& stub : in_order(stubs_)) {
    if (!parts.empty()) parts.back().size = stub.position - parts.back().position;
    parts.push_back({fmt::format("stub_{}", stub.name), stub.position, 0});
  }
  parts.back().size = first_free_ - parts.back().position;
  parts.push_back({"translated_guest_code", first_free_, memory_.code_bytes() - first_free_});
  return parts;
}

void Translator::tell_stubs() const {
  if (listener_ == nullptr) return;
  std::vector<CodePart> stubs = parts();
  stubs.pop_back();
  for (const CodePart& stub : stubs)
    listener_->written(code_->executable(stub.position), stub.size, stub.name);
}

bool Translator::has_room(std::size_t code_bytes) const {
  return code_->position() + code_bytes <= memory_.code_bytes() &&
         next_data_ + sizeof(HostBlockWithExits) <= memory_.data() + memory_.data_bytes();
}

// The guest has executed enough since the memory was empty for what has been written into it since.
// Otherwise what is there stays, and the rest is interpreted for a while: code that does not fit
// would be translated and thrown away without end, which takes more time than interpreting all of
// it. To write a block takes as long as to interpret some 700 instructions.
bool Translator::has_paid() const {
  // Of a block's, for each run of the threshold: 2,048 where that is 16; none where it is 0.
  constexpr std::uint64_t kInstructionsPerRun = 128;
  // A state that was loaded may lie before: then the difference is huge, and the answer is yes.
  const std::uint64_t executed = board_.retired() - emptied_at_;
  return executed >= translated_.size() * threshold_ * kInstructionsPerRun;
}

// False: not now.
bool Translator::make_room(std::size_t code_bytes) {
  if (has_room(code_bytes)) return true;
  if (!has_paid()) return false;
  throw_away();
  return true;
}

// The decoded form of every instruction, and how each is to be written.
void Translator::read_forms(const Block& block, const std::uint8_t* bytes) {
  forms_.clear();
  unsigned offset = 0;
  for (unsigned i = 0; i < block.count; ++i) {
    const Insn& insn = block.first[i];
    Form& form = forms_.emplace_back();
    form.insn = &insn;
    form.offset = offset;
    const auto decoded = is_refused(insn) ? std::nullopt
                                          : decode_form({bytes + offset, insn.length},
                                                        Width::Bits64, board_.processor);
    if (decoded) {
      form.decoded = *decoded;
      form.emit = plan_form(form.decoded, insn);
      if (form.emit == nullptr) {
        const VectorPlan plan = plan_vector(form.decoded, insn);
        form.emit = plan.emit;
        form.use = plan.use;
      }
    }
    offset += insn.length;
  }
  plan_vector_checks(forms_);
  find_live_flags(forms_);
}

HostBlock* Translator::translate(Block& block, Gpa gpa, std::uint64_t linear) {
  block.runs = 0;
  if (block.first->code_width != static_cast<std::uint8_t>(Width::Bits64)) return nullptr;
  const std::uint8_t* bytes = board_.ram.host(gpa, block.bytes);
  if (bytes == nullptr) return nullptr;
  if (!make_room(Emitter::kMostBytes)) return nullptr;
  read_forms(block, bytes);
  if (!make_room(Emitter::most_bytes(forms_))) return nullptr;
  auto* const made = new (next_data_) HostBlockWithExits;
  next_data_ += sizeof(HostBlockWithExits);
  made->block.entry = code_->executable(code_->position());
  made->block.dropped = code_->executable(stubs_.exit_without);
  made->block.gpa_page = gpa.value & kPageMask;
  if (!write_code(gpa, made->exits)) {
    next_data_ = reinterpret_cast<std::uint8_t*>(made);
    block.runs = Block::kNeverTranslated;
    return nullptr;
  }
  if (listener_ != nullptr) {
    const auto* const end = static_cast<const std::byte*>(code_->executable(code_->position()));
    listener_->written(
        made->block.entry,
        static_cast<std::size_t>(end - static_cast<const std::byte*>(made->block.entry)),
        fmt::format("guest {:#x}", linear));
  }
  block.gain_host(made->block);
  translated_.push_back(&block);
  ++blocks_ever_;
  return block.host_block;
}

// False: the assembler has refused something, and nothing of it stays. It says so by an exception,
// which ends here.
bool Translator::write_code(Gpa gpa, ExitSlot* exits) {
  const std::size_t start = code_->position();
  Emitter emitter(*code_, stubs_, offsets_, vector_offsets_, forms_,
                  static_cast<unsigned>(gpa.value % kPageSize), exits);
  try {
    emitter.block();
    return true;
  } catch (const AssemblerError& error) {
    const ZydisMnemonic mnemonic = emitter.decoded().insn.mnemonic;
    log::debug("the block at physical {:x} stays interpreted: {} at +{:x}: {}", gpa.value,
               ZydisMnemonicGetString(mnemonic), emitter.form().offset, error.what());
    code_->set_position(start);
    return false;
  }
}

void Translator::throw_away() {
  // Blocks of an older epoch are no more.
  if (epoch_ == board_.code.epoch()) {
    for (Block* block : translated_) {
      if (block->has_host) block->lose_host();
    }
  }
  epoch_ = board_.code.epoch();
  emptied_at_ = board_.retired();
  translated_.clear();
  std::fill_n(jumps_, std::size_t{1} << kJumpBits, JumpEntry{});
  code_->set_position(first_free_);
  next_data_ = data_;
  if (listener_ == nullptr) return;
  listener_->thrown_away();
  tell_stubs();
}

// A block that was made for other breakpoints of its page is found again only by the run loop,
// which sees that. Exits of such blocks lead to their like, and none of those is entered before.
void Translator::forget_jumps() {
  breakpoint_changes_ = board_.breakpoint_changes;
  std::fill_n(jumps_, std::size_t{1} << kJumpBits, JumpEntry{});
}

ExitSlot* Translator::run(Cpu& cpu, HostBlock& block) {
  HostFrame& frame = cpu.frame;
  frame.limit = cpu.limit;
  frame.left = static_cast<std::int64_t>(cpu.limit - cpu.icount);
  frame.flags = host_flags::from(cpu.flags);
  frame.is_exact = false;
  const auto enter =
      reinterpret_cast<Enter>(reinterpret_cast<std::uintptr_t>(code_->executable(stubs_.enter)));
  ExitSlot* const slot = enter(block.entry, cpu.host_base());
  if (frame.is_exact) return nullptr;
  cpu.icount = frame.limit - static_cast<std::uint64_t>(frame.left);
  host_flags::store(frame.flags, cpu.flags);
  return slot;
}

}  // namespace ringside::soft
