#include "machine/firmware/flash_memory.h"

#include <array>
#include <cstring>
#include <span>

namespace ringside::machine {
namespace {

constexpr std::uint8_t kReadArray = 0xff, kReadIdentity = 0x90, kReadQuery = 0x98,
                       kReadStatus = 0x70, kClearStatus = 0x50, kProgram = 0x40, kProgramToo = 0x10,
                       kErase = 0x20, kConfirm = 0xd0;
// Of the status register. An error of the program cycle and one of erasing at once: a command
// sequence that is none.
constexpr std::uint8_t kReady = 0x80, kEraseError = 0x20, kProgramError = 0x10, kProtected = 0x02;
constexpr std::uint8_t kMaker = 0x89, kPart = 0x18;  // Intel's

// The answers to a query (JESD68.01, 2), at their offsets: the command set is 1, Intel's, one byte
// is written in 2^4 microseconds, a block is erased in 2^10 milliseconds, and nothing is buffered.
// The size and the blocks follow from the file.
std::uint8_t query(std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t blocks = size / FlashMemory::kBlock - 1;
  std::uint8_t power = 0;
  while ((std::uint64_t{1} << power) < size)
    ++power;
  constexpr std::uint64_t kFirst = 0x10;
  const std::array<std::uint8_t, 33> answers = {
      'Q',
      'R',
      'Y',
      1,
      0,
      0x31,
      0,
      0,
      0,
      0,
      0,  // command sets; no table but the main one
      0x27,
      0x36,
      0,
      0,  // volts, in BCD
      4,
      0,
      10,
      0,
      4,
      0,
      4,
      0,  // typical and longest times
      power,
      0,
      0,
      0,
      0,  // 8 bits wide, no buffer
      1,
      static_cast<std::uint8_t>(blocks),
      static_cast<std::uint8_t>(blocks >> 8),
      static_cast<std::uint8_t>(FlashMemory::kBlock >> 8),
      static_cast<std::uint8_t>(FlashMemory::kBlock >> 16)};
  return offset >= kFirst && offset - kFirst < answers.size() ? answers[offset - kFirst] : 0;
}

}  // namespace

FlashMemory::~FlashMemory() { flush_all(*content_); }

void FlashMemory::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.expect(state_.mode <= Mode::Erase);
}

bool FlashMemory::is_within(const MmioAccess& access) const {
  return access.offset < size() && access.width <= size() - access.offset;
}

std::uint8_t FlashMemory::peek_byte(std::uint64_t offset) const {
  if (state_.mode == Mode::Identity) return offset == 0 ? kMaker : offset == 1 ? kPart : 0;
  return state_.mode == Mode::Query ? query(offset, size()) : state_.status;
}

// What the host cannot read is as if nobody answered.
std::uint64_t FlashMemory::peek_mmio(const MmioAccess& access) const {
  std::uint64_t value = 0;
  if (!is_within(access)) return all_ones(access.width);
  if (state_.mode == Mode::Array) {
    const std::span bytes(reinterpret_cast<std::byte*>(&value), access.width);
    return read_all(*content_, access.offset, bytes) ? value : all_ones(access.width);
  }
  for (unsigned i = 0; i < access.width; ++i)
    value |= std::uint64_t{peek_byte(access.offset + i)} << (8 * i);
  return value;
}

// A wide access writes data byte by byte, as the processor's bus makes of it for a device of 8
// bits; of a command it has the lowest byte.
void FlashMemory::write_mmio(const MmioAccess& access, std::uint64_t value) {
  if (!is_within(access)) return;
  switch (state_.mode) {
    case Mode::Program:
      for (unsigned i = 0; i < access.width; ++i)
        program(access.offset + i, static_cast<std::uint8_t>(value >> (8 * i)));
      break;
    case Mode::Erase:
      if (static_cast<std::uint8_t>(value) == kConfirm) {
        erase(access.offset);
      } else {
        finish(false, kEraseError | kProgramError);
      }
      break;
    default:
      begin(static_cast<std::uint8_t>(value));
      break;
  }
}

void FlashMemory::begin(std::uint8_t command) {
  switch (command) {
    case kReadIdentity:
      state_.mode = Mode::Identity;
      break;
    case kReadQuery:
      state_.mode = Mode::Query;
      break;
    case kReadStatus:
      state_.mode = Mode::Status;
      break;
    case kClearStatus:
      // A chip would go on saying that it is ready; OVMF tells QEMU's from ROM and RAM by a zero.
      state_.status = 0;
      break;
    case kProgram:
    case kProgramToo:
      state_.mode = Mode::Program;
      break;
    case kErase:
      state_.mode = Mode::Erase;
      break;
    case kReadArray:
    default:
      state_.mode = Mode::Array;
      break;
  }
}

// Bits can be cleared; only erasing sets them.
void FlashMemory::program(std::uint64_t offset, std::uint8_t value) {
  std::byte old{};
  const std::span<std::byte> there(&old, 1);
  bool done = read_all(*content_, offset, there);
  old &= std::byte{value};
  done = done && !content_->read_only() && write_all(*content_, offset, there);
  finish(done, kProgramError);
}

void FlashMemory::erase(std::uint64_t offset) {
  std::array<std::byte, kBlock> erased;
  erased.fill(std::byte{0xff});
  finish(!content_->read_only() && write_all(*content_, offset / kBlock * kBlock, erased),
         kEraseError);
}

// Done at once: no guest finds it busy.
void FlashMemory::finish(bool done, std::uint8_t error) {
  state_.mode = Mode::Status;
  state_.status |= kReady;
  if (done) return;
  state_.status |= error;
  if (content_->read_only()) state_.status |= kProtected;
}

}  // namespace ringside::machine
