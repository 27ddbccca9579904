// Arbitrary lines as a journal, replayed by a guest on the software CPU: somebody may have edited
// it. It is refused, or the run goes on or leaves the recorded path; nothing else.
//
// The first byte says which code the guest begins with; the rest is what follows the first three
// lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "engine/soft/soft_vm.h"
#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"
#include "time/record/journal.h"
#include "time/record/timeline.h"

namespace {

using namespace ringside;
using fuzz::check;

constexpr std::uint64_t kStart = 0x1000;
constexpr unsigned kVcpus = 2;
constexpr std::uint64_t kMemory = 1u << 20;

// 32-bit code: counts; sleeps; repeats a string instruction; halts for good.
const std::vector<std::uint8_t> kGuests[] = {{0x40, 0x90, 0x40, 0xeb, 0xfb},
                                             {0xfb, 0xf4, 0x40, 0xeb, 0xfb},
                                             {0xb1, 0x40, 0xf3, 0xaa, 0xeb, 0xfa},
                                             {0x40, 0x90, 0xfa, 0xf4, 0xeb, 0xfd}};

class Scene {
 public:
  explicit Scene(unsigned kind) : ram_(hypervisor::GuestRam::create(kMemory).value()) {
    machine::MachineOptions options;
    options.vcpus = kVcpus;
    options.guest_gdb = true;
    machine_ = std::make_unique<machine::Machine>(ram_, std::move(options));
    const std::vector<std::uint8_t>& code = kGuests[kind % std::size(kGuests)];
    std::copy(code.begin(), code.end(), ram_.host({kStart}, code.size()));
    entry_ = x86::reset_state();
    entry_.cr0 |= x86::cr0::PE;
    entry_.seg(x86::SegmentName::Cs) = {8, x86::kAttributesCode32, 0xffffffff, 0};
    entry_.rip = kStart;
    engine_ = soft::create(ram_, *machine_, entry_, soft::Options{kVcpus, 0});
    machine_->connect(*engine_);
    timeline_ = std::make_unique<time::Timeline>(*engine_, *machine_, time::Pace::Off);
  }

  void replay(time::JournalReader journal) {
    timeline_->replay(std::move(journal), [this]() -> Result<void> {
      machine_->reset();
      engine_->reset_under_way(entry_);
      return {};
    });
    timeline_->check_memory_too(ram_);
    engine_->resume({0});
    for (unsigned rounds = 0; rounds < 200 && !engine_->ended(); ++rounds) {
      if (!timeline_->prepare_slice() || timeline_->recording_is_over()) return;
      const bool ran = engine_->run_slice();
      while (const auto event = engine_->take_event())
        engine_->resume(event->vcpu);
      if (!ran && !engine_->wants_slice()) timeline_->begin_wait(time::Timeline::Clock::now());
    }
  }

 private:
  hypervisor::GuestRam ram_;
  x86::CpuState entry_;
  std::unique_ptr<machine::Machine> machine_;
  std::unique_ptr<soft::SoftEngine> engine_;
  std::unique_ptr<time::Timeline> timeline_;
};

// What is read is written the same, and read again.
void check_words(const time::JournalReader& journal) {
  time::JournalReader copy = journal;
  for (; copy.next() != nullptr; copy.advance()) {
    const std::string words = time::to_words(copy.next()->input);
    std::istringstream stream(words);
    const auto again = time::input_of_words(stream, kVcpus);
    check(again && time::to_words(*again) == words);
  }
  for (const time::JournalCheck& one : journal.checks()) {
    std::istringstream stream(time::to_words(one.check));
    check(time::check_of_words(stream, kVcpus) == one.check);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;
  const time::RunIdentity identity{kVcpus, kMemory, 0};
  std::istringstream text(
      "ringside-journal 17 vcpus 2 memory 1048576 content 0000000000000000\nseed 1\ndate 0\ncpu "
      "v2\n" +
      std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  auto journal = time::JournalReader::read(text, "journal", identity);
  if (!journal) return 0;
  check_words(*journal);
  Scene(data[0]).replay(std::move(*journal));
  return 0;
}
