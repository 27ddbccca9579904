#include "machine/storage/virtio_block.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x2000, kUsed = 0x3000;
constexpr std::uint64_t kHeader = 0x4000, kData = 0x5000, kStatusByte = 0x8000, kTable = 0x9000;
constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

struct VirtioBlockTest : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(2 << 20);
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  DmaMemory memory{ram, cpus};
  std::shared_ptr<testing::MemoryDisk> disk = std::make_shared<testing::MemoryDisk>(8 * 512);
  VirtioBlock block{disk, memory, 0};
  VirtioMmio transport{block, memory, {lines, 16}};
  std::uint16_t published = 0;

  std::uint32_t read(std::uint64_t offset) {
    return static_cast<std::uint32_t>(transport.read_mmio({{}, offset, 4}));
  }
  void write(std::uint64_t offset, std::uint32_t value) {
    transport.write_mmio({{}, offset, 4}, value);
  }
  template <typename T>
  void poke(std::uint64_t address, T value) {
    std::memcpy(ram.host({address}, sizeof value), &value, sizeof value);
  }
  template <typename T>
  T peek(std::uint64_t address) {
    T value;
    std::memcpy(&value, ram.host({address}, sizeof value), sizeof value);
    return value;
  }
  void start() {
    write(0x070, 1);
    write(0x070, 3);
    write(0x024, 1);
    write(0x020, 1);  // VERSION_1
    write(0x024, 0);
    write(0x020, 1 << 9);
    write(0x070, 0xb);
    ASSERT_EQ(read(0x070), 0xbu);
    write(0x030, 0);
    write(0x038, 8);
    write(0x080, kDescriptors);
    write(0x090, kAvailable);
    write(0x0a0, kUsed);
    write(0x044, 1);
    write(0x070, 0xf);
  }
  void descriptor(std::uint64_t table, unsigned index, std::uint64_t address, std::uint32_t size,
                  std::uint16_t flags, std::uint16_t next = 0) {
    poke(table + 16 * index, address);
    poke(table + 16 * index + 8, size);
    poke(table + 16 * index + 12, flags);
    poke(table + 16 * index + 14, next);
  }
  void header(std::uint32_t type, std::uint64_t sector) {
    poke(kHeader, type);
    poke<std::uint32_t>(kHeader + 4, 0);
    poke(kHeader + 8, sector);
  }
  void publish(std::uint16_t head) {
    poke<std::uint16_t>(kAvailable + 4 + 2 * (published % 8), head);
    poke<std::uint16_t>(kAvailable + 2, ++published);
    write(0x050, 0);
  }
  // Header, data and status as three descriptors; gives the status byte.
  unsigned request(std::uint32_t type, std::uint64_t sector, std::uint32_t size) {
    header(type, sector);
    poke<std::uint8_t>(kStatusByte, 0xee);
    const bool reads = type == 0 || type == 8;
    descriptor(kDescriptors, 0, kHeader, 16, kNext, size != 0 ? 1 : 2);
    descriptor(kDescriptors, 1, kData, size,
               static_cast<std::uint16_t>(kNext | (reads ? kWrite : 0)), 2);
    descriptor(kDescriptors, 2, kStatusByte, 1, kWrite);
    publish(0);
    return peek<std::uint8_t>(kStatusByte);
  }
};

TEST_F(VirtioBlockTest, IntroducesItself) {
  EXPECT_EQ(read(0x000), 0x74726976u);
  EXPECT_EQ(read(0x004), 2u);
  EXPECT_EQ(read(0x008), 2u);
  EXPECT_EQ(read(0x100), 8u);  // sectors
  EXPECT_EQ(read(0x104), 0u);
  EXPECT_EQ(read(0x010) & 1 << 5, 0u);
  disk->is_read_only = true;
  EXPECT_EQ(read(0x010) & 1 << 5, 1u << 5);
  write(0x014, 1);
  EXPECT_EQ(read(0x010), 1u);
  EXPECT_EQ(read(0x034), 256u);
  write(0x030, 1);
  EXPECT_EQ(read(0x034), 0u);
}

TEST_F(VirtioBlockTest, RefusesFeaturesItDoesNotHave) {
  write(0x070, 3);
  write(0x024, 1);
  write(0x020, 3);
  write(0x070, 0xb);
  EXPECT_EQ(read(0x070), 3u);
}

TEST_F(VirtioBlockTest, WritesAndReadsBack) {
  start();
  for (unsigned i = 0; i < 1024; ++i)
    poke<std::uint8_t>(kData + i, static_cast<std::uint8_t>(i * 7));
  EXPECT_EQ(request(1, 3, 1024), 0u);
  EXPECT_EQ(disk->content[3 * 512 + 5], static_cast<std::byte>(35));
  std::memset(ram.host({kData}, 1024), 0, 1024);
  EXPECT_EQ(request(0, 3, 1024), 0u);
  EXPECT_EQ(peek<std::uint8_t>(kData + 5), 35u);
  EXPECT_EQ(peek<std::uint16_t>(kUsed + 2), 2u);
  EXPECT_EQ(peek<std::uint32_t>(kUsed + 4 + 8 + 4), 1025u);
  EXPECT_TRUE(lines.level[16]);
  EXPECT_EQ(read(0x060), 1u);
  write(0x064, 1);
  EXPECT_FALSE(lines.level[16]);
}

TEST_F(VirtioBlockTest, FlushesAndTellsErrors) {
  start();
  EXPECT_EQ(request(4, 0, 0), 0u);
  EXPECT_EQ(disk->flushes, 1u);
  EXPECT_EQ(request(0, 8, 512), 1u);   // beyond the end
  EXPECT_EQ(request(0, 7, 1024), 1u);  // across the end
  EXPECT_EQ(request(0, ~std::uint64_t{0} / 512, 512), 1u);
  EXPECT_EQ(request(0, 0, 100), 1u);  // not a sector
  EXPECT_EQ(request(77, 0, 0), 2u);
  disk->broken = true;
  EXPECT_EQ(request(0, 0, 512), 1u);
  EXPECT_EQ(request(4, 0, 0), 1u);
  disk->broken = false;
  disk->is_read_only = true;
  EXPECT_EQ(request(1, 0, 512), 1u);
}

TEST_F(VirtioBlockTest, Identifies) {
  start();
  EXPECT_EQ(request(8, 0, 20), 0u);
  EXPECT_STREQ(reinterpret_cast<const char*>(ram.host({kData}, 20)), "ringside-0");
}

TEST_F(VirtioBlockTest, TakesIndirectAndOddlyCutRequests) {
  start();
  header(0, 1);
  disk->content[512] = static_cast<std::byte>(0x5a);
  // The header in two pieces; data and status in one.
  descriptor(kTable, 0, kHeader, 6, kNext, 1);
  descriptor(kTable, 1, kHeader + 6, 10, kNext, 2);
  descriptor(kTable, 2, kData, 513, kWrite);
  descriptor(kDescriptors, 0, kTable, 48, kIndirect);
  poke<std::uint8_t>(kData + 512, 0xee);
  publish(0);
  EXPECT_EQ(peek<std::uint8_t>(kData), 0x5au);
  EXPECT_EQ(peek<std::uint8_t>(kData + 512), 0u);
}

TEST_F(VirtioBlockTest, BrokenRingsStopTheDeviceUntilReset) {
  start();
  descriptor(kDescriptors, 0, kHeader, 16, kNext, 0);  // a loop
  publish(0);
  EXPECT_EQ(read(0x070) & 0x40, 0x40u);
  EXPECT_EQ(read(0x060), 2u);
  write(0x070, 0);
  EXPECT_EQ(read(0x070), 0u);
  EXPECT_FALSE(lines.level[16]);
}

TEST_F(VirtioBlockTest, KeepsQuietWhereTheDriverAsks) {
  start();
  poke<std::uint16_t>(kAvailable, 1);
  EXPECT_EQ(request(4, 0, 0), 0u);
  EXPECT_FALSE(lines.level[16]);
}

TEST_F(VirtioBlockTest, SurvivesAnyRing) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    write(0x070, 0);
    published = 0;
    start();
    for (std::uint64_t a = kDescriptors; a < kDescriptors + 128; a += 2) {
      poke<std::uint16_t>(a, static_cast<std::uint16_t>(random() % 3 ? random() % 8 : random()));
    }
    for (unsigned i = 0; i < 8; ++i) {
      if (random() % 2) poke<std::uint64_t>(kDescriptors + 16 * i, kHeader + random() % 0x6000);
      if (random() % 2) poke<std::uint32_t>(kDescriptors + 16 * i + 8, random() % 2048);
    }
    header(random() % 10, random() % 10);
    if (random() % 8 == 0) write(0x0a0, static_cast<std::uint32_t>(random()));
    publish(static_cast<std::uint16_t>(random() % 9));
  }
}

TEST_F(VirtioBlockTest, StateMoves) {
  start();
  request(4, 0, 0);
  VirtioMmio other{block, memory, {lines, 17}};
  EXPECT_TRUE(testing::load(other, testing::save(transport)));
  EXPECT_EQ(other.read_mmio({{}, 0x070, 4}), 0xfu);
  EXPECT_EQ(other.read_mmio({{}, 0x060, 4}), 1u);
  EXPECT_EQ(testing::save(other), testing::save(transport));
}

TEST(RawDisk, ReadsWritesAndChecksTheFile) {
  const std::string path = ::testing::TempDir() + "ringside-raw-disk-" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << std::string(1024, 'x');
  {
    auto disk = *open_raw_disk(path, false);
    EXPECT_EQ(disk->size(), 1024u);
    EXPECT_FALSE(open_raw_disk(path, false));  // locked
    std::array<std::byte, 4> bytes{};
    EXPECT_TRUE(disk->write(512, bytes));
    EXPECT_TRUE(disk->flush());
    bytes.fill(std::byte{1});
    EXPECT_TRUE(disk->read(510, bytes));
    EXPECT_EQ(bytes[1], std::byte{'x'});
    EXPECT_EQ(bytes[2], std::byte{0});
  }
  auto read_only = *open_raw_disk(path, true);
  EXPECT_TRUE(read_only->read_only());
  EXPECT_TRUE(open_raw_disk(path, true));
  std::ofstream(path, std::ios::binary) << std::string(1000, 'x');
  EXPECT_EQ(open_raw_disk(path, true).error().code(), ErrorCode::BadRequest);
  ::unlink(path.c_str());
  EXPECT_EQ(open_raw_disk(path, true).error().code(), ErrorCode::System);
}

}  // namespace
}  // namespace ringside::machine
