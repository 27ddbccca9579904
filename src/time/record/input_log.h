// The inputs of a run in memory, in their order, as a journal has them in a file: what going back
// replays. Numbered from the first of the run on, also when the oldest have been dropped. Main
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "time/record/inputs.h"
#include "time/record/position.h"

namespace ringside::time {

class InputLog {
 public:
  explicit InputLog(unsigned vcpus) : vcpus_(vcpus) {}

  void append(const Position& at, const Input& input);
  std::uint64_t begin() const { return first_; }
  std::uint64_t end() const { return first_ + entries_.size(); }
  // Of one that is there.
  const Position& position_of(std::uint64_t number) const { return entries_[number - first_].at; }
  Input input_of(std::uint64_t number) const;
  // How many come before this position. Those at it come after.
  std::uint64_t count_before(const Position& at) const;

  void drop_before(std::uint64_t number);
  void drop_from(std::uint64_t number);
  std::uint64_t bytes() const { return bytes_; }  // of memory, about

 private:
  // The words of an input are a tenth of its size.
  struct Entry {
    Position at;
    std::string words;
  };
  static std::uint64_t size_of(const Entry& entry) { return sizeof(Entry) + entry.words.size(); }

  unsigned vcpus_;
  std::deque<Entry> entries_;
  std::uint64_t first_ = 0;  // the number of the first entry
  std::uint64_t bytes_ = 0;
};

}  // namespace ringside::time
