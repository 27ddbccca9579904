// Breadth-first through all that can happen to a small world, with the way to the first state in
// which a promise is broken. Owned by a test; one thread.
//
// A World has execute(), key() (the same for states that have the same future), `error`, which is
// empty while all promises hold, and `last`, the name of the transition that led to it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

namespace ringside::debug {

template <typename World>
class Exploration {
 public:
  explicit Exploration(std::size_t limit_depth) : limit_depth_(limit_depth) {}

  std::size_t states() const { return came_from_.size(); }
  std::size_t transitions() const { return transitions_; }
  unsigned deepest() const { return deepest_; }
  // Empty: there was none.
  const std::string& failure() const { return failure_; }

 protected:
  // Runs one transition on a copy and queues the state it leads to, if new.
  template <typename Act>
  void go(const World& from, const std::string& parent, unsigned depth, const char* name,
          std::uint32_t index, Act act) {
    if (!failure_.empty()) return;
    ++transitions_;
    World next = from;
    next.last = std::string(name) + " " + std::to_string(index);
    act(next);
    next.execute();
    const std::string key = next.key();
    const bool fresh = came_from_.try_emplace(key, parent + "\n" + next.last).second;
    if (!next.error.empty()) {
      failure_ = next.error + "; the way there, backwards: " + next.last;
      for (std::string at = parent; !at.empty();) {
        const std::string& entry = came_from_[at];
        const std::size_t split = entry.find('\n');
        if (split == std::string::npos) break;
        failure_ += " < " + entry.substr(split + 1);
        at = entry.substr(0, split);
      }
      return;
    }
    if (fresh) {
      deepest_ = std::max(deepest_, depth + 1);
      if (depth + 1 < limit_depth_) queue_.emplace_back(std::move(next), depth + 1);
    }
  }

  // `moves` calls go() for whatever can happen next: moves(world, key, depth).
  template <typename Moves>
  void explore_from(World first, Moves moves) {
    first.execute();
    came_from_.emplace(first.key(), "");
    queue_.emplace_back(std::move(first), 0);
    while (!queue_.empty() && failure_.empty()) {
      const auto [world, depth] = std::move(queue_.front());
      queue_.pop_front();
      moves(world, world.key(), depth);
    }
  }

  std::string failure_;

 private:
  std::size_t limit_depth_;
  std::unordered_map<std::string, std::string> came_from_;  // state → the one before, and how
  std::deque<std::pair<World, unsigned>> queue_;
  std::size_t transitions_ = 0;
  unsigned deepest_ = 0;
};

}  // namespace ringside::debug
