#include "differential/translated_pair.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/soft/run/run.h"

namespace ringside::differential {
namespace {

using soft::testing::TestCpu;
namespace at = soft::testing::at;

// Guest-physical: the region's page table and its pages.
constexpr std::uint64_t kTable = 0x110000, kCodeAt = 0x100000, kDataAt = 0x101000,
                        kReadOnlyAt = kDataAt + kDataSize;
constexpr std::uint64_t kIstPage = at::kIst - kPageSize;  // where events are delivered
constexpr std::uint8_t kJumpToItself[] = {0xeb, 0xfe};
constexpr unsigned kInterruptStack = 1;
// The first may find no translation of an address at hand.
constexpr unsigned kRounds = 3;

}  // namespace

TranslatedPair::Side::Side() {
  cpu.board().processor = soft::Processor::V3;
  const auto map = [&](std::uint64_t linear, std::uint64_t physical, std::uint64_t bits) {
    cpu.put<std::uint64_t>(kTable + 8 * ((linear >> 12) & 511), physical | bits);
  };
  cpu.put<std::uint64_t>(at::kPd, 0x83);  // the tables and handlers: the supervisor's
  cpu.put<std::uint64_t>(at::kPd + 8 * ((kRegion >> 21) & 511), kTable | 7);
  map(kCodePage, kCodeAt, 7);
  for (std::uint64_t page = 0; page < kDataSize; page += kPageSize)
    map(kData + page, kDataAt + page, 7);
  map(kReadOnly, kReadOnlyAt, 5);
  cpu.put<std::uint64_t>(at::kTss + 0x24, at::kIst);
  for (unsigned vector = 0; vector < 256; ++vector) {
    cpu.gate64(vector, x86::system_type::kInterruptGate, 0, kInterruptStack);
    std::memcpy(cpu.host(TestCpu::handler(vector)), kJumpToItself, sizeof kJumpToItself);
  }
  for (std::uint64_t i = 0; i < kReadOnlySize; ++i)
    *cpu.host(kReadOnlyAt + i) = static_cast<std::uint8_t>(i * 37);
}

void TranslatedPair::Side::prepare(const UserState& state, const Surroundings& surroundings,
                                   std::span<const std::uint8_t> data,
                                   std::span<const std::uint8_t> code) {
  cpu.enter_user();
  x86::CpuState s = cpu->state();
  s.gpr = state.gpr;
  s.rip = kCode;
  s.rflags = state.rflags;
  s.fpu = state.fpu;
  s.cr0 =
      x86::cr0::PE | x86::cr0::PG | x86::cr0::WP | x86::cr0::NE | x86::cr0::ET | surroundings.cr0;
  s.cr4 = x86::cr4::PAE | surroundings.cr4;
  s.xcr0 = surroundings.xcr0;
  s.cr2 = 0;
  cpu->set_state(s);
  std::memcpy(cpu.host(kDataAt), data.data(), data.size());
  std::memset(cpu.host(kIstPage), 0, kPageSize);
  std::uint8_t* const to = cpu.host(kCodeAt + kCode % kPageSize);
  std::memcpy(to, code.data(), code.size());
  to[code.size()] = 0xe9;  // JMP to the start
  const auto back = -static_cast<std::int32_t>(code.size() + 5);
  std::memcpy(to + code.size() + 1, &back, sizeof back);
  cpu.board().ram_written({kCodeAt}, kPageSize);
  if (!surroundings.pages_are_known) return;
  for (std::uint64_t page = 0; page < kDataSize; page += kPageSize)
    cpu->store<std::uint8_t>(kData + page, cpu->load<std::uint8_t>(kData + page));
  cpu->load<std::uint8_t>(kReadOnly);
}

TranslatedPair::TranslatedPair()
    : interpreted_(std::make_unique<Side>()), translated_(std::make_unique<Side>()) {
  soft::Board& board = translated_->cpu.board();
  translated_->translator = soft::Translator::create(board, 0, 1u << 20, nullptr).value();
  board.translator = translated_->translator.get();
}

std::string TranslatedPair::run(const UserState& state, const Surroundings& surroundings,
                                std::span<const std::uint8_t> code, unsigned count) {
  for (Side* side : {interpreted_.get(), translated_.get()}) {
    side->prepare(state, surroundings, data_, code);
    soft::run(*side->cpu, side->cpu->icount + kRounds * (count + 1));
  }
  std::string text = interpreted_->cpu.death + translated_->cpu.death;
  const auto say = [&](std::string_view what, std::uint64_t one, std::uint64_t other) {
    if (one != other) text += fmt::format(" {} {:x}, translated {:x};", what, one, other);
  };
  soft::testing::TestCpu &one = interpreted_->cpu, &other = translated_->cpu;
  const x86::CpuState a = one->state(), b = other->state();
  for (unsigned i = 0; i < 16; ++i)
    say(fmt::format("gpr {}", i), a.gpr[i], b.gpr[i]);
  say("rip", a.rip, b.rip);
  say("rflags", a.rflags, b.rflags);
  say("cr2", a.cr2, b.cr2);
  say("count", one->icount, other->icount);
  say("mxcsr", a.fpu.mxcsr, b.fpu.mxcsr);
  say("fsw", a.fpu.status, b.fpu.status);
  say("ftw", a.fpu.tag, b.fpu.tag);
  for (unsigned i = 0; i < 8; ++i) {
    if (a.fpu.st[i] != b.fpu.st[i]) text += fmt::format(" st{};", i);
  }
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned half = 0; half < 32; half += 8) {
      std::uint64_t x, y;
      std::memcpy(&x, &a.fpu.vector[i][half], 8);
      std::memcpy(&y, &b.fpu.vector[i][half], 8);
      say(fmt::format("ymm{}[{}]", i, half / 8), x, y);
    }
  }
  for (const auto& [from, size] : {std::pair{kDataAt, kDataSize}, {kIstPage, kPageSize}}) {
    for (std::uint64_t i = 0; i < size; i += 8)
      say(fmt::format("memory at {:x}", from + i), one.get<std::uint64_t>(from + i),
          other.get<std::uint64_t>(from + i));
  }
  return text;
}

}  // namespace ringside::differential
