#include "time/saved/saved_machine.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "base/memory_file.h"
#include "base/testing/temporary_folder.h"
#include "engine/soft/soft_vm.h"
#include "ringside/x86/cpu_state.h"
#include "time/record/machine_hash.h"
#include "time/saved/machine_saver.h"

namespace ringside::time {
namespace {

constexpr std::uint64_t kStart = 0x1000, kSmallest = 1u << 20;

// A machine with the software CPU, as the options have it.
struct Rig {
  hypervisor::GuestRam ram;
  std::unique_ptr<machine::Machine> machine;
  std::unique_ptr<soft::SoftEngine> engine;

  explicit Rig(const SavedOptions& options)
      : ram(hypervisor::GuestRam::create(options.memory).value()) {
    machine::MachineOptions made_of;
    made_of.vcpus = options.vcpus;
    made_of.guest_gdb = options.guest_gdb;
    machine = std::make_unique<machine::Machine>(ram, std::move(made_of));
    x86::CpuState entry = x86::reset_state();
    entry.cr0 |= x86::cr0::PE;
    entry.seg(x86::SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    entry.rip = kStart;
    soft::Options soft{options.vcpus, 5, options.processor};
    soft.translator.mode = soft::TranslatorOptions::Mode::Off;
    engine = soft::create(ram, *machine, entry, soft);
    machine->connect(*engine);
  }

  std::uint64_t hash() { return hash_machine(*engine, *machine, ram); }
  void run(std::uint64_t instructions) {
    const InsnCount until{engine->total_instructions().value + instructions};
    engine->stop_at(until);
    engine->resume({0});
    while (engine->total_instructions() < until && !engine->ended())
      engine->run_slice();
    engine->suspend({0});
    while (engine->take_event()) {
    }
  }
};

// 32-bit code that adds its counter to 256 bytes, one after the other, for ever.
constexpr std::uint8_t kCode[] = {0x40, 0x0f, 0xb6, 0xd8, 0x01, 0x83, 0, 0x80, 0, 0, 0xeb, 0xf4};

// A file in memory: what is written thousands of times costs nothing there.
class ScratchFile {
 public:
  ScratchFile() : fd_(create_memory_file("saved machine", 0).value()) {}
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  void replace(std::string_view content) const {
    ASSERT_EQ(::ftruncate(fd_.get(), 0), 0);
    ASSERT_EQ(::pwrite(fd_.get(), content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
  }

 private:
  Fd fd_;
};

std::string damaged(const std::string& path) {
  return "the saved machine '" + path + "' is damaged or cut off";
}

// What is wrong with the file; empty: it can be restored.
std::string problem(const std::string& path) {
  Result<SavedMachine> saved = SavedMachine::open(path);
  if (!saved) return saved.error().text();
  Rig rig(saved->options());
  const Result<void> memory = saved->load_memory(rig.ram);
  if (!memory) return memory.error().text();
  const Result<void> state = saved->load_state(*rig.engine, *rig.machine);
  return state ? "" : state.error().text();
}

class SavedMachineTest : public ::testing::Test {
 protected:
  Result<std::uint64_t> save(Rig& rig, const SavedOptions& options,
                             const std::string& name = "saved") {
    return save_machine({*opened_, name}, options, *rig.engine, *rig.machine, rig.ram);
  }
  std::string content() const {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  const std::string path_ = folder_ + "/saved";
  const std::unique_ptr<OpenFolder> opened_ = OpenFolder::open(folder_).value();
};

SavedOptions options_of(unsigned vcpus, std::uint64_t memory) {
  SavedOptions options;
  options.vcpus = vcpus;
  options.memory = memory;
  return options;
}

// Runs of pages with all kinds of content at random places.
void fill(Rig& rig, std::mt19937_64& random) {
  for (const hypervisor::RamSlot& slot : rig.ram.slots()) {
    for (unsigned run = random() % 20; run > 0; --run) {
      const std::uint64_t start = random() % slot.size, most = random() % (300 * kPageSize);
      const std::uint64_t size = std::min(slot.size - start, most);
      switch (random() % 4) {
        case 0:
          std::memset(slot.host + start, 0, size);  // touched, and yet zeros
          break;
        case 1:
          std::memset(slot.host + start, static_cast<int>(random()), size);
          break;
        default:
          for (std::uint64_t at = 0; at + 8 <= size; at += 8) {
            const std::uint64_t word = random();
            std::memcpy(slot.host + start + at, &word, sizeof word);
          }
      }
    }
  }
  std::memcpy(rig.ram.host({kStart}, sizeof kCode), kCode, sizeof kCode);
}

TEST_F(SavedMachineTest, GoesOnAsIfNothingHadHappened) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    constexpr unsigned kVcpus[] = {1, 2, 3, 64};
    SavedOptions options = options_of(kVcpus[seed % 4], kSmallest + random() % 9000 * kPageSize);
    options.guest_gdb = seed % 2 == 0;
    options.debug_exit = seed % 3 == 0;
    options.test_device = seed % 5 == 0;
    options.disks = {{"/somewhere/a disk", 512 * random() % 100000, seed % 2 == 0, 17, 23}};
    Rig rig(options);
    fill(rig, random);
    rig.run(1000 + random() % 10000);
    rig.machine->input(machine::SerialInput{0, {std::byte{'x'}}});
    if (options.guest_gdb)
      rig.machine->input(machine::GuestGdbInput{std::vector<std::byte>(random() % 4096)});
    const std::uint64_t before = rig.hash();
    ASSERT_TRUE(save(rig, options));
    EXPECT_EQ(rig.hash(), before);

    Result<SavedMachine> saved = SavedMachine::open(path_);
    ASSERT_TRUE(saved) << saved.error().text();
    options.at = {rig.engine->progress(), rig.engine->now()};
    EXPECT_EQ(saved->options(), options);
    Rig restored(saved->options());
    ASSERT_TRUE(saved->load_memory(restored.ram));
    ASSERT_TRUE(saved->load_state(*restored.engine, *restored.machine));
    EXPECT_EQ(restored.engine->progress(), rig.engine->progress());
    EXPECT_EQ(restored.hash(), before);
    rig.run(5000);
    restored.run(5000);
    EXPECT_NE(rig.hash(), before);
    EXPECT_EQ(restored.hash(), rig.hash());
  }
}

// In the midst of a repeated string instruction, which has not retired.
TEST_F(SavedMachineTest, KnowsHowFarItIsWithinAnInstruction) {
  const SavedOptions options = options_of(1, kSmallest);
  Rig rig(options);
  constexpr std::uint8_t kRepeats[] = {0xb1, 0x40, 0xf3, 0xaa, 0xeb, 0xfa};
  std::memcpy(rig.ram.host({kStart}, sizeof kRepeats), kRepeats, sizeof kRepeats);
  const hypervisor::Progress within{{1}, 5};
  rig.engine->stop_at(within);
  rig.engine->resume({0});
  while (rig.engine->progress() < within)
    rig.engine->run_slice();
  rig.engine->suspend({0});
  ASSERT_EQ(rig.engine->progress(), within);
  ASSERT_TRUE(save(rig, options));
  const Result<SavedMachine> saved = SavedMachine::open(path_);
  ASSERT_TRUE(saved);
  Rig restored(saved->options());
  ASSERT_TRUE(saved->load_memory(restored.ram));
  ASSERT_TRUE(saved->load_state(*restored.engine, *restored.machine));
  EXPECT_EQ(restored.engine->progress(), within);
}

TEST_F(SavedMachineTest, TheSameMachineIsTheSameFile) {
  const SavedOptions options = options_of(1, 8u << 20);
  Rig rig(options);
  std::mt19937_64 random(1);
  fill(rig, random);
  ASSERT_TRUE(save(rig, options));
  const std::string first = content();
  ASSERT_TRUE(save(rig, options));
  EXPECT_EQ(content(), first);
}

TEST_F(SavedMachineTest, RomIsPartOfIt) {
  SavedOptions options = options_of(1, kSmallest);
  Rig rig(options);
  std::vector<std::byte> image(8 * kPageSize, std::byte{0x5a});
  ASSERT_TRUE(rig.ram.add_rom({(1ull << 32) - image.size()}, image));
  ASSERT_TRUE(save(rig, options));
  Result<SavedMachine> saved = SavedMachine::open(path_);
  ASSERT_TRUE(saved);
  Rig restored(saved->options());
  ASSERT_TRUE(saved->load_memory(restored.ram));
  const std::uint8_t* rom = restored.ram.host({0xffffffff}, 1);
  ASSERT_NE(rom, nullptr);
  EXPECT_EQ(*rom, 0x5a);
}

// Memory that is zero takes no room, and is not touched when it is restored.
TEST_F(SavedMachineTest, ZerosAreNotStored) {
  const SavedOptions options = options_of(1, 512u << 20);
  Rig rig(options);
  rig.ram.host({0x10000000}, 1)[0] = 1;
  const Result<std::uint64_t> size = save(rig, options);
  ASSERT_TRUE(size);
  EXPECT_LT(*size, 64u << 10);
  EXPECT_EQ(*size, content().size());
  Result<SavedMachine> saved = SavedMachine::open(path_);
  ASSERT_TRUE(saved);
  Rig restored(saved->options());
  ASSERT_TRUE(saved->load_memory(restored.ram));
  EXPECT_EQ(restored.ram.host({0x10000000}, 1)[0], 1);
}

TEST_F(SavedMachineTest, ComesInSlices) {
  const SavedOptions options = options_of(1, 64u << 20);
  Rig rig(options);
  std::memset(rig.ram.host({0x1000000}, 1), 1, 32u << 20);
  auto saver =
      MachineSaver::begin({*opened_, "saved"}, options, *rig.engine, *rig.machine, rig.ram);
  ASSERT_TRUE(saver);
  unsigned slices = 0;
  for (bool over = false; !over; ++slices) {
    EXPECT_FALSE(std::filesystem::exists(path_));
    const std::uint64_t before = (*saver)->done();
    over = (*saver)->advance().value();
    EXPECT_GE((*saver)->done(), before);
  }
  EXPECT_GE(slices, 32u);
  EXPECT_EQ((*saver)->done(), (*saver)->total());
  EXPECT_EQ(problem(path_), "");
}

// Somebody has had enough.
TEST_F(SavedMachineTest, WhatIsNotFinishedLeavesNoFile) {
  const SavedOptions options = options_of(1, 64u << 20);
  Rig rig(options);
  std::memset(rig.ram.host({0x1000000}, 1), 1, 32u << 20);
  auto saver =
      MachineSaver::begin({*opened_, "saved"}, options, *rig.engine, *rig.machine, rig.ram);
  ASSERT_TRUE(saver && (*saver)->advance());
  EXPECT_FALSE(std::filesystem::is_empty(folder_));
  saver->reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SavedMachineTest, EveryByteCounts) {
  SavedOptions options = options_of(1, kSmallest);
  options.disks = {{"/disk", 512, true, 1, 2}};
  Rig rig(options);
  std::memcpy(rig.ram.host({kStart}, sizeof kCode), kCode, sizeof kCode);
  std::memset(rig.ram.host({0x80000}, 1), 3, 5 * kPageSize);
  ASSERT_TRUE(save(rig, options));
  const ScratchFile file;
  const std::string whole = content();
  file.replace(whole);
  ASSERT_EQ(problem(file.path()), "");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 1 << at % 8);
    file.replace(other);
    const std::string text = problem(file.path());
    ASSERT_NE(text, "") << "byte " << at;
    // The first bytes say what it is at all, and in which format.
    if (at >= sizeof kSavedMagic + sizeof kSavedVersion) {
      ASSERT_EQ(text, damaged(file.path())) << "byte " << at;
    }
  }
}

TEST_F(SavedMachineTest, EveryLengthCounts) {
  const SavedOptions options = options_of(1, kSmallest);
  Rig rig(options);
  std::memcpy(rig.ram.host({kStart}, sizeof kCode), kCode, sizeof kCode);
  ASSERT_TRUE(save(rig, options));
  const ScratchFile file;
  const std::string whole = content();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    file.replace(std::string_view(whole).substr(0, size));
    const std::string text = problem(file.path());
    if (size < sizeof kSavedMagic) {
      ASSERT_EQ(text, "'" + file.path() + "' is not a saved machine") << size;
    } else {
      ASSERT_EQ(text, damaged(file.path())) << size;
    }
  }
  file.replace(whole + '\0');
  EXPECT_EQ(problem(file.path()), damaged(file.path()));
}

TEST_F(SavedMachineTest, OtherFilesAreToldApart) {
  EXPECT_EQ(problem(path_),
            "cannot read the saved machine '" + path_ + "': No such file or directory");
  EXPECT_EQ(problem(folder_), "cannot read the saved machine '" + folder_ + "': it is not a file");
  const ScratchFile file;
  file.replace(std::string(1000, 'x'));
  EXPECT_EQ(problem(file.path()), "'" + file.path() + "' is not a saved machine");
  const SavedOptions options = options_of(1, kSmallest);
  Rig rig(options);
  ASSERT_TRUE(save(rig, options));
  std::string newer = content();
  newer[sizeof kSavedMagic] = static_cast<char>(kSavedVersion + 1);
  file.replace(newer);
  EXPECT_EQ(problem(file.path()), "the saved machine '" + file.path() + "' has format " +
                                      std::to_string(kSavedVersion + 1) +
                                      ", of another version of ringside; this one reads format " +
                                      std::to_string(kSavedVersion));
}

// A debugger names it: nothing but a saved machine is ever replaced, and nothing elsewhere.
TEST_F(SavedMachineTest, OnlyASavedMachineIsReplaced) {
  const SavedOptions options = options_of(1, kSmallest);
  Rig rig(options);
  const auto refused = [&](const std::string& name) {
    const Result<std::uint64_t> saved = save(rig, options, name);
    return saved ? "" : saved.error().text();
  };
  for (const char* name : {"a/b", "/tmp/x", ".", "..", "../x"}) {
    EXPECT_EQ(refused(name), "'" + std::string(name) +
                                 "' is no plain file name: all go into one directory, " + folder_);
  }
  EXPECT_EQ(refused(""), "a file name is missing");
  const std::string long_name(300, 'n');
  EXPECT_EQ(refused(long_name), "'" + long_name + "': File name too long");
  const std::string there = " is there already, and is not a saved machine";
  std::ofstream(folder_ + "/vmlinuz") << "a kernel";
  EXPECT_EQ(refused("vmlinuz"), "'vmlinuz'" + there);
  std::filesystem::create_directory(folder_ + "/folder");
  EXPECT_EQ(refused("folder"), "'folder'" + there);
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(refused("fifo"), "'fifo'" + there);
  EXPECT_EQ(refused("saved"), "");
  std::filesystem::create_symlink("saved", folder_ + "/link");
  EXPECT_EQ(refused("link"), "'link'" + there);
  EXPECT_EQ(refused("saved"), "");
}

}  // namespace
}  // namespace ringside::time
