// Numbers, strings and data of a message, as they are sent: the least significant byte first, a
// string after its length in two bytes (intro(5) of Plan 9's manual).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "share/messages.h"
#include "share/outcome.h"
#include "share/qid.h"

namespace ringside::share {

// Takes a request apart. What is lacking is read as 0 or nothing, and end() says so: it has to be
// asked before anything is done with what was read. Strings and data are those of the request.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> message) : rest_(message) {}

  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::span<const std::byte> bytes(std::size_t count) {
    if (count > rest_.size()) {
      lacks_ = true;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::string_view string() {
    const auto text = bytes(u16());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  // EPROTO: the message is shorter than what it has to have, or longer.
  Outcome<> end() const {
    if (lacks_ || !rest_.empty()) return refuse(EPROTO);
    return {};
  }

 private:
  template <typename T>
  T number() {
    T value = 0;
    const auto taken = bytes(sizeof value);
    if (!taken.empty()) std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }

  std::span<const std::byte> rest_;
  bool lacks_ = false;
};

// Puts an answer together, in memory that is kept from one to the next, so that what a file's
// content is read into is not zeroed before each.
class Writer {
 public:
  // Anew: nothing of what was written before is left.
  void begin(std::uint8_t type, std::uint16_t tag) {
    size_ = 0;
    u32(0);
    u8(type);
    u16(tag);
  }

  void u8(std::uint8_t value) { number(value); }
  void u16(std::uint16_t value) { number(value); }
  void u32(std::uint32_t value) { number(value); }
  void u64(std::uint64_t value) { number(value); }
  // It has at most 65,535 bytes.
  void string(std::string_view text) {
    u16(static_cast<std::uint16_t>(text.size()));
    const auto bytes = std::as_bytes(std::span(text));
    std::copy(bytes.begin(), bytes.end(), more(bytes.size()).begin());
  }
  void qid(const Qid& qid) {
    u8(qid.type);
    u32(qid.version);
    u64(qid.path);
  }
  // count[4] data[count]: `fill` is given room for `most` bytes and says how many there are, as an
  // Outcome.
  template <typename Fill>
  Outcome<> counted(std::size_t most, Fill&& fill) {
    const std::size_t begin = begin_counted();
    const std::size_t count = ATTEMPT(fill(more(most)));
    size_ = begin + count;
    end_counted(begin);
    return {};
  }
  // The same for what is written here one after the other. The first one's result is for the
  // second.
  std::size_t begin_counted() {
    u32(0);
    return size_;
  }
  void end_counted(std::size_t begin) {
    put(begin - sizeof(std::uint32_t), static_cast<std::uint32_t>(size_ - begin));
  }

  std::size_t size() const { return size_; }
  // The whole message, until the next one begins.
  std::span<const std::byte> finish() {
    put(0, static_cast<std::uint32_t>(size_));
    return std::span(bytes_).first(size_);
  }

 private:
  template <typename T>
  void put(std::size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  template <typename T>
  void number(T value) {
    std::memcpy(more(sizeof value).data(), &value, sizeof value);
  }
  std::span<std::byte> more(std::size_t count) {
    if (bytes_.size() - size_ < count) bytes_.resize(size_ + count);
    const auto room = std::span(bytes_).subspan(size_, count);
    size_ += count;
    return room;
  }

  std::vector<std::byte> bytes_;
  std::size_t size_ = 0;  // of the message
};

}  // namespace ringside::share
