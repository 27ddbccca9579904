#include "machine/firmware/flash_memory.h"

#include <gtest/gtest.h>

#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSize = 2 * FlashMemory::kBlock;
constexpr std::uint64_t kErased = 0xff;

struct FlashMemoryTest : ::testing::Test {
  std::shared_ptr<testing::MemoryDisk> disk = std::make_shared<testing::MemoryDisk>(kSize);
  FlashMemory flash{disk};

  std::uint64_t read(std::uint64_t offset, unsigned width = 1) {
    return flash.read_mmio({{}, offset, width});
  }
  void write(std::uint64_t offset, std::uint64_t value, unsigned width = 1) {
    flash.write_mmio({{}, offset, width}, value);
  }
  void erase(std::uint64_t offset) {
    write(offset, 0x20);
    write(offset, 0xd0);
  }
};

TEST_F(FlashMemoryTest, IsMemoryToReadAndCommandsToWrite) {
  disk->content[0x1234] = std::byte{0x5a};
  disk->content[0x1235] = std::byte{0xa5};
  EXPECT_EQ(read(0x1234), 0x5au);
  EXPECT_EQ(read(0x1234, 2), 0xa55au);
  EXPECT_EQ(read(0x1230, 8), 0x0000a55a00000000u);
  write(0x1234, 0x77);  // no command
  EXPECT_EQ(read(0x1234), 0x5au);
  EXPECT_EQ(read(kSize - 4, 8), ~std::uint64_t{0});  // not all of it is there
}

TEST_F(FlashMemoryTest, ErasesABlockAndProgramsBytes) {
  disk->content.assign(kSize, std::byte{0x33});
  erase(0x1010);
  EXPECT_EQ(read(0), 0x80u);  // the status
  write(0, 0xff);
  EXPECT_EQ(read(0xfff), 0x33u);
  EXPECT_EQ(read(0x1000, 8), ~std::uint64_t{0});
  EXPECT_EQ(read(0x1fff), kErased);
  for (const std::uint64_t command : {0x10, 0x40}) {
    write(0x1000 + command, command);
    write(0x1000 + command, 0xf5);
    EXPECT_EQ(read(0), 0x80u);
  }
  write(0, 0xff);
  EXPECT_EQ(read(0x1010), 0xf5u);
  EXPECT_EQ(read(0x1040), 0xf5u);
  EXPECT_EQ(disk->content[0x1010], std::byte{0xf5});  // at once
  write(0x1010, 0x10);
  write(0x1010, 0x0f);  // sets no bit
  write(0, 0xff);
  EXPECT_EQ(read(0x1010), 0x05u);
  write(0x1100, 0x10);
  write(0x1100, 0x12345678, 4);
  write(0, 0xff);
  EXPECT_EQ(read(0x1100, 8), 0xffffffff12345678u);
}

TEST_F(FlashMemoryTest, ErasingWantsToBeConfirmed) {
  disk->content.assign(kSize, std::byte{0x33});
  write(0, 0x20);
  write(0, 0xff);
  EXPECT_EQ(read(0), 0xb0u);  // both errors
  write(0, 0x50);
  write(0, 0x70);
  EXPECT_EQ(read(0), 0u);
  write(0, 0xff);
  EXPECT_EQ(read(0), 0x33u);
}

TEST_F(FlashMemoryTest, SaysWhatItIs) {
  write(0, 0x90);
  EXPECT_EQ(read(0), 0x89u);
  EXPECT_EQ(read(1), 0x18u);
  write(0x55, 0x98);
  EXPECT_EQ(read(0x10), 'Q');
  EXPECT_EQ(read(0x11), 'R');
  EXPECT_EQ(read(0x12), 'Y');
  EXPECT_EQ(read(0x13, 2), 1u);     // Intel's commands
  EXPECT_EQ(read(0x27), 13u);       // 8 KiB
  EXPECT_EQ(read(0x2a, 2), 0u);     // no buffer
  EXPECT_EQ(read(0x2c), 1u);        // alike
  EXPECT_EQ(read(0x2d, 2), 1u);     // two blocks
  EXPECT_EQ(read(0x2f, 2), 0x10u);  // of 4 KiB
  EXPECT_EQ(read(0x31), 0u);
}

TEST_F(FlashMemoryTest, WhatCannotBeWrittenIsAnError) {
  disk->is_read_only = true;
  disk->content[5] = std::byte{0x33};
  write(5, 0x10);
  write(5, 0);
  EXPECT_EQ(read(0), 0x92u);
  write(0, 0x50);
  erase(0);
  EXPECT_EQ(read(0), 0xa2u);
  write(0, 0xff);
  EXPECT_EQ(read(5), 0x33u);
  disk->is_read_only = false;
  disk->broken = true;
  EXPECT_EQ(read(5), kErased);
  erase(0);
  EXPECT_EQ(read(0) & 0x20, 0x20u);
}

// Out of bounds nothing is written, also by a wide access at the end.
TEST_F(FlashMemoryTest, StaysWithinItsFile) {
  write(0, 0x10);
  write(kSize - 2, 0, 8);
  write(kSize, 0);
  write(~std::uint64_t{0} - 3, 0, 4);
  EXPECT_EQ(disk->content, std::vector<std::byte>(kSize));
}

TEST_F(FlashMemoryTest, StateMoves) {
  write(0, 0x20);
  FlashMemory other{disk};
  EXPECT_TRUE(testing::load(other, testing::save(flash)));
  EXPECT_EQ(testing::save(other), testing::save(flash));
  other.write_mmio({{}, 0, 1}, 0xd0);
  EXPECT_EQ(disk->content[0], std::byte{0xff});
  flash.reset();
  EXPECT_EQ(read(0), kErased);
  std::vector<std::byte> unknown = testing::save(flash);
  unknown[0] = std::byte{17};
  EXPECT_FALSE(testing::load(other, unknown));
}

TEST_F(FlashMemoryTest, IsFlushedAtTheEnd) {
  { FlashMemory other{disk}; }
  EXPECT_EQ(disk->flushes, 1u);
}

}  // namespace
}  // namespace ringside::machine
