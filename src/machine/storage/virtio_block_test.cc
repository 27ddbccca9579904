#include "machine/storage/virtio_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/guest_memory.h"
#include "machine/testing/memory_disk.h"
#include "machine/testing/state_bytes.h"
#include "machine/virtio/virtio_mmio.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x2000, kUsed = 0x3000;
constexpr std::uint64_t kHeader = 0x4000, kData = 0x5000, kStatusByte = 0x8000, kTable = 0x9000;
constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

struct VirtioBlockTest : ::testing::Test, testing::GuestMemory {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  DmaMemory memory{ram, cpus};
  std::shared_ptr<testing::MemoryDisk> disk = std::make_shared<testing::MemoryDisk>(8 * 512);
  VirtioBlock block{disk, memory, 0};
  VirtioMmio transport{block, memory, {lines, 16}, cpus};
  std::uint16_t published = 0;

  std::uint32_t read(std::uint64_t offset) {
    return static_cast<std::uint32_t>(transport.read_mmio({{}, offset, 4}));
  }
  void write(std::uint64_t offset, std::uint32_t value) {
    transport.write_mmio({{}, offset, 4}, value);
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
    finish();
  }
  // Gives how many parts the work had that the guest's access has left.
  unsigned finish() {
    unsigned parts = 0;
    while (transport.has_work()) {
      if (transport.work() == hypervisor::WorkPart::Done) ++parts;
    }
    return parts;
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
  VirtioMmio other{block, memory, {lines, 17}, cpus};
  EXPECT_TRUE(testing::load(other, testing::save(transport)));
  EXPECT_EQ(other.read_mmio({{}, 0x070, 4}), 0xfu);
  EXPECT_EQ(other.read_mmio({{}, 0x060, 4}), 1u);
  EXPECT_EQ(testing::save(other), testing::save(transport));
}

// What a guest with large requests finds, in parts.
struct VirtioBlockWork : VirtioBlockTest {
  static constexpr std::uint64_t kBig = 0x100000;
  static constexpr std::uint32_t kSize = 900 << 10;
  VirtioBlockWork() {
    disk->content.resize(kSize);
    for (std::size_t i = 0; i < kSize; ++i)
      disk->content[i] = static_cast<std::byte>(i / 512 * 7);
  }
  // So many requests for the whole disk, in one notification; gives the parts after the access.
  void ask(unsigned requests, std::uint32_t type = 0) {
    header(type, 0);
    const std::uint16_t direction = type == 0 ? kWrite : 0;
    descriptor(kTable, 0, kHeader, 16, kNext, 1);
    descriptor(kTable, 1, kBig, kSize, static_cast<std::uint16_t>(kNext | direction), 2);
    descriptor(kTable, 2, kStatusByte, 1, kWrite);
    for (unsigned i = 0; i < requests; ++i) {
      descriptor(kDescriptors, i, kTable, 48, kIndirect);
      poke<std::uint16_t>(kAvailable + 4 + 2 * (published % 8), static_cast<std::uint16_t>(i));
      ++published;
    }
    poke<std::uint16_t>(kAvailable + 2, published);
    disk->moved = 0;
    write(0x050, 0);
  }
  std::uint16_t answered() { return peek<std::uint16_t>(kUsed + 2); }
  // The first chain. The disk is asked three times, and the guest sees nothing of it.
  void publish_to_a_host_that_waits() {
    poke<std::uint16_t>(kAvailable + 4, 0);
    poke<std::uint16_t>(kAvailable + 2, 1);
    disk->waits = 3;
    write(0x050, 0);
    const std::vector<std::byte> before = testing::save(transport);
    for (unsigned i = 0; i < 3; ++i) {
      EXPECT_EQ(transport.work(), hypervisor::WorkPart::Waits);
      EXPECT_EQ(testing::save(transport), before);
      EXPECT_EQ(answered(), 0u);
    }
  }
};

TEST_F(VirtioBlockWork, IsBoundedForEachPart) {
  start();
  ask(8);
  EXPECT_LE(disk->moved, Allowance::kBytes);
  EXPECT_TRUE(transport.has_work());
  EXPECT_EQ(cpus.deadline_moves, 1u);
  while (transport.has_work()) {
    const std::uint16_t before = answered();
    disk->moved = 0;
    EXPECT_EQ(transport.work(), hypervisor::WorkPart::Done);
    EXPECT_LE(disk->moved, Allowance::kBytes);
    EXPECT_TRUE(disk->moved != 0 || answered() == 8);
    EXPECT_LE(answered() - before, 2);
  }
  EXPECT_EQ(answered(), 8u);
  EXPECT_EQ(std::memcmp(ram.host({kBig}, kSize), disk->content.data(), kSize), 0);
  EXPECT_EQ(peek<std::uint32_t>(kUsed + 4 + 4), kSize + 1);
  EXPECT_TRUE(lines.level[16]);
}

TEST_F(VirtioBlockWork, WhatIsSmallIsDoneWithinTheAccess) {
  start();
  ask(1);
  EXPECT_FALSE(transport.has_work());
  EXPECT_EQ(answered(), 1u);
}

TEST_F(VirtioBlockWork, NothingIsLostOfASavedMachine) {
  start();
  ask(8, 1);
  const std::vector<std::byte> saved = testing::save(transport);
  VirtioBlock other_block{disk, memory, 0};
  VirtioMmio other{other_block, memory, {lines, 17}, cpus};
  EXPECT_TRUE(testing::load(other, saved));
  EXPECT_EQ(testing::save(other), saved);
  EXPECT_TRUE(other.has_work());
  while (other.has_work())
    other.work();
  EXPECT_EQ(answered(), 8u);
  EXPECT_EQ(peek<std::uint8_t>(kStatusByte), 0u);
}

TEST_F(VirtioBlockWork, EndsWithTheQueueAndWithAReset) {
  start();
  ask(8);
  write(0x044, 0);
  EXPECT_FALSE(transport.has_work());
  published = 0;
  write(0x070, 0);
  start();
  poke<std::uint16_t>(kUsed + 2, 0);
  ask(8);
  ASSERT_TRUE(transport.has_work());
  transport.reset();
  EXPECT_FALSE(transport.has_work());
  transport.work();
  EXPECT_LT(answered(), 8u);
}

// What the host did, and what it is said to have done in the run that is repeated.
class Witness final : public DiskWitness {
 public:
  std::map<std::uint64_t, std::uint64_t> failed_then;  // transfers, and what was written of them
  std::vector<DiskFailure> failures;
  unsigned waited = 0;
  std::optional<std::uint64_t> failed_after(unsigned, std::uint64_t transfer) const override {
    const auto found = failed_then.find(transfer);
    return found == failed_then.end() ? std::nullopt : std::optional(found->second);
  }
  void fails(const DiskFailure& failure) override { failures.push_back(failure); }
  void waits() override { ++waited; }
};

TEST_F(VirtioBlockWork, ATransferThatFailedFailsAgainAndAsksNobody) {
  Witness witness;
  block.set_witness(&witness);
  start();
  disk->content.resize(8 * 512);
  EXPECT_EQ(request(0, 0, 512), 0u);  // transfer 0
  EXPECT_EQ(request(4, 0, 0), 0u);
  disk->broken = true;
  EXPECT_EQ(request(1, 0, 512), 1u);
  EXPECT_EQ(request(4, 0, 0), 1u);
  disk->broken = false;
  EXPECT_EQ(witness.failures, (std::vector<DiskFailure>{{0, 2}, {0, 3}}));
  witness.failed_then = {{5, 0}};
  disk->moved = 0;
  EXPECT_EQ(request(0, 0, 512), 0u);
  EXPECT_EQ(request(0, 0, 512), 1u);
  EXPECT_EQ(request(0, 0, 512), 0u);
  EXPECT_EQ(disk->moved, 2u * 512);
  EXPECT_EQ(witness.failures.size(), 2u);
  block.set_witness(nullptr);
}

// A request for the whole disk, in segments of a sector each.
struct VirtioBlockSegments : VirtioBlockWork {
  static constexpr unsigned kSegments = 6;
  Witness witness;
  VirtioBlockSegments() {
    disk->content.resize(kSegments * 512);
    block.set_witness(&witness);
    start();
  }
  ~VirtioBlockSegments() override { block.set_witness(nullptr); }

  static std::uint64_t segment(unsigned number) { return kBig + 0x1000 * number; }
  // Gives the status.
  unsigned ask_for_all(std::uint32_t type) {
    disk->calls = 0;
    disk->moved = 0;
    header(type, 0);
    const std::uint16_t direction = type == 0 ? kWrite : 0;
    descriptor(kTable, 0, kHeader, 16, kNext, 1);
    for (unsigned i = 0; i < kSegments; ++i)
      descriptor(kTable, 1 + i, segment(i), 512, static_cast<std::uint16_t>(kNext | direction),
                 static_cast<std::uint16_t>(2 + i));
    descriptor(kTable, 1 + kSegments, kStatusByte, 1, kWrite);
    descriptor(kDescriptors, 0, kTable, 16 * (2 + kSegments), kIndirect);
    publish(0);
    return peek<std::uint8_t>(kStatusByte);
  }
  bool is_read(unsigned number) {
    return std::memcmp(ram.host({segment(number)}, 512), &disk->content[512 * number], 512) == 0;
  }
  unsigned used_bytes() { return peek<std::uint32_t>(kUsed + 4 + 8 * ((published - 1) % 8) + 4); }
};

TEST_F(VirtioBlockSegments, AreAskedForAtOnce) {
  EXPECT_EQ(ask_for_all(0), 0u);
  EXPECT_EQ(disk->calls, 1u);
  for (unsigned i = 0; i < kSegments; ++i)
    EXPECT_TRUE(is_read(i)) << i;
  EXPECT_EQ(used_bytes(), kSegments * 512 + 1);
  for (unsigned i = 0; i < kSegments; ++i)
    poke<std::uint8_t>(segment(i), static_cast<std::uint8_t>(0x30 + i));
  EXPECT_EQ(ask_for_all(1), 0u);
  EXPECT_EQ(disk->calls, 1u);
  for (unsigned i = 0; i < kSegments; ++i)
    EXPECT_EQ(disk->content[512 * i], static_cast<std::byte>(0x30 + i)) << i;
}

// Each is a transfer by itself, for who repeats the run.
TEST_F(VirtioBlockSegments, FailOneByOne) {
  EXPECT_EQ(ask_for_all(0), 0u);  // transfers 0 to 5
  std::memset(ram.host({segment(0)}, 0x1000 * kSegments), 0xee, 0x1000 * kSegments);
  disk->good = 3 * 512 + 100;
  EXPECT_EQ(ask_for_all(0), 1u);
  EXPECT_EQ(used_bytes(), 3u * 512 + 1);
  EXPECT_EQ(witness.failures, (std::vector<DiskFailure>{{0, 9}}));
  for (unsigned i = 0; i < kSegments; ++i)
    EXPECT_EQ(is_read(i), i < 3) << i;
  EXPECT_EQ(ask_for_all(1), 1u);
  EXPECT_EQ(witness.failures,
            (std::vector<DiskFailure>{{0, 9}, {0, 13, DiskFailure::Until::Next, 100}}));
}

// What a segment that failed in part leaves in memory and on the disk is the same when the run is
// repeated on a host that could do it now: the one is cleared, the other is written so far.
TEST_F(VirtioBlockSegments, ThatFailInPartLeaveTheSameAgain) {
  constexpr std::size_t kAll = 0x1000 * kSegments;
  struct Left {
    std::vector<std::uint8_t> memory;
    std::vector<std::byte> disk;
    bool operator==(const Left&) const = default;
  };
  const auto run = [&](std::uint32_t type) {
    std::memset(ram.host({segment(0)}, kAll), 0xee, kAll);
    std::ranges::fill(disk->content, std::byte{0x77});
    EXPECT_EQ(ask_for_all(type), 1u);
    const std::uint8_t* const bytes = ram.host({segment(0)}, kAll);
    return Left{{bytes, bytes + kAll}, disk->content};
  };
  for (const std::uint32_t type : {0u, 1u}) {
    SCOPED_TRACE(type);
    witness.failures.clear();
    disk->good = 3 * 512 + 100;
    const Left then = run(type);
    ASSERT_EQ(witness.failures.size(), 1u);
    const DiskFailure failure = witness.failures.front();
    disk->good = ~0ull;
    witness.failed_then = {{failure.transfer + 4, failure.written}};
    EXPECT_TRUE(run(type) == then);
    EXPECT_EQ(witness.failures.size(), 1u);
  }
}

// In the run that is repeated, on a host that could do it now, nobody is asked for what failed.
TEST_F(VirtioBlockSegments, ThatFailedFailAgain) {
  EXPECT_EQ(ask_for_all(0), 0u);  // transfers 0 to 5
  std::memset(ram.host({segment(0)}, 0x1000 * kSegments), 0xee, 0x1000 * kSegments);
  witness.failed_then = {{9, 0}};
  EXPECT_EQ(ask_for_all(0), 1u);
  EXPECT_EQ(disk->moved, 3u * 512);
  EXPECT_EQ(used_bytes(), 3u * 512 + 1);
  EXPECT_TRUE(witness.failures.empty());
  EXPECT_FALSE(is_read(3));
  disk->good = 0;
  EXPECT_EQ(ask_for_all(0), 1u);  // transfer 10
  EXPECT_EQ(witness.failures, (std::vector<DiskFailure>{{0, 10}}));
}

// Memory that is not there ends a request; what comes before it has been moved.
TEST_F(VirtioBlockSegments, EndAtMemoryThatIsNotThere) {
  EXPECT_EQ(ask_for_all(0), 0u);
  std::memset(ram.host({segment(0)}, 0x1000 * kSegments), 0xee, 0x1000 * kSegments);
  descriptor(kTable, 3, 0xfff000000, 512, kNext | kWrite, 4);
  disk->moved = 0;
  publish(0);
  EXPECT_EQ(peek<std::uint8_t>(kStatusByte), 1u);
  EXPECT_EQ(disk->moved, 2u * 512);
  EXPECT_EQ(used_bytes(), 2u * 512 + 1);
  EXPECT_TRUE(is_read(0) && is_read(1));
  EXPECT_FALSE(is_read(2) || is_read(3));
}

// All segments of a request at once, whenever the host is ready; the guest sees nothing of that.
TEST_F(VirtioBlockWork, ADiskSomewhereElseIsAskedOnce) {
  Witness witness;
  block.set_witness(&witness);
  disk->remote = true;
  start();
  header(0, 3);
  descriptor(kTable, 0, kHeader, 16, kNext, 1);
  descriptor(kTable, 1, kBig, 700, kNext | kWrite, 2);
  descriptor(kTable, 2, kBig + 4096, 324, kNext | kWrite, 3);
  descriptor(kTable, 3, kStatusByte, 1, kWrite);
  descriptor(kDescriptors, 0, kTable, 64, kIndirect);
  publish_to_a_host_that_waits();
  EXPECT_EQ(witness.waited, 3u);
  EXPECT_EQ(transport.work(), hypervisor::WorkPart::Done);
  EXPECT_EQ(answered(), 1u);
  EXPECT_EQ(disk->moved, 1024u);
  EXPECT_TRUE(std::equal(&disk->content[3 * 512], &disk->content[3 * 512 + 700],
                         ram.host({kBig}, 700),
                         [](std::byte a, auto b) { return a == static_cast<std::byte>(b); }));
  EXPECT_EQ(peek<std::uint8_t>(kBig + 4096),
            std::to_integer<unsigned>(disk->content[3 * 512 + 700]));
  EXPECT_EQ(peek<std::uint32_t>(kUsed + 8), 1025u);
  block.set_witness(nullptr);
}

// As those of a file, in parts; memory that is not there is an error.
TEST_F(VirtioBlockWork, ADiskSomewhereElseIsBoundedForEachPart) {
  disk->remote = true;
  start();
  ask(8, 1);
  while (transport.has_work()) {
    disk->moved = 0;
    transport.work();
    EXPECT_LE(disk->moved, Allowance::kBytes);
  }
  EXPECT_EQ(answered(), 8u);
  EXPECT_EQ(peek<std::uint8_t>(kStatusByte), 0u);
  header(0, 0);
  descriptor(kTable, 1, 0xfff000000, 512, kNext | kWrite, 2);
  publish(0);
  EXPECT_EQ(peek<std::uint8_t>(kStatusByte), 1u);
}

// The disk is asked again, and the guest sees nothing of it.
TEST_F(VirtioBlockWork, AFlushWaitsForTheHost) {
  start();
  header(4, 0);
  descriptor(kDescriptors, 0, kHeader, 16, kNext, 1);
  descriptor(kDescriptors, 1, kStatusByte, 1, kWrite);
  publish_to_a_host_that_waits();
  EXPECT_EQ(transport.work(), hypervisor::WorkPart::Done);
  EXPECT_EQ(answered(), 1u);
  EXPECT_EQ(disk->flushes, 1u);
}

// What a file says of a request that is not over.
TEST_F(VirtioBlockWork, SurvivesAnyState) {
  start();
  ask(8);
  const std::vector<std::byte> saved = testing::save(transport);
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> state = saved;
    for (unsigned i = 0; i < 1 + random() % 4; ++i)
      state[random() % state.size()] = static_cast<std::byte>(random());
    VirtioBlock block_of_it{disk, memory, 0};
    VirtioMmio other{block_of_it, memory, {lines, 17}, cpus};
    if (!testing::load(other, state)) continue;
    for (unsigned i = 0; i < 20 && other.has_work(); ++i)
      other.work();
  }
}

TEST(RawDisk, ReadsWritesAndChecksTheFile) {
  const std::string path = ::testing::TempDir() + "ringside-raw-disk-" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << std::string(1024, 'x');
  {
    auto disk = *open_raw_disk(path, false);
    EXPECT_EQ(disk->size(), 1024u);
    EXPECT_FALSE(open_raw_disk(path, false));  // locked
    std::array<std::byte, 4> bytes{};
    EXPECT_TRUE(write_all(*disk, 512, bytes));
    EXPECT_TRUE(flush_all(*disk));
    bytes.fill(std::byte{1});
    EXPECT_TRUE(read_all(*disk, 510, bytes));
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
