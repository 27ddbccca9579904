// Saving into and loading from a byte vector. For tests only.
#pragma once

#include <cstring>
#include <vector>

#include "base/state_visitor.h"

namespace ringside::machine::testing {

class StateSaver final : public StateVisitor {
 public:
  std::vector<std::byte> saved;
  bool loading() const override { return false; }
  void bytes(std::span<std::byte> bytes) override {
    saved.insert(saved.end(), bytes.begin(), bytes.end());
  }
};

class StateLoader final : public StateVisitor {
 public:
  explicit StateLoader(std::vector<std::byte> saved) : saved_(std::move(saved)) {}
  bool finished() const { return position_ == saved_.size(); }
  bool loading() const override { return true; }
  void bytes(std::span<std::byte> bytes) override {
    std::memcpy(bytes.data(), saved_.data() + position_, bytes.size());
    position_ += bytes.size();
  }

 private:
  std::vector<std::byte> saved_;
  std::size_t position_ = 0;
};

template <typename Stateful>
std::vector<std::byte> save(Stateful& object) {
  StateSaver saver;
  object.visit_state(saver);
  return saver.saved;
}

// True when all that was saved was taken.
template <typename Stateful>
bool load(Stateful& object, std::vector<std::byte> saved) {
  StateLoader loader(std::move(saved));
  object.visit_state(loader);
  return loader.finished();
}

}  // namespace ringside::machine::testing
