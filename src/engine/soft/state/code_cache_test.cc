// Decoded code is found again: however many blocks there are, wherever a run stopped, and where an
// instruction lies in two pages. And it is not found once its bytes have changed.
#include "engine/soft/state/code_cache.h"

#include <gtest/gtest.h>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;
using x86::Gpr;

std::uint64_t key_at(std::uint64_t address) { return CodeCache::key({address}, Width::Bits64); }

Block* add(CodeCache& cache, std::uint64_t address, unsigned count = 5) {
  bool first_in_page = false;
  return cache.commit(key_at(address), cache.reserve(), count, 16, first_in_page);
}

// As many as Python has, 40 bytes apart, in two programs that are 16 MiB apart.
TEST(CodeCacheBlocks, AreFoundHoweverManyThereAre) {
  CodeCache cache;
  std::vector<Block*> blocks;
  for (std::uint64_t i = 0; i < 150'000; ++i)
    blocks.push_back(add(cache, i % 2 * (16u << 20) + (i / 2) * 48 + 0x100000));
  EXPECT_EQ(cache.epoch(), 0u);
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; i < blocks.size(); ++i)
    found += cache.find(key_at(i % 2 * (16u << 20) + (i / 2) * 48 + 0x100000)) == blocks[i];
  EXPECT_EQ(found, blocks.size());
}

TEST(CodeCacheBlocks, AreGoneWhenTheirBytesAreWritten) {
  CodeCache cache;
  Block* first = add(cache, 0x1000);
  add(cache, 0x1100);
  Block* other = add(cache, 0x2000);
  EXPECT_FALSE(cache.written({0x1800}, 8));  // no bytes of code
  EXPECT_EQ(cache.find(key_at(0x1000)), first);
  EXPECT_TRUE(cache.written({0x1108}, 1));
  EXPECT_EQ(cache.find(key_at(0x1000)), nullptr);
  EXPECT_EQ(cache.find(key_at(0x1100)), nullptr);
  EXPECT_EQ(cache.find(key_at(0x2000)), other);
}

TEST(CodeCacheBlocks, AllGoWhenThereIsNoMoreSpace) {
  CodeCache cache;
  for (std::uint64_t i = 0; cache.epoch() == 0 && i < 400'000; ++i)
    add(cache, i * 16, 1);
  EXPECT_EQ(cache.epoch(), 1u);
  EXPECT_EQ(cache.find(key_at(0)), nullptr);
  Block* again = add(cache, 0);
  EXPECT_EQ(cache.find(key_at(0)), again);
}

// 30 times NOP and a jump back to the first, stopped everywhere.
TEST(DecodedCode, IsNotDecodedAgainWhereARunStopped) {
  TestCpu cpu(Mode::Long64);
  std::string code;
  for (int i = 0; i < 30; ++i)
    code += "90";
  cpu.code(code + "ebe0");
  for (int i = 0; i < 1000; ++i)
    run(*cpu, cpu->icount + 7);
  EXPECT_EQ(cpu->icount, 7000u);
  EXPECT_EQ(cpu->rip(), at::kCode + 7000 % 31);
  EXPECT_EQ(cpu.board().code.decoded(), 31u);
}

TEST(DecodedCode, ThatHasChangedIsDecodedWhereARunStopped) {
  TestCpu cpu(Mode::Long64);
  cpu.code("ffc0 ffc0 ffc0 ebf8");  // inc eax, three times
  cpu.rax() = 0;
  run(*cpu, cpu->icount + 2);
  cpu.put<std::uint16_t>(at::kCode + 4, 0xc8ff);  // dec eax
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.rax(), 1u);
}

// mov rax, 0x1122334455667788 with its last six bytes in the next page, and a jump back to it.
class AcrossPages : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSecond = at::kCode + 0x1000, kStart = kSecond - 4;
  AcrossPages() {
    cpu.small_pages();
    cpu.code("48b88877665544332211ebf4", kStart);
  }
  std::uint64_t& entry(std::uint64_t linear) {
    return *reinterpret_cast<std::uint64_t*>(cpu.host(at::kPt + 8 * (linear >> 12)));
  }
  TestCpu cpu{Mode::Long64};
};

TEST_F(AcrossPages, AnInstructionIsDecodedOnce) {
  run(*cpu, cpu->icount + 2000);
  EXPECT_EQ(cpu.rax(), 0x1122334455667788u);
  const CodeCache::Crossing* known = cpu.board().code.crossing(key_at(kStart));
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->second_page, kSecond);
  EXPECT_EQ(known->insn.length, 10);
  EXPECT_LE(cpu.board().code.decoded(), 3u);
}

TEST_F(AcrossPages, BothOfItsPartsMayChange) {
  run(*cpu, cpu->icount + 10);
  cpu.put<std::uint8_t>(kSecond + 5, 0x99);
  run(*cpu, cpu->icount + 2);
  EXPECT_EQ(cpu.rax(), 0x9922334455667788u);
  cpu.put<std::uint8_t>(kStart + 2, 0x11);
  run(*cpu, cpu->icount + 2);
  EXPECT_EQ(cpu.rax(), 0x9922334455667711u);
}

// Stores of the guest itself, which go by the fast path where no code lies.
TEST_F(AcrossPages, StoresOfTheGuestToTheSecondPageAreSeen) {
  cpu->reg(Gpr::Rbx) = kSecond + 5;
  cpu.code("c60377 ebdf", at::kCode + 0x20);  // mov byte [rbx], 0x77
  run(*cpu, cpu->icount + 1);
  cpu->rip() = kStart;
  run(*cpu, cpu->icount + 4);
  EXPECT_EQ(cpu.rax() >> 56, 0x77u);
  cpu.put<std::uint8_t>(at::kCode + 0x22, 0x78);
  cpu->rip() = at::kCode + 0x20;
  run(*cpu, cpu->icount + 1);
  cpu->rip() = kStart;
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.rax() >> 56, 0x78u);
}

// The other page is looked for anew each time.
TEST_F(AcrossPages, AnotherSecondPageHasOtherBytes) {
  run(*cpu, cpu->icount + 10);
  constexpr std::uint64_t kOther = 0x90000;
  std::memcpy(cpu.host(kOther), cpu.host(kSecond), 0x100);
  *cpu.host(kOther + 5) = 0x55;
  entry(kSecond) = kOther | 7;
  cpu->flush_tlb();
  cpu->rip() = kStart;
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.rax() >> 56, 0x55u);
  entry(kSecond) = 0;
  cpu->flush_tlb();
  cpu->rip() = kStart;
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu->cr2, kSecond);
}

}  // namespace
}  // namespace ringside::soft
