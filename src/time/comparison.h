// Finds where two recorded runs of one start part: at which instruction, and what it has made
// different. Both run side by side, in strides, and are compared after each; in the stride in which
// they part they go back, and on in shorter ones, down to one instruction.
//
// What counts is what belongs to a vCPU, and memory. Devices may differ for long before: a key that
// only one of the guests was given lies in the serial port until it is read. What is read may be
// forgotten some instructions later, and a comparison after a stride would not see it. So a stride
// in which a device that differs has changed is looked at more closely, too.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "time/rerun.h"

namespace ringside::time {

// The first input that is not the same in both, or not at the same moment.
struct DifferentInput {
  std::size_t number = 0;                         // from 0
  const JournalEntry *a = nullptr, *b = nullptr;  // null: there are no more
};
std::optional<DifferentInput> first_different_input(const JournalReader& a, const JournalReader& b);
// "at INSTRUCTION[+PARTS], TIME ns: WORDS", and long words are cut.
std::string describe(const JournalEntry& entry);

class Comparison {
 public:
  // Both are at the first instruction, with equal RAM.
  Comparison(Rerun& a, Rerun& b) : a_(a), b_(b) {}

  struct Finding {
    bool differ = false;
    std::string text;  // lines
  };
  // An error: one of them is not its recorded run.
  Result<Finding> run();

 private:
  static constexpr std::uint64_t kFarthest = 64'000'000, kPieces = 16;
  // So many strides are looked at more closely because of a device.
  static constexpr unsigned kMostLooks = 256;
  using DeviceHashes = std::vector<std::pair<std::string, std::uint64_t>>;
  enum class Until : std::uint8_t { Parted, DeviceMoved };

  Result<void> go_to(std::uint64_t count);
  void remember();
  bool same_vcpus();
  std::optional<Gpa> first_different_byte();
  std::size_t different_pages();
  std::vector<std::string> different_devices();
  bool parted() { return !same_vcpus() || first_different_byte(); }
  bool device_has_moved();
  Result<std::uint64_t> narrow(std::uint64_t same, std::uint64_t different, Until until);
  Result<Finding> report(std::uint64_t same);
  Result<Finding> compare_ends(std::uint64_t end);
  std::vector<std::string> different_state();
  std::vector<std::uint64_t> union_of_changed_pages();
  std::deque<std::uint64_t> causes() const;

  Rerun &a_, &b_;
  DeviceHashes devices_a_, devices_b_;  // where they were remembered
};

}  // namespace ringside::time
