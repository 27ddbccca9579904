#include "time/record/input_log.h"

#include <algorithm>
#include <sstream>

namespace ringside::time {

void InputLog::append(const Position& at, const Input& input) {
  entries_.push_back({at, to_words(input)});
  bytes_ += size_of(entries_.back());
}

Input InputLog::input_of(std::uint64_t number) const {
  std::istringstream words(entries_[number - first_].words);
  return *input_of_words(words, vcpus_);  // they are our own
}

std::uint64_t InputLog::count_before(const Position& at) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), at,
      [](const Entry& entry, const Position& wanted) { return entry.at < wanted; });
  return first_ + static_cast<std::uint64_t>(found - entries_.begin());
}

void InputLog::drop_before(std::uint64_t number) {
  while (first_ < number && !entries_.empty()) {
    bytes_ -= size_of(entries_.front());
    entries_.pop_front();
    ++first_;
  }
}

void InputLog::drop_from(std::uint64_t number) {
  while (end() > number && !entries_.empty()) {
    bytes_ -= size_of(entries_.back());
    entries_.pop_back();
  }
}

}  // namespace ringside::time
